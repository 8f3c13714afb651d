/** What counts as proof of a requirement row, on real reports; above all what does not. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readBenchReport } from './bench-line.ts';
import { coverage, idsIn, readRows, type Row } from './coverage.ts';
import { realReport } from './fixture/report.ts';
import { type FileRun, readTestReport } from './test-report.ts';

const rows = (...ids: string[]): readonly Row[] => ids.map((id) => ({ id, area: 'an area', line: 'a line' }));
const ROWS = rows('R9.08', 'R9.09', 'R9.10', 'R9.11', 'R9.12', 'R9.13', 'R9.14', 'R9.15', 'R9.20');
const run = (title: string, end: 'passed' | 'failed' | 'skipped'): FileRun => ({
  file: 'a.test.ts',
  isBroken: false,
  tests: [{ title, end, file: 'a.test.ts' }],
});

describe('proof by tests', () => {
  test('only tests that ran and passed prove their rows: not skipped, todo, failed, not-run or broken ones', () => {
    const files = readTestReport('report.json', realReport());
    expect(coverage(ROWS, files, [])).toEqual({
      total: 9,
      covered: ['R9.08', 'R9.09'],
      missing: ['R9.10', 'R9.11', 'R9.12', 'R9.13', 'R9.14', 'R9.15', 'R9.20'],
    });
  });

  test('a row with one passing and one failing test is not covered, whichever report comes first', () => {
    const passing = run('[R9.08] a', 'passed');
    const failing = run('[R9.08] b', 'failed');
    expect(coverage(ROWS, [passing, failing], []).covered).toEqual([]);
    expect(coverage(ROWS, [failing, passing], []).covered).toEqual([]);
  });

  test('a skipped twin neither proves nor disproves', () => {
    expect(coverage(ROWS, [run('[R9.08] a', 'passed'), run('[R9.08] on redis', 'skipped')], []).covered).toEqual(['R9.08']);
  });

  test('an id that is no row is an error, even in a skipped test', () => {
    expect(() => coverage(ROWS, [run('[R9.99] a', 'skipped')], [])).toThrow('`R9.99` in `[R9.99] a` is no row');
  });
});

describe('proof by benches', () => {
  const bench = (more: object): string => JSON.stringify({ bench: 'proxy', figure: 'read', value: 5, unit: 'us', ...more });
  test.each([
    ['within its bound', { bound: { max: 5 }, requirements: ['R9.08'] }, ['R9.08']],
    ['over its bound', { bound: { max: 4.9 }, requirements: ['R9.08'] }, []],
    ['a ratio under its least', { ratio: 0.3, bound: { min: 0.33 }, requirements: ['R9.08'] }, []],
    ['naming no row', { bound: { max: 5 } }, []],
  ])('a figure %s', (_, more, covered) => {
    expect(coverage(ROWS, [], readBenchReport('b.jsonl', bench(more))).covered).toEqual(covered);
  });
});

// The titles of these tests do not repeat their cases: reports of this file are read for ids, too.
test.each([
  ['[R3.07] a title', ['R3.07']],
  ['a [R3.07] title [R12.01]', ['R3.07', 'R12.01']],
  ['[R3.07, R12.01] a title', ['R3.07', 'R12.01']],
  ['[R3.7] is read too, so that it can be refused', ['R3.7']],
  ['R3.07 without brackets', []],
  ['[RFC 8785] is another thing', []],
])('reads the ids of a title, case %#', (title, ids) => {
  expect(idsIn(title)).toEqual(ids);
});

describe('the list of rows', () => {
  const path = join(import.meta.dirname, '..', 'docs', 'requirements.json');
  const list = readRows(path, readFileSync(path, 'utf8'));

  test('has 361 rows with well-formed ids in order', () => {
    expect(list).toHaveLength(361);
    const keys = list.map(({ id }) => /^R(\d+)\.(\d{2})$/.exec(id)).map((match) => Number(match?.[1]) * 100 + Number(match?.[2]));
    expect(keys).toEqual(keys.toSorted((a, b) => a - b));
  });

  test('a row that stands there twice is an error', () => {
    const text = '{"areas":[{"area":"a","rows":{"R1.01":"x"}},{"area":"b","rows":{"R1.01":"y"}}]}';
    expect(() => readRows('rows.json', text)).toThrow('rows.json: row R1.01 stands there twice');
  });
});
