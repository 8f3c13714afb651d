/**
 * The public half of what signs assertions, as a JWK Set (RFC 7517): for tools that look a key up by its `kid`, and for people
 * who want to see it. Each key brings its certificate, so that a set proves itself under the pinned CA, wherever it was got.
 */

import { encodeBase64, encodeBase64Url } from '@sallyport/crypto';
import { invariant } from '@sallyport/model';
import type { AssertionMinterOptions } from './assertion-minter.ts';

export interface PublishedKey {
  readonly kty: 'EC';
  readonly crv: 'P-256';
  readonly x: string;
  readonly y: string;
  readonly kid: string;
  readonly alg: 'ES256';
  readonly use: 'sig';
  /** As in the header of an assertion. */
  readonly x5c: readonly string[];
  readonly spiffe_id: string;
}

/** The one key of this sidecar; none while nothing is certified. */
export function assertionKeySet(of: (Pick<AssertionMinterOptions, 'signer' | 'chain'> & { readonly spiffeId: string }) | undefined): {
  readonly keys: readonly PublishedKey[];
} {
  if (of === undefined || of.chain.length === 0) return { keys: [] };
  const { signer, chain, spiffeId } = of;
  invariant(signer.alg === 'es256' && signer.publicRaw.byteLength === 65, 'assertions are signed with a P-256 key');
  const [x, y] = [signer.publicRaw.subarray(1, 33), signer.publicRaw.subarray(33)].map((part) => encodeBase64Url(part));
  invariant(x !== undefined && y !== undefined, 'a point has two coordinates');
  const x5c = chain.map((der) => encodeBase64(der));
  return { keys: [{ kty: 'EC', crv: 'P-256', x, y, kid: signer.keyId, alg: 'ES256', use: 'sig', x5c, spiffe_id: spiffeId }] };
}
