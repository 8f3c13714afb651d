/** Public keys, and their names. */

import { encodeHex } from './bytes.ts';
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
