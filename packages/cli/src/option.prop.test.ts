import { assert, integer, property } from 'fast-check';
import { test } from 'vitest';
import { formatSpan, parseSpan } from './option.ts';

test('a span that was written is read back exactly', () => {
  assert(property(integer({ min: 1, max: 999_999_999 }), (ms) => parseSpan(formatSpan(ms)) === ms));
});
