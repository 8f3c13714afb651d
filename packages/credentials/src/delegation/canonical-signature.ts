/**
 * One signature for one hop. Of an ECDSA signature (r, s) the pair (r, n - s) verifies as well, and needs no key: the last hop
 * of a list, whose bytes nothing names, would have a second spelling. The lower s is the one.
 */

import { decodeHex, encodeHex } from '@sallyport/crypto';
import type { KeyAlg } from '@sallyport/crypto';
import { invariant } from '@sallyport/model';

/** The order of P-256 (FIPS 186-5, with SP 800-186 section 3.2.1.3). */
const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

/** Whether a signature of 64 bytes is the one spelling; Ed25519 has one (RFC 8032, section 5.1.7: s below the order). */
export function isCanonicalSignature(alg: KeyAlg, signature: Uint8Array): boolean {
  return signature.byteLength === 64 && (alg === 'ed25519' || scalarOf(signature) <= ORDER / 2n);
}

/** The one spelling of a valid signature. */
export function canonicalSignature(alg: KeyAlg, signature: Uint8Array): Uint8Array {
  if (isCanonicalSignature(alg, signature)) return signature;
  const lower = decodeHex((ORDER - scalarOf(signature)).toString(16).padStart(64, '0'));
  invariant(lower?.byteLength === 32, 'a signature has a scalar below the order');
  return Uint8Array.of(...signature.subarray(0, 32), ...lower);
}

function scalarOf(signature: Uint8Array): bigint {
  return BigInt(`0x${encodeHex(signature.subarray(32))}`);
}
