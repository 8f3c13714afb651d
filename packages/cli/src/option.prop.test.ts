import { assert, integer, property } from 'fast-check';
import { expect, test } from 'vitest';
import { formatSpan, parseSpan } from './option.ts';

test('a span that was written is read back exactly', () => {
  assert(property(integer({ min: 1, max: 999_999_999 }), (ms) => expect(parseSpan(formatSpan(ms))).toBe(ms)));
});
