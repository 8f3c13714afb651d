import type { AgentJob } from '@sallyport/model';
import { fakeClock } from '@sallyport/testkit';
import { describe, expect, it } from 'vitest';
import { jobStarts } from './job-starts.ts';

const job = (name: string, count: number): AgentJob => ({ name, root: 'schedule', max: { count, withinMs: 60_000 } });

describe('how often a job opens sessions', () => {
  it('is bounded within any span of that length, not from minute to minute', async () => {
    const clock = fakeClock();
    const starts = jobStarts(clock);
    const nightly = job('nightly', 2);
    expect(starts.start(nightly)).toBe(true);
    await clock.advance(59_000);
    expect([starts.start(nightly), starts.mayStart(nightly), starts.start(nightly)]).toEqual([true, false, false]);
    await clock.advance(1_000);
    expect([starts.mayStart(nightly), starts.start(nightly), starts.start(nightly)]).toEqual([true, true, false]);
    await clock.advance(58_999);
    expect(starts.mayStart(nightly)).toBe(false);
    await clock.advance(1);
    expect(starts.mayStart(nightly)).toBe(true);
  });

  it('is each job’s own, and looking takes none', () => {
    const starts = jobStarts(fakeClock());
    const [one, other] = [job('one', 1), job('other', 1)];
    expect([starts.mayStart(one), starts.mayStart(one), starts.start(one), starts.start(one)]).toEqual([true, true, true, false]);
    expect(starts.start(other)).toBe(true);
  });

  it('goes by the bundle of now: a bound that became stricter counts what was opened before', () => {
    const starts = jobStarts(fakeClock());
    for (let times = 0; times < 3; times++) starts.start(job('one', 5));
    expect([starts.start(job('one', 3)), starts.start(job('one', 4))]).toEqual([false, true]);
  });

  it('does not go by the wall clock, which somebody may set', async () => {
    const clock = fakeClock();
    const starts = jobStarts(clock);
    starts.start(job('one', 1));
    clock.setWall((clock.wall() + 3_600_000) as ReturnType<typeof clock.wall>);
    expect(starts.start(job('one', 1))).toBe(false);
  });
});
