import { trustReceiver, trustSimulator } from '@sallyport/testkit';
import { addMs } from '@sallyport/model';
import { describe, expect, it } from 'vitest';
import { acceptManifest, acceptParts } from './acceptance.ts';
import { policyState, staleAt } from './age.ts';
import type { Trusted } from './age.ts';
import { verifyRelease } from './releases.ts';
import { followRoot, trustRoot } from './roots.ts';

/** A receiver that is fresh, and the same state as plain values. */
async function trusted(): Promise<{ receiver: ReturnType<typeof trustReceiver>; now: Trusted; later: Trusted }> {
  const sim = await trustSimulator();
  const receiver = trustReceiver(sim);
  const bundle = await sim.publishBundle();
  const release = await sim.publishRelease(bundle);
  receiver.takeBundle(bundle);
  receiver.takeRelease(release.envelope);
  receiver.takeProof((await sim.proveLive(receiver.clock.wall, receiver.ask())).offer);
  const { highWater, revocations, memory, identity, clock } = receiver;
  const root = trustRoot({ pin: sim.pin, chain: sim.chain, allowDevelopmentRoot: true });
  if (!root.ok) throw new Error(root.error.detail);
  const own = { area: sim.area, ring: sim.ring, identity };
  const context = { root: root.value, highWater, at: clock.wall, receiver: own, features: new Set<string>() };
  const manifest = acceptManifest({ bundle: bundle.envelope, delegation: bundle.delegation }, context);
  if (!manifest.ok) throw new Error(manifest.error.detail);
  const accepted = acceptParts(manifest.value, bundle.parts);
  if (!accepted.ok) throw new Error(accepted.error.detail);
  const bundles = new Map([[bundle.digest, accepted.value]]);
  const verdict = verifyRelease(release.envelope, { ...context, revocations, bundles });
  if (!verdict.ok) throw new Error(verdict.error.detail);
  const next = followRoot(root.value, (await sim.publishRoot()).envelope);
  if (!next.ok) throw new Error(next.error.detail);
  const now = { root: root.value, release: verdict.value.release, memory, revocations };
  return { receiver, now, later: { ...now, root: next.value } };
}

describe('policyState', () => {
  it('is absent, fresh or stale, and a release verified under another root is stale', async () => {
    const { receiver, now, later } = await trusted();
    expect(policyState(undefined, receiver.clock)).toEqual({ kind: 'absent' });
    expect(policyState(now, receiver.clock)).toEqual({ kind: 'fresh', ageMs: 0, ttlMs: 300_000, statementSeq: 1 });
    expect(policyState(later, receiver.clock)).toMatchObject({ kind: 'stale', reason: 'root_changed' });
    expect(policyState({ ...now, memory: { ...now.memory, renewals: [] } }, receiver.clock)).toMatchObject({ reason: 'never_renewed' });
  });

  it('tells people when it will be stale, by the clock that they read', async () => {
    const { receiver, now } = await trusted();
    receiver.pass(1_000);
    expect(staleAt(policyState(now, receiver.clock), receiver.clock)).toBe(addMs(receiver.clock.wall, 299_000));
    expect(staleAt({ kind: 'absent' }, receiver.clock)).toBeUndefined();
  });
});
