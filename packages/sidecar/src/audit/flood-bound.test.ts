import { fakeClock } from '@sallyport/testkit';
import { describe, expect, it } from 'vitest';
import { NOTES_PER_WINDOW, floodBound } from './flood-bound.ts';

describe('alerts that a hostile control plane provokes', () => {
  const flood = (bound: ReturnType<typeof floodBound>, code: string, count: number): number =>
    Array.from({ length: count }, (_, i) => bound(code, `number ${i}`)).filter((kept) => kept !== undefined).length;

  it('are written up to a number of each code and minute, however many come', async () => {
    const clock = fakeClock();
    const bound = floodBound(clock);
    expect(flood(bound, 'REJECTED_ROLLBACK', 10_000)).toBe(NOTES_PER_WINDOW);
    expect(flood(bound, 'REJECTED_SIGNATURE', 3)).toBe(3);
    await clock.advance(59_999);
    expect(flood(bound, 'REJECTED_ROLLBACK', 100)).toBe(0);
  });

  it('are not lost: the next one that is written says how many were left out', async () => {
    const clock = fakeClock();
    const bound = floodBound(clock);
    flood(bound, 'REJECTED_ROLLBACK', NOTES_PER_WINDOW + 7);
    await clock.advance(60_000);
    expect(bound('REJECTED_ROLLBACK', 'again')).toBe('again (7 more since the last)');
    expect(bound('REJECTED_ROLLBACK', 'again')).toBe('again');
  });
});
