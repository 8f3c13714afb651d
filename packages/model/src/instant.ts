/** Points in time. `Instant` is wall time, which lies; `BootMs` counts since boot, through suspension, and only forward. */

import type { Branded } from './ids.ts';

/** Milliseconds since 1970-01-01T00:00:00Z, a whole number. */
export type Instant = Branded<number, 'Instant'>;
/** Milliseconds since an unnamed past event of this machine's boot; counts suspension; never goes back. */
export type BootMs = Branded<number, 'BootMs'>;

const RFC3339 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/;

/** Reads exactly the form that `formatInstant` writes; `undefined` for anything else (`2026-02-30T…`, an offset, no milliseconds). */
export function parseInstant(text: string): Instant | undefined {
  if (!RFC3339.test(text)) return undefined;
  const ms = Date.parse(text);
  return Number.isFinite(ms) && new Date(ms).toISOString() === text ? (ms as Instant) : undefined;
}

/** `2026-11-20T07:31:23.000Z` (RFC 3339, UTC, always milliseconds). */
export function formatInstant(instant: Instant): string {
  return new Date(instant).toISOString();
}

/** The instant `ms` milliseconds after (before, when negative) another. */
export function addMs(instant: Instant, ms: number): Instant {
  return (instant + ms) as Instant;
}

/**
 * Time as a port. Every timer of the product is owned by one, so that a test can hold the hands.
 * `boot` orders and measures; `wall` is only for stamping and for comparing with signed instants.
 */
export interface Clock {
  wall(): Instant;
  boot(): BootMs;
  /** Runs `fn` once after `ms`; an aborted signal cancels. A timer never keeps the process alive. */
  timer(ms: number, fn: () => void, options: { signal: AbortSignal }): void;
}

/** Randomness as a port: `length` bytes, unpredictable in production. */
export type Random = (length: number) => Uint8Array;
