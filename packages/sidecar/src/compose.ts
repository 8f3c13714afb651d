/**
 * The composition root: with its parts (`compose-ports.ts`, `compose-evidence.ts`, `control-plane-link.ts`) the only place
 * that constructs adapters. `start` opens the ports at once, so that an agent hears `policy_unavailable` rather than nothing; identity,
 * cached bundle and stream follow behind.
 */

import { sessionKeySet } from '@sallyport/credentials';
import { encodeHex } from '@sallyport/crypto';
import type { SessionEpoch } from '@sallyport/identity';
import { Fault, formatProblem, invariant, type AgentName, type Area, type Clock, type Random, type Ring } from '@sallyport/model';
import type { HttpListener, HttpListenerOptions } from '@sallyport/net';
import {
  backoff,
  bytesAccount,
  createDrain,
  delay,
  formatListenAddress,
  lockState,
  realFileSystem,
  type BytesAccount,
  type Drain,
  type FileSystem,
  type ListenAddress,
} from '@sallyport/runtime';
import type { Journal, MemoryReservations } from '@sallyport/store';
import type { Log } from '@sallyport/telemetry';
import { join } from 'node:path';
import { adminExchange } from './admin/admin-exchange.ts';
import { healthExchange } from './admin/health.ts';
import { sidecarMetrics, type SidecarMetrics } from './admin/metrics.ts';
import { judgeReadiness, type Readiness } from './admin/readiness.ts';
import type { Anchors } from './anchors.ts';
import { Activator } from './bundle/activator.ts';
import { createHolder, type Holder } from './bundle/holder.ts';
import { openVault } from './bundle/vault.ts';
import { vetInWorker, type Vet } from './bundle/vetting.ts';
import { keepLooking, registerOf, sessionTokensOf, type SessionTokensHeld } from './compose-credentials.ts';
import { watchDirectory } from './compose-directory.ts';
import { Evidence } from './compose-evidence.ts';
import { isolationOf, keepLookingAtFiles } from './compose-isolation.ts';
import { underIdentity, type UnderIdentity } from './compose-identity.ts';
import { pipelinePorts } from './compose-ports.ts';
import type { SidecarConfig } from './config.ts';
import { linkToControlPlane } from './control-plane-link.ts';
import { denialOfRefusal, servedExchange, type Served } from './downstream/served.ts';
import { refusalLog } from './downstream/refusal-log.ts';
import { protectedResource } from './downstream/resource-metadata.ts';
import { withoutProof } from './enrolment/attestation.ts';
import { enrol, type EnrolmentProof } from './enrolment/enroller.ts';
import { identityFiles, type Identity, type IdentityFiles } from './enrolment/identity-files.ts';
import type { IsolationRoom } from './isolation/isolation.ts';
import type { PeerUsers } from './isolation/kernel-table.ts';
import type { Arrival } from './pipeline/facts.ts';
import { isLoopback, listenAs } from './compose-listening.ts';
import type { Answer, Leg } from './pipeline/gate.ts';
import { answerRequest } from './pipeline/pipeline.ts';
import type { Ports } from './pipeline/ports.ts';
import { refuseUnread } from './pipeline/refusing.ts';
import type { CredentialRegister } from './secrets/credential-register.ts';
import type { SweptRegistry } from './sessions/registry.ts';
import { keepListening, tlsPortsOf, type TlsPort } from './tls-port.ts';
import type { ForwardUpstream } from './upstream/forward.ts';

export interface Surroundings {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly build: string;
  /** This machine's disk unless a test brings another. */
  readonly disk?: FileSystem;
  readonly vet?: Vet;
  /** Who is at the other end of a connection; by this machine's kernel unless a test says otherwise. */
  readonly peerUsers?: PeerUsers;
}

export interface Sidecar {
  /** Resolves when the ports are open; rejects with a Fault when one cannot be, or the journal is damaged. */
  start(): Promise<void>;
  /** Stops taking, ends what runs, closes the audit stream, ships what it can. A second call waits for the same. Never rejects. */
  drain(): Promise<void>;
  /** Resolves when a drain is over, whoever asked for it. */
  readonly ended: Promise<void>;
  addresses(): {
    readonly inbound?: ListenAddress;
    readonly outbound: ListenAddress;
    readonly health: ListenAddress;
    readonly admin: ListenAddress;
  };
  readiness(): Readiness;
}

const CHARGE_MS = 1_000;
const LOOK_FOR_TOKEN_MS = 1_000;
/** Between tries of a token that was refused: another may be put in its place. */
const REFUSED_MS = 10_000;
const SWEEP_SESSIONS_MS = 10_000;
/** For the records of calls that were cut at the end of a drain. */
const SETTLE_MS_MAX = 5_000;

/** Builds a sidecar; nothing is opened before `start`. */
export function compose(config: SidecarConfig, anchors: Anchors, surroundings: Surroundings): Sidecar {
  return new RunningSidecar(config, anchors, surroundings);
}

/** The agent's side. */
interface Serving {
  readonly ports: Ports;
  readonly upstream: ForwardUpstream;
  readonly sessions: SweptRegistry;
  readonly credentials: CredentialRegister;
  /** Both legs: what is under way on either. */
  readonly served: readonly Served[];
}

class RunningSidecar implements Sidecar {
  readonly #config: SidecarConfig;
  readonly #anchors: Anchors;
  readonly #with: Surroundings & { readonly disk: FileSystem };
  readonly #holder: Holder;
  readonly #drain: Drain;
  readonly #metrics: SidecarMetrics;
  readonly #bytes: BytesAccount;
  readonly #evidence: Evidence;
  readonly #epoch: SessionEpoch;
  readonly #isolation: IsolationRoom;
  readonly #under: UnderIdentity;
  // Owner of everything below: this object; set once by `start` and by what it begins.
  #activator: Activator | undefined;
  #tokens: SessionTokensHeld | undefined;
  #identity: Identity | undefined;
  #serving: Serving | undefined;
  #listeners: { inbound?: HttpListener; outbound?: HttpListener; health?: HttpListener; admin?: HttpListener } = {};
  #leaving: Promise<void> | undefined;
  readonly #ended: PromiseWithResolvers<void> = Promise.withResolvers();
  #unlock: (() => void) | undefined;
  #isStarted = false;
  #isConnected = false;
  #lastAckAt = 0;

  constructor(config: SidecarConfig, anchors: Anchors, surroundings: Surroundings) {
    this.#config = config;
    this.#anchors = anchors;
    this.#with = { ...surroundings, disk: surroundings.disk ?? realFileSystem() };
    const { clock, log, random } = surroundings;
    this.#holder = createHolder({ clock, waitingMax: config.limits.waiting_for_policy_max });
    this.#drain = createDrain({ clock, onFailure: (name, error) => log.error('task_failed', { name }, error) });
    this.#epoch = encodeHex(random(8)) as SessionEpoch;
    this.#under = underIdentity(config, this.#with);
    this.#isolation = isolationOf(config, surroundings);
    this.#bytes = bytesAccount(config.limits.bytes_in_flight_max);
    this.#metrics = sidecarMetrics({
      policyAgeMs: () => ageOf(this.#holder),
      isFresh: () => this.#holder.read().state === 'fresh',
      releaseSeq: () => this.#activator?.position.active?.releaseSeq,
      freshnessSeq: () => this.#activator?.position.freshnessSeq ?? 0,
      backlogRecords: () => this.#evidence.journal?.status.unacknowledgedRecords ?? 0,
      backlogAgeMs: () => ((this.#evidence.journal?.status.unacknowledgedRecords ?? 0) === 0 ? 0 : clock.boot() - this.#lastAckAt),
      bytesInFlight: () => this.#bytes.inFlight,
      sessions: () => this.#serving?.sessions.size ?? 0,
    });
    this.#evidence = new Evidence({ ...this.#with, config, metrics: this.#metrics });
  }

  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  async start(): Promise<void> {
    try {
      await this.#start();
    } catch (thrown) {
      // What has been opened would keep a process alive that serves nobody.
      await (this.#leaving ??= this.#leave(0));
      throw thrown;
    }
  }

  drain(): Promise<void> {
    return (this.#leaving ??= this.#leave(this.#config.drain_ms));
  }

  async #start(): Promise<void> {
    const { disk, clock, log } = this.#with;
    const { state_dir: state, agent, instance } = this.#config;
    disk.makeDirectory(state);
    this.#lastAckAt = clock.boot();
    // First of all: two processes would write one journal, and each would settle what the other had reserved.
    this.#unlock = lockState(disk, state, 'sidecar');
    this.#isolation.look();
    this.#drain.track('isolation', keepLookingAtFiles(this.#isolation, { clock, signal: this.#drain.draining }));
    await this.#listenForOperators();
    const { journal, reservations } = await this.#evidence.open();
    await this.#listenForAgent(reservations);
    const files = identityFiles(disk, join(state, 'identity'), { agent, instance });
    const identity = await files.read();
    if (identity !== undefined) await this.#begin(identity, files, journal);
    else this.#drain.track('enrolment', this.#enrol(files, journal));
    this.#isStarted = true;
    for (const [name, address] of Object.entries(this.addresses())) log.info('listening', { name, address: formatListenAddress(address) });
    log.info('started', { agent, ...(identity === undefined ? {} : { identity: identity.spiffeId }) });
  }

  /** In the order in which nothing is lost: no new calls, the running ones settled, the stream closed, its records shipped. */
  async #leave(graceMs: number): Promise<void> {
    const { log } = this.#with;
    if (this.#isStarted) log.info('draining', { wait_ms: graceMs });
    // Together: an agent that answers its last callers still calls out.
    const { inbound, outbound } = this.#listeners;
    await Promise.all([
      this.#last('inbound', () => inbound?.drain({ graceMs })),
      this.#last('outbound', () => outbound?.drain({ graceMs })),
    ]);
    this.#serving?.ports.leases.cutAll();
    await this.#last('calls', () => this.#settled());
    await this.#last('upstream', () => this.#serving?.upstream.close());
    await this.#last('stream', () => this.#evidence.close());
    const report = await this.#drain.drain({ graceMs });
    if (!report.isClean) log.warn('drain_incomplete', { detail: report.left.join(', ') });
    await this.#last('journal', () => this.#evidence.journal?.close());
    await this.#last('admin', () => this.#listeners.admin?.drain({ graceMs: 0 }));
    await this.#last('health', () => this.#listeners.health?.drain({ graceMs: 0 }));
    await this.#last('lock', async () => this.#unlock?.());
    if (this.#isStarted) log.info('stopped');
    log.flush();
    this.#ended.resolve();
  }

  /** One step of the way out; one that fails does not keep the others from being taken. */
  async #last(name: string, act: () => Promise<void> | undefined): Promise<void> {
    try {
      await act();
    } catch (thrown) {
      this.#with.log.error('drain_failed', { name }, thrown);
    }
  }

  async #settled(): Promise<void> {
    const over = new AbortController();
    const late = delay(this.#with.clock, SETTLE_MS_MAX, { signal: over.signal });
    await Promise.race([Promise.all((this.#serving?.served ?? []).map((one) => one.whenIdle())), late]);
    over.abort();
  }

  addresses(): ReturnType<Sidecar['addresses']> {
    const { inbound, outbound, health, admin } = this.#listeners;
    invariant(outbound !== undefined && health !== undefined && admin !== undefined, 'addresses are known after start');
    return {
      ...(inbound === undefined ? {} : { inbound: inbound.address }),
      outbound: outbound.address,
      health: health.address,
      admin: admin.address,
    };
  }

  readiness(): Readiness {
    return judgeReadiness({
      held: this.#holder.read(),
      policy: this.#holder.state(),
      identity: this.#identity,
      journal: this.#evidence.journal,
      hasStream: this.#evidence.recorder !== undefined,
      isLeaving: this.#leaving !== undefined,
      isolation: this.#isolation.standing(),
      isConnected: this.#isConnected,
      allowsDevelopmentRoot: this.#config.allow_development_root,
      credentials: this.#serving?.credentials.entries() ?? [],
    });
  }

  async #listenForOperators(): Promise<void> {
    const { clock, log } = this.#with;
    const { admin, health, state_dir: state } = this.#config;
    const common = { clock, onBug: (error: unknown): void => log.error('bug', {}, error), onRefusal: refusalLog(log, clock) };
    const readiness = (): Readiness => this.readiness();
    this.#listeners.admin = await listenAs('admin.socket', {
      ...common,
      listen: { kind: 'unix', path: admin.socket ?? join(state, 'admin', 'socket') },
      onExchange: adminExchange({
        readiness,
        decisions: this.#evidence.decisions,
        credentials: () => this.#serving?.credentials.entries() ?? [],
        clock,
        drain: () => void this.drain(),
      }),
    });
    this.#listeners.health = await listenAs('health.listen', {
      ...common,
      listen: health.listen,
      onExchange: healthExchange({
        readiness,
        metrics: this.#metrics.metrics,
        keySet: () => this.#under.assertions.keySet(),
        sessionKeySet: () => this.#tokens?.keySet ?? sessionKeySet(undefined),
        isLoopback: isLoopback(health.listen),
      }),
    });
  }

  async #listenForAgent(reservations: MemoryReservations): Promise<void> {
    const { clock, disk, random, build, log } = this.#with;
    const config = this.#config;
    const { public_url: publicUrl } = config.inbound ?? {};
    const resource =
      publicUrl === undefined ? undefined : protectedResource({ publicUrl, agent: config.agent as AgentName, bundle: this.#holder });
    const pipeline = pipelinePorts({
      config,
      clock,
      disk,
      random,
      build,
      epoch: this.#epoch,
      drain: this.#drain,
      isLeaving: () => this.#leaving !== undefined,
      account: this.#bytes,
      holder: this.#holder,
      metrics: this.#metrics,
      log,
      reservations,
      recorder: () => this.#evidence.recorder,
      tokens: () => this.#tokens,
      resource,
      isolation: this.#isolation,
      ...this.#under,
    });
    const { ports } = pipeline;
    const answer = (arrival: Arrival): Promise<Answer> => answerRequest(arrival, ports);
    const served = (leg: Leg): Served => servedExchange({ ...ports, leg, account: this.#bytes, answer });
    const legs = { inbound: served('inbound'), outbound: served('outbound') };
    const own = { config, clock, holder: this.#holder, metrics: this.#metrics, evidence: this.#evidence };
    this.#serving = { ...pipeline, served: Object.values(legs), credentials: registerOf(pipeline.secrets, own) };
    const serving = (leg: Leg): Omit<HttpListenerOptions, 'listen'> => {
      const logged = refusalLog(log, clock);
      return {
        clock,
        limits: { headBytesMax: config.limits.head_bytes_max, connectionsMax: config.limits.connections_max },
        onExchange: (exchange) => (leg === 'inbound' ? resource?.answer(exchange) : undefined) ?? legs[leg].exchange(exchange),
        onBug: (error) => log.error('bug', {}, error),
        onRefusal: (refusal) => {
          logged(refusal);
          this.#metrics.listenerRefused(leg, refusal.code);
          const denial = denialOfRefusal(refusal);
          return denial === undefined ? undefined : refuseUnread(denial, { leg, peer: refusal.address }, ports);
        },
      };
    };
    const underTls = (leg: Leg, port: TlsPort): Promise<HttpListener> =>
      keepListening(port, { ...serving(leg), disk, log, drain: this.#drain });
    const { inbound, outbound } = tlsPortsOf(config);
    this.#listeners.outbound =
      outbound === undefined
        ? await listenAs('outbound.listen', { ...serving('outbound'), listen: config.outbound.listen })
        : await underTls('outbound', outbound);
    if (inbound !== undefined) this.#listeners.inbound = await underTls('inbound', inbound);
  }

  /** The first identity: tried until it works, since without one there is no policy. */
  async #enrol(files: IdentityFiles, journal: Journal): Promise<void> {
    const { clock, random, log } = this.#with;
    const signal = this.#drain.draining;
    const waits = backoff({ minMs: 500, maxMs: 30_000, random });
    while (!signal.aborted) {
      try {
        // The token is spent once: what it brought is on disk, also where the rest of the way has failed.
        const held = await files.read();
        const identity = held ?? (await this.#enrolOnce(files));
        if (identity === undefined) return;
        log.info('enrolled', { identity: identity.spiffeId });
        return await this.#begin(identity, files, journal);
      } catch (thrown) {
        const isRefused = thrown instanceof Fault && thrown.code === 'enrolment_refused';
        this.#holder.explainAbsence(isRefused ? `not enrolled: ${thrown.message}` : 'not enrolled yet');
        if (isRefused) log.error('enrolment_refused', { detail: `${thrown.message}; ${this.#tokenRemedy()}` });
        else log[thrown instanceof Fault ? 'warn' : 'error']('enrolment_failed', {}, thrown);
        await delay(clock, isRefused ? REFUSED_MS : waits.next(), { signal });
      }
    }
  }

  async #enrolOnce(files: IdentityFiles): Promise<Identity | undefined> {
    const { instance, control_plane: controlPlane } = this.#config;
    const proof = await this.#enrolmentProof();
    const address = controlPlane.enrolment_address;
    return proof === undefined ? undefined : enrol(proof, { files, instance, address, clock: this.#with.clock });
  }

  /** The token as it lies on disk now, waited for where there is none; `undefined` when the process is to end. */
  async #enrolmentProof(): Promise<EnrolmentProof | undefined> {
    const { clock, log } = this.#with;
    const signal = this.#drain.draining;
    // Owner: this wait. What was said last: each new reason is said once.
    let said = '';
    do {
      const read = this.#anchors.enrolmentProof();
      if (read.ok && read.value !== undefined) return read.value;
      const why = read.ok ? withoutProof(this.#config).why : read.error.map((problem) => formatProblem(problem)).join('; ');
      this.#holder.explainAbsence(`not enrolled: there is no identity, and ${why}`);
      if (why !== said) log.error('not_enrolled', { detail: `there is no identity, and ${why}; ${this.#tokenRemedy()}` });
      said = why;
    } while (await delay(clock, LOOK_FOR_TOKEN_MS, { signal }));
    return undefined;
  }

  #tokenRemedy(): string {
    return withoutProof(this.#config).remedy;
  }

  /** With an identity: the audit stream, the cached bundle by the same acceptance as ever, then the loops. */
  async #begin(identity: Identity, files: IdentityFiles, journal: Journal): Promise<void> {
    const { clock, random, disk } = this.#with;
    this.#identity = identity;
    this.#tokens = sessionTokensOf(identity, { epoch: this.#epoch, random });
    this.#under.use(identity);
    await this.#evidence.begin(identity);
    const activator = new Activator({
      pin: this.#anchors.pin,
      allowDevelopmentRoot: this.#config.allow_development_root,
      receiver: { area: this.#config.area as Area, ring: this.#config.ring as Ring, identity: identity.spiffeId },
      clock,
      random,
      vault: openVault(disk, join(this.#config.state_dir, 'bundle')),
      holder: this.#holder,
      vet: this.#with.vet ?? vetInWorker,
      events: {
        activated: (bundle, previous, under) => this.#evidence.activated(bundle, previous, under),
        rejected: (kind, { code, detail }) => {
          this.#metrics.rejected(code);
          this.#evidence.alert(`REJECTED_${code}`, `${kind}: ${detail}`);
        },
      },
    });
    this.#activator = activator;
    await activator.load();
    if (this.#anchors.root !== undefined && activator.position.rootNumber === 0)
      await activator.offer({ kind: 'root', envelope: this.#anchors.root });
    this.#watch();
    this.#drain.track('ages', this.#chargeAges(activator));
    this.#drain.track('sessions', this.#sweepSessions());
    watchDirectory({ ...this.#with, config: this.#config, activator, drain: this.#drain });
    const keeping = { config: this.#config, clock: this.#with.clock, signal: this.#drain.draining };
    this.#drain.track(
      'credentials',
      keepLooking(() => this.#serving?.credentials, keeping),
    );
    linkToControlPlane(identity, {
      ...this.#with,
      config: this.#config,
      drain: this.#drain,
      activator,
      journal,
      files,
      vitals: () => this.#evidence.vitals(this.#holder.read(), this.#isolation.standing().isolation),
      onConnected: (isConnected) => {
        this.#isConnected = isConnected;
      },
      onAck: () => {
        this.#lastAckAt = clock.boot();
      },
      onAlert: (code, detail) => this.#evidence.alert(code, detail),
      onRenewed: (renewed) => {
        this.#identity = renewed;
        this.#under.use(renewed);
        this.#evidence.renewed(renewed);
      },
    });
  }

  /** Charges ages for as long as the process lives, so that a restart finds them no younger than they are. */
  async #chargeAges(activator: Activator): Promise<void> {
    const { clock, log } = this.#with;
    while (await delay(clock, CHARGE_MS, { signal: this.#drain.draining })) {
      try {
        await activator.charge();
      } catch (thrown) {
        // Whatever it was, the next second is charged again: a loop that ended would leave later starts with a younger bundle.
        log.error('age_not_charged', {}, thrown);
      }
      this.#watch();
      this.#evidence.recorder?.tick();
    }
  }

  /** Lets go of what is kept for sessions whose agent never came back: their counts, and their sessions with servers. */
  async #sweepSessions(): Promise<void> {
    while (await delay(this.#with.clock, SWEEP_SESSIONS_MS, { signal: this.#drain.draining })) this.#serving?.sessions.sweep();
  }

  #watch(): void {
    this.#evidence.watch(this.#holder.read(), this.#activator?.position.freshnessSeq ?? null);
  }
}

function ageOf(holder: Holder): number | undefined {
  const held = holder.read();
  return held.state === 'absent' ? undefined : held.ageMs;
}
