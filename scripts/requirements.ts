/**
 * `npm run requirements [-- options] [report files]`: which rows of docs/requirements.json are proven by the reports
 * (default: reports/*.json and reports/bench*.jsonl). docs/spec/requirements-report.md.
 *
 *   --json                    print {"total","covered","missing"} and nothing else
 *   --require R3.01,R3.02     exit 1 unless these rows are covered
 *   --claimed                 the same for every row of docs/requirements-claimed.txt
 */

import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { readBenchReport } from './bench-line.ts';
import { type Coverage, coverage, readRows, type Row } from './coverage.ts';
import { readTestReport } from './test-report.ts';

const ROOT = join(import.meta.dirname, '..');

/** Exit code 0: printed and nothing required is missing. 1: something required is missing. 2: used wrongly, or a bad report. */
function main(args: readonly string[]): number {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      require: { type: 'string', multiple: true, default: [] },
      claimed: { type: 'boolean', default: false },
      rows: { type: 'string', default: join(ROOT, 'docs', 'requirements.json') },
    },
  });
  const rows = readRows(values.rows, readFileSync(values.rows, 'utf8'));
  const reports = positionals.length > 0 ? positionals : globSync([join(ROOT, 'reports/*.json'), join(ROOT, 'reports/bench*.jsonl')]);
  const found = judge(rows, reports);
  console.log(values.json ? JSON.stringify(found) : table(rows, found));
  const required = [...values.require.flatMap((list) => list.split(',')), ...(values.claimed ? claimedRows() : [])];
  return answer(rows, found, required);
}

function judge(rows: readonly Row[], reports: readonly string[]): Coverage {
  if (reports.length === 0) console.error('no reports found; run `npm test` first');
  const read = (path: string): string => readFileSync(path, 'utf8');
  const isBench = (path: string): boolean => path.endsWith('.jsonl');
  return coverage(
    rows,
    reports.filter((path) => !isBench(path)).flatMap((path) => readTestReport(path, read(path))),
    reports.filter(isBench).flatMap((path) => readBenchReport(path, read(path))),
  );
}

/** Rows that were once covered and must stay so: one id a line, `#` begins a comment. */
function claimedRows(): readonly string[] {
  return readFileSync(join(ROOT, 'docs', 'requirements-claimed.txt'), 'utf8')
    .split('\n')
    .map((line) => line.replace(/#.*/, '').trim())
    .filter((line) => line !== '');
}

function answer(rows: readonly Row[], found: Coverage, required: readonly string[]): number {
  const unknown = required.filter((id) => !rows.some((row) => row.id === id));
  if (unknown.length > 0) throw new Error(`required, but no row: ${unknown.join(', ')}`);
  const absent = required.filter((id) => !found.covered.includes(id));
  for (const id of absent) console.error(`not covered: ${id} ${rows.find((row) => row.id === id)?.line ?? ''}`);
  return absent.length === 0 ? 0 : 1;
}

function table(rows: readonly Row[], found: Coverage): string {
  const areas = [...new Set(rows.map((row) => row.area))];
  const width = Math.max(...areas.map((area) => area.length));
  const lines = areas.map((area) => {
    const ids = rows.filter((row) => row.area === area).map((row) => row.id);
    const covered = ids.filter((id) => found.covered.includes(id));
    return `${area.padEnd(width)}  ${String(covered.length).padStart(3)} of ${String(ids.length).padStart(3)}  ${covered.join(' ')}`.trimEnd();
  });
  return [...lines, `${'all'.padEnd(width)}  ${String(found.covered.length).padStart(3)} of ${String(found.total).padStart(3)}`].join('\n');
}

try {
  process.exitCode = main(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 2;
}
