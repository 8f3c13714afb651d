/** Which moments windows leave: `valid` once, `hours` every week. Spec: policy-v1 section 4.4. */

import type { Instant } from '@sallyport/model';
import { DAYS } from '../rule.ts';
import type { DemandValues } from '../rule.ts';

export interface Window {
  readonly valid?: DemandValues['valid'];
  readonly hours?: DemandValues['hours'];
}

/** From, and before, in milliseconds. */
interface Span {
  readonly from: number;
  readonly to: number;
}

/** All moments of some windows together: once from and before, and the same every week. */
export interface Moments extends Span {
  /** In a week that begins on Monday at midnight in UTC; sorted, apart from each other. */
  readonly weekly: readonly Span[];
}

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const WEEK_MS = 7 * DAY_MS;
/** 1970-01-01 was a Thursday: three days into its week. */
const EPOCH_IN_WEEK_MS = 3 * DAY_MS;

export const ALWAYS: Moments = { from: Number.NEGATIVE_INFINITY, to: Number.POSITIVE_INFINITY, weekly: [{ from: 0, to: WEEK_MS }] };

/** The moments that are left inside one window more. */
export function within({ from, to, weekly }: Moments, { valid, hours }: Window): Moments {
  return {
    from: Math.max(from, valid?.from ?? from),
    to: Math.min(to, valid?.until ?? to),
    weekly: hours === undefined ? weekly : intersection(weekly, weekOf(hours)),
  };
}

/** Whether there is none. */
export function areNone({ from, to, weekly }: Moments): boolean {
  if (from >= to || weekly.length === 0) return true;
  if (to - from >= WEEK_MS) return false;
  const start = inWeek(from as Instant);
  // Less than a week touches at most two.
  const spans = [
    { from: start, to: Math.min(start + to - from, WEEK_MS) },
    { from: 0, to: Math.max(start + to - from - WEEK_MS, 0) },
  ];
  return spans.every((span) => intersection(weekly, [span]).length === 0);
}

function inWeek(at: Instant): number {
  return modulo(at + EPOCH_IN_WEEK_MS, WEEK_MS);
}

function weekOf({ days, from, to, offset }: DemandValues['hours']): readonly Span[] {
  const length = (to > from ? to - from : to - from + 1_440) * MINUTE_MS;
  const spans = days.flatMap((day) => {
    const start = modulo(DAYS.indexOf(day) * DAY_MS + (from - offset) * MINUTE_MS, WEEK_MS);
    const end = start + length;
    return end <= WEEK_MS
      ? [{ from: start, to: end }]
      : [
          { from: start, to: WEEK_MS },
          { from: 0, to: end - WEEK_MS },
        ];
  });
  return joined(spans.toSorted((a, b) => a.from - b.from));
}

/** Spans that touch or overlap are one. */
function joined(sorted: readonly Span[]): readonly Span[] {
  const apart: Span[] = [];
  for (const span of sorted) {
    const last = apart.at(-1);
    if (last !== undefined && span.from <= last.to) apart[apart.length - 1] = { from: last.from, to: Math.max(last.to, span.to) };
    else apart.push(span);
  }
  return apart;
}

function intersection(some: readonly Span[], others: readonly Span[]): readonly Span[] {
  return some.flatMap((one) =>
    others.flatMap((other) => {
      const span = { from: Math.max(one.from, other.from), to: Math.min(one.to, other.to) };
      return span.from < span.to ? [span] : [];
    }),
  );
}

function modulo(value: number, by: number): number {
  return ((value % by) + by) % by;
}
