/**
 * Which requirement rows are proven, by reports alone: a row counts when a test that names it in its title ran and
 * passed, or a bench line that names it held its bound, and nothing that names it failed. docs/spec/requirements-report.md.
 */

import type { BenchLine } from './bench-line.ts';
import { isWithinBound } from './bench-line.ts';
import type { FileRun } from './test-report.ts';

export interface Row {
  readonly id: string;
  readonly area: string;
  readonly line: string;
}

export interface Coverage {
  readonly total: number;
  readonly covered: readonly string[];
  readonly missing: readonly string[];
}

/** Reads the project's list of rows (`docs/requirements.json`): areas in order, each with its rows by id. */
export function readRows(source: string, text: string): readonly Row[] {
  const areas = (JSON.parse(text) as { areas: readonly { area: string; rows: Record<string, string> }[] }).areas;
  const rows = areas.flatMap(({ area, rows: lines }) => Object.entries(lines).map(([id, line]) => ({ id, area, line })));
  const twice = rows.find((row, index) => rows.findIndex((other) => other.id === row.id) !== index);
  if (twice !== undefined) throw new Error(`${source}: row ${twice.id} stands there twice`);
  return rows;
}

/** The ids in a title: `[R3.07]`, also several in one pair of brackets. Anything in brackets that begins like one is taken for one. */
export function idsIn(title: string): readonly string[] {
  return [...title.matchAll(/\[(R\d[^\]]*)\]/g)].flatMap((match) => (match[1] ?? '').split(/[\s,]+/));
}

/** Judges the rows by all reports together. An id that is no row is an error: it would prove nothing for ever. */
export function coverage(rows: readonly Row[], files: readonly FileRun[], lines: readonly BenchLine[]): Coverage {
  const claims = [...testClaims(files), ...benchClaims(lines)];
  const known = new Set(rows.map((row) => row.id));
  const unknown = claims.filter((claim) => !known.has(claim.id));
  if (unknown.length > 0) {
    throw new Error(unknown.map((claim) => `\`${claim.id}\` in \`${claim.where}\` is no row of docs/requirements.json`).join('\n'));
  }
  const failed = new Set(claims.filter((claim) => claim.end === 'failed').map((claim) => claim.id));
  const passed = new Set(claims.filter((claim) => claim.end === 'passed').map((claim) => claim.id));
  const isCovered = ({ id }: Row): boolean => passed.has(id) && !failed.has(id);
  return {
    total: rows.length,
    covered: rows.filter(isCovered).map((row) => row.id),
    missing: rows.filter((row) => !isCovered(row)).map((row) => row.id),
  };
}

interface Claim {
  readonly id: string;
  readonly where: string;
  readonly end: 'passed' | 'failed' | 'skipped';
}

function testClaims(files: readonly FileRun[]): readonly Claim[] {
  return files.flatMap((file) =>
    file.tests.flatMap((test) =>
      idsIn(test.title).map((id) => ({ id, where: test.title, end: test.end === 'passed' && file.isBroken ? 'failed' : test.end })),
    ),
  );
}

function benchClaims(lines: readonly BenchLine[]): readonly Claim[] {
  return lines.flatMap((line) =>
    line.requirements.map((id) => ({ id, where: `${line.bench}: ${line.figure}`, end: isWithinBound(line) ? 'passed' : 'failed' })),
  );
}
