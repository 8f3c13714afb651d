/**
 * A control plane and one sidecar as processes of their own, as they run in production: policy published over gRPC, records
 * shipped and acknowledged while calls are measured. The control plane runs beside the load, the sidecar alone on its core.
 */

import { systemClock, systemRandom } from '@sallyport/runtime';
import { tokenIssuer } from '@sallyport/testkit';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { freePorts } from '../../packages/cli/src/demo/free-port.ts';
import { makeRoot } from '../../packages/cli/src/root/make-root.ts';
import { administrator } from '../../test/support/administrator.ts';
import { request } from '../../test/support/world.ts';
import { background, type Child } from './children.ts';
import { launchOf, type Form } from './launch.ts';
import { AGENT, benchPolicy, type Servers } from './policy.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const READY_MS_MAX = 60_000;
const FRESHNESS_TTL_MS = 300_000;

export interface House {
  readonly port: number;
  /** The sidecar that runs now. */
  readonly sidecar: Child;
  /** The measured part's own folder. */
  readonly dir: string;
  publish(rules: number, servers: Servers): Promise<void>;
  /** A new session's token. */
  session(): Promise<string>;
  /** Records that the control plane has not acknowledged. */
  backlog(): Promise<number>;
  /** Waits until the collector holds everything. */
  settled(): Promise<void>;
  /** Starts the sidecar again over what it has on disk. Gives milliseconds until it was ready. */
  restart(): Promise<number>;
  close(): Promise<void>;
}

export interface HouseOptions {
  readonly form: Form;
  readonly rules: number;
  readonly servers: Servers;
  readonly profileDir?: string | undefined;
}

/** Starts both, with a policy in force. */
export async function startHouse({ form, rules, servers, profileDir }: HouseOptions): Promise<House> {
  const clock = systemClock();
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-bench-'));
  const [grpc = 0, enrolment = 0, outbound = 0, health = 0] = await freePorts(4);
  const made = await makeRoot({
    trustDomain: 'demo.local',
    admin: 'admin',
    now: clock.wall(),
    random: systemRandom,
    grpc: `127.0.0.1:${grpc}`,
    enrolment: `127.0.0.1:${enrolment}`,
    freshnessTtlMs: FRESHNESS_TTL_MS,
  });
  for (const { path, content, isPrivate } of made.files) {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), content, { mode: isPrivate ? 0o600 : 0o644 });
  }
  const config = join(dir, 'sidecar.yaml');
  writeFileSync(
    config,
    `agent: ${AGENT}
state_dir: ${join(dir, 'sidecar')}
root_pin_file: ${join(dir, 'root-pin')}
allow_development_root: true
control_plane: { address: "127.0.0.1:${grpc}", enrolment_address: "127.0.0.1:${enrolment}", join_token_file: ${join(dir, 'join-token')} }
outbound: { listen: "127.0.0.1:${outbound}" }
health: { listen: "127.0.0.1:${health}" }
`,
  );
  const main = join(ROOT, 'packages', 'control-plane', 'src', 'main.ts');
  const plane = ['nice', '-n', '10', process.execPath, '--conditions=sallyport-src', main];
  const controlPlane = background('load', [...plane, '--config', join(dir, 'control-plane', 'config.yaml')]);
  const idp = tokenIssuer();
  const admin = administrator(dir, { address: { host: '127.0.0.1', port: grpc }, clock, freshnessTtlMs: FRESHNESS_TTL_MS });
  const publish = async (count: number, to: Servers): Promise<void> => void (await admin.publish(benchPolicy(count, to, idp)));
  await eventually(
    () =>
      admin.status().then(
        () => true,
        () => false,
      ),
    'the control plane',
  );
  await publish(rules, servers);
  writeFileSync(join(dir, 'join-token'), await admin.joinToken(AGENT), { mode: 0o600 });
  const start = (): Child => background('proxy', [...launchOf(form, profileDir), '--config', config], { cwd: dir });
  const isReady = (): Promise<boolean> =>
    request(health, '/readyz', { method: 'GET' }).then(
      ({ status }) => status === 200,
      () => false,
    );
  let sidecar = start();
  await eventually(isReady, 'the sidecar');
  const backlog = async (): Promise<number> => {
    const { text } = await request(health, '/metrics', { method: 'GET' });
    return Number(/^sallyport_audit_backlog_records (\d+)/m.exec(text)?.[1]);
  };
  return {
    port: outbound,
    dir,
    publish,
    backlog,
    get sidecar() {
      return sidecar;
    },
    async session() {
      const claims = { claims: { roles: ['support-rep'], tenant_id: 'acme', ticket_id: 'A-4711' } };
      const token = idp.mint(clock.wall(), claims);
      const opened = await request(outbound, '/session', { headers: { authorization: `Bearer ${token}` } });
      if (opened.status !== 201) throw new Error(`no session: ${opened.status} ${opened.text}`);
      return opened.json()['token'] as string;
    },
    settled: () => eventually(async () => (await backlog()) < 50, 'the acknowledgement of all records'),
    async restart() {
      await sidecar.stop();
      const startedAt = performance.now();
      sidecar = start();
      await eventually(isReady, 'the sidecar again', 1);
      return performance.now() - startedAt;
    },
    async close() {
      admin.close();
      // A profile is written by a process that ends by itself.
      await sidecar.stop(profileDir === undefined ? 'SIGKILL' : 'SIGTERM');
      await controlPlane.stop('SIGKILL');
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** Looks again and again until it holds. */
async function eventually(look: () => Promise<boolean>, what: string, everyMs = 20): Promise<void> {
  const until = performance.now() + READY_MS_MAX;
  while (!(await look())) {
    if (performance.now() > until) throw new Error(`never came: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
