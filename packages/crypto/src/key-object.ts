/** Between the raw keys that callers hold and OpenSSL's parsed ones. Node's types stay in this file and its users. */

import { createPublicKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { decodeBase64Url, encodeBase64Url, encodeHex } from './bytes.ts';
import type { VerifyKey } from './verify-key.ts';

const KEY_OBJECTS_MAX = 512;

/**
 * Parsed keys by algorithm and bytes: by value, so that a caller's later change of its array cannot reach a parsed key.
 * Written and read only by `publicKeyObject`; the oldest entry goes when it is full.
 */
const keyObjects = new Map<string, KeyObject>();

/** The parsed key, or `undefined` for bytes that `readVerifyKey` refuses. */
export function publicKeyObject(key: VerifyKey): KeyObject | undefined {
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

/** The raw key of an SPKI that node:crypto has parsed, where the algorithm is one of ours. */
export function publicKeyOf(publicKey: KeyObject): VerifyKey | undefined {
  const { kty, crv, x, y } = publicKey.export({ format: 'jwk' });
  const [bytesX, bytesY] = [decodeBase64Url(x ?? ''), decodeBase64Url(y ?? '')];
  if (bytesX === undefined || bytesY === undefined) return undefined;
  const isEdwards = kty === 'OKP' && crv === 'Ed25519';
  if (!isEdwards && !(kty === 'EC' && crv === 'P-256')) return undefined;
  const key: VerifyKey = isEdwards ? { alg: 'ed25519', raw: bytesX } : { alg: 'es256', raw: Uint8Array.of(4, ...bytesX, ...bytesY) };
  return publicKeyObject(key) === undefined ? undefined : key;
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

/** Small order, or y not below the field's prime 2^255 - 19. Not every OpenSSL refuses both. */
function isWeakEdwardsPoint(raw: Uint8Array): boolean {
  const y = Uint8Array.from(raw);
  y[31] = (y[31] as number) & 0x7f;
  const isAboveField = (y[0] as number) >= 0xed && y[31] === 0x7f && y.subarray(1, 31).every((byte) => byte === 0xff);
  return isAboveField || SMALL_ORDER_Y.has(encodeHex(y));
}
