/**
 * The public half of what signs session tokens, as a JWK Set (RFC 7517): for whoever wants to see that a token is of this
 * sidecar. A set of its own: who verifies assertions by the other one must not find a key there that signs anything else.
 */

import { encodeBase64Url } from '@sallyport/crypto';
import type { Signer } from '@sallyport/crypto/keys';
import { invariant } from '@sallyport/model';

export interface PublishedSessionKey {
  readonly kty: 'OKP';
  readonly crv: 'Ed25519';
  readonly x: string;
  readonly kid: string;
  readonly alg: 'EdDSA';
  readonly use: 'sig';
  readonly spiffe_id: string;
}

/** The one key of this sidecar; none while there is none. */
export function sessionKeySet(of: { readonly signer: Signer; readonly spiffeId: string } | undefined): {
  readonly keys: readonly PublishedSessionKey[];
} {
  if (of === undefined) return { keys: [] };
  const { signer, spiffeId } = of;
  invariant(signer.alg === 'ed25519', 'sessions are signed with an Ed25519 key');
  const x = encodeBase64Url(signer.publicRaw);
  return { keys: [{ kty: 'OKP', crv: 'Ed25519', x, kid: signer.keyId, alg: 'EdDSA', use: 'sig', spiffe_id: spiffeId }] };
}
