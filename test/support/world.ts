/**
 * The whole thing in one process: a real control plane and real sidecars, over real sockets, TLS, SQLite and disk, on
 * one clock that the test may hold. Keys and files are those that `sallyport root init` makes.
 */

import type { AgentName, Clock, Instant } from '@sallyport/model';
import { compose as composeControlPlane, CONTROL_PLANE_CONFIG, type ControlPlane, type ControlPlaneConfig } from '@sallyport/control-plane';
import { readConfig, realFileSystem, systemClock, systemRandom, type FileSystem } from '@sallyport/runtime';
import { compose as composeSidecar, readAnchors, SIDECAR_CONFIG, type Sidecar, type SidecarConfig } from '@sallyport/sidecar';
import { createLog, type Log } from '@sallyport/telemetry';
import { fakeClock, tokenIssuer, type FakeClock, type TokenIssuer } from '@sallyport/testkit';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { makeRoot } from '../../packages/cli/src/root/make-root.ts';
import type { Vet } from '../../packages/sidecar/src/bundle/vetting.ts';
import type { PeerUsers } from '../../packages/sidecar/src/isolation/kernel-table.ts';
import { administrator, AREA, RING, type Administrator } from './administrator.ts';
import { delegateAreas } from './areas.ts';

export const AGENT = 'support-triage' as AgentName;

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  json(): Record<string, unknown>;
}

/** A running sidecar as its agent, its kubelet and its test see it. */
export interface RunningSidecar {
  readonly sidecar: Sidecar;
  readonly stateDir: string;
  readonly url: string;
  readonly port: number;
  readonly healthPort: number;
  request(
    path: string,
    options?: { method?: string; body?: string | Uint8Array; headers?: Record<string, string | string[]> },
  ): Promise<HttpAnswer>;
  /** Opens a session for an operator and gives its token. */
  session(claims?: Record<string, unknown>): Promise<string>;
  call(tool: string, args: unknown, session: string): Promise<HttpAnswer>;
  ready(): Promise<boolean>;
  /** Ends it without a word, as kill -9 would: nothing is flushed, closed or shipped. */
  abandon(): void;
  drain(): Promise<void>;
}

export interface SidecarOptions {
  /** Of the instance; a second start under one name finds what the first one left on disk. */
  readonly name?: string;
  /** `support-triage` unless given. */
  readonly agent?: AgentName;
  /** Where it is enrolled; `default` in ring `default` unless given. */
  readonly area?: string;
  readonly ring?: string;
  /** What differs from the defaults, section by section. */
  readonly config?: ConfigChanges;
  readonly disk?: FileSystem;
  readonly clock?: Clock;
  readonly withToken?: boolean;
  /** A join token that was made before, for a start while the control plane is away. */
  readonly token?: string;
  /** Where it looks for the control plane's two ports, such as a line that can be cut. */
  readonly controlPlane?: { readonly grpc: Address; readonly enrolment?: Address };
  readonly vet?: Vet;
  /** Who its agent is, as the kernel would say; another user than the sidecar's unless given. */
  readonly peerUsers?: PeerUsers;
}

/** Tests run as one user; in production the kernel says who is who. */
const APART: PeerUsers = { own: process.getuid?.() ?? 0, of: () => 4_242 };

type ConfigChanges = {
  readonly [K in keyof SidecarConfig]?: SidecarConfig[K] extends object ? Partial<SidecarConfig[K]> : SidecarConfig[K];
};

function changed(config: SidecarConfig, changes: ConfigChanges): SidecarConfig {
  const sections = Object.entries(changes).map(([name, change]): [string, unknown] => {
    const held = config[name as keyof SidecarConfig];
    return [name, typeof held === 'object' && typeof change === 'object' ? { ...held, ...change } : change];
  });
  return { ...config, ...Object.fromEntries(sections) };
}

interface Address {
  readonly host: string;
  readonly port: number;
}

export interface World {
  readonly dir: string;
  readonly clock: Clock;
  readonly idp: TokenIssuer;
  readonly admin: Administrator;
  readonly controlPlane: ControlPlane;
  /** Log lines of everything, for failures. */
  readonly log: readonly string[];
  startSidecar(options?: SidecarOptions): Promise<RunningSidecar>;
  stopControlPlane(): Promise<void>;
  /** On the ports that it had. */
  restartControlPlane(): Promise<void>;
  close(): Promise<void>;
}

export interface WorldOptions {
  readonly clock?: Clock;
  readonly freshnessTtlMs?: number;
  /** What Root leaves to the directory. */
  readonly directoryAttributes?: readonly string[];
  readonly controlPlane?: Partial<ControlPlaneConfig>;
  /** Areas beside `default`, each with a publisher of its own. */
  readonly areas?: readonly string[];
}

/** Waits for a condition, looking again as real time passes; the ceiling is for what never comes, not for what is slow. */
export async function eventually<T>(
  look: () => T | undefined | false | Promise<T | undefined | false>,
  what: string,
  ceilingMs = 60_000,
): Promise<T> {
  const until = performance.now() + ceilingMs;
  for (;;) {
    const seen = await look();
    if (seen !== undefined && seen !== false) return seen;
    if (performance.now() > until) throw new Error(`never came: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Waits for what ends by the clock: where the clock is in the test's hands, it goes on meanwhile, little by little. */
export async function whileTimePasses<T>(clock: Clock, work: Promise<T>, stepMs = 50): Promise<T> {
  if (!('advance' in clock)) return work;
  const over = new AbortController();
  const done = work.finally(() => over.abort());
  while (!over.signal.aborted) {
    await (clock as FakeClock).advance(stepMs);
    // Sockets and disks go by the machine's time; they get their turn between two steps.
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  return done;
}

/** Lets the test's clock go on in small steps, with time for sockets and disks in between. */
export async function pass(clock: FakeClock, ms: number, stepMs = 500): Promise<void> {
  for (let left = ms; left > 0; left -= stepMs) {
    await clock.advance(Math.min(stepMs, left));
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** A clock for tests, half an hour ago: TLS reads the machine's clock, and certificates of a world live an hour. */
export function testClock(): FakeClock {
  return fakeClock({ wall: (Date.now() - 1_800_000) as Instant });
}

/** Waits for something that itself waits on the clock; a clock in the test's hands is moved on meanwhile. */
async function patiently<T>(clock: Clock, task: Promise<T>): Promise<T> {
  const over = new AbortController();
  const settled = task.finally(() => over.abort());
  if (!('advance' in clock)) return settled;
  while (!over.signal.aborted) {
    await Promise.race([settled.catch(() => undefined), new Promise((resolve) => setTimeout(resolve, 20))]);
    if (!over.signal.aborted) await (clock as FakeClock).advance(500);
  }
  return settled;
}

export async function startWorld(options: WorldOptions = {}): Promise<World> {
  const clock = options.clock ?? systemClock();
  const freshnessTtlMs = options.freshnessTtlMs ?? 60_000;
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-world-'));
  const lines: string[] = [];
  const log: Log = createLog({ level: 'debug', name: 'world', clock, write: (line) => lines.push(line) });
  const made = await makeRoot({
    trustDomain: 'demo.local',
    admin: 'admin',
    now: clock.wall(),
    random: systemRandom,
    grpc: '127.0.0.1:0',
    enrolment: '127.0.0.1:0',
    freshnessTtlMs,
    ...(options.directoryAttributes === undefined ? {} : { directoryAttributes: options.directoryAttributes }),
  });
  for (const { path, content, isPrivate } of made.files) {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), content, { mode: isPrivate ? 0o600 : 0o644 });
  }
  const read = readConfig(CONTROL_PLANE_CONFIG, { file: join(dir, 'control-plane', 'config.yaml') });
  if (!read.ok) throw new Error(JSON.stringify(read.error, undefined, 1));
  const delegation_files = [...read.value.delegation_files, ...(await delegateAreas(dir, options.areas ?? [], clock.wall()))];
  let config: ControlPlaneConfig = { ...read.value, delegation_files, ...options.controlPlane };
  const startControlPlane = async (): Promise<ControlPlane> => {
    const started = composeControlPlane(config, { clock, random: systemRandom, log });
    await started.start();
    const { grpc, enrolment } = started.addresses();
    config = { ...config, listen: { grpc: { kind: 'tcp', ...grpc }, enrolment: { kind: 'tcp', ...enrolment } } };
    return started;
  };
  let controlPlane: ControlPlane | undefined = await startControlPlane();
  const { grpc, enrolment } = controlPlane.addresses();
  const admin = administrator(dir, { address: grpc, clock, freshnessTtlMs });
  const idp = tokenIssuer();
  const sidecars: RunningSidecar[] = [];

  const world: World = {
    dir,
    clock,
    idp,
    admin,
    get controlPlane() {
      if (controlPlane === undefined) throw new Error('the control plane is stopped');
      return controlPlane;
    },
    log: lines,
    async startSidecar(how = {}) {
      const {
        name = 'one',
        agent = AGENT,
        area = AREA,
        ring = RING,
        config: over = {},
        disk = realFileSystem(),
        clock: own = clock,
        withToken = true,
        token,
        vet,
        peerUsers = APART,
      } = how;
      const seen = { grpc: how.controlPlane?.grpc ?? grpc, enrolment: how.controlPlane?.enrolment ?? enrolment };
      const stateDir = join(dir, 'sidecars', name);
      mkdirSync(stateDir, { recursive: true, mode: 0o700 });
      const tokenFile = join(dir, `${name}.join-token`);
      if (withToken) writeFileSync(tokenFile, token ?? (await admin.joinToken(agent, { area, ring })), { mode: 0o600 });
      const file = join(dir, `${name}.yaml`);
      writeFileSync(
        file,
        [
          `agent: ${agent}`,
          `area: ${area}`,
          `ring: ${ring}`,
          `instance: ${name}`,
          `state_dir: ${stateDir}`,
          `root_pin_file: ${join(dir, 'root-pin')}`,
          `root_file: ${join(dir, 'root', '1.json')}`,
          'allow_development_root: true',
          'isolation: enforced',
          'control_plane:',
          `  address: "${seen.grpc.host}:${seen.grpc.port}"`,
          `  enrolment_address: "${seen.enrolment.host}:${seen.enrolment.port}"`,
          ...(withToken ? [`  join_token_file: ${tokenFile}`] : []),
          'outbound: { listen: "127.0.0.1:0" }',
          'health: { listen: "127.0.0.1:0" }',
          'hold_while_syncing_ms: 0',
          'drain_ms: 2000',
        ].join('\n'),
      );
      const sidecarConfig = readConfig(SIDECAR_CONFIG, { file });
      if (!sidecarConfig.ok) throw new Error(JSON.stringify(sidecarConfig.error, undefined, 1));
      const asked = changed(sidecarConfig.value, over);
      const anchors = readAnchors(asked, realFileSystem());
      if (!anchors.ok) throw new Error(JSON.stringify(anchors.error, undefined, 1));
      const sidecar = composeSidecar(asked, anchors.value, {
        clock: own,
        random: systemRandom,
        log,
        build: 'test',
        disk,
        ...(vet === undefined ? {} : { vet }),
        peerUsers,
      });
      await sidecar.start();
      const running = runningSidecar(sidecar, { stateDir, idp, clock: own });
      sidecars.push(running);
      return running;
    },
    async stopControlPlane() {
      await whileTimePasses(clock, controlPlane?.drain() ?? Promise.resolve());
      controlPlane = undefined;
    },
    async restartControlPlane() {
      controlPlane = await startControlPlane();
    },
    async close() {
      admin.close();
      await whileTimePasses(clock, Promise.all(sidecars.map((one) => one.drain())));
      await whileTimePasses(clock, controlPlane?.drain() ?? Promise.resolve());
      rmSync(dir, { recursive: true, force: true });
    },
  };
  return world;
}

function runningSidecar(sidecar: Sidecar, { stateDir, idp, clock }: { stateDir: string; idp: TokenIssuer; clock: Clock }): RunningSidecar {
  const { outbound, health } = sidecar.addresses();
  const port = outbound.kind === 'tcp' ? outbound.port : 0;
  const healthPort = health.kind === 'tcp' ? health.port : 0;
  // Owner: this object.
  let isOver = false;
  const self: RunningSidecar = {
    sidecar,
    stateDir,
    port,
    healthPort,
    url: `http://127.0.0.1:${port}`,
    request: (path, options) => request(port, path, options),
    async session(claims = {}) {
      const token = idp.mint(clock.wall() as Instant, { claims });
      const opened = await self.request('/session', { headers: { authorization: `Bearer ${token}` } });
      if (opened.status !== 201) throw new Error(`no session: ${opened.status} ${opened.text}`);
      return opened.json()['token'] as string;
    },
    call: (tool, args, session) =>
      self.request(`/tools/${tool}`, {
        body: JSON.stringify(args),
        headers: { 'content-type': 'application/json', 'sallyport-session': session },
      }),
    ready: async () => (await request(healthPort, '/readyz', { method: 'GET' })).status === 200,
    abandon() {
      isOver = true;
    },
    async drain() {
      if (isOver) return;
      isOver = true;
      await patiently(clock, sidecar.drain());
    },
  };
  return self;
}

/** One request over a connection of its own. */
export function request(
  port: number,
  path: string,
  {
    method = 'POST',
    body,
    headers = {},
  }: { method?: string; body?: string | Uint8Array; headers?: Record<string, string | string[]> } = {},
): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest({ host: '127.0.0.1', port, path, method, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text,
          json: () => JSON.parse(text) as Record<string, unknown>,
        });
      });
    });
    sent.on('error', reject);
    sent.end(body);
  });
}
