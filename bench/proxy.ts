/**
 * What a call costs on its way through the sidecar: throughput beside nginx, a buffering undici proxy and a pass-through
 * of node:http; latency added at 1,000 calls a second beside a direct call, also under 1,000 rules; and the first message
 * of a stream; and what each way of proving who calls takes. A full call is a session token, strict JSON of one kilobyte both ways, the policy of 50 tools, and two
 * chained records that are shipped; no gate looks into content yet. docs/performance.md tells the method and the outcome.
 *
 * `npm run bench -- proxy [--quick] [--source] [--only throughput,latency,rules,stream,authentication] [--inject-slow-ms N]`
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Bound } from '../scripts/bench-line.ts';
import { measureAuthentication } from './support/authentication.ts';
import { type Child, run, startReady, stopAll } from './support/children.ts';
import { moveSelf } from './support/cores.ts';
import { firstMessageMs } from './support/first-token.ts';
import { type House, startHouse } from './support/house.ts';
import { prepare } from './support/launch.ts';
import { type Call, constantRate, throughput, throughputGenerator } from './support/load.ts';
import { nginxProxy, nginxToolServer, nginxVersion } from './support/nginx.ts';
import { CALL_BODY, CALLS } from './support/policy.ts';
import { circumstances, loadAverage, median, percentile, progress, reportOf } from './support/report.ts';

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    source: { type: 'boolean', default: false },
    only: { type: 'string', default: 'throughput,latency,rules,stream,authentication' },
    'inject-slow-ms': { type: 'string' },
    profile: { type: 'string' },
  },
});
const PARTS: ReadonlySet<string> = new Set(options.only.split(','));
const SIZE = options.quick
  ? { rounds: 2, seconds: 2, warmUpSeconds: 1, latencyRounds: 2, latencySeconds: 3, streams: 100, batches: 10, batch: 200 }
  : { rounds: 5, seconds: 3, warmUpSeconds: 1, latencyRounds: 5, latencySeconds: 5, streams: 400, batches: 30, batch: 300 };
const CONNECTIONS = 64;
const RATE = 1_000;
const RULES = 200;
const MANY_RULES = 1_000;

const report = reportOf('proxy');
const script = (name: string): string => join(import.meta.dirname, 'process', name);
const node = (name: string, ...args: readonly (string | number)[]): string[] => [process.execPath, script(name), ...args.map(String)];

type Served = Child & { readonly port: number };

/** Everything that is measured, and what is behind it. */
interface Stand {
  readonly house: House;
  /** Of the sidecar, or of what was put in front of it. */
  readonly port: number;
  readonly toolServer: Served;
  readonly streams: Served;
  readonly scratch: string;
}

interface Limits {
  /** What was promised, for the reader. */
  readonly promise?: Bound;
  /** What a regression is: judged by CI, on any machine, so with room. */
  readonly bound?: Bound;
  readonly requirements?: readonly string[];
}

const LIMITS = {
  read_to_nginx: { promise: { min: 0.33 } },
  write_to_nginx: { promise: { min: 0.28 } },
  read_to_undici: { promise: { min: 0.6 }, bound: { min: 0.1 } },
  write_to_undici: {},
  added_read: {
    p50: { promise: { max: 0.5 }, bound: { max: 2 }, requirements: ['R15.12'] },
    p99: { promise: { max: 2 }, bound: { max: 15 } },
  },
  added_write: { p50: {}, p99: {} },
  // The bound is the budget (docs/adr/0027-what-a-call-may-cost.md). R13.05 asks for the promise, and is claimed once it is kept.
  added_many_rules: { p50: { bound: { max: 2 } }, p99: { promise: { max: 2 }, bound: { max: 15 } } },
  first_token: {},
} satisfies Record<string, Limits | Record<'p50' | 'p99', Limits>>;

async function main(): Promise<void> {
  const form = options.source ? 'source' : 'shipped';
  const before = circumstances();
  prepare(form);
  moveSelf('load');
  const scratch = mkdtempSync(join(tmpdir(), 'sallyport-bench-nginx-'));
  const toolServer = nginxVersion === undefined ? await startReady('load', node('tool-server.ts')) : await nginxToolServer(scratch);
  const streams = await startReady('load', node('mcp-server.ts'));
  const servers = { http: toolServer.port, mcp: streams.port };
  const house = await startHouse({ form, rules: RULES, servers, profileDir: options.profile });
  report.note(`${form} sidecar; ${before}; throughput driven by ${throughputGenerator}; ${nginxVersion ?? 'no nginx'}`);
  try {
    const slowMs = options['inject-slow-ms'];
    const port = slowMs === undefined ? house.port : (await startReady('load', node('slow-proxy.ts', house.port, slowMs))).port;
    const stand: Stand = { house, port, toolServer, streams, scratch };
    await warmUp(stand);
    if (PARTS.has('throughput')) await measureThroughput(stand);
    if (PARTS.has('latency')) await measureLatency(stand);
    if (PARTS.has('rules')) {
      await house.publish(MANY_RULES, servers);
      await measureManyRules(stand);
    }
    if (PARTS.has('stream')) await measureStream(stand);
    if (PARTS.has('authentication')) await measureAuthentication(report, SIZE);
    report.note(`load average ${loadAverage()} afterwards, the bench's own load included`);
  } finally {
    await house.close();
    await stopAll();
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** The same request to the sidecar and to whatever it is compared with: header for header, byte for byte. */
async function callTo(port: number, path: string, house: House): Promise<Call> {
  const headers = { 'Content-Type': 'application/json', 'Sallyport-Session': await house.session() };
  return { port, path, headers, body: CALL_BODY };
}

async function warmUp({ house, port }: Stand): Promise<void> {
  for (const path of Object.values(CALLS)) {
    const call = await callTo(port, path, house);
    await throughput({ ...call, connections: CONNECTIONS, seconds: SIZE.warmUpSeconds, warmUpSeconds: 0 }, house.sidecar);
  }
  await house.settled();
}

/**
 * In rounds, each with all of them in turn, so that what the machine does besides meets all alike; a ratio is the median
 * of the rounds' own. A yardstick that had part of its core left counts as if it had used it all.
 */
async function measureThroughput({ house, port, toolServer, scratch }: Stand): Promise<void> {
  const nginx = nginxVersion === undefined ? undefined : await nginxProxy(scratch, toolServer.port);
  const undici = await startReady('proxy', node('undici-proxy.ts', toolServer.port));
  const nodeHttp = await startReady('proxy', node('node-proxy.ts', toolServer.port));
  const rates: Record<'nginx' | 'undici' | 'node_http' | 'read' | 'write', number[]> = {
    nginx: [],
    undici: [],
    node_http: [],
    read: [],
    write: [],
  };
  const { seconds, warmUpSeconds } = SIZE;
  for (let round = 0; round < SIZE.rounds; round++) {
    for (const [name, proxy] of Object.entries({ nginx, undici, node_http: nodeHttp })) {
      if (proxy === undefined) continue;
      const load = { ...(await callTo(proxy.port, CALLS.read, house)), connections: CONNECTIONS, seconds, warmUpSeconds };
      const { perSecond, busy } = await throughput(load, proxy);
      rates[name as keyof typeof rates].push(perSecond / Math.min(1, busy));
      progress(`${name}: ${perSecond.toFixed(0)} calls/s, ${(busy * 100).toFixed(0)} % of its core`);
    }
    for (const name of ['read', 'write'] as const) {
      const load = { ...(await callTo(port, CALLS[name], house)), connections: CONNECTIONS, seconds, warmUpSeconds };
      const { perSecond, busy } = await throughput(load, house.sidecar);
      rates[name].push(perSecond);
      progress(
        `${name}: ${perSecond.toFixed(0)} calls/s, ${(busy * 100).toFixed(0)} % of its core; ${await house.backlog()} records to ship`,
      );
      await house.settled();
    }
  }
  for (const proxy of [nginx, undici, nodeHttp]) await proxy?.stop();
  const ratio = (of: 'read' | 'write', to: 'nginx' | 'undici' | 'node_http'): number =>
    median(rates[of].map((rate, round) => rate / (rates[to][round] ?? Number.NaN)));
  if (nginx === undefined) report.note('full_call_read_throughput, full_call_write_throughput: not run: needs nginx');
  for (const kind of ['read', 'write'] as const) {
    if (nginx !== undefined)
      report.figure({ figure: `full_call_${kind}_throughput`, value: ratio(kind, 'nginx'), unit: 'ratio', ...LIMITS[`${kind}_to_nginx`] });
    report.figure({ figure: `full_call_${kind}_to_undici`, value: ratio(kind, 'undici'), unit: 'ratio', ...LIMITS[`${kind}_to_undici`] });
    report.figure({ figure: `full_call_${kind}_to_node_http`, value: ratio(kind, 'node_http'), unit: 'ratio' });
  }
  for (const [name, figures] of Object.entries(rates)) {
    if (figures.length > 0) report.figure({ figure: `${name}_per_second`, value: median(figures), unit: '1/s' });
  }
}

/** What calls of one kind take beyond direct ones, at a rate at which nobody queues. */
async function added(paths: Readonly<Record<string, string>>, stand: Stand): Promise<Readonly<Record<string, Added>>> {
  const { house, port, toolServer } = stand;
  const figures: Record<string, { p50: number; p99: number }[]> = {};
  const measure = async (name: string, to: number, path: string): Promise<void> => {
    const call = await callTo(to, path, house);
    const load = { ...call, connections: CONNECTIONS, seconds: SIZE.latencySeconds, warmUpSeconds: 1, ratePerSecond: RATE };
    const { ms, lateMs, perSecond } = await constantRate(load);
    const [p50, p99] = [percentile(ms, 0.5), percentile(ms, 0.99)];
    (figures[name] ??= []).push({ p50, p99 });
    progress(
      `${name} at ${perSecond.toFixed(0)}/s: p50 ${p50.toFixed(3)} ms, p99 ${p99.toFixed(3)} ms; generator late by ${percentile(lateMs, 0.99).toFixed(2)} ms`,
    );
  };
  for (let round = 0; round < SIZE.latencyRounds; round++) {
    await measure('direct', toolServer.port, CALLS.read);
    for (const [name, path] of Object.entries(paths)) await measure(name, port, path);
  }
  const direct = figures['direct'] ?? [];
  const over = (name: string, share: 'p50' | 'p99'): number =>
    median((figures[name] ?? []).map((figure, round) => figure[share] - (direct[round]?.[share] ?? Number.NaN)));
  const base = { p50: median(direct.map(({ p50 }) => p50)), p99: median(direct.map(({ p99 }) => p99)) };
  return Object.fromEntries(Object.keys(paths).map((name) => [name, { p50: over(name, 'p50'), p99: over(name, 'p99'), direct: base }]));
}

interface Added {
  readonly p50: number;
  readonly p99: number;
  readonly direct: { readonly p50: number; readonly p99: number };
}

/** A line for each share; the direct call's own figure is beside it. */
function reportAdded(suffix: string, figures: Added | undefined, limits: Readonly<Record<'p50' | 'p99', Limits>>): void {
  if (figures === undefined) throw new Error(`nothing measured for ${suffix}`);
  for (const share of ['p50', 'p99'] as const) {
    report.figure({
      figure: `added_${share}_at_1000rps${suffix}`,
      value: figures[share],
      unit: 'ms',
      baseline: figures.direct[share],
      ...limits[share],
    });
  }
}

async function measureLatency(stand: Stand): Promise<void> {
  const { house } = stand;
  const sync = JSON.parse(await run('proxy', node('fdatasync.ts', house.dir))) as readonly number[];
  const figures = await added(CALLS, stand);
  reportAdded('', figures['read'], LIMITS.added_read);
  reportAdded('_write', figures['write'], LIMITS.added_write);
  for (const [name, share] of [
    ['p50', 0.5],
    ['p99', 0.99],
  ] as const) {
    report.figure({ figure: `disk_fdatasync_${name}`, value: percentile(sync, share), unit: 'ms' });
  }
}

async function measureManyRules(stand: Stand): Promise<void> {
  await warmUp(stand);
  const figures = await added({ read: CALLS.read }, stand);
  reportAdded('_1000_rules', figures['read'], LIMITS.added_many_rules);
}

/** Through the sidecar and straight to the server, each over one connection; what the first message takes more. */
async function measureStream({ house, port, streams }: Stand): Promise<void> {
  const headers = { 'sallyport-session': await house.session() };
  const through = { port, path: '/mcp/streams', headers };
  const direct = { port: streams.port, path: '/mcp', headers };
  const times = { through: [] as number[], direct: [] as number[] };
  await firstMessageMs(through, 20);
  // In turns, for the same reason as rounds above.
  for (let turn = 0; turn < 4; turn++) {
    times.through.push(...(await firstMessageMs(through, SIZE.streams / 4)));
    times.direct.push(...(await firstMessageMs(direct, SIZE.streams / 4)));
  }
  report.figure({
    figure: 'first_token_added',
    value: median(times.through) - median(times.direct),
    unit: 'ms',
    baseline: median(times.direct),
    ...LIMITS.first_token,
  });
}

await main();
