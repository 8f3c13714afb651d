import { expect, test } from 'vitest';
import { parseExpression } from '../expression/cel.ts';
import { contradictionOf } from './contradiction.ts';

function contradiction(...texts: readonly string[]): string | undefined {
  return contradictionOf(
    texts.map((text) => {
      const parsed = parseExpression(text);
      if (!parsed.ok) throw new Error(parsed.error[0]?.message);
      return parsed.value;
    }),
  );
}

test.each([
  ['args.a == "x" && args.a == "y"', '`args.a` cannot be == "x" and == "y"'],
  ['args.a == "x" && "y" == args.a', '`args.a` cannot be == "x" and == "y"'],
  ['args["a"] == "x" && args.a in ["y", "z"]', '`args.a` cannot be == "x" and in ["y", "z"]'],
  ['args.a in ["x"] && args.a in ["y"]', '`args.a` cannot be in ["x"] and in ["y"]'],
  ['args.a > 5 && args.a < 5', '`args.a` cannot be > 5 and < 5'],
  ['args.a >= 5 && args.a < 5', '`args.a` cannot be >= 5 and < 5'],
  ['5 < args.a && 4.5 >= args.a', '`args.a` cannot be > 5 and <= 4.5'],
  ['args.a == 5 && args.a > 5', '`args.a` cannot be == 5 and > 5'],
  ['args.a > -1 && args.a < -2', '`args.a` cannot be > -1 and < -2'],
  ['args.a == true && args.a == false', '`args.a` cannot be == true and == false'],
  ['args.a <= decimal("0.1") && args.a > decimal("0.10")', '`args.a` cannot be > 0.1 and <= 0.1'],
])('%s is a contradiction', (text, why) => {
  expect(contradiction(text)).toBe(why);
});

test.each([
  'args.a == "x" || args.a == "y"',
  'args.a >= 5 && args.a <= 5',
  'args.a == "x" && args.b == "y"',
  'args.a in ["x", "y"] && args.a == "y"',
  'args.a == decimal("0.10") && args.a == decimal("0.1")',
  '!(args.a == "x") && args.a == "y"',
  'args.items.all(i, i == "x") && args.items.exists(i, i == "y")',
  'args.a == args.b && args.a == "x"',
])('%s is none', (text) => {
  expect(contradiction(text)).toBeUndefined();
});

test('conditions of one rule contradict each other across expressions', () => {
  expect(contradiction('args.a == "x"', 'args.b == 1', 'args.a == "y"')).toBe('`args.a` cannot be == "x" and == "y"');
});
