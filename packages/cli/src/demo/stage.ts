/**
 * Where a story plays: a temporary folder with a root of trust and a policy in it, a control plane and a sidecar on ports
 * of 127.0.0.1 that nobody else has. Everything started here is ended here.
 */

import { appendFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Fault } from '@sallyport/model';
import type { Command } from '../command.ts';
import { agentsJoinToken } from '../commands/agents-join-token.ts';
import { auditSession } from '../commands/audit-session.ts';
import { auditTail } from '../commands/audit-tail.ts';
import { auditVerify } from '../commands/audit-verify.ts';
import { fleetStatus } from '../commands/fleet-status.ts';
import { policyCheck } from '../commands/policy-check.ts';
import { policyPublish } from '../commands/policy-publish.ts';
import { policyTest } from '../commands/policy-test.ts';
import { releasePromote } from '../commands/release-promote.ts';
import { rootInit } from '../commands/root-init.ts';
import type { Io } from '../io.ts';
import { passingIssuer } from '../onboard/dev-issuer.ts';
import type { DevIssuer } from '../onboard/dev-issuer.ts';
import { copyExample } from './example.ts';
import { startApp, stopApp } from './processes.ts';
import type { AppProcess } from './processes.ts';
import { temporaryDir, untilServing, waitUntil } from './scratch.ts';
import { type } from './typed.ts';
import type { Typed } from './typed.ts';

/** How long sidecars go on without the control plane: short enough to watch it end. */
export const FRESHNESS_TTL_MS = 5_000;
const POLL_MS = 50;
const SIDECAR = 'the sidecar';
const COMMANDS: readonly Command[] = [
  rootInit,
  policyCheck,
  policyTest,
  policyPublish,
  releasePromote,
  agentsJoinToken,
  fleetStatus,
  auditTail,
  auditSession,
  auditVerify,
];

/** The folder of the policy as the stage's commands are told of it, and so as it stands before file names. */
export const POLICY_DIR = 'policy';

export interface Stage {
  readonly dir: string;
  readonly agent: string;
  readonly policyDir: string;
  /** Signs the tokens of operators; the policy pins its key. */
  readonly issuer: DevIssuer;
  readonly outboundPort: number;
  readonly adminSocket: string;
  /** The process that runs now; `undefined` before its start and after its end. */
  readonly controlPlane: AppProcess | undefined;
  readonly sidecar: AppProcess | undefined;
  /** Types a command as the administrator of the stage. */
  type(argv: readonly string[]): Promise<Typed>;
  startControlPlane(): Promise<void>;
  /** Resolves once it answers; it may enforce nothing yet. */
  startSidecar(): Promise<void>;
  /** Resolves true once `isTrue` is, false when the ceiling is reached; a Fault where Ctrl-C came first. */
  until(isTrue: () => Promise<boolean>, options?: { readonly everyMs: number }): Promise<boolean>;
  /** Ends every process, and removes the folder unless it is to be kept. */
  close(options: { readonly isKept: boolean }): Promise<void>;
}

export interface StageOptions {
  readonly io: Io;
  /** Four free ports: two of the control plane, two of the sidecar. */
  readonly ports: readonly number[];
  /** The agent beside which the sidecar stands. */
  readonly agent: string;
  /** As the policy names it. */
  readonly issuer: string;
  /** The folder in examples/ that is copied, and the values of its environment. */
  readonly example: string;
  readonly environment: Readonly<Record<string, string>>;
}

/** Makes the folder; starts nothing yet. */
export async function setStage({ io, ports, agent, issuer: issuerUrl, example, environment }: StageOptions): Promise<Stage> {
  const dir = temporaryDir('demo');
  const [grpc = 0, enrolment = 0, outboundPort = 0, healthPort = 0] = ports;
  const adminSocket = join(dir, 'admin.sock');
  const policyDir = join(dir, POLICY_DIR);
  const issuer = passingIssuer({ issuer: issuerUrl, audience: 'sallyport' });
  // Owner: this stage. Every start, to be waited for and ended, even one that is not yet through; and what runs now.
  const starts: Promise<AppProcess>[] = [];
  const running: { controlPlane?: AppProcess; sidecar?: AppProcess } = {};

  const typed = async (argv: readonly string[]): Promise<Typed> => type(argv, { commands: COMMANDS, cwd: dir, io });
  const until: Stage['until'] = (isTrue, { everyMs } = { everyMs: POLL_MS }) => waitUntil(isTrue, everyMs, io);
  const start = async (name: string, argv: readonly string[], log: string): Promise<AppProcess> => {
    const starting = startApp(name, argv, { logFile: join(dir, log), cwd: dir });
    starts.push(starting);
    return starting;
  };
  try {
    copyExample(example, policyDir, { keySet: issuer.keySet, environment });
    await initRoot(typed, dir, { grpc, enrolment });
    writeFileSync(join(dir, 'sidecar.yaml'), sidecarYaml({ agent, grpc, enrolment, outboundPort, healthPort, adminSocket }));
  } catch (error) {
    rmSync(dir, { recursive: true, force: true });
    throw error;
  }
  return {
    dir,
    agent,
    policyDir,
    issuer,
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
      const app = await start('the control plane', argv, 'control-plane.log');
      running.controlPlane = app;
      await untilServing(app, io, 'control_plane.started');
    },
    async startSidecar() {
      const app = await start(SIDECAR, ['sidecar', '--config', 'sidecar.yaml'], 'sidecar.log');
      running.sidecar = app;
      await untilServing(app, io, 'started');
    },
    async close({ isKept }) {
      const started = (await Promise.allSettled(starts)).flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
      // The sidecar first: what it still holds of the record goes to the control plane.
      const last = ({ name }: AppProcess): number => (name === SIDECAR ? 0 : 1);
      for (const app of started.toSorted((a, b) => last(a) - last(b))) await stopApp(app, io.clock);
      if (!isKept) rmSync(dir, { recursive: true, force: true });
    },
  };
}

async function initRoot(typed: Stage['type'], dir: string, ports: { readonly grpc: number; readonly enrolment: number }): Promise<void> {
  const addresses = ['--grpc', `127.0.0.1:${ports.grpc}`, '--enrolment', `127.0.0.1:${ports.enrolment}`];
  const made = await typed(['root', 'init', '--development', ...addresses, '--freshness-ttl', `${FRESHNESS_TTL_MS}ms`, '--admin', 'demo']);
  if (made.exit !== 0) throw new Fault('config_invalid', 'internal', made.said.trim());
  appendFileSync(join(dir, '.sallyport', 'control-plane', 'config.yaml'), 'drain_ms: 2000\n');
}

interface SidecarValues {
  readonly agent: string;
  readonly grpc: number;
  readonly enrolment: number;
  readonly outboundPort: number;
  readonly healthPort: number;
  readonly adminSocket: string;
}

function sidecarYaml({ agent, grpc, enrolment, outboundPort, healthPort, adminSocket }: SidecarValues): string {
  return `agent: ${agent}
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
