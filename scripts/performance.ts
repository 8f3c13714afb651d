/**
 * `npm run performance`: takes the last reports of the benches (reports/bench-*.jsonl) into docs/performance/ and writes
 * the tables of docs/performance.md from them, so that the page says what a run said and nothing else. `npm run generate`
 * makes the same tables again from the reports that were taken.
 */

import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type BenchLine, type Bound, readBenchNotes, readBenchReport } from './bench-line.ts';

const ROOT = join(import.meta.dirname, '..');
const TAKEN = join(ROOT, 'docs', 'performance');
const PAGE = join(ROOT, 'docs', 'performance.md');

/** In the page's order. */
const BENCHES = ['decision', 'proxy', 'footprint', 'propagation'] as const;
const BEGIN = '<!-- made by `npm run performance` from docs/performance/*.jsonl: begin -->';
const END = '<!-- end -->';

/** What keeps a promise from being kept, by figure; shown only while it is not. */
const HELD_BACK: Readonly<Record<string, string>> = {
  full_call_read_throughput: 'garbage, promises and two HTTP stacks: [below](#what-holds-it-back)',
  full_call_write_throughput: 'the same; the disk is not what it waits for',
  full_call_read_to_undici: 'the same',
  added_p50_at_1000rps: 'the work of a call itself, on one thread',
  added_p99_at_1000rps: 'pauses of the collector, and of whatever else runs',
  added_p50_at_1000rps_1000_rules: 'as above; the number of rules adds nothing',
  added_p99_at_1000rps_1000_rules: 'as above; the number of rules adds nothing',
  rss_idle: 'bare Node is most of it',
  rss_private_idle: 'heap of the gRPC client and of the compiled policy',
  rss_2000rps: 'a young generation that is collected late',
  ready_from_cache: 'modules are loaded and a live statement is awaited',
  publish_active_p99_2000: 'four real sidecars try the policy on the core of the simulated ones, and the release waits for them',
  memory_per_subscriber: 'a TLS and an HTTP/2 session for each, in the runtime; not profiled yet',
};

/** The page with its tables made anew. */
export function withTables(page: string, reports: ReadonlyMap<string, string>): string {
  const [before, after] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (before === -1 || after < before) throw new Error('docs/performance.md has lost its marks');
  const tables = [...reports].map(([bench, text]) => section(bench, text)).join('\n');
  return `${page.slice(0, before)}${BEGIN}\n\n${tables}\n${page.slice(after)}`;
}

function section(bench: string, text: string): string {
  const figures = readBenchReport(bench, text);
  const promised = figures.filter((line) => promiseOf(line) !== undefined);
  const beside = figures.filter((line) => promiseOf(line) === undefined);
  return [
    `### \`${bench}\`\n`,
    ...readBenchNotes(bench, text).map(({ note }) => `- ${note}`),
    '',
    '| Figure | Promise | Measured | Distance | What holds it back |',
    '|---|---|---|---|---|',
    ...promised.map(promisedRow),
    '',
    ...(beside.length === 0
      ? []
      : ['| Beside it | Measured |', '|---|---|', ...beside.map((line) => `| \`${line.figure}\` | ${measured(line)} |`), '']),
  ].join('\n');
}

const promiseOf = ({ promise, bound }: BenchLine): Bound | undefined => promise ?? bound;

function promisedRow(line: BenchLine): string {
  const promise = promiseOf(line);
  if (promise === undefined) throw new Error('only promised figures have a row here');
  const value = line.ratio ?? line.value;
  const isKept = 'max' in promise ? value <= promise.max : value >= promise.min;
  const limit = 'max' in promise ? promise.max : promise.min;
  const share = 'max' in promise ? value / limit : limit / value;
  const distance = isKept ? `kept, ${percent(1 - share)} to spare` : `**missed, by a factor of ${share.toFixed(1)}**`;
  const unit = line.ratio === undefined && line.unit !== 'ratio' ? ` ${line.unit}` : '';
  return `| \`${line.figure}\` | ${'max' in promise ? '<=' : '>='} ${limit}${unit} | ${measured(line)} | ${distance} | ${isKept ? '' : (HELD_BACK[line.figure] ?? '')} |`;
}

function measured({ value, unit, baseline, ratio }: BenchLine): string {
  const own = unit === 'ratio' ? String(value) : `${value} ${unit}`;
  const beside = baseline === undefined ? '' : `, beside ${baseline} ${unit}`;
  return ratio === undefined ? `${own}${beside}` : `${ratio} (${own}${beside})`;
}

const percent = (share: number): string => `${Math.round(share * 100)} %`;

/** The reports that were taken, by bench. */
function taken(): ReadonlyMap<string, string> {
  const files = BENCHES.map((bench) => [bench, join(TAKEN, `bench-${bench}.jsonl`)] as const);
  return new Map(files.filter(([, file]) => existsSync(file)).map(([bench, file]) => [bench, readFileSync(file, 'utf8')]));
}

/** Writes the page from the reports that were taken. */
export function writePerformancePage(): void {
  writeFileSync(PAGE, withTables(readFileSync(PAGE, 'utf8'), taken()));
}

if (process.argv[1] === import.meta.filename) {
  for (const bench of BENCHES) {
    const report = join(ROOT, 'reports', `bench-${bench}.jsonl`);
    if (existsSync(report)) copyFileSync(report, join(TAKEN, `bench-${bench}.jsonl`));
    else console.error(`${bench}: no report; \`npm run bench -- ${bench}\` makes one`);
  }
  writePerformancePage();
}
