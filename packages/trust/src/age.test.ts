import { trustReceiver, trustSimulator } from '@sallyport/testkit';
import type { TrustReceiver } from '@sallyport/testkit';
import { addMs } from '@sallyport/model';
import type { Area, BootMs, Instant, Result } from '@sallyport/model';
import { describe, expect, it } from 'vitest';
import { acceptManifest, acceptParts } from './acceptance.ts';
import { ageOf, policyState, staleAt } from './age.ts';
import type { Trusted } from './age.ts';
import type { Rejection } from './rejection.ts';
import { verifyRelease } from './releases.ts';
import { followRoot, trustRoot } from './roots.ts';
import type { TrustedRoot } from './roots.ts';

const HOUR = 3_600_000;

interface Fixture {
  readonly receiver: TrustReceiver;
  readonly now: Trusted;
  /** As `now`, under the next root. */
  readonly later: Trusted;
  /** The release again, judged under a root at an instant. */
  readonly offer: (root: TrustedRoot, at?: Instant) => ReturnType<typeof verifyRelease>;
}

/** A receiver that is fresh, and the same state as plain values. `releaseArea`: for a release that is meant for another area than its bundle. */
async function trusted(area = 'default', releaseArea = area): Promise<Fixture> {
  const sim = await trustSimulator({ area });
  const receiver = trustReceiver(sim);
  const bundle = await sim.publishBundle();
  const release = await sim.publishRelease(bundle);
  receiver.takeBundle(bundle);
  receiver.takeRelease(release.envelope);
  receiver.takeProof((await sim.proveLive(receiver.clock.wall, receiver.ask())).offer);
  const elsewhere = await sim.publishRelease(bundle, { edit: (honest) => ({ ...honest, area: releaseArea as Area }) });
  const root = must(trustRoot({ pin: sim.pin, chain: sim.chain, allowDevelopmentRoot: true }));
  const next = must(followRoot(root, (await sim.publishRoot()).envelope));
  const { highWater, revocations, memory, identity, clock } = receiver;
  const own = { area: sim.area, ring: sim.ring, identity };
  const context = { root, highWater, at: clock.wall, receiver: own, features: new Set<string>(), revocations };
  const accepted = must(
    acceptParts(must(acceptManifest({ bundle: bundle.envelope, delegation: bundle.delegation }, context)), bundle.parts),
  );
  const bundles = new Map([[bundle.digest, accepted]]);
  const verdict = must(verifyRelease(release.envelope, { ...context, bundles }));
  const now = { root, release: verdict.release, memory, revocations };
  const offer: Fixture['offer'] = (under, at = clock.wall) =>
    verifyRelease(elsewhere.envelope, { ...context, root: under, at, bundles, receiver: { ...own, area: releaseArea as Area } });
  return { receiver, now, later: { ...now, root: next }, offer };
}

function must<T>(result: Result<T, Rejection>): T {
  if (!result.ok) throw new Error(result.error.detail);
  return result.value;
}

describe('a release', () => {
  it('joins only bundles that were verified under the root in force', async () => {
    const { offer, later } = await trusted();
    expect(offer(later.root)).toMatchObject({ ok: false, error: { code: 'DIGEST' } });
  });

  it('is not accepted under a root that has expired', async () => {
    const { offer, now } = await trusted();
    expect(offer(now.root, addMs(now.root.expiresAt, 1))).toMatchObject({ ok: false, error: { code: 'ROOT' } });
  });

  it('joins only bundles that cover its own area', async () => {
    const { offer, now } = await trusted('company/team', 'company');
    expect(offer(now.root)).toMatchObject({ ok: false, error: { code: 'AREA' } });
  });
});

describe('ageOf', () => {
  it.each([
    ['time since receipt alone', 0, undefined, -HOUR, 5_000, 5_000],
    ['what was charged, and the time since', 7_000, undefined, -HOUR, 5_000, 12_000],
    ['signer time alone', 0, 60_000, -HOUR, 5_000, 65_000],
    ['wall time alone', 0, -60_000, 90_000, 5_000, 90_000],
    ['a boot clock that went back', 7_000, undefined, -HOUR, -5_000, 7_000],
  ])('is the largest witness: %s', async (_name, chargedMs, signerMs, wallMs, sinceMs, expected) => {
    const { receiver } = await trusted();
    const held = receiver.memory.last;
    if (held === undefined) throw new Error('nothing is held');
    const { issuedAt } = held.statement.payload;
    const { boot } = receiver.clock;
    const signerTime = signerMs === undefined ? undefined : { instant: addMs(issuedAt, signerMs), boot, slackMs: 0, isProven: true };
    const now = { wall: addMs(issuedAt, wallMs), boot: (boot + sinceMs) as BootMs };
    expect(ageOf({ ...held, chargedMs, since: boot }, signerTime, now)).toBe(expected);
  });
});

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
