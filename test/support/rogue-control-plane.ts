/**
 * A control plane in an attacker's hands, in the place of a world's real one: `sallyport chaos` stages its attacks with the
 * same. It has no key of a publisher, a registrar or the release role, as the real one had none.
 */

import { leafOf, startRogue, type Rogue as RogueControlPlane } from '../../packages/cli/src/chaos/rogue.ts';
import { AREA, RING } from './administrator.ts';
import type { World } from './world.ts';

export interface Rogue extends Pick<RogueControlPlane, 'streams' | 'offerBundle' | 'offerRelease' | 'close'> {
  /** Answers the sidecar's question under the stolen freshness key, naming this release as the current one. */
  prove(release: { readonly digest: string; readonly releaseSeq: number }): Promise<void>;
}

const TRUST_DOMAIN = 'demo.local';

/** Takes the place of a control plane that has been stopped. Statements have numbers from a million on. */
export async function rogueControlPlane(
  { dir, clock }: World,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<Rogue> {
  const { signal } = new AbortController();
  const rogue = await startRogue({ home: dir, trustDomain: TRUST_DOMAIN, clock, signal, host, port, seqBefore: 1_000_000 });
  return {
    get streams() {
      return rogue.streams;
    },
    offerBundle: (envelope, parts) => rogue.offerBundle(envelope, parts),
    offerRelease: (envelope) => rogue.offerRelease(envelope),
    prove: ({ digest, releaseSeq }) =>
      rogue.prove({
        leaves: [leafOf({ digest, releaseSeq, area: AREA, ring: RING })],
        identity: `spiffe://${TRUST_DOMAIN}/sidecar/support-triage/one`,
      }),
    close: () => rogue.close(),
  };
}
