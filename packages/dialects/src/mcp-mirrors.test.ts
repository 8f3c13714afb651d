import { type HeaderLookup, type TypedArguments, compileSchema, judge } from '@sallyport/strict';
import type { JsonObject } from '@sallyport/model';
import { assert, property, string } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeMirror, encodeMirror, headerMirrors, mirrorHeaders, mirrorsProblem } from './mcp-mirrors.ts';

const SCHEMA: JsonObject = {
  properties: {
    region: { type: 'string', 'x-mcp-header': 'Region' },
    limit: { type: 'integer', 'x-mcp-header': 'Limit' },
    dry: { type: 'boolean', 'x-mcp-header': 'Dry-Run' },
    place: { type: 'object', properties: { zone: { type: 'string', 'x-mcp-header': 'Zone' } } },
    query: { type: 'string' },
  },
};

function typed(args: object): TypedArguments {
  const schema = compileSchema(SCHEMA, '');
  const judged = judge(new TextEncoder().encode(JSON.stringify(args)));
  const validated = schema.ok && judged.ok ? schema.value.validate(judged.value) : undefined;
  if (validated?.ok !== true) throw new Error('a broken test');
  return validated.value;
}
const lookup = (headers: Readonly<Record<string, string>>): HeaderLookup => new Map(Object.entries(headers));
const MIRRORS = headerMirrors(SCHEMA);

describe('a value as a header carries it', () => {
  it.each([
    ['us-west1', 'us-west1'],
    ['Hello, 世界', '=?base64?SGVsbG8sIOS4lueVjA==?='],
    [' padded ', '=?base64?IHBhZGRlZCA=?='],
    ['line1\nline2', '=?base64?bGluZTEKbGluZTI=?='],
    ['=?base64?literal?=', '=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?='],
    ['', ''],
    ['a\tb', 'a\tb'],
  ])('%j is %j (2026-07-28, value encoding)', (value, header) => {
    expect([encodeMirror(value), decodeMirror(header)]).toEqual([header, value]);
  });

  it.each([
    '=?base64?a?=',
    '=?base64?YQ?=',
    '=?base64?YR==?=',
    '=?base64?_w==?=',
    '=?base64?/w==?=',
    '=?base64?YQ==YQ==?=',
    '=?base64?YQ== ?=',
  ])('%s says nothing: no canonical base64 of UTF-8', (header) => {
    expect(decodeMirror(header)).toBeUndefined();
  });

  it('comes back as it was, whatever it is', () => {
    assert(property(string({ unit: 'grapheme' }), (value) => decodeMirror(encodeMirror(value)) === value));
  });
});

describe('the headers that a schema asks for', () => {
  it('are those along `properties` alone, of text, integers and booleans', () => {
    expect(MIRRORS).toEqual([
      { header: 'mcp-param-region', path: ['region'] },
      { header: 'mcp-param-limit', path: ['limit'] },
      { header: 'mcp-param-dry-run', path: ['dry'] },
      { header: 'mcp-param-zone', path: ['place', 'zone'] },
    ]);
  });

  it.each<[string, JsonObject]>([
    ['within a list', { properties: { list: { type: 'array', items: { type: 'string', 'x-mcp-header': 'X' } } } }],
    ['of a fraction', { properties: { n: { type: 'number', 'x-mcp-header': 'X' } } }],
    ['of an alternative', { properties: { n: { anyOf: [{ type: 'string', 'x-mcp-header': 'X' }] } } }],
    ['under no token', { properties: { n: { type: 'string', 'x-mcp-header': 'a b' } } }],
    ['under a line break', { properties: { n: { type: 'string', 'x-mcp-header': 'a\r\nb' } } }],
    ['under nothing', { properties: { n: { type: 'string', 'x-mcp-header': '' } } }],
    ['under another’s name', { properties: { a: { type: 'string', 'x-mcp-header': 'X' }, b: { type: 'string', 'x-mcp-header': 'x' } } }],
  ])('are none %s', (_, schema) => {
    expect(headerMirrors(schema)).toEqual([]);
  });

  it('are written from the typed arguments, for whoever sends them on', () => {
    expect(mirrorHeaders(MIRRORS, typed({ region: 'é', limit: 9007199254740991, dry: false, place: { zone: 'a' } }))).toEqual({
      'mcp-param-region': '=?base64?w6k=?=',
      'mcp-param-limit': '9007199254740991',
      'mcp-param-dry-run': 'false',
      'mcp-param-zone': 'a',
    });
    expect(mirrorHeaders(MIRRORS, typed({ query: 'x' }))).toEqual({});
  });
});

describe('headers beside a call', () => {
  const said = (args: object, headers: Readonly<Record<string, string>>): boolean =>
    mirrorsProblem(MIRRORS, lookup(headers), typed(args)) === undefined;

  it.each<[string, object, Readonly<Record<string, string>>]>([
    ['the same text', { region: 'eu' }, { 'mcp-param-region': 'eu' }],
    ['the same text under its mark', { region: 'eu' }, { 'mcp-param-region': '=?base64?ZXU=?=' }],
    ['the same number', { limit: 42 }, { 'mcp-param-limit': '42' }],
    ['the same number with an empty fraction', { limit: 42 }, { 'mcp-param-limit': '42.0' }],
    ['the same number with a zero in front', { limit: 42 }, { 'mcp-param-limit': '042' }],
    ['the same flag', { dry: true }, { 'mcp-param-dry-run': 'true' }],
    ['deeper', { place: { zone: 'a' } }, { 'mcp-param-zone': 'a' }],
    ['of what nobody asks for', { query: 'x' }, { 'mcp-param-other': 'y' }],
    ['nothing of nothing', {}, {}],
  ])('%s: nothing is wrong', (_, args, headers) => {
    expect(said(args, headers)).toBe(true);
  });

  it.each<[string, object, Readonly<Record<string, string>>]>([
    ['another text', { region: 'eu' }, { 'mcp-param-region': 'us' }],
    ['another case', { region: 'eu' }, { 'mcp-param-region': 'EU' }],
    ['none', { region: 'eu' }, {}],
    ['one without a value in the body', {}, { 'mcp-param-region': 'eu' }],
    ['another number', { limit: 42 }, { 'mcp-param-limit': '43' }],
    ['a number with a fraction', { limit: 42 }, { 'mcp-param-limit': '42.1' }],
    ['a number with an exponent', { limit: 100 }, { 'mcp-param-limit': '1e2' }],
    ['a number in other digits', { limit: 42 }, { 'mcp-param-limit': '0x2A' }],
    ['a flag in another case', { dry: true }, { 'mcp-param-dry-run': 'True' }],
    ['a mark around no base64', { region: 'eu' }, { 'mcp-param-region': '=?base64?Z?=' }],
    ['deeper', { place: { zone: 'a' } }, { 'mcp-param-zone': 'b' }],
  ])('%s: refused with -32020', (_, args, headers) => {
    expect(mirrorsProblem(MIRRORS, lookup(headers), typed(args))).toMatchObject({ error: { rpc: { status: 400, code: -32_020 } } });
  });
});
