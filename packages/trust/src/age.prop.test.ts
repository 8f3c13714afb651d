import { SIMULATED_START, trustReceiver, trustSimulator } from '@sallyport/testkit';
import type { TrustReceiver, TrustSimulator } from '@sallyport/testkit';
import { addMs } from '@sallyport/model';
import type { BootMs, Instant } from '@sallyport/model';
import * as fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { ageOf, chargeAges, policyState } from './age.ts';
import { recallFreshness } from './freshness-memory.ts';
import type { FreshnessMemory } from './freshness-memory.ts';
import { decodeHighWater, encodeHighWater } from './high-water-file.ts';

const TTL = 300_000;

type Step =
  | { readonly do: 'pass'; readonly ms: number }
  /** The wall clock alone. */
  | { readonly do: 'jump'; readonly ms: number }
  /** Asleep: boot and wall go on, nothing is charged. */
  | { readonly do: 'sleep'; readonly ms: number }
  | { readonly do: 'restart' }
  | { readonly do: 'redeliver' };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.integer({ min: 0, max: 100_000 }) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('jump' as const), ms: fc.integer({ min: -10 * TTL, max: 10 * TTL }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('sleep' as const), ms: fc.integer({ min: 0, max: 100_000 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('redeliver' as const) }) },
);

describe('age', () => {
  let sim: TrustSimulator;
  let release: Uint8Array;
  let bundle: Awaited<ReturnType<TrustSimulator['publishBundle']>>;
  beforeAll(async () => {
    sim = await trustSimulator({ freshnessTtlMs: TTL });
    bundle = await sim.publishBundle();
    release = (await sim.publishRelease(bundle)).envelope;
  });

  async function fresh(): Promise<{ receiver: TrustReceiver; offer: Awaited<ReturnType<TrustSimulator['proveLive']>>['offer'] }> {
    const receiver = trustReceiver(sim);
    receiver.takeBundle(bundle);
    receiver.takeRelease(release);
    const { offer } = await sim.proveLive(SIMULATED_START, receiver.ask());
    expect(receiver.takeProof(offer)).toBeUndefined();
    return { receiver, offer };
  }

  it('with no new statement, stale stays stale and no more than the ttl is served, whatever clocks and restarts do', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const { receiver, offer } = await fresh();
        let [servedMs, wasStale] = [0, false];
        for (const one of steps) {
          const before = receiver.state().kind;
          if (one.do === 'pass') receiver.run(one.ms);
          if (one.do === 'jump') receiver.clock.wall = addMs(receiver.clock.wall, one.ms);
          if (one.do === 'sleep') receiver.pass(one.ms);
          if (one.do === 'restart') receiver.restart();
          if (one.do === 'redeliver') receiver.takeProof(offer);
          // What is charged once, as every second does, is not forgiven.
          receiver.run(1);
          const isStale = receiver.state().kind === 'stale';
          if (wasStale) expect(isStale).toBe(true);
          wasStale = isStale;
          if (before === 'fresh' && !isStale && (one.do === 'pass' || one.do === 'sleep')) servedMs += one.ms;
        }
        expect(servedMs).toBeLessThan(TTL);
      }),
      { numRuns: 60 },
    );
  });

  it('age is never below the time since receipt, and never sinks as boot time goes on under one wall clock', async () => {
    const { receiver } = await fresh();
    const { last, signerTime } = receiver.memory;
    if (last === undefined) throw new Error('nothing is held');
    const bootOf = (ms: number): BootMs => (last.since + ms) as BootMs;
    fc.assert(
      fc.property(fc.nat(10 * TTL), fc.nat(10 * TTL), fc.integer({ min: -100 * TTL, max: 100 * TTL }), (one, two, jump) => {
        const wall = addMs(SIMULATED_START, jump);
        const [first, second] = [Math.min(one, two), Math.max(one, two)];
        const age = ageOf(last, signerTime, { wall, boot: bootOf(first) });
        expect(age).toBeGreaterThanOrEqual(first);
        expect(ageOf(last, signerTime, { wall, boot: bootOf(second) })).toBeGreaterThanOrEqual(age);
      }),
    );
  });

  it('charging never makes anything younger, and survives the file with one interval added', async () => {
    const { receiver } = await fresh();
    const ageOfLast = (memory: FreshnessMemory, now: { wall: Instant; boot: BootMs }): number =>
      memory.last === undefined ? -1 : ageOf(memory.last, memory.signerTime, now);
    fc.assert(
      fc.property(fc.nat(TTL), fc.integer({ min: -TTL, max: TTL }), (passed, jump) => {
        const now = { wall: addMs(receiver.clock.wall, jump), boot: (receiver.clock.boot + passed) as BootMs };
        const charged = chargeAges(receiver.memory, now);
        expect(ageOfLast(charged, now)).toBe(ageOfLast(receiver.memory, now));
        expect(ageOfLast(charged, { ...now, wall: addMs(now.wall, -TTL) })).toBe(ageOfLast(charged, now));
      }),
    );
    receiver.run(5_000);
    const decoded = decodeHighWater(encodeHighWater(receiver.highWater, receiver.clock.wall));
    if (!decoded.ok) throw new Error('unreadable');
    const recalled = recallFreshness(decoded.value, receiver.clock);
    expect(recalled.recalled).toMatchObject([{ ageMs: 6_000 }]);
  });

  it('a reading that is no number is stale', async () => {
    const { receiver } = await fresh();
    receiver.clock.boot = Number.NaN as BootMs;
    expect(receiver.state().kind).toBe('stale');
    expect(policyState(undefined, receiver.clock)).toEqual({ kind: 'absent' });
  });
});
