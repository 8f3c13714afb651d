/**
 * The times of a token (RFC 7519, section 4.1), read strictly and judged against an instant that the caller passes in.
 * Judged on every use, also when the signature's verdict comes from a cache: a cached token expires like any other.
 */

import { type Denial, type Instant, type JsonObject, type Problem, type Result, deny, fail, ok } from '@sallyport/model';

/** When a token was made and when it may be used. */
export interface TokenTimes {
  readonly issuedAt: Instant;
  /** `iat` where the token has no `nbf`. */
  readonly notBefore: Instant;
  readonly expiresAt: Instant;
}

/** What of a token's times is acceptable. */
export interface TokenTimeLimits {
  /** How far an issuer's clock may run ahead of ours; never extends an expiry. */
  readonly clockSkewMsMax: number;
  /** Longest accepted `exp - iat`. */
  readonly lifetimeMsMax: number;
}

/** 9999-12-31T23:59:59Z: later seconds would leave the range that a record can print. */
const SECONDS_MAX = 253_402_300_799;

/** Reads `iat`, `nbf` and `exp`; `iat` and `exp` are required. Reports every problem. */
export function readTokenTimes(claims: JsonObject): Result<TokenTimes, readonly Problem[]> {
  const problems: Problem[] = [];
  const issuedAt = readNumericDate(claims, 'iat', problems);
  const expiresAt = readNumericDate(claims, 'exp', problems);
  const notBefore = Object.hasOwn(claims, 'nbf') ? readNumericDate(claims, 'nbf', problems) : issuedAt;
  if (issuedAt === undefined || expiresAt === undefined || notBefore === undefined) return fail(problems);
  if (expiresAt <= issuedAt) return fail([{ path: 'exp', message: 'is not after `iat`' }]);
  return ok({ issuedAt, notBefore, expiresAt });
}

/** A NumericDate as an instant, rounded down to the millisecond, or `undefined` with a problem noted. */
export function readNumericDate(claims: JsonObject, name: string, problems: Problem[]): Instant | undefined {
  const value = Object.hasOwn(claims, name) ? claims[name] : undefined;
  if (typeof value === 'number' && value >= 0 && value <= SECONDS_MAX) return Math.floor(value * 1000) as Instant;
  problems.push({ path: name, message: value === undefined ? 'is missing' : 'is not a number of seconds since 1970' });
  return undefined;
}

/** The reason why a token with these times may not be used now, or `undefined`. */
export function judgeTokenTimes(times: TokenTimes, now: Instant, limits: TokenTimeLimits): Denial | undefined {
  const lifetimeMs = times.expiresAt - times.issuedAt;
  if (lifetimeMs > limits.lifetimeMsMax)
    return deny('token_lifetime_exceeded', `lives ${lifetimeMs} ms of at most ${limits.lifetimeMsMax}`);
  if (now >= times.expiresAt) return deny('token_expired', `expired ${now - times.expiresAt} ms ago`);
  const latest = now + limits.clockSkewMsMax;
  if (times.issuedAt > latest) return deny('unauthenticated', `issued ${times.issuedAt - now} ms in the future`);
  if (times.notBefore > latest) return deny('unauthenticated', `not valid for another ${times.notBefore - now} ms`);
  return undefined;
}
