import { describe, expect, test } from 'vitest';
import { hasFormat, STRING_FORMATS } from './formats.ts';
import type { StringFormat } from './formats.ts';

const CASES: Readonly<Record<StringFormat, { readonly good: readonly string[]; readonly bad: readonly string[] }>> = {
  date: {
    good: ['2026-11-20', '2024-02-29', '2000-02-29', '0000-01-01'],
    bad: [
      '2026-02-29',
      '1900-02-29',
      '2026-13-01',
      '2026-00-01',
      '2026-04-31',
      '2026-11-00',
      '26-11-20',
      '2026-11-20Z',
      ' 2026-11-20',
      '2026/11/20',
      '２０２６-11-20',
      '',
    ],
  },
  'date-time': {
    good: ['2026-11-20T07:31:23Z', '2026-11-20T07:31:23.123456Z', '2026-11-20T23:59:59+23:59', '2026-11-20T07:31:23-05:00'],
    bad: [
      '2026-11-20',
      '2026-11-20 07:31:23Z',
      '2026-11-20T24:00:00Z',
      '2026-11-20T07:60:00Z',
      '2026-11-20T07:31:60Z',
      '2026-11-20T07:31:23',
      '2026-11-20t07:31:23z',
      '2026-02-30T07:31:23Z',
      '2026-11-20T07:31:23+24:00',
      '2026-11-20T07:31:23.Z',
    ],
  },
  email: {
    good: ['alice@company.com', 'a.b+c@x', "o'neill@example.co.uk"],
    bad: [
      'alice',
      '@company.com',
      'alice@',
      'a..b@x.de',
      '.a@x.de',
      'a@b@c',
      '"a b"@x.de',
      'a@[127.0.0.1]',
      'a@x.de\n',
      'a@x.de,b@x.de',
      'Alice <a@x.de>',
      'ä@x.de',
      `${'a'.repeat(65)}@x.de`,
    ],
  },
  uri: {
    good: ['https://example.org/a?b=c#d', 'urn:isbn:0451450523', 'mailto:a@x.de', 'http://[::1]:80/', 'x:'],
    bad: [
      '/relative',
      '//host/path',
      'https://exa mple.org',
      'https://example.org/%zz',
      'https://example.org/%2',
      'https://ex\\ample.org',
      'https://é.org',
      'https://a/#b#c',
      '1https://x',
      'javascript:alert("x")',
      '',
    ],
  },
  uuid: {
    good: ['00112233-4455-6677-8899-aabbccddeeff', '00112233-4455-6677-8899-AABBCCDDEEFF'],
    bad: [
      '00112233445566778899aabbccddeeff',
      '{00112233-4455-6677-8899-aabbccddeeff}',
      '00112233-4455-6677-8899-aabbccddeefg',
      '00112233-4455-6677-8899-aabbccddeeff0',
      '',
    ],
  },
  hostname: {
    good: ['example.org', 'a', 'xn--bcher-kva.example', '1a.b-c'],
    bad: [
      '',
      '.',
      'example.org.',
      '-a.org',
      'a-.org',
      'a..b',
      'a_b',
      'a b',
      'é.org',
      `${'a'.repeat(64)}.org`,
      Array.from({ length: 60 }, () => 'abcde').join('.'),
    ],
  },
  ipv4: {
    good: ['0.0.0.0', '255.255.255.255', '127.0.0.1'],
    bad: ['256.0.0.1', '127.1', '0177.0.0.1', '127.0.0.01', '1.2.3.4.5', '1.2.3', '0x7f.0.0.1', '1.2.3.4 ', ''],
  },
  ipv6: {
    good: ['::', '::1', '1::', '2001:db8::1', '1:2:3:4:5:6:7:8', '::ffff:1.2.3.4', '1:2:3:4:5:6:1.2.3.4', '1::3:4:5:6:7:8', 'FE80::A'],
    bad: [
      '',
      ':',
      ':::',
      '1::2::3',
      '1:2:3:4:5:6:7',
      '1:2:3:4:5:6:7:8:9',
      '12345::',
      'g::',
      '::1%eth0',
      '[::1]',
      '::256.1.1.1',
      '1.2.3.4::',
      '1:2:3:4:5:6:7:1.2.3.4',
      '1:',
      ':1',
    ],
  },
  path: {
    good: ['a', 'a/b.txt', '.hidden', '...', 'ä/門', 'a b', '~root', '%2e%2e'],
    bad: [
      '',
      '/',
      '/etc/passwd',
      '..',
      '.',
      'a/..',
      '../a',
      'a/./b',
      'a//b',
      'a/',
      'a\\b',
      '..\\a',
      'C:/x',
      'c:x',
      'a\u0000b',
      'a\nb',
      'a\u0085b',
    ],
  },
  'absolute-path': {
    good: ['/a', '/srv/data/b.txt', '/ä/門', '/a b'],
    bad: ['', '/', 'a', './a', '//a', '/a/', '/a/../b', '/.', '/a\\b', '/a\u0000b', '~/a'],
  },
  'sql-read': {
    good: ['SELECT 1', 'select a from b where c = 1;', 'WITH a AS (SELECT 1) SELECT * FROM a'],
    bad: ['', 'UPDATE a SET b = 1', 'DROP TABLE a', 'SELECT 1; DELETE FROM a', 'SELECT pg_sleep(1)', 'SELECT 1 -- x'],
  },
};

describe.each(STRING_FORMATS)('%s', (format) => {
  test.each(CASES[format].good)('accepts %j', (text) => {
    expect(hasFormat(format, text)).toBe(true);
  });
  test.each(CASES[format].bad)('refuses %j', (text) => {
    expect(hasFormat(format, text)).toBe(false);
  });
  test('refuses what is too long to be looked at', () => {
    expect(hasFormat(format, 'a'.repeat(4_097))).toBe(false);
  });
});
