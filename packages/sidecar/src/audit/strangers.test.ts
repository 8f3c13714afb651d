import { fakeClock, type FakeClock } from '@sallyport/testkit';
import { beforeEach, describe, expect, it } from 'vitest';
import { strangers, WINDOW_MS, type Strangers } from './strangers.ts';

describe('strangers', () => {
  let clock: FakeClock;
  let isShipped: boolean;
  beforeEach(() => {
    clock = fakeClock();
    isShipped = false;
  });
  const make = (recordsPerWindow: number, bytesMax = 1_000_000): Strangers =>
    strangers({ clock, recordsPerWindow, bytesMax, isShipped: () => isShipped });
  const ask = (from: Strangers, times: number, over: { source?: string; code?: string; sample?: string } = {}): number => {
    let admitted = 0;
    for (let i = 0; i < times; i++) {
      const isAdmitted = from.admits({ source: '127.0.0.1', code: 'unauthenticated', sample: 'POST /mcp/x', ...over });
      if (isAdmitted) {
        from.spent(500);
        admitted += 1;
      }
    }
    return admitted;
  };

  it('a flood of one source: some records, and one count of the rest when the window is over', async () => {
    const from = make(10);
    expect(ask(from, 1_000)).toBe(10);
    expect(from.due()).toEqual([]);
    await clock.advance(WINDOW_MS);
    expect(from.due()).toEqual([{ kind: 'REFUSED', source: '127.0.0.1', code: 'unauthenticated', count: 990, samples: ['POST /mcp/x'] }]);
    expect(from.due()).toEqual([]);
  });

  it('a flood that never pauses is told of all the same, once a window', async () => {
    const from = make(1);
    const told: number[] = [];
    for (let second = 0; second < 180; second++) {
      ask(from, 10);
      await clock.advance(1_000);
      told.push(...from.due().map(({ count }) => count));
    }
    expect(told).toHaveLength(3);
    expect(told.reduce((sum, count) => sum + count, 0)).toBeGreaterThan(1_700);
  });

  it('one source does not use up another’s records, and each code is counted by itself', async () => {
    const from = make(2);
    expect([ask(from, 5), ask(from, 5, { source: '10.0.0.9' })]).toEqual([2, 2]);
    ask(from, 4, { code: 'malformed_request' });
    await clock.advance(WINDOW_MS);
    expect(from.due().map(({ source, code, count }) => [source, code, count])).toEqual([
      ['127.0.0.1', 'unauthenticated', 3],
      ['10.0.0.9', 'unauthenticated', 3],
      ['127.0.0.1', 'malformed_request', 4],
    ]);
  });

  it('invented sources and samples take no more room than a bound', async () => {
    const from = make(1);
    for (let i = 0; i < 5_000; i++) ask(from, 2, { source: `10.0.${i >> 8}.${i & 255}`, sample: `GET /${i}` });
    await clock.advance(WINDOW_MS);
    const due = from.due();
    expect(due.length).toBeLessThanOrEqual(257);
    expect(due.every(({ samples }) => samples.length <= 8)).toBe(true);
    expect(due.reduce((sum, { count }) => sum + count, 0)).toBe(10_000 - 257);
    expect(due.find(({ source }) => source === 'others')?.count).toBeGreaterThan(4_000);
  });

  it('all of it stays within its part of the journal until the collector has it', async () => {
    const from = make(1_000_000, 5_000);
    expect(ask(from, 100)).toBe(10);
    await clock.advance(WINDOW_MS);
    // No room for the count either: it waits, and loses nothing.
    expect(from.due()).toEqual([]);
    expect(ask(from, 10)).toBe(0);
    isShipped = true;
    expect(from.due().map(({ count }) => count)).toEqual([100]);
    expect(ask(from, 100)).toBe(100);
  });

  it('at the end everything that was counted is given', () => {
    const from = make(0, 0);
    ask(from, 3);
    expect(from.due(true).map(({ count }) => count)).toEqual([3]);
    expect(from.due(true)).toEqual([]);
  });
});
