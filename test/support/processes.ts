/** Control plane and sidecar as processes of their own, as they ship, so that a test can kill them. What they need is on disk as `root init` makes it. */

import { systemClock, systemRandom } from '@sallyport/runtime';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { freePorts } from '../../packages/cli/src/demo/free-port.ts';
import { makeRoot } from '../../packages/cli/src/root/make-root.ts';
import { administrator, type Administrator } from './administrator.ts';
import { eventually, request } from './world.ts';

export type App = 'control-plane' | 'sidecar';

export interface Processes {
  readonly dir: string;
  readonly admin: Administrator;
  readonly outbound: number;
  readonly health: number;
  start(app: App): void;
  /** SIGKILL, and waits until it is gone. */
  kill(app: App): Promise<void>;
  /** SIGTERM, and waits for the end that it makes of it; gives the exit code. */
  stop(app: App): Promise<number | null>;
  /** Waits until the sidecar may enforce. */
  ready(): Promise<void>;
  /** A number from the sidecar's metrics, `undefined` while it does not answer. */
  metric(name: string): Promise<number | undefined>;
  close(): Promise<void>;
}

const ROOT = join(import.meta.dirname, '..', '..');
const CEILING_MS = 40_000;
/** As shipped; among others, no code is made from strings. */
const LAUNCH_FLAGS = JSON.parse(readFileSync(join(ROOT, 'scripts', 'artefact', 'launch-flags.json'), 'utf8')) as Readonly<
  Record<App, readonly string[]>
>;

/** Starts nothing yet. Ports are the system's choice, and the same at each start of an app. */
export async function processes({ freshnessTtlMs = 60_000 }: { readonly freshnessTtlMs?: number } = {}): Promise<Processes> {
  const clock = systemClock();
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-processes-'));
  const [grpc = 0, enrolment = 0, outbound = 0, health = 0] = await freePorts(4);
  const made = await makeRoot({
    trustDomain: 'demo.local',
    admin: 'admin',
    now: clock.wall(),
    random: systemRandom,
    grpc: `127.0.0.1:${grpc}`,
    enrolment: `127.0.0.1:${enrolment}`,
    freshnessTtlMs,
  });
  for (const { path, content, isPrivate } of made.files) {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), content, { mode: isPrivate ? 0o600 : 0o644 });
  }
  writeFileSync(
    join(dir, 'sidecar.yaml'),
    `agent: support-triage
state_dir: ${join(dir, 'sidecar')}
root_pin_file: ${join(dir, 'root-pin')}
allow_development_root: true
control_plane: { address: "127.0.0.1:${grpc}", enrolment_address: "127.0.0.1:${enrolment}", join_token_file: ${join(dir, 'join-token')} }
outbound: { listen: "127.0.0.1:${outbound}" }
health: { listen: "127.0.0.1:${health}" }
hold_while_syncing_ms: 0
`,
  );
  const admin = administrator(dir, { address: { host: '127.0.0.1', port: grpc }, clock, freshnessTtlMs });
  const children = new Map<App, ChildProcess>();
  const isRunning = (child: ChildProcess): boolean => child.exitCode === null && child.signalCode === null;
  const end = async (app: App, signal: 'SIGKILL' | 'SIGTERM'): Promise<number | null> => {
    const child = children.get(app);
    if (child === undefined || !isRunning(child)) return child?.exitCode ?? null;
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
    return child.exitCode;
  };
  const self: Processes = {
    dir,
    admin,
    outbound,
    health,
    start(app) {
      const config = app === 'sidecar' ? 'sidecar.yaml' : join('control-plane', 'config.yaml');
      const main = join(ROOT, 'packages', app, 'src', 'main.ts');
      const argv = [...LAUNCH_FLAGS[app], '--conditions=sallyport-src', main, '--config', join(dir, config)];
      const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'pipe'] });
      const said: string[] = [];
      for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => said.push(chunk.toString()));
      child.once('exit', (code, signal) => {
        if (signal === null && code !== 0) console.error(`${app} ended with ${String(code)}\n${said.join('').slice(-4_000)}`);
      });
      children.set(app, child);
    },
    async kill(app) {
      await end(app, 'SIGKILL');
    },
    stop: (app) => end(app, 'SIGTERM'),
    async ready() {
      await eventually(
        async () => (await request(health, '/readyz', { method: 'GET' }).catch(() => undefined))?.status === 200,
        'readiness',
        CEILING_MS,
      );
    },
    async metric(name) {
      const answer = await request(health, '/metrics', { method: 'GET' }).catch(() => undefined);
      const line = answer?.text.split('\n').find((one) => one.startsWith(`${name} `));
      return line === undefined ? undefined : Number(line.split(' ')[1]);
    },
    async close() {
      admin.close();
      await end('sidecar', 'SIGKILL');
      await end('control-plane', 'SIGKILL');
      rmSync(dir, { recursive: true, force: true });
    },
  };
  return self;
}

/** A sequence of numbers from 0 up to 1 that a seed decides (mulberry32). */
export function chance(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
