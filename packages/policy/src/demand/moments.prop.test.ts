import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Instant } from '@sallyport/model';
import { DAYS } from '../rule.ts';
import type { Circumstances } from './demand.ts';
import { ALWAYS, areNone, within } from './moments.ts';
import type { Window } from './moments.ts';
import { hours, valid } from './time.ts';

const MINUTE_MS = 60_000;
const WEEK_MINUTES = 7 * 1_440;
/** A Monday. */
const START = Date.UTC(2026, 5, 29);

const hoursOf = fc
  .record({
    days: fc.subarray([...DAYS], { minLength: 1 }),
    from: fc.integer({ min: 0, max: 1_439 }),
    to: fc.integer({ min: 0, max: 1_440 }),
    offset: fc.integer({ min: -899, max: 899 }),
  })
  .filter(({ from, to }) => from !== to);
/** Short ones, so that nothing is left often enough. */
const brief = hoursOf.map((one) => ({ ...one, to: (one.from + 1 + (one.to % 120)) % 1_440 })).filter(({ from, to }) => from !== to);
const validOf = fc
  .record({ from: fc.integer({ min: -WEEK_MINUTES, max: WEEK_MINUTES }), length: fc.integer({ min: 1, max: 2 * WEEK_MINUTES }) })
  .map(({ from, length }) => ({ from: (START + from * MINUTE_MS) as Instant, until: (START + (from + length) * MINUTE_MS) as Instant }));

const isInside = ({ valid: span, hours: of }: Window, now: number): boolean => {
  const call = { input: { now } } as unknown as Circumstances;
  return (span === undefined || valid.judge(span, call) === undefined) && (of === undefined || hours.judge(of, call) === undefined);
};

test('windows leave no moment exactly where no minute is inside all of them', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(hoursOf, brief), { minLength: 1, maxLength: 3 }), fc.option(validOf, { nil: undefined }), (all, span) => {
      const windows: Window[] = [...all.map((one) => ({ hours: one })), ...(span === undefined ? [] : [{ valid: span }])];
      const [from, to] = [
        span?.from ?? START,
        Math.min(span?.until ?? START + WEEK_MINUTES * MINUTE_MS, (span?.from ?? START) + WEEK_MINUTES * MINUTE_MS),
      ];
      let isAny = false;
      for (let now = from as number; now < to && !isAny; now += MINUTE_MS) isAny = windows.every((window) => isInside(window, now));
      expect(areNone(windows.reduce(within, ALWAYS))).toBe(!isAny);
    }),
    { numRuns: 150 },
  );
});
