import { Decimal, type HttpRoute, type JsonObject } from '@sallyport/model';
import { compileSchema, judge, type QueryPair } from '@sallyport/strict';
import { describe, expect, it } from 'vitest';
import { mappedArguments } from './http-mapped.ts';

const SCHEMA: JsonObject = {
  type: 'object',
  required: ['id'],
  properties: {
    id: { type: 'string' },
    limit: { type: 'integer' },
    amount: { type: 'number', format: 'decimal' },
    ratio: { type: 'number' },
    deep: { type: 'boolean' },
    tags: { type: 'array', items: { type: 'string' } },
    sizes: { type: 'array', items: { type: 'integer' } },
    grid: { type: 'array', items: { type: 'array' } },
    either: { anyOf: [{ type: 'string' }, { type: 'integer' }] },
    maybe: { type: ['integer', 'null'] },
    where: { type: 'object', additionalProperties: true },
    nothing: { type: 'null' },
    kind: { enum: ['a', 'b'] },
  },
};
const compiled = compileSchema(SCHEMA, '');

interface Told {
  readonly path?: string;
  readonly query?: readonly QueryPair[];
  readonly body?: string;
}

/** The typed arguments of a call, or what is wrong with it. */
function read(method: HttpRoute['method'], { path = 'O-1', query = [], body }: Told, declared?: readonly string[]): unknown {
  if (!compiled.ok) throw new Error(JSON.stringify(compiled.error));
  const judged = body === undefined ? undefined : judge(new TextEncoder().encode(body));
  const route: HttpRoute = { method, path: '/orders/{id}', ...(declared === undefined ? {} : { query: declared }) };
  const ask = {
    server: 'orders' as never,
    tool: 'get',
    texts: new Map([['id', path]]),
    query,
    body: judged?.ok === true ? judged.value : undefined,
  };
  const raw = mappedArguments(ask, route, compiled.value.type);
  const typed = raw.ok ? compiled.value.validate(raw.value) : raw;
  return typed.ok ? { ...typed.value } : typed.error.map((one) => `${one.code} ${one.path}: ${one.message}`);
}

describe('arguments of a mapped call', () => {
  it.each<[string, readonly QueryPair[], object]>([
    ['text as it is', [['kind', 'a']], { kind: 'a' }],
    ['a whole number', [['limit', '10']], { limit: 10n }],
    ['a whole number that a double bends', [['limit', '9007199254740993']], { limit: 9_007_199_254_740_993n }],
    ['a negative one', [['limit', '-3']], { limit: -3n }],
    ['money as it is written', [['amount', '127.50']], { amount: Decimal.parse('127.5') }],
    ['money that a double bends', [['amount', '0.10000000000000000001']], { amount: Decimal.parse('0.10000000000000000001') }],
    ['a double', [['ratio', '0.5']], { ratio: 0.5 }],
    ['true and false', [['deep', 'false']], { deep: false }],
    ['a list of one', [['tags', 'x']], { tags: ['x'] }],
    [
      'a list in its order',
      [
        ['tags', 'b'],
        ['limit', '1'],
        ['tags', 'a,c'],
      ],
      { tags: ['b', 'a,c'], limit: 1n },
    ],
    [
      'a list of whole numbers',
      [
        ['sizes', '2'],
        ['sizes', '1'],
      ],
      { sizes: [2n, 1n] },
    ],
    ['what may be null and is not', [['maybe', '5']], { maybe: 5n }],
  ])('come typed from the query: %s', (_, query, expected) => {
    expect(read('GET', { query })).toEqual({ id: 'O-1', ...expected });
  });

  it.each<[string, QueryPair, string]>([
    ['a leading zero', ['limit', '01'], 'schema_violation limit: is not a whole number'],
    ['a plus sign', ['limit', '+1'], 'schema_violation limit: is not a whole number'],
    ['an exponent', ['limit', '1e2'], 'schema_violation limit: is not a whole number'],
    ['minus zero', ['limit', '-0'], 'schema_violation limit: is not a whole number'],
    ['a fraction of zero', ['limit', '1.0'], 'schema_violation limit: is not a whole number'],
    ['hexadecimal', ['limit', '0x10'], 'schema_violation limit: is not a whole number'],
    ['white space before it', ['limit', ' 1'], 'schema_violation limit: is not a whole number'],
    ['a line feed behind it', ['limit', '1\n'], 'schema_violation limit: is not a whole number'],
    ['digits of another script', ['limit', '١'], 'schema_violation limit: is not a whole number'],
    ['nothing for a number', ['limit', ''], 'schema_violation limit: is not a whole number'],
    ['JSON in a number', ['limit', '1,"deep":true'], 'schema_violation limit: is not a whole number'],
    ['a decimal with an exponent', ['amount', '1e2'], 'schema_violation amount: is not a number'],
    ['a decimal of 39 digits', ['amount', '1'.repeat(39)], 'schema_violation amount:'],
    ['minus zero as a decimal', ['amount', '-0.00'], 'schema_violation amount: is not a number'],
    ['a decimal comma', ['amount', '1,5'], 'schema_violation amount: is not a number'],
    ['a point without digits', ['amount', '1.'], 'schema_violation amount: is not a number'],
    ['infinity', ['ratio', 'Infinity'], 'schema_violation ratio: is not a number'],
    ['True', ['deep', 'True'], 'schema_violation deep: is neither `true` nor `false`'],
    ['1 for true', ['deep', '1'], 'schema_violation deep: is neither `true` nor `false`'],
    ['nothing for true', ['deep', ''], 'schema_violation deep: is neither `true` nor `false`'],
    ['what could be a number or text', ['either', '5'], 'schema_violation either: cannot be told by text'],
    ['an object', ['where', '{}'], 'schema_violation where: cannot be told by text'],
    ['a list of lists', ['grid', '[]'], 'schema_violation grid: cannot be told by text'],
    ['null', ['nothing', 'null'], 'schema_violation nothing: cannot be told by text'],
    ['the word null for a number', ['maybe', 'null'], 'schema_violation maybe: is not a whole number'],
    ['a value that is not listed', ['kind', 'c'], 'schema_violation kind: must be one of'],
    ['brackets, as some servers write lists', ['tags[]', 'x'], 'field_not_allowed ["tags[]"]'],
    ['an unknown name', ['admin', 'true'], 'field_not_allowed admin'],
    ['another case of a known name', ['Limit', '1'], 'Limit'],
    ['the prototype', ['__proto__', 'x'], 'field_not_allowed __proto__'],
  ])('refuse %s', (_, pair, problem) => {
    expect(read('GET', { query: [pair] })).toEqual([expect.stringContaining(problem)]);
  });

  it.each<[attack: string, method: HttpRoute['method'], told: Told, problem: string]>([
    [
      'a value twice, of which servers take the first or the last',
      'GET',
      {
        query: [
          ['limit', '1'],
          ['limit', '100'],
        ],
      },
      'limit: stands more than once',
    ],
    ['an argument of the path in the query', 'GET', { query: [['id', 'O-2']] }, 'field_not_allowed id: has no place in the query'],
    ['an argument of the path in the body', 'POST', { body: '{"id":"O-2"}' }, 'field_not_allowed id: has no place in the body'],
    ['an argument of the path in the body, in capitals', 'POST', { body: '{"ID":"O-2"}' }, 'ID'],
    [
      'an argument of the body in the query',
      'POST',
      { query: [['amount', '1']], body: '{}' },
      'field_not_allowed amount: has no place in the query',
    ],
    [
      'an argument of body and query',
      'PUT',
      { query: [['limit', '1']], body: '{"limit":2}' },
      'field_not_allowed limit: has no place in the query',
    ],
    ['a body that is a list', 'PATCH', { body: '[]' }, 'schema_violation : the body is not an object'],
    ['a body that is null', 'PATCH', { body: 'null' }, 'schema_violation : the body is not an object'],
  ])('have one place each: %s', (_, method, told, problem) => {
    expect(read(method, told)).toEqual([expect.stringContaining(problem)]);
  });

  it('come from path and body together, numbers exact in both, and below', () => {
    const body = '{"limit":9007199254740993,"amount":0.10,"sizes":[9007199254740995],"where":{"n":1}}';
    expect(read('POST', { path: 'é b', body })).toEqual({
      id: 'é b',
      limit: 9_007_199_254_740_993n,
      amount: Decimal.parse('0.1'),
      sizes: [9_007_199_254_740_995n],
      where: expect.objectContaining({ n: 1 }) as object,
    });
    expect(read('POST', {})).toEqual({ id: 'O-1' });
  });

  it('come from the query of a request with a body where the route declares it, and from nowhere else', () => {
    expect(read('POST', { query: [['limit', '9007199254740993']], body: '{"deep":true}' }, ['limit'])).toEqual({
      id: 'O-1',
      limit: 9_007_199_254_740_993n,
      deep: true,
    });
    expect(read('POST', { body: '{"limit":1}' }, ['limit'])).toEqual(['field_not_allowed limit: has no place in the body']);
    expect(read('POST', { query: [['deep', 'true']] }, ['limit'])).toEqual(['field_not_allowed deep: has no place in the query']);
  });
});
