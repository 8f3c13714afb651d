import { fakeClock } from '@sallyport/testkit';
import { describe, expect, it } from 'vitest';
import { giveBackMemory } from './heap.ts';

describe('memory is given back', () => {
  const [LOOK_MS, GLANCE_MS] = [5_000, 250];

  /** Lets some time pass, a look at a time, with so much work in each and right after it; gives how often was collected. */
  async function collections(work: readonly number[], justBegun = 0): Promise<number> {
    const clock = fakeClock();
    const over = new AbortController();
    const asked: unknown[] = [];
    let cpuMs = 1_000;
    const collector = { gc: (options: unknown) => asked.push(options) };
    const running = giveBackMemory(clock, { signal: over.signal, machine: { collector, cpuMs: () => cpuMs } });
    for (const ms of work) {
      cpuMs += ms;
      await clock.advance(LOOK_MS);
      cpuMs += justBegun;
      await clock.advance(GLANCE_MS);
    }
    over.abort();
    await running;
    expect(asked).toEqual(asked.map(() => ({ type: 'major', flavor: 'last-resort' })));
    return asked.length;
  }

  it('once after the start, and not again as long as nothing is done', async () => {
    expect(await collections([10])).toBe(1);
    expect(await collections([10, 10, 10, 10])).toBe(1);
  });

  it('not while calls would wait for it', async () => {
    expect(await collections([4_000, 600, 300])).toBe(0);
  });

  it('not at the moment at which calls come again', async () => {
    expect(await collections([10, 10], 100)).toBe(0);
    expect(await collections([10, 10], 10)).toBe(1);
  });

  it('again when work is over', async () => {
    expect(await collections([10, 4_000, 4_000, 100, 10])).toBe(2);
  });

  it('never without the flag', async () => {
    const machine = { collector: {}, cpuMs: () => 0 };
    await giveBackMemory(fakeClock(), { signal: new AbortController().signal, machine });
  });
});
