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

export interface SidecarPorts {
  readonly outbound: number;
  readonly health: number;
}

/** There is one sidecar for each agent; where none is named, the first agent's is meant. */
export interface Processes extends SidecarPorts {
  readonly dir: string;
  readonly admin: Administrator;
  portsOf(agent: string): SidecarPorts;
  /** Gives a sidecar what it needs to join; the control plane must be there. */
  enrol(agent?: string): Promise<void>;
  start(app: App, agent?: string): void;
  /** SIGKILL, and waits until it is gone. */
  kill(app: App, agent?: string): Promise<void>;
  /** SIGTERM, and waits for the end that it makes of it; gives the exit code. */
  stop(app: App, agent?: string): Promise<number | null>;
  /** Waits until the sidecar may enforce. */
  ready(agent?: string): Promise<void>;
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
export async function processes({
  freshnessTtlMs = 60_000,
  agents = ['support-triage'],
}: { readonly freshnessTtlMs?: number; readonly agents?: readonly string[] } = {}): Promise<Processes> {
  const clock = systemClock();
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-processes-'));
  const [grpc = 0, enrolment = 0, ...others] = await freePorts(2 + 2 * agents.length);
  const ports = new Map(agents.map((agent, i) => [agent, { outbound: others[2 * i] ?? 0, health: others[2 * i + 1] ?? 0 }]));
  const [first = ''] = agents;
  const portsOf = (agent: string): SidecarPorts => {
    const found = ports.get(agent);
    if (found === undefined) throw new Error(`no sidecar of agent ${agent}`);
    return found;
  };
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
  const tokenFile = (agent: string): string => join(dir, `${agent}.join-token`);
  const configFile = (app: App, agent: string): string =>
    app === 'sidecar' ? join(dir, `${agent}.yaml`) : join(dir, 'control-plane', 'config.yaml');
  for (const [agent, { outbound, health }] of ports)
    writeFileSync(
      configFile('sidecar', agent),
      `agent: ${agent}
state_dir: ${join(dir, `sidecar-${agent}`)}
root_pin_file: ${join(dir, 'root-pin')}
allow_development_root: true
control_plane: { address: "127.0.0.1:${grpc}", enrolment_address: "127.0.0.1:${enrolment}", join_token_file: ${tokenFile(agent)} }
outbound: { listen: "127.0.0.1:${outbound}" }
health: { listen: "127.0.0.1:${health}" }
hold_while_syncing_ms: 0
`,
    );
  const admin = administrator(dir, { address: { host: '127.0.0.1', port: grpc }, clock, freshnessTtlMs });
  const children = new Map<string, ChildProcess>();
  const keyOf = (app: App, agent: string): string => (app === 'sidecar' ? `sidecar of ${agent}` : app);
  const isRunning = (child: ChildProcess): boolean => child.exitCode === null && child.signalCode === null;
  const end = async (key: string, signal: 'SIGKILL' | 'SIGTERM'): Promise<number | null> => {
    const child = children.get(key);
    if (child === undefined || !isRunning(child)) return child?.exitCode ?? null;
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
    return child.exitCode;
  };
  const self: Processes = {
    dir,
    admin,
    ...portsOf(first),
    portsOf,
    async enrol(agent = first) {
      writeFileSync(tokenFile(agent), await admin.joinToken(agent), { mode: 0o600 });
    },
    start(app, agent = first) {
      const main = join(ROOT, 'packages', app, 'src', 'main.ts');
      const argv = [...LAUNCH_FLAGS[app], '--conditions=sallyport-src', main, '--config', configFile(app, agent)];
      const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'pipe'] });
      const said: string[] = [];
      for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => said.push(chunk.toString()));
      child.once('exit', (code, signal) => {
        if (signal === null && code !== 0) console.error(`${keyOf(app, agent)} ended with ${String(code)}\n${said.join('').slice(-4_000)}`);
      });
      children.set(keyOf(app, agent), child);
    },
    async kill(app, agent = first) {
      await end(keyOf(app, agent), 'SIGKILL');
    },
    stop: (app, agent = first) => end(keyOf(app, agent), 'SIGTERM'),
    async ready(agent = first) {
      await eventually(
        async () => (await request(portsOf(agent).health, '/readyz', { method: 'GET' }).catch(() => undefined))?.status === 200,
        'readiness',
        CEILING_MS,
      );
    },
    async metric(name) {
      const answer = await request(self.health, '/metrics', { method: 'GET' }).catch(() => undefined);
      const line = answer?.text.split('\n').find((one) => one.startsWith(`${name} `));
      return line === undefined ? undefined : Number(line.split(' ')[1]);
    },
    async close() {
      admin.close();
      await Promise.all(agents.map((agent) => end(keyOf('sidecar', agent), 'SIGKILL')));
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
