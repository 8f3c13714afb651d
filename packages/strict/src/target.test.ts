import { describe, expect, test } from 'vitest';
import { canonicalTarget } from './target.ts';
import type { TargetOptions } from './target.ts';

const read = (target: string, options?: TargetOptions, host: string | undefined = 'localhost:15001'): unknown => {
  const result = canonicalTarget(target, host, options);
  return result.ok ? result.value : result.error.code;
};

describe('what is accepted has one spelling', () => {
  test.each([
    ['/', [], '/', undefined],
    ['/mcp/files', ['mcp', 'files'], '/mcp/files', undefined],
    ['/tools/orders/refund?x=1&y=%20', ['tools', 'orders', 'refund'], '/tools/orders/refund', 'x=1&y=%20'],
    ['/a%20b/%C3%A9', ['a b', 'é'], '/a%20b/%C3%A9', undefined],
    ['/%61%62', ['ab'], '/ab', undefined],
    ['/%c3%a9', ['é'], '/%C3%A9', undefined],
    ['/100%25', ['100%'], '/100%25', undefined],
    ['/a;v=1', ['a;v=1'], '/a%3Bv%3D1', undefined],
    ['/...', ['...'], '/...', undefined],
    ['/a?', ['a'], '/a', ''],
    ['/a?b?c/../d', ['a'], '/a', 'b?c/../d'],
    ['/__proto__', ['__proto__'], '/__proto__', undefined],
  ])('%s', (target, segments, path, query) => {
    expect(read(target)).toEqual({ segments, path, query, host: 'localhost', port: 15_001 });
  });
});

describe('path confusion is refused', () => {
  test.each([
    ['climbing', '/mcp/../tools'],
    ['climbing at the end', '/mcp/..'],
    ['standing still', '/mcp/./files'],
    ['climbing, encoded', '/mcp/%2e%2e/tools'],
    ['climbing, half encoded', '/mcp/.%2E/tools'],
    ['climbing, encoded twice', '/mcp/%252e%252e/tools'],
    ['climbing behind a parameter', '/mcp/..;x=1/tools'],
    ['standing still behind a parameter', '/mcp/.;/tools'],
    ['a parameter without a name', '/mcp/;x/tools'],
    ['an encoded slash', '/mcp%2ffiles'],
    ['an encoded slash, encoded twice', '/mcp%252Ffiles'],
    ['an overlong slash', '/mcp%c0%affiles'],
    ['a backslash', '/mcp\\files'],
    ['an encoded backslash', '/mcp%5C..%5Cfiles'],
    ['an empty segment', '/mcp//files'],
    ['an empty first segment', '//evil.example/mcp'],
    ['a trailing slash', '/mcp/'],
    ['an encoded NUL', '/mcp%00.json'],
    ['an encoded line break', '/mcp%0d%0aX:1'],
    ['an encoded control of Latin-1', '/mcp%C2%85'],
    ['bytes that are not UTF-8', '/mcp%ff'],
    ['an encoded surrogate', '/mcp%ed%a0%80'],
    ['an escape that is none', '/mcp%zz'],
    ['an escape that ends early', '/mcp%2'],
    ['a fragment', '/mcp#x'],
    ['a space', '/mcp files'],
    ['a raw letter beyond ASCII', '/mcpé'],
    ['quotes', '/mcp"x"'],
    ['a control character', '/mcp\u0001'],
    ['a line break in the query', '/mcp?a\r\nb'],
    ['a bad escape in the query', '/mcp?%'],
    ['a fragment in the query', '/mcp?a#b'],
    ['nothing', ''],
    ['no leading slash', 'mcp/files'],
    ['the asterisk form', '*'],
    ['the authority form', 'example.org:443'],
    ['another scheme', 'file:///etc/passwd'],
  ])('%s', (_, target) => {
    expect(read(target)).toBe('malformed_request');
  });

  test('a target beyond the limit is too large', () => {
    expect(read(`/${'a'.repeat(8_191)}`)).toMatchObject({ query: undefined });
    expect(read(`/${'a'.repeat(8_192)}`)).toBe('headers_too_large');
    expect(read('/abc', { bytesMax: 3 })).toBe('headers_too_large');
  });
});

describe('absolute form', () => {
  const allowed = { allowAbsoluteForm: true };

  test('is an address where a name belongs, unless it is told otherwise', () => {
    expect(read('http://localhost:15001/mcp/files')).toBe('direct_address_rejected');
    expect(read('http://LOCALHOST:15001/mcp/files?x', allowed)).toMatchObject({ segments: ['mcp', 'files'], query: 'x' });
    expect(read('http://localhost:15001', allowed)).toMatchObject({ segments: [], query: undefined });
    expect(read('http://localhost:15001?x', allowed)).toMatchObject({ segments: [], query: 'x' });
  });

  test.each([
    ['another host', 'http://evil.example/mcp'],
    ['another port', 'http://localhost:15002/mcp'],
    ['no port', 'http://localhost/mcp'],
    ['a user', 'http://user@localhost:15001/mcp'],
    ['the host as a user', 'http://localhost:15001@evil.example/mcp'],
    ['no host', 'http:///mcp'],
    ['a climbing path', 'http://localhost:15001/../mcp'],
  ])('that names %s is malformed either way', (_, target) => {
    expect(read(target, allowed)).toBe('malformed_request');
  });
});

describe('host', () => {
  test.each([
    ['Example.ORG', { host: 'example.org', port: undefined }],
    ['[::1]:8443', { host: '[::1]', port: 8_443 }],
    ['10.0.0.1', { host: '10.0.0.1', port: undefined }],
  ])('%s', (host, authority) => {
    expect(read('/', undefined, host)).toMatchObject(authority);
  });

  test.each([
    '',
    ' ',
    'a b',
    'a,b',
    'a/b',
    'user@a',
    'a:',
    'a:0',
    'a:65536',
    'a:x',
    'a:80:80',
    '-a',
    '[::1',
    '::1',
    'é',
    'a\r\nb',
    `a?x`,
    'a#x',
  ])('%j is none', (host) => {
    expect(read('/', undefined, host)).toBe('malformed_request');
  });

  test('a request without one is refused', () => {
    const result = canonicalTarget('/', undefined);
    expect(!result.ok && result.error.code).toBe('malformed_request');
  });
});
