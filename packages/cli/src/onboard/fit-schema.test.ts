import { utf8 } from '@sallyport/crypto';
import type { JsonObject } from '@sallyport/model';
import { compileSchema, judge } from '@sallyport/strict';
import { describe, expect, it } from 'vitest';
import { fitSchema } from './fit-schema.ts';
import type { Fitted } from './fit-schema.ts';

/** JSON text, because what a double bends shows only there. */
function fit(schema: JsonObject | string): Fitted {
  const judged = judge(utf8(typeof schema === 'string' ? schema : JSON.stringify(schema)));
  if (!judged.ok) throw new Error(JSON.stringify(judged.error));
  const fitted = fitSchema(judged.value);
  if (fitted.schema !== undefined) expect(compileSchema(fitted.schema, '')).toMatchObject({ ok: true });
  return fitted;
}

/** Of the one argument `a`: its schema as fitted, and what was told of it. */
function argument(schema: unknown, more: JsonObject = {}): readonly [unknown, readonly string[]] {
  const text = typeof schema === 'string' ? schema : JSON.stringify(schema);
  const fitted = fit(
    `{"type":"object","properties":{"a":${text}}${Object.entries(more)
      .map(([key, value]) => `,${JSON.stringify(key)}:${JSON.stringify(value)}`)
      .join('')}}`,
  );
  const { properties } = fitted.schema as { properties: JsonObject };
  return [properties['a'], fitted.notes.map(({ path, done }) => `${done} ${path}`)];
}

describe('a schema of the subset', () => {
  it.each([
    { type: 'string', minLength: 1, maxLength: 10, pattern: '^[a-z]+$' },
    { type: 'integer', minimum: 0, maximum: 9_007_199_254_740_991 },
    { type: ['string', 'null'], enum: ['a', 'b', null] },
    { type: 'array', items: { type: 'number' }, minItems: 1, maxItems: 3 },
    { type: 'object', properties: { b: { type: 'boolean' } }, required: ['b'], additionalProperties: false },
    { type: 'object', properties: { b: { const: 1 } }, additionalProperties: { type: 'string' } },
    { anyOf: [{ type: 'string' }, { type: 'null' }], description: 'either' },
    { type: 'string', format: 'uuid', title: 'Id', default: 'x' },
    { description: 'anything' },
  ])('%j stays as it is, and nothing is told', (schema) => {
    expect(argument(schema)).toEqual([schema, []]);
  });
});

describe('what is written otherwise', () => {
  it.each([
    ['nullable', { type: 'string', nullable: true }, { type: ['string', 'null'] }, []],
    ['whole numbers by multipleOf', { type: 'number', multipleOf: 1 }, { type: 'integer' }, []],
    ['integer beside number', { type: ['integer', 'number'] }, { type: 'number' }, []],
    [
      'an exclusive bound of whole numbers',
      { type: 'integer', exclusiveMinimum: 0, exclusiveMaximum: 10 },
      { type: 'integer', minimum: 1, maximum: 9 },
      [],
    ],
    ['two bounds: the inner one', { type: 'integer', minimum: 5, exclusiveMinimum: 0 }, { type: 'integer', minimum: 5 }, []],
    ['the flag of draft 4', { type: 'integer', minimum: 0, exclusiveMinimum: true }, { type: 'integer', minimum: 1 }, []],
    ['allOf of one', { allOf: [{ type: 'string' }], description: 'x' }, { type: 'string', description: 'x' }, []],
    [
      'allOf of members apart',
      {
        allOf: [
          { type: 'object', properties: { x: {} } },
          { properties: { y: {} }, required: ['y'] },
        ],
      },
      { type: 'object', properties: { x: {}, y: {} }, required: ['y'] },
      [],
    ],
    ['true', true, {}, []],
    ['an object of anything', { type: 'object' }, { type: 'object', additionalProperties: true }, []],
    ['a listed value that the type rules out', { type: 'string', enum: ['a', null] }, { type: 'string', enum: ['a'] }, []],
    [
      'a required member without a schema',
      { type: 'object', properties: {}, required: ['x'] },
      { type: 'object', properties: { x: {} }, required: ['x'] },
      [],
    ],
    [
      'words',
      { type: 'string', examples: ['x'], deprecated: true, $comment: 'y', 'x-internal': 1 },
      { type: 'string' },
      [
        'unchanged properties.a.examples',
        'unchanged properties.a.deprecated',
        'unchanged properties.a.$comment',
        'unchanged properties.a.x-internal',
      ],
    ],
    ['a keyword of another type', { type: 'number', minLength: 3 }, { type: 'number' }, ['unchanged properties.a.minLength']],
    ['a format of numbers', { type: 'integer', format: 'int64' }, { type: 'integer' }, ['unchanged properties.a.format']],
    [
      'additional members said to be anything',
      { type: 'object', properties: { x: {} }, additionalProperties: {} },
      { type: 'object', properties: { x: {} }, additionalProperties: {} },
      [],
    ],
  ])('%s', (_name, given, expected, told) => {
    expect(argument(given)).toEqual([expected, told]);
  });

  it('definitions of older drafts, with the references to them', () => {
    const { schema, notes } = fit({
      type: 'object',
      properties: { a: { $ref: '#/definitions/A' } },
      definitions: { A: { type: 'string', examples: [] } },
    });
    expect(schema).toEqual({ type: 'object', properties: { a: { $ref: '#/$defs/A' } }, $defs: { A: { type: 'string' } } });
    expect(notes).toMatchObject([{ path: '$defs.A.examples', done: 'unchanged' }]);
  });
});

describe('a constraint that only the server can judge is dropped, and said', () => {
  it.each([
    ['not', { type: 'string', not: { const: 'x' } }, { type: 'string' }, 'not'],
    ['uniqueItems', { type: 'array', items: {}, uniqueItems: true }, { type: 'array', items: {} }, 'uniqueItems'],
    ['multipleOf', { type: 'integer', multipleOf: 5 }, { type: 'integer' }, 'multipleOf'],
    ['an exclusive bound of fractions', { type: 'number', exclusiveMinimum: 0 }, { type: 'number', minimum: 0 }, 'exclusiveMinimum'],
    ['a bound that no double holds', '{"type":"integer","maximum":9223372036854775807}', { type: 'integer' }, 'maximum'],
    ['a bound with an exponent', '{"type":"number","maximum":1e300}', { type: 'number' }, 'maximum'],
    ['look-ahead', { type: 'string', pattern: '^(?!admin).*$' }, { type: 'string' }, 'pattern'],
    ['an unknown format', { type: 'string', format: 'uri-template' }, { type: 'string' }, 'format'],
    ['elements by place', { type: 'array', items: [{ type: 'string' }] }, { type: 'array' }, 'items'],
    ['listed objects', { enum: [{ x: 1 }, 'y'] }, {}, 'enum'],
    ['oneOf', { oneOf: [{ type: 'string' }, { type: 'integer' }] }, { anyOf: [{ type: 'string' }, { type: 'integer' }] }, 'oneOf'],
    [
      'anyOf beside members',
      { type: 'object', properties: { x: {}, y: {} }, anyOf: [{ required: ['x'] }, { required: ['y'] }] },
      { type: 'object', properties: { x: {}, y: {} } },
      'anyOf',
    ],
    [
      'allOf that says two things of one',
      {
        allOf: [
          { type: 'string', minLength: 2 },
          { type: 'string', minLength: 5 },
        ],
      },
      {},
      'allOf',
    ],
    ['if', '{"type":"object","properties":{"x":{}},"if":{},"then":{}}', { type: 'object', properties: { x: {} } }, 'if'],
    ['no type of JSON', { type: 'file' }, {}, 'type'],
    [
      'no type of JSON, beside members',
      { type: [{ type: 'x' }], properties: { b: {} } },
      { type: 'object', properties: { b: {} } },
      'type',
    ],
  ])('%s', (_name, given, expected, keyword) => {
    const [schema, told] = argument(given);
    expect([schema, told]).toEqual([expected, expect.arrayContaining([`loosened properties.a.${keyword}`])]);
  });

  it.each([
    ['a reference that leads nowhere', { $ref: '#/nowhere' }],
    ['a reference to somewhere else', { $ref: 'https://evil.example/schema.json' }],
    ['a reference that goes round in a circle', { $ref: '#/properties/a' }],
    ['keywords that do not say for which type', { minLength: 1, minimum: 1 }],
  ])('%s: any value is accepted', (_name, given) => {
    expect(argument(given)).toEqual([{}, ['loosened properties.a']]);
  });
});

describe('what makes us accept less is said too', () => {
  it.each([
    [
      'patternProperties',
      { type: 'object', properties: { x: {} }, patternProperties: { '^y': {} } },
      'tightened properties.a.patternProperties',
    ],
    [
      'two names that differ by case alone',
      { type: 'object', properties: { path: {}, Path: {} } },
      'tightened properties.a.properties.Path',
    ],
    ['a name that is none', { type: 'object', properties: { '': {}, x: {} } }, 'tightened properties.a.properties.'],
    ['a merge key of YAML', { type: 'object', properties: { '<<': {}, x: {} } }, 'tightened properties.a.properties.<<'],
  ])('%s', (_name, given, told) => {
    expect(argument(given)[1]).toEqual([told]);
  });

  it('members that a schema does not name are refused, unless it says otherwise', () => {
    expect(fit({ type: 'object', properties: { a: {} } }).schema).not.toHaveProperty('additionalProperties');
    expect(fit({ type: 'object', properties: { a: {} }, additionalProperties: true }).schema).toMatchObject({ additionalProperties: true });
  });
});

describe('a tool is refused whose schema', () => {
  it.each([
    ['is no object', '[]'],
    ['describes something else than an object', { type: 'string' }],
    ['is a choice', { anyOf: [{ type: 'object' }] }],
    ['is a reference', { $ref: '#/$defs/x', $defs: { x: { type: 'object' } } }],
    ['names an argument that nobody sees', { type: 'object', properties: { 'a\u200B': {} } }],
    ['names a definition that nobody sees', { type: 'object', definitions: { 'a\u200B': {} } }],
    ['lists a value that nobody sees', { type: 'object', properties: { a: { enum: ['x\u202E'] } } }],
    ['has a pattern that nobody sees', { type: 'object', properties: { a: { type: 'string', pattern: '\u2066x' } } }],
  ])('%s', (_name, schema) => {
    const fitted = fit(schema as JsonObject);
    expect([fitted.schema, fitted.notes.map(({ done }) => done)]).toEqual([undefined, expect.arrayContaining(['refused'])]);
  });
});

describe('words of a schema', () => {
  it('are written out where they hide something, and cut where they are endless', () => {
    const [schema, told] = argument({ type: 'string', title: 'x\u{E0041}', description: 'y'.repeat(100_000) });
    expect(schema).toMatchObject({ title: 'x\\u{e0041}', description: expect.stringMatching(/^y{1999}…$/) });
    expect(told).toEqual(['revealed properties.a.title', 'revealed properties.a.description']);
  });

  it('keep a default that can be read at a glance, and no other', () => {
    expect(argument({ default: 'x\u202E' })[0]).toEqual({});
    expect(argument({ default: { deep: 1 } })[0]).toEqual({});
    expect(argument({ default: 5 })[0]).toEqual({ default: 5 });
  });
});

it('a schema that names members of every prototype is a schema like another', () => {
  const { schema } = fit(
    '{"type":"object","properties":{"__proto__":{"type":"string"},"constructor":{"type":"string"}},"required":["constructor"]}',
  );
  expect(Object.keys((schema as { properties: object }).properties)).toEqual(['__proto__', 'constructor']);
});
