/**
 * Reservations: limits that hold exactly under parallel calls (docs/spec/journal-v1.md section 7). A call reserves on
 * attempt, before it is forwarded; it cancels only after a definite failure before any effect; otherwise it settles, and
 * the attempt counts. The port is shared by memory and later engines; what it counts is the policy's business.
 */

import type { Decimal, Instant, Result, SessionId } from '@sallyport/model';
import type { StateFrame } from './journal.ts';

/** One of the limits that a call is under; each is a counter of its own kind, so equal keys of two kinds are two counters. */
export type Limit = CountLimit | SumLimit | RunLimit;

/**
 * How long an attempt counts. A window is of the last `window_ms`; without one, a session's whole life. With a session,
 * the counter is that session's own and dies with it; without, it survives a restart.
 */
export type Span =
  | { readonly window_ms: number; readonly session: SessionId | null }
  | { readonly window_ms: null; readonly session: SessionId };

/** At most `max` attempts under `key`. */
export type CountLimit = {
  readonly kind: 'count';
  /** Names what is counted: rule and subject. At most `RESERVATION_KEY_CHARS_MAX` characters. */
  readonly key: string;
  readonly max: number;
} & Span;

/** The amounts of the attempts under `key`, this one's with them, come to at most `max`. Exact; no amount is negative. */
export type SumLimit = {
  readonly kind: 'sum';
  readonly key: string;
  readonly amount: Decimal;
  readonly max: Decimal;
} & Span;

/** At most `max` attempts in a row under `key` in the session: one that is not under it begins the row anew. */
export interface RunLimit {
  readonly kind: 'run';
  readonly key: string;
  readonly max: number;
  readonly session: SessionId;
}

/** One call's limits, all or nothing. */
export interface ReserveRequest {
  /** Unique per attempt: the decision id. */
  readonly id: string;
  /** Whose rows this attempt is a step of; without it no row is looked at. */
  readonly session?: SessionId;
  readonly limits: readonly Limit[];
}

/** Taken. `frames` go into the journal in the same append as the call's DECISION; empty for an engine with its own log. */
export interface Reserved {
  readonly id: string;
  readonly frames: readonly StateFrame[];
  /** What the sums have come to, this attempt with them, in the order of the limits. */
  readonly sums: readonly { readonly key: string; readonly sum: Decimal }[];
}

/**
 * Not taken, and nothing changed. `limit`: that limit is reached; `sum` is what a sum had come to before. `exhausted`: the
 * store is full of live limits.
 */
export type Refused =
  | { readonly code: 'limit'; readonly index: number; readonly key: string; readonly retryAfterMs: number | null; readonly sum?: Decimal }
  | { readonly code: 'exhausted' };

/** What became of a call that may have had an effect. */
export type SettleOutcome = 'succeeded' | 'failed' | 'unknown';

/** `settle`, `cancel` end a reservation exactly once; twice, or of an unknown id, is a Bug. */
export interface ReservationStore {
  reserve(request: ReserveRequest, now: Instant): Result<Reserved, Refused> | Promise<Result<Reserved, Refused>>;
  settle(id: string, outcome: SettleOutcome): readonly StateFrame[] | Promise<readonly StateFrame[]>;
  cancel(id: string): readonly StateFrame[] | Promise<readonly StateFrame[]>;
  /** The session is over: so are its counts. */
  forgetSession(session: SessionId): void | Promise<void>;
}

export const RESERVATION_KEY_CHARS_MAX = 256;
