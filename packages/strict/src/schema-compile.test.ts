import type { JsonObject, Problem } from '@sallyport/model';
import { describe, expect, test } from 'vitest';
import { compileSchema } from './schema.ts';
import type { ObjectType } from './schema.ts';

function problemsOf(schema: object): readonly Problem[] {
  const result = compileSchema(schema as JsonObject, 'tools[0].arguments');
  return result.ok ? [] : result.error;
}
/** One property `x` with that schema. */
const property = (schema: unknown): object => ({ type: 'object', properties: { x: schema } });
const typeOf = (schema: object): ObjectType => {
  const result = compileSchema(schema as JsonObject, '');
  if (!result.ok) throw new Error(`refused: ${JSON.stringify(result.error)}`);
  return result.value.type;
};

describe('a keyword that nothing would enforce is a problem that names it', () => {
  test.each([
    'exclusiveMinimum',
    'exclusiveMaximum',
    'multipleOf',
    'uniqueItems',
    'prefixItems',
    'contains',
    'minProperties',
    'maxProperties',
    'patternProperties',
    'propertyNames',
    'dependentRequired',
    'allOf',
    'oneOf',
    'not',
    'if',
    'then',
    'else',
    'unevaluatedProperties',
    '$dynamicRef',
    '$anchor',
    '$id',
    'definitions',
    'examples',
    'nullable',
    'x-other',
    'constructor',
    '__proto__x',
    'toString',
  ])('%s', (keyword) => {
    const [problem, ...more] = problemsOf(property({ type: 'string', [keyword]: 1 }));
    expect(problem).toMatchObject({ path: `tools[0].arguments.properties.x.${keyword}` });
    expect(problem?.message).toBe(`unknown keyword \`${keyword}\`: nothing would enforce it`);
    expect(more).toEqual([]);
  });

  test('a mistyped one is told what it was meant to be', () => {
    expect(problemsOf(property({ type: 'string', maxLenght: 3 }))).toMatchObject([{ remedy: 'did you mean `maxLength`?' }]);
  });

  test('annotations say nothing, wherever they stand', () => {
    const annotations = { title: 't', description: 'd', default: 5, 'x-mcp-header': 'Region' };
    expect(
      problemsOf({
        $schema: 'https://json-schema.org/draft/2020-12/schema',
        ...property({ type: 'integer', ...annotations }),
        ...annotations,
      }),
    ).toEqual([]);
  });
});

describe('a schema that cannot mean what it says is a problem', () => {
  test.each([
    ['a type that is none', { type: 'text' }, 'properties.x.type'],
    ['an empty list of types', { type: [] }, 'properties.x.type'],
    ['a type twice', { type: ['string', 'string'] }, 'properties.x.type'],
    ['integer and number together', { type: ['integer', 'number'] }, 'properties.x.type'],
    ['keywords of two types and no type', { minLength: 1, minimum: 1 }, 'properties.x'],
    ['a keyword of another type', { type: 'string', minimum: 1 }, 'properties.x.minimum'],
    ['a format of another type', { type: 'number', format: 'date' }, 'properties.x.format'],
    ['an unknown format', { type: 'string', format: 'regex' }, 'properties.x.format'],
    ['decimal for a string', { type: 'string', format: 'decimal' }, 'properties.x.format'],
    ['decimal for an integer', { type: 'integer', format: 'decimal' }, 'properties.x.format'],
    ['a format that is no text', { type: 'string', format: 1 }, 'properties.x.format'],
    ['a negative length', { type: 'string', minLength: -1 }, 'properties.x.minLength'],
    ['a length that is no whole number', { type: 'string', maxLength: 1.5 }, 'properties.x.maxLength'],
    ['a count that is text', { type: 'array', maxItems: '3' }, 'properties.x.maxItems'],
    ['lengths in the wrong order', { type: 'string', minLength: 2, maxLength: 1 }, 'properties.x'],
    ['bounds in the wrong order', { type: 'integer', minimum: 2, maximum: 1 }, 'properties.x'],
    ['a bound that is text', { type: 'integer', minimum: '1' }, 'properties.x.minimum'],
    ['a bound that a double has bent', { type: 'number', maximum: 0.1234567890123456 }, 'properties.x.maximum'],
    ['a bound beyond all doubles', { type: 'number', maximum: Number.POSITIVE_INFINITY }, 'properties.x.maximum'],
    ['a bound in exponents', { type: 'number', maximum: 1e30 }, 'properties.x.maximum'],
    ['an empty enum', { enum: [] }, 'properties.x.enum'],
    ['an enum that is no list', { enum: 'a' }, 'properties.x.enum'],
    ['a value of another type', { type: 'string', enum: ['a', 1] }, 'properties.x.enum'],
    ['a value that is an object', { enum: [{}] }, 'properties.x.enum'],
    ['a fraction among integers', { type: 'integer', enum: [1.5] }, 'properties.x.enum'],
    ['a constant of another type', { type: 'integer', const: 'a' }, 'properties.x.const'],
    ['half a surrogate pair', { const: '\ud800' }, 'properties.x.const'],
    ['enum and const', { enum: ['a'], const: 'a' }, 'properties.x'],
    ['look-around', { type: 'string', pattern: '(?=a)' }, 'properties.x.pattern'],
    ['a back-reference', { type: 'string', pattern: '(a)\\1' }, 'properties.x.pattern'],
    ['a pattern that is no text', { type: 'string', pattern: 5 }, 'properties.x.pattern'],
    ['items that are no schema', { type: 'array', items: [] }, 'properties.x.items'],
    ['items that are a boolean', { type: 'array', items: true }, 'properties.x.items'],
    ['properties that are no schemas', { type: 'object', properties: { y: 1 } }, 'properties.x.properties.y'],
    ['properties that are a list', { type: 'object', properties: [] }, 'properties.x.properties'],
    ['required that is no list', { type: 'object', required: 'y' }, 'properties.x.required'],
    ['required without its property', { type: 'object', properties: { amount: {} }, required: ['amout'] }, 'properties.x.required'],
    ['two properties that differ by case', { type: 'object', properties: { id: {}, ID: {} } }, 'properties.x.properties'],
    ['additionalProperties that is no schema', { type: 'object', additionalProperties: 'yes' }, 'properties.x.additionalProperties'],
    ['definitions below the root', { type: 'object', $defs: {} }, 'properties.x.$defs'],
    ['anyOf that is no list', { anyOf: {} }, 'properties.x.anyOf'],
    ['an empty anyOf', { anyOf: [] }, 'properties.x.anyOf'],
    ['a keyword beside anyOf', { anyOf: [{ type: 'string' }], minLength: 1 }, 'properties.x'],
    ['a keyword beside $ref', { $ref: '#/properties/x', type: 'string' }, 'properties.x'],
    ['a reference to elsewhere', { $ref: 'https://example.org/schema' }, 'properties.x.$ref'],
    ['a reference to nowhere', { $ref: '#/$defs/none' }, 'properties.x.$ref'],
    ['a reference to what is inherited', { $ref: '#/constructor' }, 'properties.x.$ref'],
    ['a reference that is no text', { $ref: 1 }, 'properties.x.$ref'],
  ])('%s', (_, schema, path) => {
    expect(problemsOf(property(schema)).map((problem) => problem.path)).toContain(`tools[0].arguments.${path}`);
  });

  test.each([
    ['itself', { x: { $ref: '#/properties/x' } }],
    ['itself through another', { x: { $ref: '#/properties/y' }, y: { $ref: '#/properties/x' } }],
    ['itself through anyOf', { x: { anyOf: [{ type: 'string' }, { $ref: '#/properties/x' }] } }],
  ])('endless reference: a schema that is only %s', (_, properties) => {
    expect(problemsOf({ properties })).toContainEqual({ path: 'tools[0].arguments', message: 'a `$ref` leads back to itself' });
  });

  test.each([
    ['a string', { type: 'string' }],
    ['an object or null', { type: ['object', 'null'] }],
    ['a choice', { anyOf: [{ type: 'object' }] }],
    ['a reference', { $ref: '#/$defs/a', $defs: { a: { type: 'object' } } }],
  ])('arguments that are %s', (_, schema) => {
    expect(problemsOf(schema)).toMatchObject([{ path: 'tools[0].arguments', message: 'arguments are an object' }]);
  });

  test('all problems are told at once, in unused definitions too', () => {
    const schema = {
      properties: { a: { typ: 1 }, b: { type: 'string', minimum: 1 } },
      required: ['c'],
      $defs: { unused: { type: 'none' } },
    };
    expect(problemsOf(schema).map((problem) => problem.path)).toEqual([
      'tools[0].arguments.properties.a.typ',
      'tools[0].arguments.properties.b.minimum',
      'tools[0].arguments.required',
      'tools[0].arguments.$defs.unused.type',
    ]);
  });

  test('a schema without bound is refused before it exhausts anything', () => {
    const wide = { properties: Object.fromEntries(Array.from({ length: 6_000 }, (_, i) => [`p${i}`, { type: 'string' }])) };
    expect(problemsOf(wide).length).toBeGreaterThan(0);
    let deep: object = { type: 'string' };
    for (let i = 0; i < 1_000; i++) deep = { type: 'array', items: deep };
    expect(problemsOf(property(deep)).length).toBeGreaterThan(0);
  });
});

describe('static types', () => {
  test('of everything that a schema can say', () => {
    const type = typeOf({
      required: ['id'],
      properties: {
        id: { type: 'integer' },
        amount: { type: 'number', format: 'decimal' },
        ratio: { type: 'number' },
        flag: { type: 'boolean' },
        currency: { enum: ['EUR', 'USD'] },
        level: { enum: [1, 2] },
        note: { type: ['string', 'null'] },
        tags: { type: 'array', items: { type: 'string', maxLength: 5 } },
        either: { anyOf: [{ type: 'string' }, { type: 'integer' }] },
        free: {},
        map: { type: 'object', additionalProperties: { type: 'integer' } },
      },
    });
    expect(Object.fromEntries([...type.properties].map(([name, property]) => [name, property.type]))).toEqual({
      id: { kind: 'integer' },
      amount: { kind: 'decimal' },
      ratio: { kind: 'double' },
      flag: { kind: 'boolean' },
      currency: { kind: 'string', values: ['EUR', 'USD'] },
      level: { kind: 'integer' },
      note: { kind: 'union', members: [{ kind: 'null' }, { kind: 'string' }] },
      tags: { kind: 'list', element: { kind: 'string' } },
      either: { kind: 'union', members: [{ kind: 'string' }, { kind: 'integer' }] },
      free: { kind: 'any' },
      map: { kind: 'object', properties: new Map(), additional: { kind: 'integer' } },
    });
    expect([...type.properties].filter(([, property]) => property.isRequired).map(([name]) => name)).toEqual(['id']);
    expect(type.additional).toBeUndefined();
  });

  test('a schema that holds itself has a type that ends', () => {
    const type = typeOf({
      properties: { tree: { $ref: '#/$defs/node' } },
      $defs: { node: { type: 'object', properties: { left: { $ref: '#/$defs/node' } } } },
    });
    const tree = type.properties.get('tree')?.type;
    expect(tree?.kind === 'object' && tree.properties.get('left')?.type).toEqual({ kind: 'any' });
  });

  test('billion laughs: references that double stay as small as they are written', () => {
    const $defs = Object.fromEntries(
      Array.from({ length: 30 }, (_, i) => [
        `d${i}`,
        i === 29
          ? { type: 'string' }
          : { type: 'object', properties: { a: { $ref: `#/$defs/d${i + 1}` }, b: { $ref: `#/$defs/d${i + 1}` } } },
      ]),
    );
    const type = typeOf({ properties: { x: { $ref: '#/$defs/d0' } }, $defs });
    const top = type.properties.get('x')?.type;
    expect(top?.kind === 'object' && top.properties.get('a')?.type === top.properties.get('b')?.type).toBe(true);
  });

  test('no schema at all is an object without members', () => {
    expect(typeOf({})).toEqual({ kind: 'object', properties: new Map(), additional: undefined });
  });
});
