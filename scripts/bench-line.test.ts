/** The form of a bench line: strict, because figures are promises that others hold us to. */

import { describe, expect, test } from 'vitest';
import { isWithinBound, readBenchLine, readBenchNotes, readBenchReport } from './bench-line.ts';

const LINE = { bench: 'decision', figure: 'p50', value: 2.5, unit: 'us' };
const line = (more: object): string => JSON.stringify({ ...LINE, ...more });

test('a full line keeps every member', () => {
  const full = { ...LINE, baseline: 5, ratio: 0.5, bound: { min: 0.25 }, promise: { min: 0.33 }, requirements: ['R13.05'] };
  expect(readBenchLine('b.jsonl', JSON.stringify(full))).toEqual(full);
});

test.each([
  ['unknown members', line({ p99: 1 }), 'unknown member `p99`'],
  ['a text for a number', line({ value: '2.5' }), '`value` must be a number'],
  ['no value', line({ value: null }), '`value` must be a number'],
  ['no figure', line({ figure: '' }), '`figure` must be a text'],
  ['a bare number as bound', line({ bound: 3 }), '`bound` must be `{"max":n}` or `{"min":n}`'],
  ['a bare number as promise', line({ promise: 3 }), '`promise` must be `{"max":n}` or `{"min":n}`'],
  ['a bound on both sides', line({ bound: { min: 1, max: 3 } }), '`bound` must be'],
  ['rows without a bound', line({ requirements: ['R13.05'] }), '`requirements` without a `bound` proves nothing'],
  ['rows that are no texts', line({ bound: { max: 3 }, requirements: [13.05] }), '`requirements` must be a list of ids'],
  ['a list', '[]', 'must be one JSON object'],
  ['prose', 'warming up', 'not JSON: warming up'],
])('refuses %s', (_, text, message) => {
  expect(() => readBenchLine('b.jsonl', text)).toThrow(message);
});

test('names every problem of a line at once', () => {
  expect(() => readBenchLine('b.jsonl', line({ value: '1', unit: 7 }))).toThrow(/`unit` must be a text; `value` must be a number/);
});

test('a report names the line that is wrong', () => {
  expect(() => readBenchReport('b.jsonl', `${line({})}\n\nnoise\n`)).toThrow('b.jsonl:3: not JSON');
});

describe('a note', () => {
  const report = `${line({})}\n{"bench":"proxy","note":"not run: needs nginx"}\n`;

  test('stands beside the figures and is none of them', () => {
    expect(readBenchReport('b.jsonl', report)).toHaveLength(1);
    expect(readBenchNotes('b.jsonl', report)).toEqual([{ bench: 'proxy', note: 'not run: needs nginx' }]);
  });

  test.each([
    ['hides no figure', { note: 'fine', value: 1 }],
    ['is text', { note: 7 }],
  ])('%s', (_, more) => {
    expect(() => readBenchReport('b.jsonl', JSON.stringify({ bench: 'proxy', ...more }))).toThrow('a note has `bench` and `note`');
  });
});

describe('the bound', () => {
  const judge = (more: object): boolean => isWithinBound(readBenchLine('b.jsonl', line(more)));
  test.each([
    ['a value on its bound holds it', { bound: { max: 2.5 } }, true],
    ['a value above does not', { bound: { max: 2.4 } }, false],
    ['a value below its least does not', { bound: { min: 2.6 } }, false],
    ['the ratio is judged where there is one', { ratio: 0.3, bound: { min: 0.33 } }, false],
    ['the ratio is judged where there is one, and may hold', { ratio: 0.5, bound: { min: 0.33 } }, true],
    ['no bound, no breach', {}, true],
  ])('%s', (_, more, holds) => {
    expect(judge(more)).toBe(holds);
  });
});
