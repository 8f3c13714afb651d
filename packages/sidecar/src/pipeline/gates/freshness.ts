/**
 * Denies unless a trusted bundle is held and is fresh (trust-v1, age). Runs at entry and again at the head of every
 * call, where it takes the snapshot that the call is judged by; minting the permit reads freshness once more.
 */

import { deny } from '@sallyport/model';
import type { Arrival, Fresh } from '../facts.ts';
import { pass, refuse, type Gate, type Judgement } from '../gate.ts';
import type { Held, Ports } from '../ports.ts';

export const freshness: Gate<Arrival, Held, Fresh, Ports> = {
  name: 'freshness',
  dialects: { 'http-tool': 'runs', mcp: 'runs', agent: 'runs', session: 'runs' },
  gather: ({ signal }, { bundle, limits }) => {
    const held = bundle.read();
    if (held.state === 'fresh' || limits.holdWhileSyncingMs === 0) return held;
    // A laptop that wakes, or a new pod, syncs within moments: waiting beats failing. Still a wait for a signed statement.
    return bundle.whenFresh(limits.holdWhileSyncingMs, signal).then(() => bundle.read());
  },
  decide: decideFreshness,
};

/** `policy_unavailable` without a bundle, `policy_stale` with one that is too old. There is no switch to go on. */
export function decideFreshness(held: Held): Judgement<Fresh> {
  if (held.state === 'absent') return refuse(deny('policy_unavailable', held.why));
  if (held.state === 'stale') {
    return refuse(
      deny('policy_stale', `release ${held.snapshot.releaseSeq} is ${held.ageMs} ms old, ${-held.freshForMs} ms beyond its ttl`),
    );
  }
  return pass({ held });
}
