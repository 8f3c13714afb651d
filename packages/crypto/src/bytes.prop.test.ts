import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeBase64, decodeBase64Url, decodeHex, encodeBase64, encodeBase64Url, encodeHex, fromUtf8, utf8 } from './bytes.ts';

const codecs = [
  ['hex', encodeHex, decodeHex],
  ['base64', encodeBase64, decodeBase64],
  ['base64url', encodeBase64Url, decodeBase64Url],
] as const;

test.each(codecs)('%s: what is encoded decodes to the same bytes', (_, encode, decode) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      expect(decode(encode(bytes))).toEqual(bytes);
    }),
  );
});

test.each(codecs)('%s: whatever decodes is what the encoder writes for those bytes', (_, encode, decode) => {
  const nearMiss = fc.string({ unit: fc.constantFrom(...Array.from('0123456789abcdefABCDEFgzYQR-_+/= \n')), maxLength: 8 });
  fc.assert(
    fc.property(nearMiss, (text) => {
      const bytes = decode(text);
      if (bytes !== undefined) expect(encode(bytes)).toBe(text);
    }),
  );
});

test('UTF-8: well-formed text goes to bytes and back', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      fc.pre(text.isWellFormed());
      expect(fromUtf8(utf8(text))).toBe(text);
    }),
  );
});

test('UTF-8: whatever decodes is written back as the same bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 16 }), (bytes) => {
      const text = fromUtf8(bytes);
      if (text !== undefined) expect(utf8(text)).toEqual(bytes);
    }),
  );
});
