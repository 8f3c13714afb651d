import { describe, expect, test } from 'vitest';
import { decodeBase64, decodeBase64Url, decodeHex, fromUtf8, uint64be, utf8 } from './bytes.ts';

describe('decoders refuse every other spelling of the same bytes', () => {
  test.each([
    ['upper case', 'AB'],
    ['odd length', 'abc'],
    ['a letter that is no digit', 'ag'],
    ['a space', 'ab '],
    ['a prefix', '0xab'],
  ])('hex with %s', (_, text) => {
    expect(decodeHex(text)).toBeUndefined();
  });

  test.each([
    ['no padding', 'YQ'],
    ['too much padding', 'YQ==='],
    ['trailing bits that are not zero', 'YR=='],
    ['the letters of base64url', '-_-_'],
    ['a line break', 'YWJj\nZGVm'],
    ['text after the padding', 'YQ==YQ=='],
    ['a letter that is none', 'Y*=='],
  ])('base64 with %s', (_, text) => {
    expect(decodeBase64(text)).toBeUndefined();
  });

  test.each([
    ['padding', 'YQ=='],
    ['trailing bits that are not zero', 'YR'],
    ['the letters of base64', '+/+/'],
    ['a white space', 'YQ '],
    ['one letter alone', 'Y'],
  ])('base64url with %s', (_, text) => {
    expect(decodeBase64Url(text)).toBeUndefined();
  });
});

describe('UTF-8', () => {
  test.each([
    ['an overlong slash', [0xc0, 0xaf]],
    ['an overlong NUL', [0xc0, 0x80]],
    ['an overlong three-byte slash', [0xe0, 0x80, 0xaf]],
    ['a surrogate (CESU-8)', [0xed, 0xa0, 0x80]],
    ['a code point above U+10FFFF', [0xf4, 0x90, 0x80, 0x80]],
    ['a lone continuation byte', [0x80]],
    ['a sequence that ends early', [0xe2, 0x82]],
    ['UTF-16 with its mark', [0xff, 0xfe, 0x61, 0x00]],
  ])('refuses %s', (_, bytes) => {
    expect(fromUtf8(Uint8Array.from(bytes))).toBeUndefined();
  });

  test('a byte order mark is kept as a character, so that nothing is lost in decoding', () => {
    expect(fromUtf8(Uint8Array.of(0xef, 0xbb, 0xbf, 0x61))).toBe('\ufeffa');
  });

  test('text goes to bytes and back', () => {
    expect(fromUtf8(utf8('gate é 門 🏰'))).toBe('gate é 門 🏰');
  });
});

test('uint64be writes eight big-endian bytes and refuses what does not fit', () => {
  expect([...uint64be(1)]).toEqual([0, 0, 0, 0, 0, 0, 0, 1]);
  expect([...uint64be(2n ** 64n - 1n)]).toEqual([255, 255, 255, 255, 255, 255, 255, 255]);
  expect(() => uint64be(-1)).toThrow(RangeError);
  expect(() => uint64be(2n ** 64n)).toThrow(RangeError);
});
