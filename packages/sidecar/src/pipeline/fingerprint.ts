/**
 * By what a client is known again beside its credential, where sessions are bound to it: the certificate that its connection
 * showed, or the address it came from. A session's token that was stolen together with the credential is worth nothing elsewhere.
 */

import { encodeHex, sha256 } from '@sallyport/crypto';
import { deny, fail, ok, type Denial, type Result } from '@sallyport/model';
import type { Arrival } from './facts.ts';

/** What the sessions of clients are bound to beside the principal. */
export type SessionBinding = 'none' | 'certificate' | 'address';

/** Digests of leaves, by the chain, which is one object for each connection. Written and read by `fingerprintOf` alone. */
const digests = new WeakMap<readonly Uint8Array[], string>();

/** The fingerprint of who sent this request; `undefined` where sessions are bound to none. Refuses who shows nothing to bind to. */
export function fingerprintOf(
  { peer, peerChain }: Pick<Arrival, 'peer' | 'peerChain'>,
  binding: SessionBinding,
): Result<string | undefined, Denial> {
  switch (binding) {
    case 'none':
      return UNBOUND;
    case 'address':
      return peer === '' ? fail(deny('unauthenticated', 'no address to bind the session to')) : ok(hostOf(peer));
    case 'certificate': {
      const [leaf] = peerChain;
      if (leaf === undefined) return fail(deny('unauthenticated', 'no client certificate to bind the session to'));
      const digest = digests.get(peerChain) ?? encodeHex(sha256(leaf));
      digests.set(peerChain, digest);
      return ok(digest);
    }
  }
}

const UNBOUND: Result<undefined, never> = ok(undefined);

/** The address without its port, which a client has a new one of with each connection. */
export function hostOf(peer: string): string {
  return peer.replace(/:\d{1,5}$/, '');
}
