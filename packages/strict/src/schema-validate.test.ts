import { Decimal } from '@sallyport/model';
import type { JsonObject } from '@sallyport/model';
import { describe, expect, test } from 'vitest';
import { serializeArguments } from './arguments.ts';
import { judge } from './judged.ts';
import { compileSchema } from './schema.ts';
import type { Violation } from './schema.ts';
import type { TypedArguments } from './typed-value.ts';

function validate(schema: object, source: string): { readonly args?: TypedArguments; readonly violations: readonly Violation[] } {
  const compiled = compileSchema(schema as JsonObject, '');
  if (!compiled.ok) throw new Error(`schema refused: ${JSON.stringify(compiled.error)}`);
  const judged = judge(new TextEncoder().encode(source), { limits: { bytesMax: 1e8, membersMax: 1e7 } });
  if (!judged.ok) throw new Error(`source refused: ${JSON.stringify(judged.error)}`);
  const result = compiled.value.validate(judged.value);
  return result.ok ? { args: result.value, violations: [] } : { violations: result.error };
}
/** The value of `x` under one schema, as upstream JSON, or the messages of what is wrong. */
function read(schema: object, source: string): string | readonly string[] {
  const { args, violations } = validate({ properties: { x: schema } }, `{"x":${source}}`);
  return args === undefined
    ? violations.map((violation) => violation.message)
    : new TextDecoder().decode(serializeArguments(args)).slice(5, -1);
}

describe('integer: exact, whatever its size', () => {
  const integer = { type: 'integer' };

  test.each([
    ['0', '0'],
    ['-0', '0'],
    ['1.0', '1'],
    ['-5', '-5'],
    ['9007199254740993', '9007199254740993'],
    ['9007199254740993.000', '9007199254740993'],
    ['-123456789012345678901234567890', '-123456789012345678901234567890'],
    ['100000000000000000000000', '100000000000000000000000'],
  ])('%s is %s', (source, written) => {
    expect(read(integer, source)).toBe(written);
  });

  test.each(['1.5', '0.1', '9007199254740993.5', '1.0000000000000000000001'])('%s has a fraction', (source) => {
    expect(read(integer, source)).toEqual(['must be an integer of at most 4096 digits']);
  });

  test.each(['1e2', '1E400', '1e999', '0e0'])('%s has an exponent', (source) => {
    expect(read(integer, source)).toEqual(['must be an integer written without an exponent']);
  });

  test.each(['"5"', 'true', 'null', '[5]', '{}'])('%s is no integer', (source) => {
    expect(read(integer, source)).toEqual(['must be an integer']);
  });

  test('digits without end are refused before any arithmetic', () => {
    expect(read(integer, '9'.repeat(4_096))).toBe('9'.repeat(4_096));
    expect(read(integer, `-${'9'.repeat(4_096)}`)).toBe(`-${'9'.repeat(4_096)}`);
    expect(read(integer, '9'.repeat(5_000))).toEqual(['must be an integer of at most 4096 digits']);
    expect(read(integer, '9'.repeat(1_000_000))).toEqual(['must be an integer of at most 4096 digits']);
  });

  test.each([
    ['9007199254740991', '9007199254740991'],
    ['9007199254740992', ['must be at most 9007199254740991']],
    ['9007199254740993', ['must be at most 9007199254740991']],
    ['-1', ['must be at least 0']],
  ])('bounds are compared exactly: %s', (source, expected) => {
    expect(read({ type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER }, source)).toEqual(expected);
  });
});

describe('decimal: exact money', () => {
  const money = { type: 'number', format: 'decimal', minimum: 0, maximum: 500 };

  test.each([
    ['500', '500'],
    ['500.00', '500'],
    ['127.50', '127.5'],
    ['0.1', '0.1'],
    ['0.0000001', '0.0000001'],
    ['-0.00', '0'],
    ['499.99999999999999999999999999999999999', '499.99999999999999999999999999999999999'],
  ])('%s is %s', (source, written) => {
    expect(read(money, source)).toBe(written);
  });

  test.each([
    ['500.01', 'must be at most 500'],
    ['500.00000000000000000000000000000001', 'must be at most 500'],
    ['-0.01', 'must be at least 0'],
    ['5e2', 'must be a decimal number written without an exponent'],
    ['1e999', 'must be a decimal number written without an exponent'],
    [`0.${'1'.repeat(39)}`, 'must be a decimal of at most 38 digits'],
    ['9'.repeat(39), 'must be a decimal of at most 38 digits'],
    [`1.${'0'.repeat(100_000)}1`, 'must be a decimal of at most 38 digits'],
    ['"500"', 'must be a decimal number'],
  ])('%s is refused', (source, message) => {
    expect(read(money, source)).toEqual([message]);
  });

  test('the value is a Decimal', () => {
    const { args } = validate({ properties: { x: money } }, '{"x":127.50}');
    expect(args?.['x']).toEqual(Decimal.parse('127.5'));
  });
});

describe('number: only where the double is exact', () => {
  test.each([
    ['0.1', '0.1'],
    ['1e2', '100'],
    ['1e300', '1e+300'],
    ['-0', '0'],
    ['-0.0e5', '0'],
  ])('%s is %s', (source, written) => {
    expect(read({ type: 'number' }, source)).toBe(written);
  });

  test.each(['9007199254740993', '1e999', '-1e999', '1e-999', '0.1000000000000000055511151231257827'])('%s is refused', (source) => {
    expect(read({ type: 'number' }, source)).toEqual(['must be a number that a double holds exactly']);
    expect(read({}, source)).toEqual(['must be a number that a double holds exactly']);
  });

  test('bounds hold for every double', () => {
    expect(read({ type: 'number', minimum: 0 }, '1e300')).toBe('1e+300');
    expect(read({ type: 'number', maximum: 0.5 }, '0.5000000001')).toEqual(['must be at most 0.5']);
    expect(read({ type: 'number', minimum: -0.5 }, '-0.6')).toEqual(['must be at least -0.5']);
  });
});

describe('strings', () => {
  test('lengths count code points', () => {
    expect(read({ type: 'string', minLength: 2, maxLength: 2 }, '"😀😀"')).toBe('"😀😀"');
    expect(read({ type: 'string', maxLength: 1 }, '"😀😀"')).toEqual(['must have at most 1 characters']);
    expect(read({ type: 'string', minLength: 2 }, '"😀"')).toEqual(['must have at least 2 characters']);
  });

  test.each(['"../A"', '"A,B"', '"O-000123\\n"', '"xO-000123"', '""'])('a pattern is anchored as it is written: %s', (source) => {
    expect(read({ type: 'string', pattern: '^O-[0-9]{6}$' }, source)).toEqual(['must match the pattern `^O-[0-9]{6}$`']);
  });

  test('a pattern without anchors matches inside', () => {
    expect(read({ type: 'string', pattern: 'b' }, '"abc"')).toBe('"abc"');
  });

  test('a format is enforced', () => {
    expect(read({ type: 'string', format: 'path' }, '"../secret"')).toEqual(['must have the format path']);
  });
});

describe('enum and const', () => {
  test.each([
    [{ enum: ['EUR', 'USD'] }, '"EUR"', '"EUR"'],
    [{ enum: ['EUR', 'USD'] }, '"eur"', ['must be one of `"EUR"`, `"USD"`']],
    [{ enum: ['EUR'] }, '1', ['must be a string']],
    [{ enum: [1, 2] }, '2.0', '2'],
    [{ enum: [1, 2] }, '3', ['must be one of `1`, `2`']],
    [{ enum: [0.5, 1] }, '1', '1'],
    [{ type: 'number', format: 'decimal', enum: [0.5, 1] }, '0.50', '0.5'],
    [{ type: 'number', format: 'decimal', enum: [0.5, 1] }, '0.5000000000000000000001', ['must be one of `0.5`, `1`']],
    [{ enum: [null, true] }, 'null', 'null'],
    [{ enum: [null, true] }, 'false', ['must be one of `null`, `true`']],
    [{ const: 'a' }, '"b"', ['must be one of `"a"`']],
    [{ type: ['string', 'array'], enum: ['a'] }, '["a"]', ['must be one of `"a"`']],
    [{ type: ['string', 'object'], additionalProperties: true, enum: ['a'] }, '{}', ['must be one of `"a"`']],
  ])('%j reads %s', (schema, source, expected) => {
    expect(read(schema, source)).toEqual(expected);
  });
});

describe('objects', () => {
  const schema = {
    required: ['id', 'note'],
    properties: { id: { type: 'integer' }, note: { type: 'string' }, deep: { type: 'object', properties: { a: {} } } },
  };

  test('everything that is wrong is told at once, with public paths', () => {
    const { violations } = validate(schema, '{"id":"5","extra":1,"deep":{"a":1,"b":2},"a b":{}}');
    expect(violations).toEqual([
      { code: 'schema_violation', path: 'id', message: 'must be an integer' },
      { code: 'field_not_allowed', path: 'extra', message: 'is not known here' },
      { code: 'field_not_allowed', path: 'deep.b', message: 'is not known here' },
      { code: 'field_not_allowed', path: '["a b"]', message: 'is not known here' },
      { code: 'schema_violation', path: 'note', message: 'is required' },
    ]);
  });

  test('the number of violations is bounded, and a long name is cut', () => {
    const source = JSON.stringify(Object.fromEntries(Array.from({ length: 1_000 }, (_, i) => [`${'k'.repeat(200)}${i}`, 1])));
    const { violations } = validate(schema, source);
    expect(violations).toHaveLength(32);
    expect(violations[0]?.path.length).toBeLessThan(80);
  });

  test.each(['[]', '"x"', 'null', '5'])('arguments that are %s are refused as a whole', (source) => {
    expect(validate(schema, source).violations).toEqual([{ code: 'schema_violation', path: '', message: 'must be an object' }]);
  });

  test('mass assignment: __proto__ and constructor are unknown fields', () => {
    const { violations } = validate(schema, '{"id":1,"note":"","__proto__":{"isAdmin":true},"constructor":1,"toString":1}');
    expect(violations.map(({ code, path }) => [code, path])).toEqual([
      ['field_not_allowed', '__proto__'],
      ['field_not_allowed', 'constructor'],
      ['field_not_allowed', 'toString'],
    ]);
  });

  test('required is not met by what an object inherits', () => {
    expect(validate({ properties: { toString: {} }, required: ['toString'] }, '{}').violations).toMatchObject([
      { path: 'toString', message: 'is required' },
    ]);
  });

  test('prototype pollution: where any name is accepted, __proto__ is a member and nothing else', () => {
    const { args } = validate({ type: 'object', additionalProperties: true }, '{"__proto__":{"isAdmin":true},"a":1}');
    expect(Object.getPrototypeOf(args)).toBeNull();
    expect(Object.keys(args ?? {})).toEqual(['__proto__', 'a']);
    expect(args?.['isAdmin']).toBeUndefined();
    expect(args === undefined ? '' : new TextDecoder().decode(serializeArguments(args))).toBe('{"__proto__":{"isAdmin":true},"a":1}');
  });

  test('additional members have to fit their schema', () => {
    const map = { type: 'object', additionalProperties: { type: 'integer' } };
    expect(read(map, '{"a":1,"b":2}')).toBe('{"a":1,"b":2}');
    expect(read(map, '{"a":"1"}')).toEqual(['must be an integer']);
  });

  test.each(['Amount', 'AMOUNT', 'aMount'])('case collision: %s beside a known name is refused even where any name is accepted', (name) => {
    const open = { properties: { amount: { type: 'integer' } }, additionalProperties: true };
    expect(validate(open, `{"${name}":1}`).violations).toEqual([
      { code: 'field_not_allowed', path: name, message: 'differs from `amount` by case alone' },
    ]);
  });

  test('members keep the caller’s order', () => {
    expect(read({ type: 'object', properties: { a: {}, b: {} } }, '{"b":1,"a":2}')).toBe('{"b":1,"a":2}');
  });

  test('a default is never applied', () => {
    expect(read({ type: 'object', properties: { a: { type: 'integer', default: 5 } } }, '{}')).toBe('{}');
  });
});

describe('arrays', () => {
  test('counts and items', () => {
    const list = { type: 'array', items: { type: 'integer' }, minItems: 1, maxItems: 2 };
    expect(read(list, '[1,2]')).toBe('[1,2]');
    expect(read(list, '[]')).toEqual(['must have at least 1 items']);
    expect(read(list, '[1,2,3]')).toEqual(['must have at most 2 items']);
    expect(validate({ properties: { x: list } }, '{"x":[1,"2"]}').violations).toMatchObject([{ path: 'x[1]' }]);
  });
});

describe('anyOf', () => {
  const optional = { anyOf: [{ type: 'string', minLength: 2 }, { type: 'null' }] };
  const either = {
    anyOf: [
      { type: 'object', required: ['id'], properties: { id: { type: 'integer' } } },
      { type: 'object', required: ['name'], properties: { name: { type: 'string' } } },
    ],
  };

  test('the first that fits gives the value', () => {
    expect(read(optional, 'null')).toBe('null');
    expect(read({ anyOf: [{ type: 'integer' }, { type: 'number', format: 'decimal' }] }, '5.50')).toBe('5.5');
    expect(read(either, '{"name":"x"}')).toBe('{"name":"x"}');
  });

  test('where one branch alone is of the value’s type, its violations are told', () => {
    expect(read(optional, '"a"')).toEqual(['must have at least 2 characters']);
  });

  test('else that none fits', () => {
    expect(read(optional, '5')).toEqual(['fits none of the 2 alternatives']);
    expect(read(either, '{"id":"x"}')).toEqual(['fits none of the 2 alternatives']);
    expect(read(either, '{"id":1,"name":"x"}')).toEqual(['fits none of the 2 alternatives']);
  });

  test('what a refused branch has said is forgotten when another fits', () => {
    expect(validate({ properties: { x: optional, y: { type: 'integer' } } }, '{"x":null,"y":"no"}').violations).toHaveLength(1);
  });
});

describe('references', () => {
  const tree = {
    properties: { x: { $ref: '#/$defs/node' } },
    $defs: { node: { type: 'object', properties: { next: { $ref: '#/$defs/node' }, 'a/b~c': { type: 'integer' } } } },
  };

  test('a schema may hold itself, and is enforced at every depth', () => {
    expect(validate(tree, '{"x":{"next":{"next":{}}}}').violations).toEqual([]);
    expect(validate(tree, '{"x":{"next":{"next":{"evil":1}}}}').violations).toMatchObject([
      { code: 'field_not_allowed', path: 'x.next.next.evil' },
    ]);
  });

  test('a pointer may name the root and escaped names', () => {
    expect(validate({ properties: { self: { $ref: '#' } } }, '{"self":{"self":{}}}').violations).toEqual([]);
    const escaped = { properties: { x: { $ref: '#/$defs/a~1b~0c' } }, $defs: { 'a/b~c': { type: 'integer' } } };
    expect(validate(escaped, '{"x":"5"}').violations).toHaveLength(1);
  });
});

describe('the work of validating is bounded', () => {
  const TOO_MUCH = [{ code: 'schema_violation', path: '', message: 'the arguments take too much work to validate' }];

  test('alternatives that double at every depth', () => {
    const node = {
      anyOf: [
        { type: 'array', items: { $ref: '#/$defs/node' }, maxItems: 1 },
        { type: 'array', items: { $ref: '#/$defs/node' }, maxItems: 1 },
      ],
    };
    const schema = { properties: { x: { $ref: '#/$defs/node' } }, $defs: { node } };
    expect(validate(schema, `{"x":${'['.repeat(40)}1${']'.repeat(40)}}`).violations).toEqual(TOO_MUCH);
  });

  test('a pattern made to be slow, on many strings', () => {
    const schema = { properties: { x: { type: 'array', items: { type: 'string', pattern: '(?:a|b)*a(?:a|b){200}c' } } } };
    let seed = 1;
    const random = (): number => (seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648);
    const text = Array.from({ length: 2_000 }, () => (random() > 1_073_741_824 ? 'a' : 'b')).join('');
    const source = JSON.stringify({ x: Array.from({ length: 500 }, (_, i) => `${i}${text.slice(i)}${text}`) });
    expect(validate(schema, source).violations).toEqual(TOO_MUCH);
  });
});
