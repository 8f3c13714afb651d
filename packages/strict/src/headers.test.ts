import { describe, expect, test } from 'vitest';
import { HEADER_LIMITS, readHeaders } from './headers.ts';
import type { HeaderLimits } from './headers.ts';

const codeOf = (raw: readonly string[], limits?: HeaderLimits): string => {
  const result = readHeaders(raw, limits);
  return result.ok ? 'ok' : result.error.code;
};
const detailOf = (raw: readonly string[]): string => {
  const result = readHeaders(raw);
  return result.ok ? 'ok' : result.error.detail;
};

describe('a field with one meaning stands once', () => {
  test.each([
    'Host',
    'Authorization',
    'Content-Type',
    'Content-Length',
    'Transfer-Encoding',
    'Content-Encoding',
    'Idempotency-Key',
    'Origin',
    'Signature',
    'Signature-Input',
    'Content-Digest',
    'Traceparent',
    'DPoP',
    'Sallyport-Session',
    'Sallyport-Anything',
    'Mcp-Session-Id',
    'MCP-Protocol-Version',
    'Mcp-Param-Region',
    'A2A-Version',
    'Sec-Fetch-Site',
    'Expect',
    'Upgrade',
    'Last-Event-ID',
  ])('%s', (name) => {
    expect(detailOf([name, '1', name.toUpperCase(), '1'])).toBe(`\`${name.toLowerCase()}\` stands twice`);
  });

  test('a list field may be repeated, and is read as one list', () => {
    const result = readHeaders(['Accept', 'a', 'Cookie', 'x=1', 'ACCEPT', 'b', 'cookie', 'y=2', 'X-Other', '1', 'x-other', '2']);
    expect(result.ok && [...result.value.entries()]).toEqual([
      ['accept', 'a, b'],
      ['cookie', 'x=1; y=2'],
      ['x-other', '1, 2'],
    ]);
  });
});

describe('request smuggling: framing is not guessed at', () => {
  test.each([
    ['both kinds of framing', ['Content-Length', '5', 'Transfer-Encoding', 'chunked']],
    ['two lengths in one', ['Content-Length', '5, 5']],
    ['a signed length', ['Content-Length', '+5']],
    ['a negative length', ['Content-Length', '-5']],
    ['a length with a fraction', ['Content-Length', '5.0']],
    ['a hexadecimal length', ['Content-Length', '0x5']],
    ['a padded length', ['Content-Length', '05']],
    ['an empty length', ['Content-Length', '']],
    ['a length beyond counting', ['Content-Length', '99999999999999999999']],
    ['another transfer coding', ['Transfer-Encoding', 'gzip']],
    ['a second transfer coding', ['Transfer-Encoding', 'gzip, chunked']],
    ['chunked twice', ['Transfer-Encoding', 'chunked, chunked']],
    ['chunked with a blemish', ['Transfer-Encoding', 'xchunked']],
    ['chunked in quotes', ['Transfer-Encoding', '"chunked"']],
    ['a name with a space before its colon', ['Transfer-Encoding ', 'chunked']],
    ['an empty name', ['', 'x']],
    ['a name with a colon', [':authority', 'x']],
    ['a name with a line break', ['a\r\nb', 'x']],
    ['a name beyond ASCII', ['hóst', 'x']],
    ['a value with a line break', ['x', 'a\r\nHost: evil']],
    ['a value with a lone line feed', ['x', 'a\nb']],
    ['a value with a NUL', ['x', 'a\u0000']],
    ['a value beyond ASCII', ['x', 'é']],
    ['a value with space around it', ['x', ' a']],
    ['a value without a name', ['x']],
  ])('%s', (_, raw) => {
    expect(codeOf(raw)).toBe('malformed_request');
  });

  test.each([
    ['a length', ['Content-Length', '0']],
    ['chunks, in any case', ['Transfer-Encoding', 'Chunked']],
    ['an empty value', ['X-Empty', '']],
    ['a tab inside', ['X', 'a\tb']],
    ['nothing', []],
  ])('%s is fine', (_, raw) => {
    expect(codeOf(raw)).toBe('ok');
  });
});

test.each(['authorization', 'Host', 'close, Sallyport-Session', 'keep-alive,\tcontent-length'])(
  'hop-by-hop stripping: connection may not name %s',
  (value) => {
    expect(codeOf(['Connection', value])).toBe('malformed_request');
  },
);

test('connection may ask for an upgrade or say close', () => {
  expect(codeOf(['Connection', 'Upgrade', 'Upgrade', 'websocket'])).toBe('ok');
  expect(codeOf(['Connection', 'close'])).toBe('ok');
});

describe('sizes, exactly at the limit and one above', () => {
  const limits: HeaderLimits = { countMax: 3, nameBytesMax: 4, valueBytesMax: 5, totalBytesMax: 20 };

  test.each([
    ['count', ['a', '', 'b', '', 'c', ''], 'ok'],
    ['count', ['a', '', 'b', '', 'c', '', 'd', ''], 'headers_too_large'],
    ['name', ['abcd', ''], 'ok'],
    ['name', ['abcde', ''], 'headers_too_large'],
    ['value', ['a', '12345'], 'ok'],
    ['value', ['a', '123456'], 'headers_too_large'],
    ['total', ['a', '12345', 'b', '12345'], 'ok'],
    ['total', ['a', '12345', 'bc', '12345'], 'headers_too_large'],
  ])('%s of %j', (_, raw, code) => {
    expect(codeOf(raw, limits)).toBe(code);
  });

  test('the defaults refuse a head of a megabyte', () => {
    expect(codeOf(Array.from({ length: 60 }, (_, i) => [`x-${i}`, 'v'.repeat(8_000)]).flat())).toBe('headers_too_large');
    expect(HEADER_LIMITS.totalBytesMax).toBeLessThan(1_000_000);
  });
});

test('look-up by name reaches nothing inherited, and details hold no value', () => {
  const result = readHeaders(['Authorization', 'Bearer secret']);
  expect(result.ok && result.value.get('constructor')).toBeUndefined();
  expect(result.ok && result.value.has('__proto__')).toBe(false);
  expect(result.ok && result.value.get('authorization')).toBe('Bearer secret');
  expect(detailOf(['Authorization', 'Bearer secret', 'authorization', 'Bearer secret'])).not.toContain('secret');
});
