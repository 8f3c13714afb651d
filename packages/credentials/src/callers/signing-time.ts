/** The timestamp of a signed request: in one spelling, and near enough to now in both directions. */

import { type Instant, type Result, fail, ok } from '@sallyport/model';
import type { Refuse } from './refusal.ts';

/** Why a timestamp is refused: `unreadable` and `future` say nothing of a credential's age, `past` does. */
export interface UntimelyTimestamp {
  readonly reason: 'unreadable' | 'past' | 'future';
  readonly detail: string;
}

/** Digits alone: what a lenient reader makes of `1e9`, ` 5` or `0x10` may differ from what was signed. */
const DIGITS = /^[1-9][0-9]{0,15}$/;

/** Reads a count of seconds or milliseconds since 1970 that lies within `windowMs` of `now`, either way. */
export function readSigningTime(text: string, unit: 's' | 'ms', windowMs: number, now: Instant): Result<Instant, UntimelyTimestamp> {
  if (!DIGITS.test(text)) return fail({ reason: 'unreadable', detail: 'the timestamp is not a count in digits' });
  const at = Number(text) * (unit === 's' ? 1000 : 1);
  if (now - at > windowMs) return fail({ reason: 'past', detail: `signed ${now - at} ms ago, of at most ${windowMs}` });
  if (at - now > windowMs) return fail({ reason: 'future', detail: `signed ${at - now} ms in the future, of at most ${windowMs}` });
  return ok(at as Instant);
}

/** `token_expired` for the past, else `unauthenticated`. */
export function denyTimestamp(refuse: Refuse, { reason, detail }: UntimelyTimestamp): ReturnType<Refuse> {
  return refuse(reason === 'past' ? 'token_expired' : 'unauthenticated', detail);
}
