/**
 * Codecs between bytes and text. Each decoder accepts exactly what its encoder writes and answers `undefined` for
 * everything else, so that one value has one spelling and nothing can hide in the difference.
 */

import { plain, view } from './buffer.ts';

// A byte order mark is kept as a character, so that decoding never loses bytes; strict parsers then refuse it.
const utf8Decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Lower-case hexadecimal. */
export function encodeHex(bytes: Uint8Array): string {
  return view(bytes).toString('hex');
}

/** Lower-case hexadecimal of even length, else `undefined`. */
export function decodeHex(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, 'hex');
  return bytes.toString('hex') === text ? plain(bytes) : undefined;
}

/** Standard base64 with padding (RFC 4648 section 4). */
export function encodeBase64(bytes: Uint8Array): string {
  return view(bytes).toString('base64');
}

/** Standard base64 with padding and zero trailing bits, no white space, else `undefined`. */
export function decodeBase64(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? plain(bytes) : undefined;
}

/** base64url without padding (RFC 4648 section 5, RFC 7515 section 2). */
export function encodeBase64Url(bytes: Uint8Array): string {
  return view(bytes).toString('base64url');
}

/** base64url without padding and with zero trailing bits, else `undefined`. */
export function decodeBase64Url(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, 'base64url');
  return bytes.toString('base64url') === text ? plain(bytes) : undefined;
}

/** UTF-8 bytes of a text. A lone surrogate becomes U+FFFD: refuse those before, where it matters. */
export function utf8(text: string): Uint8Array {
  // Out of a pool where it is short, which most texts are: memory of its own for each would have to be freed, too.
  return plain(Buffer.from(text));
}

/** Text of strictly valid UTF-8 (no overlong forms, no surrogates), else `undefined`. A leading BOM stays as U+FEFF. */
export function fromUtf8(bytes: Uint8Array): string | undefined {
  try {
    return utf8Decoder.decode(bytes);
  } catch {
    // The decoder has one way to fail, and the caller's answer is the same for each of its causes.
    return undefined;
  }
}

/** All parts in one new array. */
export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
  return plain(Buffer.concat(parts));
}

/** `value` as eight big-endian bytes. Throws `RangeError` outside 0 to 2^64 - 1. */
export function uint64be(value: number | bigint): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return plain(bytes);
}
