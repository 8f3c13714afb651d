/** Private keys: made, loaded, and used behind the port `Signer`, so that a KMS can stand where a file does. */

import { randomBytes as nodeRandomBytes } from 'node:crypto';
import { plain } from './bytes.ts';
import type { KeyAlg } from './verify.ts';

/** Signs with one key. Behind it may be a file, a command, a KMS or a token; nothing else in the product sees the key. */
export interface Signer {
  readonly alg: KeyAlg;
  /** `keyIdOf(publicRaw)`. */
  readonly keyId: string;
  /** As `VerifyKey.raw`. */
  readonly publicRaw: Uint8Array;
  /** 64 bytes that `verify` accepts: Ed25519, or ES256 as `r || s`. */
  sign(message: Uint8Array): Uint8Array | Promise<Uint8Array>;
}

/** A signer whose key is in this process. */
export interface LocalSigner extends Signer {
  sign(message: Uint8Array): Uint8Array;
}

export interface GeneratedKey {
  readonly alg: KeyAlg;
  /** PKCS#8, PEM. */
  readonly privatePem: string;
  readonly publicRaw: Uint8Array;
}

/** A new key from the system's randomness. */
export function generateKey(_alg: KeyAlg): GeneratedKey {
  throw new Error('to come');
}

/** A signer over a PKCS#8 PEM of an Ed25519 or P-256 key. Throws `TypeError` for anything else: files go through `loadSigner`. */
export function signerFromPem(_pem: string): LocalSigner {
  throw new Error('to come');
}

/** Unpredictable bytes from the system; the production `Random` of model. */
export function randomBytes(length: number): Uint8Array {
  return plain(nodeRandomBytes(length));
}
