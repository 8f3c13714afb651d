/**
 * Where the demo plays: a temporary folder with a root of trust and a policy in it, two MCP servers, a plain HTTP service,
 * a control plane and a sidecar, on ports of 127.0.0.1 that nobody else has. Everything started here is ended here.
 */

import { appendFileSync, chmodSync, cpSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Fault } from '@sallyport/model';
import { deadline, delay } from '@sallyport/runtime';
import type { Command } from '../command.ts';
import { agentsJoinToken } from '../commands/agents-join-token.ts';
import { auditTail } from '../commands/audit-tail.ts';
import { auditVerify } from '../commands/audit-verify.ts';
import { fleetStatus } from '../commands/fleet-status.ts';
import { policyPublish } from '../commands/policy-publish.ts';
import { rootInit } from '../commands/root-init.ts';
import { installation } from '../installation.ts';
import type { Io } from '../io.ts';
import { ask } from '../local-http.ts';
import { freePorts } from './free-port.ts';
import { identityProvider } from './identity-provider.ts';
import type { IdentityProvider } from './identity-provider.ts';
import { startEverything, startFilesystem } from './mcp-servers.ts';
import type { RunningMcpServer } from './mcp-servers.ts';
import { startOrders } from './orders-service.ts';
import type { OrdersService } from './orders-service.ts';
import { startApp, stopApp } from './processes.ts';
import type { AppProcess } from './processes.ts';
import { type } from './typed.ts';
import type { Typed } from './typed.ts';

/** How long sidecars go on without the control plane: short enough to watch it end. */
export const FRESHNESS_TTL_MS = 5_000;
/** The most that anything here waits for anything else. */
const CEILING_MS = 30_000;
const POLL_MS = 100;
const EXAMPLE = join(installation.examples, 'demo-policy');
const COMMANDS: readonly Command[] = [rootInit, policyPublish, agentsJoinToken, fleetStatus, auditTail, auditVerify];

export interface Stage {
  readonly dir: string;
  readonly policyDir: string;
  /** Of the folder that the file server serves: what everybody may read, and what nobody may. */
  readonly publicFile: string;
  readonly privateFile: string;
  readonly idp: IdentityProvider;
  readonly orders: OrdersService;
  readonly outboundPort: number;
  readonly adminSocket: string;
  /** The process that runs now; `undefined` before its start and after its end. */
  readonly controlPlane: AppProcess | undefined;
  readonly sidecar: AppProcess | undefined;
  /** Types a command as the administrator of the stage. */
  type(argv: readonly string[]): Promise<Typed>;
  startControlPlane(): Promise<void>;
  startSidecar(): Promise<void>;
  /** Resolves true once `isTrue` is, false when the ceiling is reached; a Fault where Ctrl-C came first. */
  until(isTrue: () => Promise<boolean>): Promise<boolean>;
  /** Ends every process, and removes the folder unless it is to be kept. */
  close(options: { readonly isKept: boolean }): Promise<void>;
}

export async function setStage(io: Io): Promise<Stage> {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), 'sallyport-demo-')));
  chmodSync(dir, 0o700);
  const [grpc = 0, enrolment = 0, outboundPort = 0, healthPort = 0] = await freePorts(4);
  const idp = identityProvider({ issuer: 'https://idp.demo.local', audience: 'sallyport', random: io.random });
  const served = join(dir, 'files');
  const publicFile = writeServed(served, 'public/hours.txt', 'Open from 9 to 5.\n');
  const privateFile = writeServed(served, 'private/salaries.txt', 'None of your business.\n');
  // Owner: this stage. What runs, to be ended in the opposite order.
  const running: {
    everything?: RunningMcpServer;
    files?: RunningMcpServer;
    orders?: OrdersService;
    controlPlane?: AppProcess;
    sidecar?: AppProcess;
  } = {};

  const closeAll = async ({ isKept }: { readonly isKept: boolean }): Promise<void> => {
    const { everything, files, orders, controlPlane, sidecar } = running;
    // The sidecar first: what it still holds of the record goes to the control plane.
    if (sidecar !== undefined) await stopApp(sidecar, io.clock);
    if (controlPlane !== undefined) await stopApp(controlPlane, io.clock);
    await Promise.all([everything?.close(), files?.close(), orders?.close()]);
    if (!isKept) rmSync(dir, { recursive: true, force: true });
  };

  try {
    const orders = (running.orders = await startOrders());
    [running.everything, running.files] = await Promise.all([startEverything(), startFilesystem(served)]);
    const policyDir = writePolicy(dir, {
      idp,
      publicFolder: `${join(served, 'public')}/`,
      everything: running.everything.url,
      files: running.files.url,
      orders: orders.url,
    });
    const adminSocket = join(dir, 'admin.sock');
    const typed = async (argv: readonly string[]): Promise<Typed> => type(argv, { commands: COMMANDS, cwd: dir, io });
    const until = (isTrue: () => Promise<boolean>): Promise<boolean> => waitUntil(isTrue, io);
    await initRoot(typed, dir, { grpc, enrolment });
    writeFileSync(join(dir, 'sidecar.yaml'), sidecarYaml({ grpc, enrolment, outboundPort, healthPort, adminSocket }));

    return {
      dir,
      policyDir,
      publicFile,
      privateFile,
      idp,
      orders,
      outboundPort,
      adminSocket,
      get controlPlane() {
        return running.controlPlane;
      },
      get sidecar() {
        return running.sidecar;
      },
      type: typed,
      until,
      async startControlPlane() {
        const argv = ['control-plane', '--config', '.sallyport/control-plane/config.yaml'];
        const app = await startApp('the control plane', argv, { logFile: join(dir, 'control-plane.log'), cwd: dir });
        running.controlPlane = app;
        await untilServing(app, { until, isServing: async () => (await typed(['fleet', 'status', '--json'])).exit === 0 });
      },
      async startSidecar() {
        const app = await startApp('the sidecar', ['sidecar', '--config', 'sidecar.yaml'], { logFile: join(dir, 'sidecar.log'), cwd: dir });
        running.sidecar = app;
        await untilServing(app, { until, isServing: () => isReady(healthPort, io.signal) });
      },
      close: closeAll,
    };
  } catch (error) {
    await closeAll({ isKept: false });
    throw error;
  }
}

function writeServed(served: string, name: string, content: string): string {
  const path = join(served, name);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, content);
  return path;
}

interface PolicyValues {
  readonly idp: IdentityProvider;
  readonly publicFolder: string;
  readonly everything: string;
  readonly files: string;
  readonly orders: string;
}

/** The example's own documents; what differs between environments, and the keys of the identity provider, are ours. */
function writePolicy(dir: string, values: PolicyValues): string {
  const policyDir = join(dir, 'policy');
  cpSync(EXAMPLE, policyDir, { recursive: true });
  writeFileSync(join(policyDir, 'idp-keys.json'), values.idp.keySet);
  writeFileSync(
    join(policyDir, 'environment.yaml'),
    `apiVersion: sallyport.dev/v1
kind: Environment
name: demo
values:
  everything_url: { url: ${JSON.stringify(values.everything)} }
  files_url: { url: ${JSON.stringify(values.files)} }
  orders_url: { url: ${JSON.stringify(values.orders)} }
  public_folder: { string: ${JSON.stringify(values.publicFolder)} }
`,
  );
  const tests = join(policyDir, 'tests.yaml');
  // The tests name paths; theirs are the example's.
  writeFileSync(tests, readFileSync(tests, 'utf8').replaceAll('/srv/demo/public/', values.publicFolder));
  return policyDir;
}

async function initRoot(typed: Stage['type'], dir: string, ports: { readonly grpc: number; readonly enrolment: number }): Promise<void> {
  const addresses = ['--grpc', `127.0.0.1:${ports.grpc}`, '--enrolment', `127.0.0.1:${ports.enrolment}`];
  const made = await typed(['root', 'init', '--development', ...addresses, '--freshness-ttl', `${FRESHNESS_TTL_MS}ms`, '--admin', 'demo']);
  if (made.exit !== 0) throw new Fault('config_invalid', 'internal', made.said.trim());
  appendFileSync(join(dir, '.sallyport', 'control-plane', 'config.yaml'), 'drain_ms: 2000\n');
}

interface SidecarValues {
  readonly grpc: number;
  readonly enrolment: number;
  readonly outboundPort: number;
  readonly healthPort: number;
  readonly adminSocket: string;
}

function sidecarYaml({ grpc, enrolment, outboundPort, healthPort, adminSocket }: SidecarValues): string {
  return `agent: support-triage
instance: demo
state_dir: sidecar
root_pin_file: .sallyport/root-pin
allow_development_root: true
control_plane:
  address: 127.0.0.1:${grpc}
  enrolment_address: 127.0.0.1:${enrolment}
  join_token_file: join-token
outbound: { listen: 127.0.0.1:${outboundPort} }
health: { listen: 127.0.0.1:${healthPort} }
admin: { socket: ${JSON.stringify(adminSocket)} }
# The demo shows the refusal itself, not the wait before it.
hold_while_syncing_ms: 0
drain_ms: 2000
audit: { checkpoint_interval_ms: 1000 }
`;
}

async function isReady(port: number, signal: AbortSignal): Promise<boolean> {
  try {
    return (await ask({ target: { host: '127.0.0.1', port }, path: '/readyz', signal })).status === 200;
  } catch (error) {
    if (error instanceof Fault && !signal.aborted) return false;
    throw error;
  }
}

async function untilServing(
  app: AppProcess,
  { until, isServing }: { readonly until: Stage['until']; readonly isServing: () => Promise<boolean> },
): Promise<void> {
  const isUp = await until(async () => !app.isRunning || (await isServing()));
  if (!app.isRunning) throw new Fault('listen_failed', 'internal', `${app.name} ended while starting; its words are in ${app.logFile}`);
  if (!isUp) throw new Fault('listen_failed', 'internal', `${app.name} does not serve; its words are in ${app.logFile}`);
}

async function waitUntil(isTrue: () => Promise<boolean>, io: Io): Promise<boolean> {
  const over = deadline(io.clock, CEILING_MS, { signal: io.signal, fault: () => new Fault('aborted', 'internal', 'the wait is over') });
  try {
    while (!over.signal.aborted) {
      if (await isTrue()) return true;
      await delay(io.clock, POLL_MS, { signal: over.signal });
    }
    if (io.signal.aborted) throw new Fault('aborted', 'internal', 'stopped');
    return false;
  } finally {
    over.clear();
  }
}
