import type { Instant } from '@sallyport/model';
import { simulatedDisk, trustSimulator, type TrustSimulator } from '@sallyport/testkit';
import { beforeEach, describe, expect, it } from 'vitest';
import { servingSide, startBundleSide, WAITING_MAX, type BundleSide } from '../testing/bundle-side.ts';

const TTL_MS = 60_000;
const HOLD_MS = 3_000;

/** Waits as the freshness gate does; what it found, once it did. */
function waiting(side: BundleSide, signal = new AbortController().signal): { found: string | undefined } {
  const one: { found: string | undefined } = { found: undefined };
  const wait = async (): Promise<void> => {
    await side.holder.whenFresh(HOLD_MS, signal);
    one.found = side.serves();
  };
  void wait();
  return one;
}

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

describe('a request that waits for a fresh bundle', () => {
  let simulator: TrustSimulator;
  let side: BundleSide;
  beforeEach(async () => {
    simulator = await trustSimulator({ freshnessTtlMs: TTL_MS });
    ({ side } = await servingSide(simulator));
    await side.run(TTL_MS);
  });

  it('goes on waiting while ages are charged, and on once a statement has come', async () => {
    const one = waiting(side);
    await side.run(2_000);
    await turn();
    expect(one.found).toBeUndefined();
    await side.hear(simulator);
    await turn();
    expect(one.found).toBe('release 1');
  });

  it('is answered as things are when its time is over', async () => {
    const one = waiting(side);
    await side.run(HOLD_MS - 1_000);
    await turn();
    expect(one.found).toBeUndefined();
    await side.run(1_000);
    await turn();
    expect(one.found).toBe('denies (expired)');
  });

  it('is not woken by a statement that does not make the bundle fresh', async () => {
    const one = waiting(side);
    const old = await simulator.stateFreshness((side.clock.wall() - TTL_MS) as Instant);
    await side.offer({ kind: 'freshness', offer: old.offer });
    await turn();
    expect(one.found).toBeUndefined();
  });

  it('is one of a bounded number: the next is answered at once, and waits again when there is room', async () => {
    const waiters = Array.from({ length: WAITING_MAX }, () => waiting(side));
    const beyond = waiting(side);
    await turn();
    expect([beyond.found, ...waiters.map((one) => one.found)]).toEqual(['denies (expired)', ...waiters.map(() => undefined)]);
    await side.run(HOLD_MS);
    const next = waiting(side);
    await turn();
    expect(next.found).toBeUndefined();
  });

  it('ends with its caller, and leaves room', async () => {
    const gone = new AbortController();
    const waiters = Array.from({ length: WAITING_MAX }, () => waiting(side, gone.signal));
    gone.abort();
    await turn();
    expect(waiters.map((one) => one.found)).toEqual(waiters.map(() => 'denies (expired)'));
    const next = waiting(side);
    await turn();
    expect(next.found).toBeUndefined();
  });

  it('waits without any bundle, too', async () => {
    const empty = await startBundleSide({ simulator, fs: simulatedDisk().fs });
    const one = waiting(empty);
    await empty.run(HOLD_MS - 1_000);
    await turn();
    expect(one.found).toBeUndefined();
    await empty.run(1_000);
    await turn();
    expect(one.found).toBe('denies (absent)');
  });
});
