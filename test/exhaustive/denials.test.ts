/** No denial code without a documented row; none that code can answer with and no test has seen. */

import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ANSWERS, DENIAL_CODES, type DenialCode } from '@sallyport/model';
import { describe, expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '..', '..');
/** Tables that list every code, or what a code looks like on a wire; being named there neither answers nor proves. */
const TABLES = [
  'packages/model/src/denial.ts',
  'packages/model/src/denial.test.ts',
  'packages/dialects/src/mcp-denial.ts',
  'test/exhaustive/denials.test.ts',
];

/** Codes of gates that do not exist yet: nothing may answer with them. A gate that comes takes its codes out of here. */
const NOT_YET: readonly DenialCode[] = [
  'idempotency_key_required',
  'idempotency_key_reused',
  'approval_invalid',
  'injection_detected',
  'response_blocked',
  'dlp_unavailable',
];

const read = (patterns: readonly string[]): readonly { readonly path: string; readonly text: string }[] =>
  globSync([...patterns], { cwd: ROOT })
    .filter((path) => !TABLES.includes(path))
    .map((path) => ({ path, text: readFileSync(join(ROOT, path), 'utf8') }));
const isTest = ({ path }: { readonly path: string }): boolean => /\.test\.ts$|\/testing\/|^test\//.test(path);
const sources = read(['packages/*/src/**/*.ts', 'test/**/*.ts', 'test/vectors/**/*.json']);
const product = sources.filter((source) => !isTest(source)).map(({ text }) => text);
/** Tests name codes in strings, in policy documents and in vectors. */
const tests = sources.filter(isTest).map(({ text }) => text);
const isAnswered = (code: DenialCode): boolean => product.some((text) => text.includes(`'${code}'`));
const isSeen = (code: DenialCode): boolean => tests.some((text) => new RegExp(`\\b${code}\\b`).test(text));

describe('docs/spec/denials.md', () => {
  const page = readFileSync(join(ROOT, 'docs', 'spec', 'denials.md'), 'utf8');
  const table = page.slice(page.indexOf('<!-- codes -->'), page.indexOf('<!-- /codes -->'));
  const rows = table.split('\n').filter((line) => line.startsWith('| `'));

  test.each(DENIAL_CODES)('%s has exactly one row, with its status and its next action', (code) => {
    const own = rows.filter((row) => row.startsWith(`| \`${code}\` `));
    expect(own).toHaveLength(1);
    expect(own[0]).toContain(String(ANSWERS[code].status));
    expect(own[0]).toContain(ANSWERS[code].nextAction);
  });

  test('has no row for a code that does not exist', () => {
    const codes = rows.map((row) => /^\| `([a-z_]+)`/.exec(row)?.[1] ?? row);
    expect(codes.filter((code) => !DENIAL_CODES.some((known) => known === code))).toEqual([]);
  });
});

test.each(DENIAL_CODES.filter((code) => !NOT_YET.includes(code)))('%s is seen by a test', (code) => {
  expect(isSeen(code)).toBe(true);
});

test.each(NOT_YET)('%s is not answered by anything yet', (code) => {
  expect(isAnswered(code)).toBe(false);
});
