import { expect, test } from 'vitest';
import { backoff } from './backoff.ts';
import { systemRandom } from './random.ts';

test('stays within its bounds, grows to the upper one when the dice say so, and starts small after a reset', () => {
  const highest = backoff({ minMs: 100, maxMs: 1_000, random: (length) => new Uint8Array(length).fill(0xff) });
  expect([highest.next(), highest.next(), highest.next(), highest.next()]).toEqual([300, 900, 1_000, 1_000]);
  highest.reset();
  expect(highest.next()).toBe(300);
  const lowest = backoff({ minMs: 100, maxMs: 1_000, random: (length) => new Uint8Array(length) });
  expect([lowest.next(), lowest.next()]).toEqual([100, 100]);
});

test('spreads a fleet: a hundred clients that failed at once do not come back at once', () => {
  const waits = Array.from({ length: 100 }, () => backoff({ minMs: 100, maxMs: 60_000, random: systemRandom }).next());
  expect(new Set(waits).size).toBeGreaterThan(50);
});

test('random bytes longer than the platform gives at once are all random', () => {
  const bytes = systemRandom(200_000);
  expect(bytes.length).toBe(200_000);
  expect(bytes.subarray(-64).some((byte) => byte !== 0)).toBe(true);
});
