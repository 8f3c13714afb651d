/** What a bench says: figures and notes as lines of docs/spec/bench-report.md, progress to standard error. */

import { readFileSync } from 'node:fs';
import type { Bound } from '../../scripts/bench-line.ts';
import { canPin } from './cores.ts';

export interface Figure {
  readonly figure: string;
  readonly value: number;
  readonly unit: string;
  readonly baseline?: number;
  readonly ratio?: number;
  readonly bound?: Bound;
  readonly promise?: Bound;
  readonly requirements?: readonly string[];
}

export interface Report {
  figure(line: Figure): void;
  note(text: string): void;
}

/** Writes the lines of one bench. */
export function reportOf(bench: string): Report {
  const write = (line: object): void => void process.stdout.write(`${JSON.stringify({ bench, ...line })}\n`);
  return {
    figure: ({ value, baseline, ratio, ...line }) =>
      write({
        ...line,
        value: rounded(value),
        ...(baseline === undefined ? {} : { baseline: rounded(baseline) }),
        ...(ratio === undefined ? {} : { ratio: rounded(ratio) }),
      }),
    note: (note) => write({ note }),
  };
}

export function progress(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** More than this before a bench begins, and its figures are worth little. */
const QUIET_LOAD_MAX = 1;

/** Before a bench begins: what else the machine is doing, and whether the proxy is kept apart. */
export function circumstances(): string {
  const isBusy = Number(loadAverage().split(' ')[0]) > QUIET_LOAD_MAX;
  const apart = canPin ? 'proxy pinned to one core, load to another' : 'nothing pinned';
  return `load average ${loadAverage()} before; ${apart}${isBusy ? '; **the machine was busy with other work: every figure is worse than on a quiet one**' : ''}`;
}

/** Over one, five and fifteen minutes. */
export function loadAverage(): string {
  return readFileSync('/proc/loadavg', 'utf8').split(' ').slice(0, 3).join(' ');
}

/** Of sorted figures. */
export function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export function median(values: readonly number[]): number {
  return percentile(
    values.toSorted((a, b) => a - b),
    0.5,
  );
}

function rounded(value: number): number {
  return Number(value.toPrecision(4));
}
