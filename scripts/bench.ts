/**
 * `npm run bench -- <name> [--json] [arguments of the bench]`: runs packages/<package>/bench/<name>.ts or
 * bench/<name>.ts in a process of its own, on one core where the machine can pin one, and keeps its lines in
 * reports/bench-<name>.jsonl. Exit 1 when a figure is over its bound. docs/spec/bench-report.md.
 */

import { spawnSync } from 'node:child_process';
import { globSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, join, relative } from 'node:path';
import { type BenchLine, isWithinBound, readBenchReport } from './bench-line.ts';

const ROOT = join(import.meta.dirname, '..');

/** Longest run of one bench; one that hangs is killed and counts as failed. */
const BENCH_MS_MAX = 30 * 60_000;

/** 0: every figure keeps its bound. 1: one does not, or the bench failed. 2: no such bench. */
function main(args: readonly string[]): number {
  const [name, ...rest] = args.filter((arg) => arg !== '--json');
  const found = files().filter((file) => basename(file, '.ts') === name);
  if (name === undefined || found.length === 0) {
    const known = files().map((file) => basename(file, '.ts'));
    console.error(`usage: npm run bench -- <name> [--json]; benches: ${known.join(', ') || 'none yet'}`);
    return 2;
  }
  const isJson = args.includes('--json');
  const report = join(ROOT, 'reports', `bench-${name}.jsonl`);
  mkdirSync(join(ROOT, 'reports'), { recursive: true });
  // An old report must not speak for a bench that failed.
  rmSync(report, { force: true });
  const lines = found.flatMap((file) => runBench(file, rest));
  writeFileSync(report, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  for (const line of lines) console.log(isJson ? JSON.stringify(line) : inWords(line));
  const broken = lines.filter((line) => !isWithinBound(line));
  for (const line of broken) console.error(`over its bound: ${inWords(line)}`);
  return broken.length === 0 && lines.length > 0 ? 0 : 1;
}

/** Every bench of the repository, by path. A subject's helpers lie in folders below `bench/`, which are not searched. */
function files(): readonly string[] {
  return globSync([join(ROOT, 'bench', '*.ts'), join(ROOT, 'packages', '*', 'bench', '*.ts')]).toSorted();
}

/** One bench in a process of its own; its standard output holds report lines only, anything else goes to stderr. */
function runBench(file: string, args: readonly string[]): readonly BenchLine[] {
  const node = [process.execPath, '--conditions=sallyport-src', '--expose-gc', file, ...args];
  const [command = '', ...rest] = [...pin(), ...node];
  const bench = spawnSync(command, rest, {
    cwd: ROOT,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: BENCH_MS_MAX,
    maxBuffer: 16 * 1024 * 1024,
  });
  if (bench.status !== 0) {
    throw new Error(`${relative(ROOT, file)} ended with ${bench.status ?? bench.signal ?? String(bench.error)}`);
  }
  return readBenchReport(relative(ROOT, file), bench.stdout);
}

/** The last core: the kernel and the load generators prefer the first ones. Nothing where there is one core or no taskset. */
function pin(): readonly string[] {
  const last = availableParallelism() - 1;
  const canPin = last > 0 && spawnSync('taskset', ['--version']).status === 0;
  return canPin ? ['taskset', '--cpu-list', String(last)] : [];
}

function inWords({ bench, figure, value, unit, baseline, ratio, bound }: BenchLine): string {
  const limit = bound === undefined ? '' : 'max' in bound ? `, bound <= ${bound.max}` : `, bound >= ${bound.min}`;
  const beside = baseline === undefined ? '' : `, beside ${baseline} ${unit}`;
  return `${bench}: ${figure} ${value} ${unit}${beside}${ratio === undefined ? '' : `, ratio ${ratio}`}${limit}`;
}

try {
  process.exitCode = main(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
