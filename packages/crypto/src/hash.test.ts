import { expect, test } from 'vitest';
import { encodeHex, utf8 } from './bytes.ts';
import { crc32c } from './crc32c.ts';
import { digestOf, equalBytes, hmacSha256, sha256, sha512 } from './hash.ts';

test('parts are hashed as their concatenation', () => {
  expect(sha256(utf8('ab'), utf8(''), utf8('c'))).toEqual(sha256(utf8('abc')));
  expect(hmacSha256(utf8('k'), utf8('ab'), utf8('c'))).toEqual(hmacSha256(utf8('k'), utf8('abc')));
});

test('a digest is lower-case hex with its algorithm', () => {
  expect(digestOf(utf8('abc'))).toBe('sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
});

test('SHA-512 is that of FIPS 180-4', () => {
  expect(encodeHex(sha512(utf8('abc')))).toBe(
    'ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f',
  );
});

test.each([
  ['equal', [1, 2], [1, 2], true],
  ['different', [1, 2], [1, 3], false],
  ['a prefix of the other', [1, 2], [1, 2, 3], false],
  ['both empty', [], [], true],
])('bytes that are %s', (_, a, b, isEqual) => {
  expect(equalBytes(Uint8Array.from(a), Uint8Array.from(b))).toBe(isEqual);
});

test('a checksum goes on where another ended', () => {
  expect(crc32c(utf8('456789'), crc32c(utf8('123')))).toBe(crc32c(utf8('123456789')));
});
