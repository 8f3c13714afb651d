import type { Instant, JsonObject } from '@sallyport/model';
import { describe, expect, it } from 'vitest';
import { type TokenTimes, judgeTokenTimes, readTokenTimes } from './token-times.ts';

const NOW = 1_800_000_000_000 as Instant;
const LIMITS = { clockSkewMsMax: 30_000, lifetimeMsMax: 600_000 };
const times = (issued: number, expires: number, notBefore = issued): TokenTimes => ({
  issuedAt: (NOW + issued) as Instant,
  expiresAt: (NOW + expires) as Instant,
  notBefore: (NOW + notBefore) as Instant,
});

describe('reading the times of a token', () => {
  it('takes fractions of seconds, and `iat` for a missing `nbf`', () => {
    expect(readTokenTimes({ iat: 100.5, exp: 200 })).toEqual({
      ok: true,
      value: { issuedAt: 100_500, notBefore: 100_500, expiresAt: 200_000 },
    });
    expect(readTokenTimes({ iat: 100, nbf: 150, exp: 200 })).toMatchObject({ value: { notBefore: 150_000 } });
  });

  it.each<[string, JsonObject, string[]]>([
    ['nothing', {}, ['iat', 'exp']],
    ['text', { iat: '100', exp: 200 }, ['iat']],
    ['null', { iat: 100, exp: null }, ['exp']],
    ['a negative time', { iat: -1, exp: 200 }, ['iat']],
    ['milliseconds', { iat: 100, exp: 1_800_000_000_000 }, ['exp']],
    ['an `nbf` that is no number', { iat: 100, nbf: '150', exp: 200 }, ['nbf']],
    ['an expiry before the issue', { iat: 200, exp: 200 }, ['exp']],
  ])('refuses %s, with every place', (_, claims, paths) => {
    const read = readTokenTimes(claims);
    expect(read.ok ? [] : read.error.map(({ path }) => path)).toEqual(paths);
  });

  it('does not find times on the prototype', () => {
    expect(readTokenTimes(Object.create({ iat: 1, exp: 2 }) as JsonObject).ok).toBe(false);
  });
});

describe('judging the times of a token', () => {
  it.each([
    ['just issued', times(0, 300_000), undefined],
    ['at its last millisecond', times(-299_999, 1), undefined],
    ['issued by a clock that runs 30 s ahead', times(30_000, 60_000), undefined],
    ['at its expiry', times(-300_000, 0), 'token_expired'],
    ['past its expiry by less than the skew', times(-300_000, -1), 'token_expired'],
    ['issued further ahead than any clock may run', times(30_001, 60_000), 'unauthenticated'],
    ['not valid yet', times(-1000, 300_000, 30_001), 'unauthenticated'],
    ['longer than is accepted', times(-1, 600_000), 'token_lifetime_exceeded'],
    ['longer than is accepted, and expired', times(-700_000, -1), 'token_lifetime_exceeded'],
  ])('%s', (_, token, code) => {
    expect(judgeTokenTimes(token, NOW, LIMITS)?.code).toBe(code);
  });
});
