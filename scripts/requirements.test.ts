/** `npm run requirements` as a command: what it prints and how it ends. */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { realReport } from './fixture/report.ts';

const directory = mkdtempSync(join(tmpdir(), 'sallyport-requirements-'));
afterAll(() => rmSync(directory, { recursive: true }));

const file = (name: string, text: string): string => {
  writeFileSync(join(directory, name), text);
  return join(directory, name);
};
const tests = file('vitest.json', realReport('endings'));
const bench = file(
  'bench-proxy.jsonl',
  '{"bench":"proxy","figure":"added_p99","value":1.5,"unit":"ms","bound":{"max":2},"requirements":["R13.05"]}\n',
);

function requirements(...args: string[]): { code: number | null; stdout: string; stderr: string } {
  const script = join(import.meta.dirname, 'requirements.ts');
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...args], { encoding: 'utf8' });
  return { code: status, stdout, stderr };
}

test('--json merges test and bench reports into one answer', () => {
  const { code, stdout } = requirements('--json', tests, bench);
  const answer = JSON.parse(stdout) as { total: number; covered: string[]; missing: string[] };
  expect(answer).toMatchObject({ total: 361, covered: ['R9.08', 'R9.09', 'R13.05'] });
  expect(answer.missing).toHaveLength(358);
  expect(Object.keys(answer)).toEqual(['total', 'covered', 'missing']);
  expect(code).toBe(0);
});

test('without --json the table goes area by area', () => {
  expect(requirements(tests).stdout).toMatch(/^policy distribution +2 of +26 {2}R9\.08 R9\.09$/m);
});

test('--require exits 1 and names each missing row in words', () => {
  const { code, stderr } = requirements('--require', 'R9.08,R9.10', '--require', 'R9.13', tests);
  expect(stderr.split('\n').filter((line) => line.startsWith('not covered'))).toEqual([
    'not covered: R9.10 rolling back publishes old content under a new number',
    'not covered: R9.13 clock changes cannot extend freshness',
  ]);
  expect(code).toBe(1);
});

test('--require is content when everything named is covered', () => {
  expect(requirements('--require', 'R9.08', tests).code).toBe(0);
});

test('--claimed holds every row of docs/requirements-claimed.txt', () => {
  const { code, stderr } = requirements('--claimed', tests);
  expect(stderr).toContain('not covered: R3.02 what no rule matches is denied');
  expect(code).toBe(1);
});

test.each([
  ['a report that is none', [file('none.json', '{}')], 'not a vitest JSON report'],
  ['a bench line with an unknown member', [file('bench-x.jsonl', '{"bench":"x","figure":"y","value":1,"unit":"s","p99":1}')], '`p99`'],
  ['a required id that is no row', ['--require', 'R9.99', tests], 'R9.99'],
  ['an unknown option', ['--requires', 'R9.08', tests], '--requires'],
  ['a file that is not there', [join(directory, 'gone.json')], 'gone.json'],
])('%s ends with 2 and the reason', (_, args, reason) => {
  const { code, stderr } = requirements(...args);
  expect(stderr).toContain(reason);
  expect(code).toBe(2);
});
