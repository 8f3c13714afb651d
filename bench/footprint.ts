/**
 * What a sidecar takes beside its agent: memory when nothing happens and at 2,000 calls a second, and how soon after its
 * start it may enforce, with a bundle of 50 tools and 200 rules on its disk. Beside it a process of bare Node.
 *
 * `npm run bench -- footprint [--quick] [--source]`; prints lines of docs/spec/bench-report.md.
 */

import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Child, type Memory, startReady, stopAll } from './support/children.ts';
import { moveSelf } from './support/cores.ts';
import { startHouse } from './support/house.ts';
import { prepare } from './support/launch.ts';
import { constantRate } from './support/load.ts';
import { CALL_BODY, CALLS } from './support/policy.ts';
import { circumstances, loadAverage, median, progress, reportOf } from './support/report.ts';

const { values: options } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, source: { type: 'boolean', default: false } },
});
const SIZE = options.quick ? { starts: 5, idleMs: 2_000, seconds: 8 } : { starts: 15, idleMs: 10_000, seconds: 60 };
const RATE = 2_000;
const RULES = 200;
const SAMPLE_MS = 250;
/** A process of Node that does nothing. No file: stripping types from one would cost more than the runtime's own rest. */
const BARE = [process.execPath, '--eval', `console.log('{"port":0}'); setInterval(() => undefined, 60_000);`];

const report = reportOf('footprint');
const script = (name: string): string => join(import.meta.dirname, 'process', name);
const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const form = options.source ? 'source' : 'shipped';
const before = circumstances();
prepare(form);
moveSelf('load');
const toolServer = await startReady('load', [process.execPath, script('tool-server.ts')]);
const house = await startHouse({ form, rules: RULES, servers: { http: toolServer.port, mcp: toolServer.port } });
report.note(`${form} sidecar; ${before}`);
try {
  const starts: number[] = [];
  for (let start = 0; start < SIZE.starts; start++) starts.push(await house.restart());
  progress(`ready after ${starts.map((ms) => ms.toFixed(0)).join(', ')} ms`);
  const bare = await startReady('proxy', BARE);
  await wait(SIZE.idleMs);
  const [idle, bareMemory] = [house.sidecar.memory(), bare.memory()];
  await bare.stop();
  const busy = await peakUnderLoad(house.sidecar);
  report.figure({ figure: 'rss_idle', value: idle.rss, unit: 'MB', baseline: bareMemory.rss, promise: { max: 70 }, bound: { max: 140 } });
  report.figure({ figure: 'rss_private_idle', value: idle.own, unit: 'MB', baseline: bareMemory.own, promise: { max: 25 } });
  report.figure({ figure: 'rss_2000rps', value: busy.rss, unit: 'MB', promise: { max: 110 } });
  report.figure({ figure: 'ready_from_cache', value: median(starts), unit: 'ms', promise: { max: 150 } });
  report.note(`load average ${loadAverage()} afterwards, the bench's own load included`);
} finally {
  await house.close();
  await stopAll();
}

/** The most that it held at any look, while every call was answered. */
async function peakUnderLoad(sidecar: Child): Promise<Memory> {
  const call = {
    port: house.port,
    path: CALLS.read,
    headers: { 'Content-Type': 'application/json', 'Sallyport-Session': await house.session() },
    body: CALL_BODY,
  };
  const over = new AbortController();
  const load = constantRate({ ...call, connections: 64, seconds: SIZE.seconds, warmUpSeconds: 2, ratePerSecond: RATE });
  const loaded = load.finally(() => over.abort());
  let peak = sidecar.memory();
  while (!over.signal.aborted) {
    await wait(SAMPLE_MS);
    const now = sidecar.memory();
    if (now.rss > peak.rss) peak = now;
  }
  const { perSecond } = await loaded;
  progress(`${perSecond.toFixed(0)} calls/s answered; at most ${peak.rss.toFixed(0)} MB, ${peak.own.toFixed(0)} MB of it private`);
  return peak;
}
