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
  'token_outdated',
  'replay_detected',
  'tool_step_mismatch',
  'out_of_task',
  'step_up_required',
  'requires_approval',
  'approval_invalid',
  'budget_exceeded',
  'risk_too_high',
  'injection_detected',
  'delegation_not_allowed',
  'response_blocked',
  'rate_limited',
  'dlp_unavailable',
  'identity_unavailable',
];

const sources = globSync(['packages/*/src/**/*.ts', 'test/**/*.ts'], { cwd: ROOT })
  .filter((path) => !TABLES.includes(path) && !path.includes('/gen/'))
  .map((path) => ({ isTest: path.endsWith('.test.ts') || path.startsWith('test/'), text: readFileSync(join(ROOT, path), 'utf8') }));
const names = (texts: readonly { readonly text: string }[], code: DenialCode): boolean =>
  texts.some(({ text }) => text.includes(`'${code}'`) || text.includes(`"${code}"`));
const product = sources.filter(({ isTest }) => !isTest);
const tests = sources.filter(({ isTest }) => isTest);

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
  expect(names(tests, code)).toBe(true);
});

test.each(NOT_YET)('%s is not answered by anything yet', (code) => {
  expect(names(product, code)).toBe(false);
});
