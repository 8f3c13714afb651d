/**
 * Signature verification, called directly and never injected, so that no caller can pass a verifier that says yes.
 * Two algorithms: Ed25519 (RFC 8032) and ECDSA P-256 with SHA-256 (FIPS 186-5), each named by its key, never by the
 * message. Synchronous, never throws.
 */

import { createPublicKey, verify as nodeVerify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { decodeBase64Url, encodeBase64Url, encodeHex } from './bytes.ts';
import { sha256 } from './hash.ts';

export type KeyAlg = 'ed25519' | 'es256';

/** A public key and the one algorithm it is used with. */
export interface VerifyKey {
  readonly alg: KeyAlg;
  /** ed25519: the 32 bytes of RFC 8032. es256: the 65 bytes of an uncompressed point, `04 || x || y` (SEC 1 section 2.3.3). */
  readonly raw: Uint8Array;
}

/** The name of a key: the first 32 hex digits of the SHA-256 of its raw bytes. A hint, never proof. */
export function keyIdOf(raw: Uint8Array): string {
  return encodeHex(sha256(raw)).slice(0, 32);
}

/**
 * A key that `verify` can use, with its own copy of the bytes. `undefined` for an unknown algorithm, a wrong length, a
 * non-canonical or small-order Ed25519 point (under which one signature fits every message), a point off the P-256 curve.
 */
export function readVerifyKey(alg: string, raw: Uint8Array): VerifyKey | undefined {
  if (alg !== 'ed25519' && alg !== 'es256') return undefined;
  const key: VerifyKey = { alg, raw: Uint8Array.from(raw) };
  return keyObjectOf(key) === undefined ? undefined : key;
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
  const keyObject = keyObjectOf(key);
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

const KEY_OBJECTS_MAX = 512;

/**
 * Parsed keys by algorithm and bytes: by value, so that a caller's later change of its array cannot reach a parsed key.
 * Written and read only by `keyObjectOf`; the oldest entry goes when it is full.
 */
const keyObjects = new Map<string, KeyObject>();

function keyObjectOf(key: VerifyKey): KeyObject | undefined {
  const name = `${key.alg}:${encodeHex(key.raw)}`;
  const known = keyObjects.get(name);
  if (known !== undefined) return known;
  const parsed = parseKey(key);
  if (parsed === undefined) return undefined;
  if (keyObjects.size >= KEY_OBJECTS_MAX) {
    for (const oldest of keyObjects.keys()) {
      keyObjects.delete(oldest);
      break;
    }
  }
  keyObjects.set(name, parsed);
  return parsed;
}

function parseKey({ alg, raw }: VerifyKey): KeyObject | undefined {
  try {
    switch (alg) {
      case 'ed25519':
        if (raw.byteLength !== 32 || isWeakEdwardsPoint(raw)) return undefined;
        return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: encodeBase64Url(raw) }, format: 'jwk' });
      case 'es256': {
        if (raw.byteLength !== 65 || raw[0] !== 4) return undefined;
        const [x, y] = [encodeBase64Url(raw.subarray(1, 33)), encodeBase64Url(raw.subarray(33))];
        return createPublicKey({ key: { kty: 'EC', crv: 'P-256', x, y }, format: 'jwk' });
      }
      default:
        return undefined;
    }
  } catch {
    // Not a point of the curve.
    return undefined;
  }
}

/** The y coordinates of the points of order 1, 2, 4 and 8 on edwards25519, little-endian, sign bit cleared. */
const SMALL_ORDER_Y: ReadonlySet<string> = new Set([
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
]);

/** Small order, or y not below the field's prime 2^255 - 19. OpenSSL accepts both, so they are refused here. */
function isWeakEdwardsPoint(raw: Uint8Array): boolean {
  const y = Uint8Array.from(raw);
  y[31] = (y[31] as number) & 0x7f;
  const isAboveField = (y[0] as number) >= 0xed && y[31] === 0x7f && y.subarray(1, 31).every((byte) => byte === 0xff);
  return isAboveField || SMALL_ORDER_Y.has(encodeHex(y));
}
