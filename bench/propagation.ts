/**
 * How soon a change is enforced everywhere: 2,000 subscribers over mTLS on one control plane, and four real sidecars among
 * them whose own answers say when they changed their mind. The control plane has a core to itself, everybody else the other.
 *
 * `npm run bench -- propagation [--quick] [--source] [--subscribers N]`; prints lines of docs/spec/bench-report.md.
 */

import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { request } from '../test/support/world.ts';
import { startReady, stopAll } from './support/children.ts';
import { moveSelf } from './support/cores.ts';
import { prepare } from './support/launch.ts';
import { eventually, startPlane, startSidecar, type RunningSidecar } from './support/plane.ts';
import { benchPolicy, CALL_BODY, CALLS } from './support/policy.ts';
import { circumstances, loadAverage, median, percentile, progress, reportOf } from './support/report.ts';
import { enrolMany, Fleet, type Subscriber } from './support/subscribers.ts';

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    source: { type: 'boolean', default: false },
    subscribers: { type: 'string', default: '2000' },
  },
});
const SUBSCRIBERS = Number(options.subscribers);
const SIZE = options.quick ? { rounds: 3, idleMs: 10_000 } : { rounds: 10, idleMs: 60_000 };
const REAL = 4;
const RULES = 200;
/** Round by round other bytes, and each publication turns the call's answer over: its amount is 12.5. */
const limitOf = (publication: number): number => (publication % 2 === 0 ? 100 + publication : (publication + 1) / 2);
const LOOK_MS = 2;

const report = reportOf('propagation');
const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const form = options.source ? 'source' : 'shipped';
const before = circumstances();
prepare(form);
moveSelf('load');
const toolServer = await startReady('load', [process.execPath, join(import.meta.dirname, 'process', 'tool-server.ts')]);
const plane = await startPlane({ form, place: 'proxy' });
const servers = { http: toolServer.port, mcp: toolServer.port };
let published = 0;
const publish = async (): Promise<void> => void (await plane.admin.publish(benchPolicy(RULES, servers, plane.idp, limitOf(published++))));
report.note(
  `${form} control plane, ${SUBSCRIBERS} simulated subscribers and ${REAL} real sidecars, ${RULES} rules over 50 tools; ${before}`,
);
const sidecars: RunningSidecar[] = [];
let fleet: Fleet | undefined;
try {
  await publish();
  for (let index = 0; index < REAL; index++) sidecars.push(await startSidecar(plane, { form, place: 'load', name: `real-${index}` }));
  const identities = await enrolMany(plane, SUBSCRIBERS, (done) => progress(`${done} enrolled`));
  await wait(2_000);
  const alone = plane.process.memory();
  fleet = new Fleet(plane.grpc, identities);
  await joined(fleet, 'connect_all', () => fleet?.connect());
  await idle();
  await publishAgain(fleet);
  await revokeAgain(fleet);
  const { rss } = plane.process.memory();
  report.figure({
    figure: 'memory_per_subscriber',
    value: ((rss - alone.rss) * 1_000) / SUBSCRIBERS,
    unit: 'KB',
    promise: { max: 200 },
  });
  const all = fleet;
  await joined(all, 'reconnect_all', () => plane.restart());
  report.note(`load average ${loadAverage()} afterwards, the bench's own load included`);
} finally {
  fleet?.close();
  for (const { process: child } of sidecars) await child.stop('SIGKILL');
  await plane.close();
  await stopAll();
}

/** Until the last of them has its proof that it is current, from when they may begin. */
async function joined(all: Fleet, figure: string, begin: () => unknown): Promise<void> {
  all.watch();
  const startedAt = performance.now();
  await begin();
  await eventually(() => all.proofs.size === SUBSCRIBERS, `the proofs of ${SUBSCRIBERS} subscribers`);
  await eventually(() => all.isQuiet(), 'what they are offered');
  report.figure({ figure: `${figure}_${SUBSCRIBERS}`, value: Math.max(...all.proofs.values()) - startedAt, unit: 'ms' });
}

/** What a fleet costs to which nothing happens but freshness and beats. */
async function idle(): Promise<void> {
  const [cpuMs, startedAt] = [plane.process.cpuMs(), performance.now()];
  await wait(SIZE.idleMs);
  const share = (plane.process.cpuMs() - cpuMs) / (performance.now() - startedAt);
  report.figure({ figure: `idle_cpu_${SUBSCRIBERS}`, value: share, unit: 'ratio' });
}

async function publishAgain(all: Fleet): Promise<void> {
  const [simulated, real, bytes]: [number[], number[], number[]] = [[], [], []];
  const tokens = await Promise.all(sidecars.map((sidecar) => sidecar.session()));
  for (let round = 0; round < SIZE.rounds; round++) {
    all.watch();
    const bytesBefore = all.bytesMax;
    const startedAt = performance.now();
    const expected = published % 2 === 0 ? 200 : 403;
    const turned = Promise.all(sidecars.map((sidecar, index) => turns(sidecar, tokens[index] ?? '', expected)));
    // Whatever keeps the publication from being made is the failure to tell, not that nobody changed their mind.
    turned.catch(() => undefined);
    await publish();
    await eventually(() => all.releases.size === SUBSCRIBERS, `release ${published} at all`);
    simulated.push(...since(startedAt, all.releases));
    real.push(...(await turned).map((at) => at - startedAt));
    bytes.push(all.bytesMax - bytesBefore);
    progress(`published: p50 ${median(simulated).toFixed(0)} ms, slowest real sidecar ${Math.max(...real).toFixed(0)} ms so far`);
    await wait(500);
  }
  const sorted = simulated.toSorted((a, b) => a - b);
  report.figure({ figure: `publish_active_p50_${SUBSCRIBERS}`, value: percentile(sorted, 0.5), unit: 'ms' });
  report.figure({ figure: `publish_active_p99_${SUBSCRIBERS}`, value: percentile(sorted, 0.99), unit: 'ms', promise: { max: 1_000 } });
  report.figure({ figure: 'publish_enforced_real_max', value: Math.max(...real), unit: 'ms' });
  report.figure({ figure: 'bytes_one_rule_changed', value: median(bytes) / 1_000, unit: 'KB' });
}

async function revokeAgain(all: Fleet): Promise<void> {
  const [simulated, real]: [number[], number[]] = [[], []];
  if (published % 2 === 0) await publish();
  for (let round = 0; round < SIZE.rounds; round++) {
    const subject = `leaver-${round}@company.com`;
    const tokens = await Promise.all(sidecars.map((sidecar) => sidecar.session({ sub: subject })));
    await Promise.all(sidecars.map((sidecar, index) => turns(sidecar, tokens[index] ?? '', 200)));
    all.watch();
    const startedAt = performance.now();
    const turned = Promise.all(sidecars.map((sidecar, index) => turns(sidecar, tokens[index] ?? '', 401)));
    turned.catch(() => undefined);
    await plane.admin.revoke('principal', subject);
    await eventually(() => all.revocations.size === SUBSCRIBERS, `revocation ${round} at all`);
    simulated.push(...since(startedAt, all.revocations));
    real.push(...(await turned).map((at) => at - startedAt));
    progress(`revoked: p50 ${median(simulated).toFixed(0)} ms, slowest real sidecar ${Math.max(...real).toFixed(0)} ms so far`);
    await wait(200);
  }
  const sorted = simulated.toSorted((a, b) => a - b);
  report.figure({ figure: `revoke_denied_p50_${SUBSCRIBERS}`, value: percentile(sorted, 0.5), unit: 'ms' });
  report.figure({ figure: `revoke_denied_p99_${SUBSCRIBERS}`, value: percentile(sorted, 0.99), unit: 'ms', promise: { max: 250 } });
  report.figure({ figure: 'revoke_denied_real_max', value: Math.max(...real), unit: 'ms' });
}

function since(startedAt: number, came: ReadonlyMap<Subscriber, number>): readonly number[] {
  return [...came.values()].map((at) => at - startedAt);
}

/** When a real sidecar answers a call with this status for the first time. */
async function turns({ port }: RunningSidecar, session: string, status: number): Promise<number> {
  const headers = { 'Content-Type': 'application/json', 'Sallyport-Session': session };
  for (;;) {
    const answer = await request(port, CALLS.read, { headers, body: CALL_BODY });
    if (answer.status === status) return performance.now();
    await wait(LOOK_MS);
  }
}
