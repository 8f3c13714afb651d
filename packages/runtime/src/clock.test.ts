import { expect, test } from 'vitest';
import { bootClock, systemClock } from './clock.ts';

/** A machine whose monotonic clock sleeps with it, and whose uptime ticks in whole seconds. */
function machine(tickMs: number): { sources: Parameters<typeof bootClock>[0]; run: (ms: number) => void; sleep: (ms: number) => void } {
  let awake = 5_000;
  let up = 90_400;
  return {
    sources: { monotonicMs: () => awake, uptimeMs: () => Math.floor(up / tickMs) * tickMs },
    run: (ms) => void ([awake, up] = [awake + ms, up + ms]),
    sleep: (ms) => void (up += ms),
  };
}

test.each([10, 1_000])('counts a suspension that the monotonic clock slept through (uptime in steps of %d ms)', (tickMs) => {
  const { sources, run, sleep } = machine(tickMs);
  const boot = bootClock(sources);
  const before = boot();
  run(5_000);
  sleep(3_600_000);
  run(200);
  const elapsed = boot() - before;
  expect(elapsed).toBeGreaterThanOrEqual(3_605_200 - tickMs);
  expect(elapsed).toBeLessThanOrEqual(3_605_200 + tickMs);
});

test('counts many short suspensions, none of which is longer than a tick', () => {
  const { sources, run, sleep } = machine(1_000);
  const boot = bootClock(sources);
  const before = boot();
  for (let i = 0; i < 100; i++) {
    run(150);
    sleep(400);
    boot();
  }
  expect(boot() - before).toBeGreaterThanOrEqual(55_000 - 2_000);
});

test('never goes back, and never runs ahead of the uptime', () => {
  const { sources, run, sleep } = machine(1_000);
  const boot = bootClock(sources);
  let last = boot();
  for (const [awake, asleep] of [
    [1, 0],
    [999, 0],
    [0, 700],
    [101, 0],
    [5, 5_000],
    [0, 0],
    [300, 1],
  ] as const) {
    run(awake);
    sleep(asleep);
    const now = boot();
    expect(now).toBeGreaterThanOrEqual(last);
    expect(now).toBeLessThanOrEqual(sources.uptimeMs() + 1_000);
    last = now;
  }
});

test('the system clock moves forward and its wall time is that of the platform', () => {
  const clock = systemClock();
  const first = clock.boot();
  expect(clock.boot()).toBeGreaterThanOrEqual(first);
  expect(Math.abs(clock.wall() - Date.now())).toBeLessThan(1_000);
});

test('an aborted timer does not fire, before or after it was set; one that is due does', async () => {
  const clock = systemClock();
  const aborted = new AbortController();
  const fired: string[] = [];
  clock.timer(0, () => fired.push('cancelled'), { signal: aborted.signal });
  aborted.abort();
  clock.timer(0, () => fired.push('never set'), { signal: aborted.signal });
  await new Promise<void>((resolve) => {
    // A timer of the clock keeps no process alive; this one does, so that the wait has an end.
    const ceiling = setTimeout(resolve, 5_000);
    clock.timer(
      1,
      () => {
        fired.push('due');
        clearTimeout(ceiling);
        resolve();
      },
      { signal: new AbortController().signal },
    );
  });
  expect(fired).toEqual(['due']);
});

test('a delay beyond what the platform can wait for does not fire at once, but in steps', async () => {
  const cancel = new AbortController();
  let fired = false;
  systemClock().timer(2 ** 31 + 5, () => (fired = true), { signal: cancel.signal });
  const began = performance.now();
  const waited = await new Promise<number>((resolve) => {
    const ceiling = setTimeout(() => resolve(-1), 5_000);
    const done = (): void => {
      clearTimeout(ceiling);
      resolve(performance.now() - began);
    };
    systemClock({ timerStepMsMax: 5 }).timer(23, done, { signal: cancel.signal });
  });
  cancel.abort();
  // Node rounds each step to its own millisecond.
  expect(waited).toBeGreaterThanOrEqual(18);
  expect(fired).toBe(false);
});
