/**
 * A control plane and a sidecar in this very process, on ports of 127.0.0.1 that are free: nothing of them outlives it,
 * however it ends. Trust is a development root made on the fly. Between them are the real protocols, with real TLS.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ControlPlane } from '@sallyport/control-plane';
import { Fault, fail, formatProblem, ok } from '@sallyport/model';
import type { AgentName, Problem, Result } from '@sallyport/model';
import { delay, readConfig, realFileSystem } from '@sallyport/runtime';
import type { Sidecar } from '@sallyport/sidecar';
import { openLink } from '../connect.ts';
import type { Link } from '../connect.ts';
import { writeFile } from '../files.ts';
import type { Io } from '../io.ts';
import { refusal } from '../output.ts';
import type { Refusal } from '../output.ts';
import type { Place } from '../places.ts';
import { registerJoinToken } from '../publish/join-token.ts';
import { makeRoot } from '../root/make-root.ts';
import type { LogFile } from './log-file.ts';

export interface StackOptions {
  /** The state folder. */
  readonly dir: string;
  readonly io: Io;
  readonly log: LogFile;
}

export interface DevControlPlane {
  readonly link: Link;
  readonly addresses: ReturnType<ControlPlane['addresses']>;
  /** Resolves when it cannot go on. */
  readonly failed: Promise<Fault>;
  drain(): Promise<void>;
}

const ANY_PORT = '127.0.0.1:0';
const FRESHNESS_TTL_MS = 900_000;
const DRAIN_MS = 2_000;
const JOIN_TOKEN_MS = 600_000;
/** How long a policy may take into force before something else must be wrong. */
const ACTIVE_MS_MAX = 20_000;
const LOOK_MS = 20;

/** A new root, and a control plane that stands on it. */
export async function startControlPlane({ dir, io, log }: StackOptions): Promise<Result<DevControlPlane, Refusal>> {
  const { clock, random } = io;
  const made = await makeRoot({
    trustDomain: 'dev.localhost',
    admin: 'dev',
    now: clock.wall(),
    random,
    grpc: ANY_PORT,
    enrolment: ANY_PORT,
    freshnessTtlMs: FRESHNESS_TTL_MS,
  });
  for (const { path, content, isPrivate } of made.files) {
    const written = writeFile(join(dir, path), content, { mode: isPrivate ? 0o600 : 0o644, as: 'new' });
    if (!written.ok) return fail({ exit: 64, problems: [written.error] });
  }
  const file = join(dir, 'control-plane', 'config.yaml');
  const { compose, CONTROL_PLANE_CONFIG } = await import('@sallyport/control-plane');
  const config = readConfig(CONTROL_PLANE_CONFIG, { file });
  if (!config.ok) return fail(ownMistake(config.error));
  const controlPlane = compose({ ...config.value, drain_ms: DRAIN_MS }, { clock, random, log: log.of('control-plane') });
  try {
    await controlPlane.start();
    const addresses = controlPlane.addresses();
    nameAddresses(file, addresses);
    const link = await openLink({ dir, controlPlane: undefined, admin: undefined }, io);
    if (!link.ok) {
      await controlPlane.drain();
      return link;
    }
    return ok({
      link: link.value,
      addresses,
      failed: controlPlane.failed,
      async drain() {
        link.value.close();
        await controlPlane.drain();
      },
    });
  } catch (error) {
    if (error instanceof Fault)
      return fail(refusal(1, `the control plane does not start: ${error.message}`, `its words are in ${log.path}`));
    throw error;
  }
}

/** So that other commands find it with `--dir`. */
function nameAddresses(file: string, { grpc, enrolment }: DevControlPlane['addresses']): void {
  const named = readFileSync(file, 'utf8')
    .replace(`grpc: "${ANY_PORT}"`, `grpc: "${grpc.host}:${grpc.port}"`)
    .replace(`enrolment: "${ANY_PORT}"`, `enrolment: "${enrolment.host}:${enrolment.port}"`);
  writeFile(file, named, { mode: 0o644, as: 'replacement' });
}

export interface SidecarOptions extends StackOptions {
  readonly controlPlane: DevControlPlane;
  readonly agent: AgentName;
  readonly place: Place;
  readonly adminSocket: string;
}

export interface DevSidecar {
  /** Of its port for the agent. */
  readonly port: number;
  /** Resolves true once this release is the one that it enforces; false where it does not come to that. */
  enforces(releaseSeq: number): Promise<boolean>;
  /** What keeps it from enforcing anything. */
  obstacle(): string;
  drain(): Promise<void>;
}

/** A sidecar of that agent, enrolled and on its way to its first policy. */
export async function startSidecar({
  dir,
  io,
  log,
  controlPlane,
  agent,
  place,
  adminSocket,
}: SidecarOptions): Promise<Result<DevSidecar, Refusal>> {
  const { clock, random } = io;
  const { grpc, enrolment } = controlPlane.addresses;
  const token = await registerJoinToken(controlPlane.link, { agent, place, ttlMs: JOIN_TOKEN_MS, enrolmentAddress: undefined }, io);
  if (!token.ok) return token;
  const settings = {
    agent,
    instance: 'dev',
    state_dir: 'sidecar',
    root_pin_file: 'root-pin',
    allow_development_root: true,
    control_plane: {
      address: `${grpc.host}:${grpc.port}`,
      enrolment_address: `${enrolment.host}:${enrolment.port}`,
      join_token_file: 'join-token',
    },
    outbound: { listen: ANY_PORT },
    health: { listen: ANY_PORT },
    admin: { socket: adminSocket },
    drain_ms: DRAIN_MS,
  };
  const file = join(dir, 'sidecar.yaml');
  for (const [path, text] of [
    [join(dir, 'join-token'), `${token.value.token}\n`],
    [file, `${JSON.stringify(settings, undefined, 2)}\n`],
  ] as const) {
    const written = writeFile(path, text, { mode: 0o600, as: 'new' });
    if (!written.ok) return fail({ exit: 64, problems: [written.error] });
  }
  const { BUILD, SIDECAR_CONFIG, compose, readAnchors } = await import('@sallyport/sidecar');
  const disk = realFileSystem();
  const config = readConfig(SIDECAR_CONFIG, { file });
  const anchors = config.ok ? readAnchors(config.value, disk) : config;
  if (!config.ok || !anchors.ok) return fail(ownMistake(anchors.ok ? [] : anchors.error));
  const sidecar = compose(config.value, anchors.value, { clock, random, log: log.of('sidecar'), build: BUILD, disk });
  try {
    await sidecar.start();
  } catch (error) {
    if (error instanceof Fault) return fail(refusal(1, `the sidecar does not start: ${error.message}`, `its words are in ${log.path}`));
    throw error;
  }
  return ok(devSidecar(sidecar, io));
}

function devSidecar(sidecar: Sidecar, { clock, signal }: Io): DevSidecar {
  const { outbound } = sidecar.addresses();
  return {
    port: outbound.kind === 'tcp' ? outbound.port : 0,
    async enforces(releaseSeq) {
      const until = clock.boot() + ACTIVE_MS_MAX;
      do {
        const { ready, release_seq: active } = sidecar.readiness();
        if (ready && (active ?? 0) >= releaseSeq) return true;
      } while (clock.boot() < until && (await delay(clock, LOOK_MS, { signal })));
      return false;
    },
    obstacle: () => sidecar.readiness().reason,
    drain: async () => sidecar.drain(),
  };
}

/** What we wrote ourselves does not hold. */
function ownMistake(problems: readonly Problem[]): Refusal {
  return refusal(64, `what was just written does not hold: ${problems.map(formatProblem).join('; ')}`);
}
