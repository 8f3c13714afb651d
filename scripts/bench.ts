/**
 * `npm run bench -- <name> [--json] [--tries N] [--reports DIR] [arguments of the bench]`: runs
 * packages/<package>/bench/<name>.ts or bench/<name>.ts in a process of its own, on one core where the machine can pin
 * one, and keeps its lines in reports/bench-<name>.jsonl. Exit 1 when a figure is over its bound. docs/spec/bench-report.md.
 */

import { spawnSync } from 'node:child_process';
import { globSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, join, relative } from 'node:path';
import { type BenchLine, isWithinBound, readBenchNotes, readBenchReport } from './bench-line.ts';

const ROOT = join(import.meta.dirname, '..');

/** Longest run of one bench; one that hangs is killed and counts as failed. */
const BENCH_MS_MAX = 30 * 60_000;

/** 0: every figure keeps its bound, in one of the tries. 1: one does not, or the bench failed. 2: no such bench. */
function main(args: readonly string[]): number {
  const { name, isJson, tries, reports, rest } = optionsOf(args);
  const found = files().filter((file) => basename(file, '.ts') === name);
  if (name === undefined || found.length === 0) {
    const known = files().map((file) => basename(file, '.ts'));
    console.error(`usage: npm run bench -- <name> [--json] [--tries N]; benches: ${known.join(', ') || 'none yet'}`);
    return 2;
  }
  const report = join(reports, `bench-${name}.jsonl`);
  mkdirSync(reports, { recursive: true });
  // An old report must not speak for a bench that failed.
  rmSync(report, { force: true });
  for (let attempt = 1; ; attempt++) {
    const text = found.map((file) => runBench(file, rest)).join('');
    const lines = readBenchReport(name, text);
    const broken = lines.filter((line) => !isWithinBound(line));
    writeFileSync(report, text);
    if (isJson) process.stdout.write(text);
    else for (const line of [...readBenchNotes(name, text).map(({ note }) => `${name}: ${note}`), ...lines.map(inWords)]) console.log(line);
    for (const line of broken) console.error(`over its bound: ${inWords(line)}`);
    const isGood = broken.length === 0 && lines.length > 0;
    if (tries > 1) console.error(`try ${attempt} of at most ${tries}: ${isGood ? 'within its bounds' : 'not within its bounds'}`);
    if (isGood || attempt >= tries) return isGood ? 0 : 1;
  }
}

/** Of the runner; whatever it does not know is the bench's. */
function optionsOf(args: readonly string[]): { name: string | undefined; isJson: boolean; tries: number; reports: string; rest: string[] } {
  const rest: string[] = [];
  let [isJson, tries, reports] = [false, 1, join(ROOT, 'reports')];
  const left = [...args];
  for (let arg = left.shift(); arg !== undefined; arg = left.shift()) {
    if (arg === '--json') isJson = true;
    else if (arg === '--tries') tries = Number(left.shift());
    else if (arg === '--reports') reports = left.shift() ?? reports;
    else rest.push(arg);
  }
  if (!Number.isInteger(tries) || tries < 1) throw new Error('`--tries` takes a number from 1');
  const name = rest.shift();
  return { name, isJson, tries, reports, rest };
}

/** Every bench of the repository, by path. A subject's helpers lie in folders below `bench/`, which are not searched. */
function files(): readonly string[] {
  return globSync([join(ROOT, 'bench', '*.ts'), join(ROOT, 'packages', '*', 'bench', '*.ts')]).toSorted();
}

/** One bench in a process of its own; its standard output holds report lines only, anything else goes to stderr. Gives it as it is. */
function runBench(file: string, args: readonly string[]): string {
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
  // Refused here, with the file's name, before it is kept.
  readBenchReport(relative(ROOT, file), bench.stdout);
  return bench.stdout;
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
