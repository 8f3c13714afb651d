import { expect, test } from 'vitest';
import type { Instant } from '@sallyport/model';
import { fakeClock } from './fake-clock.ts';

const never = new AbortController().signal;

test('runs timers in the order they fall due, each at its own moment, promises settling between', async () => {
  const clock = fakeClock({ wall: 10_000 as Instant, boot: 0 });
  const seen: string[] = [];
  clock.timer(30, () => seen.push(`c at ${clock.boot()}`), { signal: never });
  clock.timer(
    10,
    () => {
      seen.push(`a at ${clock.boot()}/${clock.wall()}`);
      queueMicrotask(() => clock.timer(5, () => seen.push(`b at ${clock.boot()}`), { signal: never }));
    },
    { signal: never },
  );
  await clock.advance(30);
  expect(seen).toEqual(['a at 10/10010', 'b at 15', 'c at 30']);
  expect([clock.boot(), clock.wall(), clock.timers]).toEqual([30, 10_030, 0]);
});

test('setting the wall moves neither boot nor a timer', async () => {
  const clock = fakeClock({ boot: 0 });
  let fired = 0;
  clock.timer(10, () => fired++, { signal: never });
  clock.setWall(5 as Instant);
  await clock.advance(9);
  expect([fired, clock.boot(), clock.wall()]).toEqual([0, 9, 14]);
});

test('a suspension moves both clocks, and what fell due runs late on waking', async () => {
  const clock = fakeClock({ boot: 0 });
  const at: number[] = [];
  clock.timer(10, () => at.push(clock.boot()), { signal: never });
  clock.timer(500, () => at.push(clock.boot()), { signal: never });
  await clock.suspend(100);
  expect(at).toEqual([100]);
  await clock.advance(400);
  expect(at).toEqual([100, 500]);
});

test('an aborted timer never runs and is not counted', async () => {
  const clock = fakeClock();
  const stop = new AbortController();
  let fired = 0;
  clock.timer(10, () => fired++, { signal: stop.signal });
  stop.abort();
  clock.timer(10, () => fired++, { signal: stop.signal });
  await clock.advance(10);
  expect([fired, clock.timers]).toEqual([0, 0]);
});
