/**
 * The composition root: the only file that constructs adapters and services, and knows in which order they begin and
 * end. Everything is started by `start` and ended by `drain`; time and randomness come from outside.
 */

import { formatSpiffeId } from '@sallyport/identity';
import { Fault, formatProblem } from '@sallyport/model';
import type { Clock, Random } from '@sallyport/model';
import type { HttpListener } from '@sallyport/net';
import { createDrain, lockState, realFileSystem } from '@sallyport/runtime';
import type { FileSystem, ListenAddress } from '@sallyport/runtime';
import { openLocalDatabase } from '@sallyport/store';
import type { PostgresAddress } from '@sallyport/store';
import { createMetrics } from '@sallyport/telemetry';
import type { Log, Metrics } from '@sallyport/telemetry';
import { openAudit } from './audit/api.ts';
import { readAuthority } from './authority.ts';
import type { Authority } from './authority.ts';
import { liveAuthority } from './live-authority.ts';
import type { LiveAuthority } from './live-authority.ts';
import { openServices } from './compose-services.ts';
import type { Services } from './compose-services.ts';
import type { ControlPlaneConfig } from './config.ts';
import { DATABASE_FILE, openAt, openControlPlaneDatabase, readDatabase } from './database.ts';
import { certificateIssuer } from './enrolment/certificates.ts';
import { startHealth } from './health.ts';
import type { HealthOptions } from './health.ts';
import { listen } from './listen.ts';
import { repeat } from './repeat.ts';
import { ownCertificates } from './server-certificate.ts';

/** What a process cannot make for itself, and a test wants in its hands. */
export interface ComposeOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** This machine's disk unless given. */
  readonly disk?: FileSystem;
}

export interface ControlPlaneAddress {
  readonly host: string;
  readonly port: number;
}

export interface ControlPlane {
  /**
   * Judges files and keys, opens what is on disk, then the ports. Rejects with a Fault: `config_invalid` names every
   * problem on a line of its own, and nothing has been opened.
   */
  start(): Promise<void>;
  /** Takes nothing new, tells sidecars to connect elsewhere, lets calls end, closes the audit stream, then the rest. */
  drain(): Promise<void>;
  /** Where it listens, with real ports; only after `start`. */
  addresses(): { readonly grpc: ControlPlaneAddress; readonly enrolment: ControlPlaneAddress; readonly health?: ListenAddress };
  /** Prometheus text. */
  metrics(): string;
  /** Resolves when it cannot go on, with the reason: nothing can be acknowledged any more. */
  readonly failed: Promise<Fault>;
}

/** Names this build in records. */
const BUILD = 'sallyport/0.1.0';
/** The index over the segments, of this process alone. */
const INDEX = 'audit.db';
const FLUSH_MS = 1_000;
/** How often signed files are looked at; what is in force meanwhile is what it was. */
const SIGNED_FILES_MS = 5_000;

/** Makes a control plane of its configuration. Nothing is read or opened before `start`. */
export function compose(config: ControlPlaneConfig, options: ComposeOptions): ControlPlane {
  const metrics = createMetrics();
  const { promise: failed, resolve: fail } = Promise.withResolvers<Fault>();
  // Owner: this composition. Set by `start`, taken down by `drain`.
  let running: Running | undefined;
  let ending: Promise<void> | undefined;
  const required = (): Running => {
    if (running === undefined) throw new Fault('listen_failed', 'internal', 'the control plane has not started');
    return running;
  };
  return {
    failed,
    metrics: () => metrics.text(),
    addresses: () => required().addresses,
    async start() {
      running = await begin(config, { ...options, disk: options.disk ?? realFileSystem(), metrics, fail });
    },
    drain: async () => (ending ??= running?.end()),
  };
}

interface Running {
  readonly addresses: ReturnType<ControlPlane['addresses']>;
  end(): Promise<void>;
}

interface BeginOptions extends Required<ComposeOptions> {
  readonly metrics: Metrics;
  readonly fail: (fault: Fault) => void;
}

async function begin(config: ControlPlaneConfig, options: BeginOptions): Promise<Running> {
  const { disk, clock, log } = options;
  const authority = readAuthority(config, { disk, now: clock.wall() });
  const address = readDatabase(config);
  if (!authority.ok || !address.ok) {
    const problems = [...(authority.ok ? [] : authority.error), ...(address.ok ? [] : address.error)];
    throw new Fault('config_invalid', 'internal', problems.map(formatProblem).join('\n'));
  }
  // What was opened, and how it is ended when a later step fails.
  const opened: (() => Promise<void>)[] = [];
  try {
    const live = liveAuthority({ config, first: authority.value, disk, clock, log });
    return await beginOn(config, { ...options, live, authority: live.authority, address: address.value, opened });
  } catch (error) {
    await endAll(opened, log);
    throw error;
  }
}

/** Newest first. One that cannot end in order does not keep the others from it. */
async function endAll(opened: readonly (() => Promise<void>)[], log: Log): Promise<void> {
  for (const end of opened.toReversed()) {
    try {
      await end();
    } catch (error) {
      log.error('end.failed', {}, error);
    }
  }
}

interface BeginOnOptions extends BeginOptions {
  readonly live: LiveAuthority;
  readonly authority: Authority;
  readonly address: PostgresAddress | undefined;
  readonly opened: (() => Promise<void>)[];
}

async function beginOn(config: ControlPlaneConfig, options: BeginOnOptions): Promise<Running> {
  const { clock, random, log, disk, metrics, live, authority, opened } = options;
  const { root } = authority;
  const identity = formatSpiffeId({ trustDomain: root.trustDomain, purpose: { kind: 'control_plane' } });
  const issue = certificateIssuer({ ca: authority.ca, clock, random, lifetimeMs: config.workload_certificate_ms });
  const authorities = root.certificateAuthorities.map(({ certificate }) => certificate);
  const own = await ownCertificates({
    issue,
    clock,
    log,
    identity,
    auditSigner: authority.audit,
    serverNames: config.server_names,
    authorities,
  });
  disk.makeDirectory(config.state_dir);
  const unlock = lockState(disk, config.state_dir, 'control plane');
  opened.push(async () => Promise.resolve(unlock()));
  // A state folder that should not be empty is noticed here, or when the first sidecar turns out to be ahead.
  const first = options.address === undefined ? DATABASE_FILE : INDEX;
  if (!disk.list(config.state_dir).includes(first)) log.warn('control_plane.state_is_new', { file: config.state_dir });
  const database = await openControlPlaneDatabase({ address: options.address, stateDir: config.state_dir, clock, log });
  opened.push(async () => database.close());
  const index = openAt(`${config.state_dir}/${INDEX}`, openLocalDatabase);
  opened.push(async () => Promise.resolve(index.close()));
  const drain = createDrain({ clock, onFailure: (name, error) => log.error('task.failed', { name }, error) });

  const audit = await openAudit({
    config,
    clock,
    random,
    disk,
    database,
    index,
    log,
    metrics,
    root,
    identity,
    signer: authority.audit,
    certificates: () => own.audit(),
    build: BUILD,
    draining: drain.draining,
    track: (name, task) => drain.track(name, task),
  });
  opened.push(async () => audit.close());
  void audit.failed.then(options.fail);
  const services = await openServices(config, { ...options, database, audit, identity, issue, draining: drain.draining });
  const servers = await listen(config, { clock, log, metrics, services: services.served, root, tls: own.tls });
  opened.push(async () => servers.drain({ graceMs: 0 }));
  const health = await openHealth(config, { clock, log, metrics, reasons: () => reasonsOf(services, drain.draining) });

  const ended = new AbortController();
  const { signal } = ended;
  drain.track('own certificates', own.keepRenewed({ signal, onAudit: async (chain) => audit.certify(chain) }));
  drain.track('freshness', services.policyPlane.run(signal));
  drain.track('directory', services.directory.run(config.directory_interval_ms, signal));
  const onFailure = (error: unknown): void => log.error('task.failed', { name: 'fleet' }, error);
  drain.track('fleet', repeat(clock, { everyMs: FLUSH_MS, act: async () => services.fleet.flush(), onFailure, signal }));
  const act = (): void => {
    const change = live.reread();
    if (change !== undefined) services.changes.tell({ kind: 'authority', change });
    for (const detail of live.ending()) void audit.alert({ code: 'ENDING', subject: null, detail, source: 'signed files' });
  };
  const onUnread = (error: unknown): void => log.error('task.failed', { name: 'signed files' }, error);
  drain.track('signed files', repeat(clock, { everyMs: SIGNED_FILES_MS, act, onFailure: onUnread, signal }));
  for (const service of ['grpc', 'enrolment'] as const)
    log.info('control_plane.listening', { service, host: servers[service].host, port: servers[service].port });
  log.info('control_plane.started', { identity });

  const { grpc, enrolment } = servers;
  return {
    addresses: health === undefined ? { grpc, enrolment } : { grpc, enrolment, health: health.address },
    async end() {
      // Streams see `draining` first and say goodbye; then the ports close; what they told is written last.
      drain.onDrain('timers', async () => {
        ended.abort();
        audit.stopTimers();
        return Promise.resolve();
      });
      drain.onDrain('ports', async () => servers.drain({ graceMs: config.drain_ms }));
      const report = await drain.drain({ graceMs: config.drain_ms });
      await services.fleet.flush();
      await health?.drain({ graceMs: 0 });
      await endAll(opened, log);
      log.info('control_plane.ended', { detail: report.isClean ? 'clean' : `left: ${report.left.join(', ')}` });
      log.flush();
    },
  };
}

async function openHealth(
  { listen: { health } }: ControlPlaneConfig,
  options: Omit<HealthOptions, 'listen'>,
): Promise<HttpListener | undefined> {
  return health === undefined ? undefined : startHealth({ ...options, listen: health });
}

/** Why a supervisor should send no one here. Without freshness sidecars go stale, and another replica may do better. */
function reasonsOf({ freshness }: Services, draining: AbortSignal): readonly string[] {
  const { problem } = freshness;
  return [...(draining.aborted ? ['draining'] : []), ...(problem === undefined ? [] : [`no freshness: ${problem.detail}`])];
}
