import { describe, expect, test } from 'vitest';
import { compilePattern } from './pattern.ts';
import type { Pattern } from './pattern.ts';

function pattern(source: string): Pattern {
  const result = compilePattern(source);
  if (!result.ok) throw new Error(`refused: ${result.error.message}`);
  return result.value;
}

describe('what would need backtracking, or has no agreed meaning, is refused with its place', () => {
  test.each([
    ['a(?=b)', 'look-around cannot be matched in linear time', 1],
    ['(?!a)', 'look-around cannot be matched in linear time', 0],
    ['(?<=a)b', 'look-around cannot be matched in linear time', 0],
    ['(?<!a)b', 'look-around cannot be matched in linear time', 0],
    ['(a)\\1', 'back-references cannot be matched in linear time', 3],
    ['(?<x>a)\\k<x>', 'back-references cannot be matched in linear time', 7],
    ['(?i:a)', 'only plain, named and `(?:` groups are accepted', 0],
    ['(?i)a', 'only plain, named and `(?:` groups are accepted', 0],
    ['a{1001}', 'more than 1000 repetitions', 1],
    ['a{2,1}', 'the least repetition is above the most', 1],
    ['(a', 'the group does not end', 0],
    ['a)', 'unmatched `)`', 1],
    ['[a', 'the class does not end', 0],
    ['a**', 'nothing to repeat', 3],
    ['*a', '`*` stands for itself only after a backslash', 0],
    ['a{', '`{` stands for itself only after a backslash', 1],
    ['^*', 'an assertion cannot be repeated', 0],
    ['\\_', '`\\_` is not a known escape', 0],
    ['\\p{Script=Greek}', 'only general categories such as `\\p{L}` and `\\p{Nd}` are known', 0],
    ['(?<a>x)(?<a>y)', 'not a regular expression of ECMA-262 with the `u` flag', 0],
    ['x'.repeat(1_025), 'longer than 1024 characters', 0],
  ])('%s', (source, message, offset) => {
    expect(compilePattern(source)).toEqual({ ok: false, error: { message, offset } });
  });

  test.each(['(a{1000}){1000}', '((((){1000}){1000}){1000}){1000}', '(?:[a-z]{1000}){5}'])('expansion bomb: %s', (source) => {
    expect(compilePattern(source)).toMatchObject({ ok: false, error: { message: 'repeats so much that the pattern grows too large' } });
  });
});

describe('matching agrees with ECMA-262', () => {
  const texts = [
    '',
    'a',
    'ab',
    'abc',
    'b',
    'aaa',
    'O-000123',
    'O-0001234',
    'a b',
    ' ',
    '\n',
    'a\nb',
    '_',
    '-',
    'Ab9',
    'é',
    '😀',
    'a😀',
    '\u2028',
    '\ufeff',
    'foo.bar@x.de',
    '0',
    '00',
    'ſ',
  ];
  test.each([
    '',
    '^',
    '$',
    '^$',
    'a',
    '^a',
    'a$',
    '^a$',
    '.',
    '^.$',
    '^..$',
    'a|b',
    '^(?:a|b)$',
    '^a|b$',
    'a*',
    '^a*$',
    '^a+$',
    '^a?b?$',
    '^a{2,3}$',
    '^a{2}$',
    '^a{2,}$',
    '^a{0}$',
    '^O-[0-9]{6}$',
    '[^a]',
    '^[^a]$',
    '[]',
    '[^]',
    '^[^]$',
    '[a-c]',
    '[-a]',
    '[a-]',
    '[\\]]',
    '\\d',
    '^\\D$',
    '\\w',
    '\\W',
    '^\\w+$',
    '\\s',
    '^\\S+$',
    '\\bb',
    'a\\b',
    '\\Ba',
    '\\B',
    '^\\b',
    '\\b$',
    '^\\u{1F600}$',
    '^\\ud83d\\ude00$',
    '^\\x61$',
    '\\.',
    '^\\p{L}+$',
    '\\p{Lu}',
    '\\P{L}',
    '^[\\p{L}\\d]+$',
    '^(?:(?:a*)*)*$',
    '^(a|ab)(c|bcd)?$',
    '(?<name>a)b',
    '^[\\w.+-]+@[\\w-]+\\.\\w+$',
    'a+?b',
    '\\0',
    '\\n',
  ])('%s', (source) => {
    const [ours, theirs] = [pattern(source), new RegExp(source, 'u')];
    for (const text of texts) expect([text, ours.test(text)]).toEqual([text, theirs.test(text)]);
  });
});

describe('exponential patterns run in linear time', () => {
  test.each([
    ['^(a+)+$', `${'a'.repeat(100_000)}!`],
    ['^(a|a)*$', `${'a'.repeat(100_000)}!`],
    ['^(.*a){12}$', 'a'.repeat(1_000) + 'b'],
    ['(x+x+)+y', 'x'.repeat(100_000)],
  ])('%s', (source, text) => {
    expect(pattern(source).test(text)).toBe(false);
  });

  test('a pattern whose every character leads to a new state stops when its work is used up', () => {
    const source = '(a|b)*a(a|b){200}c';
    let seed = 1;
    const random = (): number => (seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648);
    const text = Array.from({ length: 200_000 }, () => (random() > 1_073_741_824 ? 'a' : 'b')).join('');
    const work = { left: 100_000 };
    expect(pattern(source).test(text, work)).toBe(false);
    expect(work.left).toBeLessThan(0);
    expect(work.left).toBeGreaterThan(-1_000);
  });

  test('the table is thrown away when it is full, and answers stay right', () => {
    const source = '^(?:a|b)*a(?:a|b){8}$';
    const [ours, theirs] = [pattern(source), /^(?:a|b)*a(?:a|b){8}$/u];
    for (let seed = 1; seed < 300; seed++) {
      const text = Array.from({ length: 40 }, (_, i) => (((seed * 31 + i * i * 17 + i) >> 2) % 2 === 0 ? 'a' : 'b')).join('');
      expect(ours.test(text)).toBe(theirs.test(text));
    }
  });

  test('no work is left for a text that is longer than what is left', () => {
    const text = `${'b'.repeat(64)}a`;
    expect(pattern('a').test(text, { left: 3 })).toBe(false);
    expect(pattern('a').test(text, { left: 200 })).toBe(true);
  });
});
