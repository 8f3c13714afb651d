import { describe, expect, it } from 'vitest';
import { duration, formatSpan, parseSpan, positive } from './option.ts';

describe('a span of time', () => {
  it.each([
    ['90s', 90_000],
    ['15m', 900_000],
    ['1h', 3_600_000],
    ['30d', 2_592_000_000],
    ['1500ms', 1_500],
    ['0s', 0],
  ])('%s is %d ms, and is written like that again', (text, ms) => {
    expect(parseSpan(text)).toBe(ms);
    if (ms > 0) expect(formatSpan(ms)).toBe(text);
  });

  it.each(['', '5', '1.5h', '-1s', '01s', '1 h', '1H', 's', '1w', '9999999999s'])('`%s` is none', (text) => {
    expect(parseSpan(text)).toBeUndefined();
  });

  it('is bounded at both ends, both ends included', () => {
    const { read } = duration('--x SPAN', 'x', { otherwise: '2m', minMs: 60_000, maxMs: 120_000 });
    expect(read([])).toEqual({ ok: true, value: 120_000 });
    expect(read(['1m'])).toEqual({ ok: true, value: 60_000 });
    expect([read(['59s']).ok, read(['121s']).ok]).toEqual([false, false]);
  });
});

describe('a count', () => {
  it.each(['0', '-1', '1.0', '1e3', '01', ' 1', '99999999999999999', ''])('`%s` is none', (text) => {
    expect(positive('--n N', 'n').read([text]).ok).toBe(false);
  });
});
