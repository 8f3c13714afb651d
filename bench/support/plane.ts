/**
 * A control plane as a process of its own, over a folder that `root init` would have made, an administrator who speaks to
 * it, and sidecars beside it. What it listens on stays the same when it is started again.
 */

import { type Clock } from '@sallyport/model';
import { systemClock, systemRandom } from '@sallyport/runtime';
import { tokenIssuer, type TokenIssuer } from '@sallyport/testkit';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { freePorts } from '../../packages/cli/src/demo/free-port.ts';
import { makeRoot } from '../../packages/cli/src/root/make-root.ts';
import { administrator, type Administrator } from '../../test/support/administrator.ts';
import { request } from '../../test/support/world.ts';
import { background, type Child } from './children.ts';
import type { Place } from './cores.ts';
import { launchOf, type Form } from './launch.ts';
import { AGENT } from './policy.ts';

const READY_MS_MAX = 60_000;
const FRESHNESS_TTL_MS = 300_000;

export interface Plane {
  /** Everything of this run lies here. */
  readonly dir: string;
  readonly clock: Clock;
  readonly idp: TokenIssuer;
  readonly admin: Administrator;
  readonly grpc: number;
  readonly enrolment: number;
  /** The process that runs now. */
  readonly process: Child;
  /** Kills it and starts it again over what it has on disk; resolves when it answers. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

/** Where and how the control plane runs: `source` beside the load, as help; shipped, alone on its core, as what is measured. */
export interface PlaneOptions {
  readonly form: Form;
  readonly place: Place;
}

export async function startPlane({ form, place }: PlaneOptions): Promise<Plane> {
  const clock = systemClock();
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-bench-'));
  const [grpc = 0, enrolment = 0] = await freePorts(2);
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
  const config = join(dir, 'control-plane', 'config.yaml');
  const command = [...(place === 'load' ? ['nice', '-n', '10'] : []), ...launchOf('control-plane', form), '--config', config];
  const start = (): Child => background(place, command, { cwd: dir });
  const admin = administrator(dir, { address: { host: '127.0.0.1', port: grpc }, clock, freshnessTtlMs: FRESHNESS_TTL_MS });
  const answers = (): Promise<boolean> =>
    admin.status().then(
      () => true,
      () => false,
    );
  let running = start();
  await eventually(answers, 'the control plane');
  return {
    dir,
    clock,
    idp: tokenIssuer(),
    admin,
    grpc,
    enrolment,
    get process() {
      return running;
    },
    async restart() {
      await running.stop('SIGKILL');
      running = start();
      await eventually(answers, 'the control plane again');
    },
    async close() {
      admin.close();
      await running.stop('SIGKILL');
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

export interface RunningSidecar {
  readonly port: number;
  readonly health: number;
  /** The process that runs now. */
  readonly process: Child;
  /** A new session's token; these claims on top. */
  session(claims?: Readonly<Record<string, unknown>>): Promise<string>;
  /** Starts it again over what it has on disk. Gives milliseconds until it was ready. */
  restart(): Promise<number>;
}

export interface SidecarOptions {
  readonly form: Form;
  readonly place: Place;
  readonly name?: string;
  readonly profileDir?: string | undefined;
}

/** Enrols one and waits until it enforces; a policy that registers its agent has to be published. */
export async function startSidecar(plane: Plane, { form, place, name = 'sidecar', profileDir }: SidecarOptions): Promise<RunningSidecar> {
  const { dir, admin, idp, clock, grpc, enrolment } = plane;
  const [port = 0, health = 0] = await freePorts(2);
  const [config, token] = [join(dir, `${name}.yaml`), join(dir, `${name}.join-token`)];
  writeFileSync(token, await admin.joinToken(AGENT), { mode: 0o600 });
  writeFileSync(
    config,
    `agent: ${AGENT}
instance: ${name}
state_dir: ${join(dir, name)}
root_pin_file: ${join(dir, 'root-pin')}
allow_development_root: true
control_plane: { address: "127.0.0.1:${grpc}", enrolment_address: "127.0.0.1:${enrolment}", join_token_file: ${token} }
outbound: { listen: "127.0.0.1:${port}" }
health: { listen: "127.0.0.1:${health}" }
`,
  );
  const start = (): Child => background(place, [...launchOf('sidecar', form, profileDir), '--config', config], { cwd: dir });
  const isReady = (): Promise<boolean> =>
    request(health, '/readyz', { method: 'GET' }).then(
      ({ status }) => status === 200,
      () => false,
    );
  let running = start();
  await eventually(isReady, name);
  return {
    port,
    health,
    get process() {
      return running;
    },
    async session(claims = {}) {
      const own = { roles: ['support-rep'], tenant_id: 'acme', ticket_id: 'A-4711', ...claims };
      const bearer = idp.mint(clock.wall(), { claims: own });
      const opened = await request(port, '/session', { headers: { authorization: `Bearer ${bearer}` } });
      if (opened.status !== 201) throw new Error(`no session: ${opened.status} ${opened.text}`);
      return opened.json()['token'] as string;
    },
    async restart() {
      await running.stop();
      const startedAt = performance.now();
      running = start();
      await eventually(isReady, `${name} again`, 1);
      return performance.now() - startedAt;
    },
  };
}

/** Looks again and again until it holds. */
export async function eventually(look: () => Promise<boolean> | boolean, what: string, everyMs = 20): Promise<void> {
  const until = performance.now() + READY_MS_MAX;
  while (!(await look())) {
    if (performance.now() > until) throw new Error(`never came: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
