/**
 * Signature verification, called directly and never injected, so that no caller can pass a verifier that says yes.
 * Two algorithms: Ed25519 (RFC 8032) and ECDSA P-256 with SHA-256 (FIPS 186-5), each named by its key, never by the
 * message. Synchronous, never throws.
 */

import { verify as nodeVerify } from 'node:crypto';
import { decodeBase64Url } from './bytes.ts';
import { publicKeyObject } from './key-object.ts';
import type { VerifyKey } from './verify-key.ts';

/**
 * A key that `verify` can use, with its own copy of the bytes. `undefined` for an unknown algorithm, a wrong length, a
 * non-canonical or small-order Ed25519 point (under which one signature fits every message), a point off the P-256 curve.
 */
export function readVerifyKey(alg: string, raw: Uint8Array): VerifyKey | undefined {
  if (alg !== 'ed25519' && alg !== 'es256') return undefined;
  const key: VerifyKey = { alg, raw: Uint8Array.from(raw) };
  return publicKeyObject(key) === undefined ? undefined : key;
}

/** The P-256 key of a JWK's `x` and `y` (RFC 7518 section 6.2.1), 32 bytes each; `undefined` for anything else. */
export function readP256Jwk(x: string, y: string): VerifyKey | undefined {
  const [bytesX, bytesY] = [decodeBase64Url(x), decodeBase64Url(y)];
  if (bytesX?.byteLength !== 32 || bytesY?.byteLength !== 32) return undefined;
  return readVerifyKey('es256', Uint8Array.of(4, ...bytesX, ...bytesY));
}

/**
 * Whether `signature` is this key's over `message`. Both algorithms have 64-byte signatures; ES256's is `r || s`
 * (RFC 7518 section 3.4). A false answer never says why. ECDSA signatures can be altered without the key (s and n - s
 * both verify): never use a signature's bytes as the identity of what it signs.
 */
export function verify(key: VerifyKey, message: Uint8Array, signature: Uint8Array): boolean {
  if (signature.byteLength !== 64) return false;
  const keyObject = publicKeyObject(key);
  if (keyObject === undefined) return false;
  try {
    return key.alg === 'ed25519'
      ? nodeVerify(null, message, keyObject, signature)
      : nodeVerify('sha256', message, { key: keyObject, dsaEncoding: 'ieee-p1363' }, signature);
  } catch {
    // OpenSSL raises for some malformed points and scalars; each is a signature that does not verify.
    return false;
  }
}
