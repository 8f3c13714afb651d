/** Certificate requests (PKCS#10, RFC 2986): a key, and the proof that whoever asks holds its private half. */

import { createPublicKey, sign, verify } from 'node:crypto';
import { TAG, contextTag, readBitStringBytes, readMembers, readOid, readOne, writeInteger, writeOid, writeTlv } from './der.ts';
import { publicKeyOf } from './key-object.ts';
import { privateKeyFromPem, publicOf } from './signer.ts';
import { SIGNATURE_OIDS, spkiOf } from './spki.ts';
import type { KeyAlg, VerifyKey } from './verify-key.ts';

const CSR_BYTES_MAX = 4_096;

/**
 * A request (DER) for the key, signed by it. Its subject is empty and it has no attributes, since the issuer alone says
 * who the holder is. Throws `TypeError` where the PEM is not a key of ours.
 */
export function createCsr(privatePem: string): Uint8Array {
  const privateKey = privateKeyFromPem(privatePem);
  const publicKey = publicOf(privateKey);
  const spki = spkiOf(publicKey);
  if (spki === undefined) throw new TypeError('not a key that a certificate could hold');
  const [version, emptyName, noAttributes] = [writeInteger(Uint8Array.of(0)), writeTlv(TAG.sequence), writeTlv(contextTag(0, true))];
  const info = writeTlv(TAG.sequence, version, emptyName, spki, noAttributes);
  const algorithm = writeTlv(TAG.sequence, writeOid(SIGNATURE_OIDS[publicKey.alg]));
  const signature = sign(digestNameOf(publicKey.alg), info, privateKey);
  return writeTlv(TAG.sequence, info, algorithm, writeTlv(TAG.bitString, Uint8Array.of(0), signature));
}

/**
 * The key of a request that its holder has signed (proof of possession); `undefined` for anything else. Subject and
 * attributes are the requester's wishes: they are not read, so that nothing can come to rest on them.
 */
export function readCsr(der: Uint8Array): { readonly publicKey: VerifyKey } | undefined {
  if (der.byteLength > CSR_BYTES_MAX) return undefined;
  try {
    const [info, algorithm, signature, ...more] = readMembers(readOne(der, TAG.sequence));
    if (info === undefined || algorithm === undefined || more.length > 0) return undefined;
    const spki = readMembers(info)[2];
    if (spki === undefined) return undefined;
    const keyObject = createPublicKey({ key: Buffer.from(spki.raw), format: 'der', type: 'spki' });
    const publicKey = publicKeyOf(keyObject);
    if (publicKey === undefined || readOid(readMembers(algorithm)[0]) !== SIGNATURE_OIDS[publicKey.alg]) return undefined;
    const isHolder = verify(digestNameOf(publicKey.alg), info.raw, keyObject, readBitStringBytes(signature));
    return isHolder ? { publicKey } : undefined;
  } catch {
    // Malformed in OpenSSL's eyes or ours: for the caller there is one answer.
    return undefined;
  }
}

function digestNameOf(alg: KeyAlg): 'sha256' | null {
  return alg === 'es256' ? 'sha256' : null;
}
