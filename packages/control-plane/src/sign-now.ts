/** Signing inside one turn: what a sequence number attests may not change between its allocation and its commit. */

import { pae } from '@sallyport/crypto';
import type { LocalSigner } from '@sallyport/crypto/keys';
import { encodeEnvelope, payloadTypeOf } from '@sallyport/trust';
import type { SignedKind } from '@sallyport/trust';

/** The envelope over exactly these payload bytes, signed by one key of this process. */
export function signNow(kind: SignedKind, payload: Uint8Array, signer: LocalSigner): Uint8Array {
  const payloadType = payloadTypeOf(kind);
  const signature = signer.sign(pae(payloadType, payload));
  return encodeEnvelope({ payloadType, payload, signatures: [{ keyId: signer.keyId, signature }] });
}
