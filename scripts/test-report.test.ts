/** The reader of test reports, on reports that vitest itself wrote a moment ago. */

import { describe, expect, test } from 'vitest';
import { realReport } from './fixture/report.ts';
import { lastLine, notRun, readTestReport, tally } from './test-report.ts';

describe('a report with every ending', () => {
  const files = readTestReport('report.json', realReport('endings'));

  test('counts each ending once', () => {
    expect(tally(files)).toEqual({ passed: 2, failed: 1, skipped: 4 });
  });

  test('names the engines that tests asked for in vain', () => {
    expect(notRun(files)).toEqual(['not run: needs redis']);
  });
});

describe('a file that fails outside its tests', () => {
  test('in a hook: its passing test counts, and so does the failure', () => {
    const files = readTestReport('report.json', realReport('broken'));
    expect(files).toMatchObject([{ isBroken: true, tests: [{ end: 'passed' }] }]);
    expect(tally(files)).toEqual({ passed: 1, failed: 1, skipped: 0 });
  });

  test('at import: counts as one failure, though no test of it is known', () => {
    expect(tally(readTestReport('report.json', realReport('unloadable')))).toEqual({ passed: 0, failed: 1, skipped: 0 });
  });
});

test('a file in which everything is skipped is not broken', () => {
  expect(readTestReport('report.json', realReport('skipped'))).toMatchObject([{ isBroken: false }]);
});

test('a test that ran is not reported as not run, whatever its title says', () => {
  const test = { title: 'prints `not run: needs nats`', end: 'passed', file: 'a.test.ts' } as const;
  expect(notRun([{ file: 'a.test.ts', isBroken: false, tests: [test] }])).toEqual([]);
});

test('the last line has one exact form', () => {
  expect(lastLine({ passed: 12, failed: 0, skipped: 3 })).toBe('12 passed, 0 failed, 3 skipped');
});

test.each([
  ['no JSON', 'PASS', 'not JSON'],
  ['another document', '{"numTotalTests":1}', 'not a vitest JSON report'],
  ['a list', '[]', 'not a vitest JSON report'],
  ['a file without tests', '{"testResults":[{"name":"a.test.ts"}]}', 'without `name` or `assertionResults`'],
  ['a test without a title', '{"testResults":[{"name":"a.test.ts","assertionResults":[{"status":"passed"}]}]}', 'without `fullName`'],
])('%s is refused by name', (_, text, message) => {
  expect(() => readTestReport('reports/x.json', text)).toThrow(new RegExp(`reports/x.json.*${message}`));
});
