/** SHA-256 in the forms the product uses: over parts, as a digest text, keyed; and comparison in constant time. */

import { createHmac, hash, timingSafeEqual } from 'node:crypto';
import { plain } from './buffer.ts';
import { encodeHex } from './bytes.ts';

/** SHA-256 (FIPS 180-4) over the concatenation of all parts: 32 bytes. */
export function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  const [first] = parts;
  // In one call over one array: a hash object costs more than copying a few hundred bytes.
  return plain(hash('sha256', parts.length === 1 && first !== undefined ? first : Buffer.concat(parts), 'buffer'));
}

/** SHA-512 (FIPS 180-4): 64 bytes. For digests that others choose; our own are SHA-256. */
export function sha512(bytes: Uint8Array): Uint8Array {
  return plain(hash('sha512', bytes, 'buffer'));
}

/** `sha256:` and 64 lower-case hex digits; `isDigest` of model holds for it. */
export function digestOf(bytes: Uint8Array): string {
  return `sha256:${encodeHex(sha256(bytes))}`;
}

/** HMAC-SHA-256 (RFC 2104) over the concatenation of all parts: 32 bytes. */
export function hmacSha256(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  const hmac = createHmac('sha256', key);
  for (const part of parts) hmac.update(part);
  return plain(hmac.digest());
}

/** Whether both hold the same bytes, in time that depends on the lengths alone. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.byteLength === b.byteLength && timingSafeEqual(a, b);
}
