/** Private keys: made, and used behind the port `Signer`, so that a KMS can stand where a file does. */

import { createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes as nodeRandomBytes, sign as nodeSign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { plain } from './buffer.ts';
import { publicKeyOf } from './key-object.ts';
import { keyIdOf } from './verify-key.ts';
import type { KeyAlg, VerifyKey } from './verify-key.ts';

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
export function generateKey(alg: KeyAlg): GeneratedKey {
  const { privateKey } = alg === 'ed25519' ? generateKeyPairSync('ed25519') : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const privatePem = privateKey.export({ format: 'pem', type: 'pkcs8' });
  return { alg, privatePem, publicRaw: publicOf(privateKey).raw };
}

/** A signer over a PKCS#8 PEM of an Ed25519 or P-256 key. Throws `TypeError` for anything else: files go through `loadSigner`. */
export function signerFromPem(pem: string): LocalSigner {
  const key = privateKeyFromPem(pem);
  const { alg, raw } = publicOf(key);
  const sign =
    alg === 'ed25519'
      ? (message: Uint8Array): Buffer => nodeSign(null, message, key)
      : (message: Uint8Array): Buffer => nodeSign('sha256', message, { key, dsaEncoding: 'ieee-p1363' });
  return { alg, keyId: keyIdOf(raw), publicRaw: raw, sign: (message) => plain(sign(message)) };
}

/** Unpredictable bytes from the system; the production `Random` of model. */
export function randomBytes(length: number): Uint8Array {
  return plain(nodeRandomBytes(length));
}

/** The parsed key of a PEM. Throws `TypeError` without quoting it. */
export function privateKeyFromPem(pem: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch {
    // OpenSSL's own words say nothing that helps, and a message must never carry key material.
    throw new TypeError('not an unencrypted private key in PEM');
  }
}

/** The public half of a private key. Throws `TypeError` where its algorithm is not one of ours. */
export function publicOf(privateKey: KeyObject): VerifyKey {
  const key = publicKeyOf(createPublicKey(privateKey));
  if (key === undefined) throw new TypeError('the private key is neither Ed25519 nor P-256');
  return key;
}
