import { describe, expect, test } from 'vitest';
import { formatProblem } from '@sallyport/model';
import { Problems, nodeOfJson } from './node.ts';
import { duration, fields, formatSpan, list, oneOf, text } from './read.ts';
import type { Reader } from './read.ts';

function read<T>(reader: Reader<T>, json: Parameters<typeof nodeOfJson>[0]): { value: T | undefined; problems: readonly string[] } {
  const problems = new Problems();
  const value = reader(nodeOfJson(json, 'x'), problems);
  return { value, problems: problems.sorted().map(formatProblem) };
}

describe('fields', () => {
  test('reports unknown and lacking keys together, and a misspelled one once', () => {
    const { value, problems } = read((node, inner) => fields(node, inner, 'a thing', ['name!', 'size!', 'note']), { nam: 1, more: 2 });
    expect(value).toBeUndefined();
    expect(problems).toEqual([
      'x: a thing lacks `size`',
      'x.more: `more` is not a field of a thing (known are name, size, note)',
      'x.nam: `nam` is not a field of a thing (did you mean `name`)',
    ]);
  });

  test('a field that is written and cannot be read is a problem, even if its reader says nothing', () => {
    const silent: Reader<string> = () => undefined;
    const { problems } = read((node, inner) => fields(node, inner, 'a thing', ['when'])?.get('when', silent), { when: 'x' });
    expect(problems).toEqual(['x.when: `when` cannot be read']);
  });

  test('an absent field is no problem', () => {
    expect(read((node, inner) => fields(node, inner, 'a thing', ['when'])?.get('when', text('a text')), {})).toEqual({
      value: undefined,
      problems: [],
    });
  });
});

describe('list', () => {
  test('leaves out what does not fit, and says so', () => {
    expect(read(list('`a`', text('an entry'), { key: (entry) => entry }), ['x', 5, 'x', 'y'])).toEqual({
      value: ['x', 'y'],
      problems: ['x[1]: an entry must be text (quote it: "5")', 'x[2]: `x` stands in `a` twice'],
    });
  });
});

describe('text', () => {
  test.each([
    ['', 'x: a text must not be empty'],
    ['\uD800', 'x: a text holds half a surrogate pair'],
    ['abcdef', 'x: a text is longer than 5 characters'],
    [null, 'x: a text must be text'],
    [[], 'x: a text must be text'],
  ])('refuses %j', (json, problem) => {
    expect(read(text('a text', undefined, 5), json).problems).toEqual([problem]);
  });

  test('shows control characters as what they are', () => {
    expect(read(oneOf('word', ['a']), '\u001b[2J\u202e').problems).toEqual(['x: `\\u{1b}[2J\\u{202e}` is not a word (one of a)']);
  });
});

describe('duration', () => {
  test.each([
    ['90s', 90_000],
    ['15m', 900_000],
    ['8h', 28_800_000],
    ['30d', 2_592_000_000],
  ])('%s is %d ms, and is written the same', (span, ms) => {
    expect(read(duration('a span', 10_000_000_000), span)).toEqual({ value: ms, problems: [] });
    expect(read(duration('a span', 10_000_000_000), formatSpan(ms)).value).toBe(ms);
  });

  test.each(['0s', '-1s', '1.5h', '1 h', '1w', '1ms', 'h', '01s', '99999999999s', '12'])('refuses %s', (span) => {
    expect(read(duration('a span', 10_000_000_000), span).problems).toEqual([
      'x: a span must be a span of time (such as 90s, 15m, 8h or 30d)',
    ]);
  });

  test('is bounded', () => {
    expect(read(duration('a span', 86_400_000), '25h').problems).toEqual(['x: a span is longer than 1d']);
  });
});
