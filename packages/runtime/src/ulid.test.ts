import { expect, test } from 'vitest';
import type { Clock, Instant } from '@sallyport/model';
import { ulids } from './ulid.ts';

function clockAt(now: () => number): Clock {
  return { wall: () => now() as Instant, boot: () => 0 as never, timer: () => undefined };
}

test('encodes time and randomness as the ULID specification does', () => {
  // The time of the specification's own example, 01ARYZ6S41 for 1469918176385.
  const next = ulids({ clock: clockAt(() => 1_469_918_176_385), random: (length) => new Uint8Array(length).fill(0xff) });
  expect(next()).toBe('01ARYZ6S41ZZZZZZZZZZZZZZZZ');
});

test('rises within a millisecond, over an exhausted one, and when the wall clock steps back', () => {
  let now = 1_000;
  const bytes = [0xff, 0x01, 0x02, 0x03];
  const next = ulids({ clock: clockAt(() => now), random: (length) => new Uint8Array(length).fill(bytes.shift() ?? 7) });
  const ids = [next(), next(), next()];
  now = 500;
  ids.push(next(), next());
  now = 2_000;
  ids.push(next());
  expect(ids).toEqual(ids.toSorted());
  expect(new Set(ids).size).toBe(ids.length);
  for (const id of ids) expect(id).toMatch(/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/);
});
