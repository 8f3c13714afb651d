import { formatProblem } from '@sallyport/model';
import { DIRECTORY_ENTRIES_MAX, readDirectoryContent } from '@sallyport/trust';
import { describe, expect, test } from 'vitest';
import { readEntries } from './read-entries.ts';

const OF = { file: 'people.ndjson', attributes: new Set(['groups', 'level']) };
const line = (principal: string, attributes: unknown = { groups: ['a'] }, more = {}): string =>
  JSON.stringify({ issuer: 'https://idp.test', tenant: 'acme', principal, attributes, ...more });
const problemsOf = (...lines: readonly string[]): readonly string[] => {
  const read = readEntries(lines.join('\n'), OF);
  return read.ok ? [] : read.error.map(formatProblem);
};

describe('a file of principals', () => {
  test('becomes content in its one spelling, whatever the order and white space of its lines', () => {
    const read = readEntries(`${line('bob')}\n\n  ${line('alice', { level: 3, groups: [] })}\r\n`, OF);
    const content = read.ok ? readDirectoryContent(read.value) : undefined;
    expect(content?.ok === true && content.value.map(({ principal, attributes }) => [principal, attributes])).toEqual([
      ['alice', { groups: [], level: 3 }],
      ['bob', { groups: ['a'] }],
    ]);
  });

  test('that is empty says nothing of anybody', () => {
    const read = readEntries('', OF);
    expect(read.ok && readDirectoryContent(read.value)).toEqual({ ok: true, value: [] });
  });

  test.each<[string, readonly string[], RegExp]>([
    ['no JSON', [line('alice'), 'bob: a'], /^people\.ndjson:2/],
    ['a list', ['[]'], /^people\.ndjson:1/],
    ['an unknown field', [line('alice', {}, { roles: ['admin'] })], /unknown field `roles`/],
    ['a field twice', ['{"issuer":"i","issuer":"i","tenant":"t","principal":"p","attributes":{}}'], /^people\.ndjson:1/],
    ['a principal that is missing', ['{"issuer":"i","tenant":"t","attributes":{}}'], /principal/],
    ['a value that is an object', [line('alice', { groups: { a: 1 } })], /attributes/],
    ['one principal in two lines', [line('alice'), '', line('alice', {})], /^people\.ndjson:3.*already.*first at line 1/],
    ['an attribute beyond Root', [line('alice', { admin: true })], /`admin` to the directory.*it leaves groups, level/],
    ['an attribute of a prototype', ['{"issuer":"i","tenant":"t","principal":"p","attributes":{"__proto__":"x"}}'], /attributes/],
  ])('with %s is refused at its line', (_, lines, message) => {
    const problems = problemsOf(...lines);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(message);
  });

  test('reports every line that is wrong, up to a bound', () => {
    expect(problemsOf('x', line('alice'), 'y')).toHaveLength(2);
    expect(problemsOf(...Array.from({ length: 10_000 }, () => 'x')).length).toBeLessThanOrEqual(50);
  });

  test('of more principals than a directory holds is refused', () => {
    const many = Array.from({ length: DIRECTORY_ENTRIES_MAX + 1 }, (_, at) => line(`p${at}`, {}));
    expect(problemsOf(...many)[0]).toContain(`at most ${DIRECTORY_ENTRIES_MAX}`);
  });
});
