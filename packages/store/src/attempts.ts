/** Attempts under counters, and their form in the journal's frames and snapshots. docs/spec/journal-v1.md section 7. */

import { fromUtf8, utf8 } from '@sallyport/crypto';
import { Decimal, invariant } from '@sallyport/model';
import type { SessionId } from '@sallyport/model';

/** One attempt under one counter. */
export interface Attempt {
  readonly id: string;
  readonly at: number;
  /** Null: until its session ends. */
  readonly expiresAt: number | null;
  /** Nothing, where attempts are counted and not summed. */
  readonly amount: Decimal;
}

export interface Counter {
  readonly kind: 'count' | 'sum';
  readonly key: string;
  readonly session: SessionId | null;
  /** Oldest first. */
  readonly attempts: Attempt[];
  /** Of all attempts that are here. */
  sum: Decimal;
}

export const NOTHING: Decimal = Decimal.fromBigInt(0n);

/** What a frame or snapshot says of an attempt that survives a restart. */
export interface DurableAttempt extends Attempt {
  readonly kind: 'count' | 'sum';
  readonly key: string;
  readonly expiresAt: number;
}

/** Those of a counter that survive a restart: none of a session's. */
export function durableAttempts(
  { kind, key, session }: Pick<Counter, 'kind' | 'key' | 'session'>,
  attempts: readonly Attempt[],
): readonly DurableAttempt[] {
  if (session !== null) return [];
  return attempts.flatMap((attempt) => (attempt.expiresAt === null ? [] : [{ ...attempt, expiresAt: attempt.expiresAt, kind, key }]));
}

/** `amount` stands where attempts are summed, and only there. */
interface WrittenAttempt {
  readonly key: string;
  readonly id: string;
  readonly at_ms: number;
  readonly expires_at_ms: number;
  readonly amount?: string;
}

export function writeAttempts(attempts: readonly DurableAttempt[]): Uint8Array {
  const written = attempts.map(({ kind, key, id, at, expiresAt, amount }): WrittenAttempt => ({
    key,
    id,
    at_ms: at,
    expires_at_ms: expiresAt,
    ...(kind === 'sum' ? { amount: amount.toString() } : {}),
  }));
  return utf8(JSON.stringify({ v: 1, attempts: written }));
}

export function readAttempts(bytes: Uint8Array): readonly DurableAttempt[] {
  const { attempts } = readJson(bytes) as { attempts: readonly WrittenAttempt[] };
  return attempts.map(({ key, id, at_ms: at, expires_at_ms: expiresAt, amount }) => {
    const read = amount === undefined ? NOTHING : Decimal.parse(amount);
    invariant(read !== undefined, 'an amount is a decimal');
    return { kind: amount === undefined ? 'count' : 'sum', key, id, at, expiresAt, amount: read };
  });
}

/** Throws a Bug for bytes that are not of this writer. */
export function readJson(bytes: Uint8Array): unknown {
  const json: unknown = JSON.parse(fromUtf8(bytes) ?? 'null');
  invariant(typeof json === 'object' && json !== null && 'v' in json && json.v === 1, 'a state frame is of version 1');
  return json;
}
