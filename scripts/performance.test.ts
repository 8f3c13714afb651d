/** The tables of docs/performance.md: made from a run, misses told as misses. */

import { expect, test } from 'vitest';
import { withTables } from './performance.ts';

const PAGE = 'before\n<!-- made by `npm run performance` from docs/performance/*.jsonl: begin -->\nstale table\n<!-- end -->\nafter\n';
const lines = (...all: readonly object[]): ReadonlyMap<string, string> =>
  new Map([['proxy', all.map((line) => JSON.stringify({ bench: 'proxy', ...line })).join('\n')]]);

test.each([
  ['a promise that is kept', { value: 1.5, unit: 'ms', promise: { max: 2 } }, '| <= 2 ms | 1.5 ms | kept, 25 % to spare |  |'],
  ['a limit that is passed', { value: 3, unit: 'ms', promise: { max: 2 } }, '| <= 2 ms | 3 ms | **missed, by a factor of 1.5** |'],
  [
    'a share that is not reached',
    { value: 0.11, unit: 'ratio', promise: { min: 0.33 } },
    '| >= 0.33 | 0.11 | **missed, by a factor of 3.0** |',
  ],
  ['the promise, not the bound of a regression', { value: 3, unit: 'ms', promise: { max: 2 }, bound: { max: 5 } }, '**missed'],
  [
    'a ratio with both its sides',
    { value: 2, unit: 'us', baseline: 4, ratio: 0.5, bound: { max: 2 } },
    '| <= 2 | 0.5 (2 us, beside 4 us) | kept, 75 %',
  ],
])('tells %s', (_, line, row) => {
  expect(withTables(PAGE, lines({ figure: 'f', ...line }))).toContain(row);
});

test('keeps notes and figures that nobody promised, and what stands around the tables', () => {
  const page = withTables(PAGE, lines({ note: 'not run: needs nginx' }, { figure: 'nginx_per_second', value: 9, unit: '1/s' }));
  expect(page).toMatch(/^before\n[^]*- not run: needs nginx\n[^]*\| `nginx_per_second` \| 9 1\/s \|[^]*<!-- end -->\nafter\n$/);
  expect(page).not.toContain('stale table');
});

test('a page without its marks is refused', () => {
  expect(() => withTables('nothing here', lines())).toThrow('marks');
});
