/**
 * The power goes before every single disk operation of an activation, a statement, a revocation and a charge, in every
 * way that a disk can come back. A start then serves the old or the new, or denies; nothing that was acknowledged is
 * forgotten, no sequence goes back, no statement is younger; and honest bytes mend what denies.
 */

import type { Digest } from '@sallyport/model';
import type { FileSystem } from '@sallyport/runtime';
import { decodeHighWater, parseEnvelope, readRelease, type HighWater, type Release } from '@sallyport/trust';
import { everyPowerLoss, trustSimulator, type Published, type PublishedBundle, type TrustSimulator } from '@sallyport/testkit';
import { describe, expect, it } from 'vitest';
import { feed, FOLDER, publishPolicy, startBundleSide, startClock, type BundleSide } from '../testing/bundle-side.ts';

const BANNED = { agent: 'support-triage' as never };

describe('a loss of power at every disk operation', () => {
  // What the story has reached when the power goes; made anew for each moment, the same bytes from the same seed.
  let sim: TrustSimulator;
  let first: { bundle: PublishedBundle; release: Published<Release> };
  let second: typeof first;
  let side: BundleSide;
  let acknowledged: string[];
  let age: number;
  const served = async (fs: FileSystem): Promise<void> => {
    acknowledged = [];
    age = 0;
    sim = await trustSimulator();
    const bundle = await publishPolicy(sim);
    first = { bundle, release: await sim.publishRelease(bundle) };
    const next = await publishPolicy(sim, { version: 2 });
    side = await startBundleSide({ simulator: sim, fs });
    await feed(side, sim, first);
    expect(side.serves()).toBe('release 1');
    second = { bundle: next, release: await sim.publishRelease(next) };
  };
  /** A run on a disk that was there before: a start of its own, as `everyPowerLoss` gives it another mount. */
  const again = async (fs: FileSystem): Promise<void> => {
    side = await startBundleSide({ simulator: sim, fs, clock: startClock() });
  };
  const acknowledge = async (what: string, taken: ReturnType<BundleSide['offer']>): Promise<void> => {
    if ((await taken).ok) acknowledged.push(what);
  };
  const restart = (fs: FileSystem): Promise<BundleSide> => startBundleSide({ simulator: sim, fs, clock: startClock() });
  const mend = async (restarted: BundleSide): Promise<void> => {
    for (const envelope of sim.chain) await restarted.offer({ kind: 'root', envelope });
    await restarted.offer({ kind: 'online_keys', envelope: sim.onlineKeys.envelope });
    await restarted.prove(sim);
    for (const { envelope } of sim.revocations) await restarted.offer({ kind: 'revocation', envelope });
    await restarted.offerBundle(second.bundle);
    await restarted.offerRelease(second.release);
    await restarted.hear(sim);
  };

  it('of an activation: the old or the new release, and never back to the old once the new was acknowledged', async () => {
    const seen = new Set<string>();
    const moments = await everyPowerLoss({
      prepare: served,
      async run(fs) {
        await again(fs);
        await acknowledge('staged', side.offerBundle(second.bundle));
        await acknowledge('active', side.offerRelease(second.release));
        await acknowledge('fresh', side.hear(sim));
        await side.run(1_000);
      },
      async check(fs, { name }) {
        // On the disk as it is found: the mark is never behind the release that it guards.
        expect([name, releaseOn(fs)]).toEqual([name, expect.toSatisfy((seq: number) => seq <= (markOf(fs)?.releases[0]?.number ?? 0))]);
        const restarted = await restart(fs);
        const serves = restarted.serves();
        seen.add(serves);
        // Whatever it may enforce, it holds one of the two: between mark and rename it is the next one.
        expect([name, [1, 2].includes(restarted.activator.position.active?.releaseSeq ?? 0)]).toEqual([name, true]);
        const allowed = acknowledged.includes('active') ? /^(release 2|denies .*)$/ : /^(release [12]|denies .*)$/;
        expect([name, serves]).toEqual([name, expect.stringMatching(allowed)]);
        if (acknowledged.includes('fresh')) expect([name, serves]).toEqual([name, 'release 2']);
        if (acknowledged.includes('active'))
          expect([name, await restarted.offerRelease(first.release)]).toMatchObject([name, { error: { code: 'ROLLBACK' } }]);
        if (acknowledged.includes('staged') && restarted.activator.position.active?.releaseSeq !== 2)
          expect([name, await restarted.offerRelease(second.release)]).toMatchObject([name, { ok: true }]);
        await mend(restarted);
        expect([name, restarted.serves()]).toEqual([name, 'release 2']);
      },
    });
    expect(moments).toBeGreaterThan(100);
    // Old, new and neither are all reached; a story that never denies or never switches tests nothing.
    expect([...seen].toSorted()).toEqual(expect.arrayContaining(['release 1', 'release 2', 'denies (never_renewed)']));
  });

  it('of statements: no number goes back, and no statement is younger afterwards', async () => {
    let heard = 0;
    let charged: HighWater['charged'] = [];
    const moments = await everyPowerLoss({
      prepare: served,
      async run(fs) {
        [heard, charged] = [0, []];
        await again(fs);
        for (let second = 1; second <= 2; second++) {
          await side.run(1_000);
          const { offer } = await sim.stateFreshness(side.clock.wall(), { leaves: [sim.leafOf(first.release)] });
          await acknowledge(`statement ${second}`, side.offer({ kind: 'freshness', offer }));
          // What counts in memory is what a start may not fall behind.
          heard = side.activator.position.freshnessSeq;
          charged = markOf(fs)?.charged ?? [];
          age = ageOf(side);
        }
      },
      async check(fs, { name }) {
        // On the disk as it is found: what counted is named there, so that no start hears it for the first time again.
        expect([name, markOf(fs)?.freshness?.number ?? 0]).toEqual([name, expect.toSatisfy((seq: number) => seq >= heard)]);
        const restarted = await restart(fs);
        const after = markOf(fs);
        for (const { statement, ageMs } of charged)
          expect([name, chargedOf(after, statement) ?? Infinity]).toEqual([name, expect.toSatisfy((ms: number) => ms >= ageMs)]);
        if (restarted.serves() === 'release 1')
          expect([name, ageOf(restarted)]).toEqual([name, expect.toSatisfy((ms: number) => ms >= age)]);
      },
    });
    expect(moments).toBeGreaterThan(100);
  });

  it('of a revocation: once acknowledged it denies in every later start, by itself or with everything', async () => {
    const isBanned = (of: BundleSide): boolean => {
      const held = of.holder.read();
      return held.state !== 'fresh' || held.snapshot.revocations.denies(BANNED, of.clock.wall());
    };
    let isBannedAtOnce = false;
    const moments = await everyPowerLoss({
      prepare: async (fs) => {
        await served(fs);
        await sim.revoke({ selector: { type: 'principal', value: 'mallory' } });
        await sim.revoke({ selector: { type: 'agent', value: 'support-triage' } });
      },
      async run(fs) {
        await again(fs);
        const [other, ban] = sim.revocations;
        await side.offer({ kind: 'revocation', envelope: other!.envelope });
        await acknowledge('ban', side.offer({ kind: 'revocation', envelope: ban!.envelope }));
        isBannedAtOnce = isBanned(side);
        await side.hear(sim);
        await side.run(1_000);
      },
      async check(fs, { name }) {
        const restarted = await restart(fs);
        if (acknowledged.includes('ban'))
          expect([name, isBanned(restarted), restarted.activator.position.revocationSeq]).toEqual([name, true, 2]);
        for (const { envelope } of sim.revocations) await restarted.offer({ kind: 'revocation', envelope });
        expect([name, isBanned(restarted)]).toEqual([name, true]);
        await mend(restarted);
        expect([name, restarted.serves(), isBanned(restarted)]).toEqual([name, 'release 2', true]);
      },
    });
    expect(moments).toBeGreaterThan(100);
    expect(isBannedAtOnce).toBe(true);
  });

  it('of charges: every second that was charged is remembered, and a start costs at least what it may hide', async () => {
    let charged = 0;
    let stillServed = 0;
    const moments = await everyPowerLoss({
      prepare: served,
      async run(fs) {
        charged = 0;
        await again(fs);
        for (let second = 0; second < 3; second++) {
          await side.run(1_000);
          charged = ageOf(side);
        }
      },
      async check(fs, { name }) {
        const restarted = await restart(fs);
        if (restarted.serves() !== 'release 1') return;
        stillServed += 1;
        expect([name, ageOf(restarted)]).toEqual([name, expect.toSatisfy((ms: number) => ms >= charged + 1_000)]);
      },
    });
    expect([moments > 50, stillServed > 50]).toEqual([true, true]);
  });
});

function releaseOn(fs: FileSystem): number {
  const bytes = fs.readFile(`${FOLDER}/release.json`, 1_000_000);
  const parsed = bytes === undefined ? undefined : parseEnvelope('Release', bytes);
  const read = parsed?.ok === true ? readRelease(parsed.value.payload) : undefined;
  return read?.ok === true ? read.value.releaseSeq : 0;
}

function markOf(fs: FileSystem): HighWater | undefined {
  const bytes = fs.readFile(`${FOLDER}/high-water`, 1_000_000);
  const decoded = bytes === undefined ? undefined : decodeHighWater(bytes);
  return decoded?.ok === true ? decoded.value : undefined;
}

function chargedOf(mark: HighWater | undefined, statement: Digest): number | undefined {
  return mark?.charged.find((row) => row.statement === statement)?.ageMs;
}

function ageOf(side: BundleSide): number {
  const state = side.state();
  return state.kind === 'absent' ? Number.NaN : (state.ageMs ?? Number.NaN);
}
