/**
 * The composition root: the only file that constructs adapters and knows them all. `start` opens the ports at once, so
 * that an agent hears `policy_unavailable` rather than nothing; identity, cached bundle and stream follow behind.
 */

import { append, readRecord, type ChainState, type RecordBody } from '@sallyport/audit';
import { Audit, Enrolment, PolicyPlane } from '@sallyport/contract';
import { operatorTokens, sessionTokens, type SessionTokens } from '@sallyport/credentials';
import { decodeHex, encodeHex } from '@sallyport/crypto';
import { signerFromPem } from '@sallyport/crypto/keys';
import { isSpiffeId, parseSpiffeId, type SessionEpoch } from '@sallyport/identity';
import {
  Fault,
  invariant,
  type AgentName,
  type Area,
  type Clock,
  type DecisionId,
  type Digest,
  type Random,
  type RequestId,
  type Ring,
} from '@sallyport/model';
import {
  createClient,
  createUpstreams,
  openChannel,
  startHttpListener,
  tlsHolder,
  type Channel,
  type HttpListener,
  type TlsHolder,
} from '@sallyport/net';
import {
  backoff,
  bytesAccount,
  createDrain,
  delay,
  realFileSystem,
  ulids,
  type Drain,
  type FileSystem,
  type ListenAddress,
} from '@sallyport/runtime';
import { memoryReservations, openJournal, type Journal, type MemoryReservations, type Recovered } from '@sallyport/store';
import type { Log } from '@sallyport/telemetry';
import { join } from 'node:path';
import { lastDecisions } from './admin/decisions.ts';
import { adminExchange, healthExchange, type Readiness } from './admin/health.ts';
import { sidecarMetrics, type SidecarMetrics } from './admin/metrics.ts';
import { startRecorder, type StreamRecorder } from './audit/recorder.ts';
import { ship } from './audit/shipper.ts';
import { Activator } from './bundle/activator.ts';
import { createHolder, type Holder } from './bundle/holder.ts';
import { followStream, type Vitals } from './bundle/stream-source.ts';
import { openVault } from './bundle/vault.ts';
import { vetInWorker, type Vet } from './bundle/vetting.ts';
import type { Anchors } from './anchors.ts';
import type { SidecarConfig } from './config.ts';
import { outboundExchange } from './downstream/outbound.ts';
import { enrol, keepRenewed } from './enrolment/enroller.ts';
import { identityFiles, type Identity, type IdentityFiles } from './enrolment/identity-files.ts';
import { answerRequest } from './pipeline/pipeline.ts';
import type { Ports, Recorder } from './pipeline/ports.ts';
import { sessionRegistry } from './sessions/registry.ts';
import { forwardUpstream, type ForwardUpstream } from './upstream/forward.ts';

export interface Surroundings {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly build: string;
  /** This machine's disk unless a test brings another. */
  readonly disk?: FileSystem;
  readonly vet?: Vet;
}

export interface Sidecar {
  /** Resolves when the ports are open; rejects with a Fault when one cannot be, or the journal is damaged. */
  start(): Promise<void>;
  /** Stops taking, ends what runs, closes the audit stream, ships what it can. */
  drain(): Promise<void>;
  addresses(): { readonly outbound: ListenAddress; readonly health: ListenAddress; readonly admin: ListenAddress };
  readiness(): Readiness;
}

const CHARGE_MS = 1_000;
/** Kept free in a full journal for outcomes of calls that were let through. */
const HEADROOM_BYTES = 262_144;

/** Builds a sidecar; nothing is opened before `start`. */
export function compose(config: SidecarConfig, anchors: Anchors, surroundings: Surroundings): Sidecar {
  return new RunningSidecar(config, anchors, surroundings);
}

class RunningSidecar implements Sidecar {
  readonly #config: SidecarConfig;
  readonly #anchors: Anchors;
  readonly #with: Surroundings & { readonly disk: FileSystem };
  readonly #holder: Holder;
  readonly #drain: Drain;
  readonly #metrics: SidecarMetrics;
  readonly #decisions = lastDecisions();
  readonly #epoch: SessionEpoch;
  // Owner of everything below: this object; set once by `start` and by what it begins.
  #journal: Journal | undefined;
  #recovered: Recovered | undefined;
  #reservations: MemoryReservations | undefined;
  #recorder: StreamRecorder | undefined;
  #activator: Activator | undefined;
  #tokens: SessionTokens | undefined;
  #identity: Identity | undefined;
  #upstream: ForwardUpstream | undefined;
  #sessionCount = (): number => 0;
  #listeners: { outbound: HttpListener; health: HttpListener; admin: HttpListener } | undefined;
  #isConnected = false;
  #lastAckAt = 0;
  #noted: 'absent' | 'fresh' | 'stale' = 'absent';

  constructor(config: SidecarConfig, anchors: Anchors, surroundings: Surroundings) {
    this.#config = config;
    this.#anchors = anchors;
    this.#with = { ...surroundings, disk: surroundings.disk ?? realFileSystem() };
    const { clock, log, random } = surroundings;
    this.#holder = createHolder({ clock });
    this.#drain = createDrain({ clock, onFailure: (name, error) => log.error('task_failed', { name }, error) });
    this.#epoch = encodeHex(random(8)) as SessionEpoch;
    this.#bytes = bytesAccount(config.limits.bytes_in_flight_max);
    this.#metrics = sidecarMetrics({
      policyAgeMs: () => ageOf(this.#holder),
      isFresh: () => this.#holder.read().state === 'fresh',
      releaseSeq: () => this.#activator?.position.active?.releaseSeq,
      freshnessSeq: () => this.#activator?.position.freshnessSeq ?? 0,
      backlogRecords: () => this.#journal?.status.unacknowledgedRecords ?? 0,
      backlogAgeMs: () => ((this.#journal?.status.unacknowledgedRecords ?? 0) === 0 ? 0 : clock.boot() - this.#lastAckAt),
      bytesInFlight: () => this.#bytes.inFlight,
      sessions: () => this.#sessionCount(),
    });
  }
  readonly #bytes;

  async start(): Promise<void> {
    const { disk, clock, log } = this.#with;
    const { state_dir: state } = this.#config;
    disk.makeDirectory(state);
    this.#lastAckAt = clock.boot();
    await this.#openJournal(join(state, 'journal'));
    await this.#listen();
    const files = identityFiles(disk, join(state, 'identity'));
    const identity = await files.read();
    if (identity !== undefined) await this.#begin(identity, files);
    else this.#drain.track('enrolment', this.#enrol(files));
    log.info('started', { agent: this.#config.agent, ...(identity === undefined ? {} : { identity: identity.spiffeId }) });
  }

  async drain(): Promise<void> {
    const { log } = this.#with;
    const graceMs = this.#config.drain_ms;
    log.info('draining', { wait_ms: graceMs });
    await this.#listeners?.outbound.drain({ graceMs });
    await this.#upstream?.close();
    await this.#closeStream();
    const report = await this.#drain.drain({ graceMs });
    if (!report.isClean) log.warn('drain_incomplete', { detail: report.left.join(', ') });
    await this.#listeners?.admin.drain({ graceMs: 0 });
    await this.#listeners?.health.drain({ graceMs: 0 });
    await this.#journal?.close();
    log.info('stopped');
    log.flush();
  }

  addresses(): ReturnType<Sidecar['addresses']> {
    const listeners = this.#listeners;
    invariant(listeners !== undefined, 'addresses are known after start');
    return { outbound: listeners.outbound.address, health: listeners.health.address, admin: listeners.admin.address };
  }

  readiness(): Readiness {
    const state = this.#holder.state();
    const held = this.#holder.read();
    const draining = this.#drain.draining.aborted;
    const reason = draining ? 'draining' : held.state === 'absent' ? held.why : state.kind === 'stale' ? state.reason : 'fresh';
    return {
      ready: held.state === 'fresh' && !draining && this.#recorder !== undefined,
      reason,
      state: held.state,
      release_seq: held.state === 'absent' ? null : held.snapshot.releaseSeq,
      policy_age_ms: held.state === 'absent' ? null : Math.round(held.ageMs),
      ttl_ms: state.kind === 'absent' ? null : state.ttlMs,
      identity: this.#identity?.spiffeId ?? null,
      connected: this.#isConnected,
      development_root: this.#config.allow_development_root,
      draining,
    };
  }

  async #openJournal(directory: string): Promise<void> {
    const { disk } = this.#with;
    const { segment_bytes_max: segmentBytesMax, journal_bytes_max: logBytesMax } = this.#config.audit;
    const opened = await openJournal({
      disk,
      directory,
      segmentBytesMax,
      logBytesMax,
      headroomBytes: HEADROOM_BYTES,
      snapshot: () => this.#reservations?.snapshot() ?? new Uint8Array(),
    });
    if (!opened.ok)
      throw opened.error.code === 'failed'
        ? opened.error.fault
        : new Fault('journal_failed', 'internal', `${opened.error.path}: ${opened.error.message}`);
    this.#journal = opened.value.journal;
    this.#recovered = opened.value.recovered;
    this.#reservations = memoryReservations({ entriesMax: this.#config.limits.reservations_max, recovered: opened.value.recovered });
  }

  async #listen(): Promise<void> {
    const { clock, log } = this.#with;
    const { limits } = this.#config;
    const ports = this.#ports();
    const onBug = (error: unknown): void => log.error('bug', {}, error);
    const onRefusal = ({ code, detail, address }: { code: string; detail: string; address: string }): void =>
      log.warn('connection_refused', { code, detail, address });
    const outbound = outboundExchange({ clock, account: this.#bytes, ids: ports.ids, answer: (arrival) => answerRequest(arrival, ports) });
    const health = healthExchange({ readiness: () => this.readiness(), metrics: this.#metrics.metrics });
    const admin = adminExchange({ readiness: () => this.readiness(), decisions: this.#decisions, drain: () => void this.drain() });
    const socket: ListenAddress = { kind: 'unix', path: this.#config.admin.socket ?? join(this.#config.state_dir, 'admin', 'socket') };
    const listener = { headBytesMax: limits.head_bytes_max, connectionsMax: limits.connections_max };
    this.#listeners = {
      health: await startHttpListener({ listen: this.#config.health.listen, clock, onExchange: health, onRefusal, onBug }),
      admin: await startHttpListener({ listen: socket, clock, onExchange: admin, onRefusal, onBug }),
      outbound: await startHttpListener({
        listen: this.#config.outbound.listen,
        clock,
        limits: listener,
        onExchange: outbound,
        onRefusal,
        onBug,
      }),
    };
  }

  #ports(): Ports {
    const { clock, random, build } = this.#with;
    const { limits, upstream, agent } = this.#config;
    const late = <T>(value: T | undefined, what: string): T => {
      if (value === undefined) throw new Fault('control_plane_unreachable', 'internal', `${what} before there is an identity`);
      return value;
    };
    const registry = sessionRegistry({
      clock,
      random,
      epoch: this.#epoch,
      sessionsMax: limits.sessions_max,
      onOver: (id) => {
        this.#upstream?.forgetSession(id);
        this.#reservations?.forgetSession(id);
      },
    });
    this.#sessionCount = () => registry.size;
    const upstreams = createUpstreams({
      clock,
      limits: {
        connectMsMax: upstream.connect_ms_max,
        firstByteMsMax: upstream.first_byte_ms_max,
        idleMsMax: upstream.idle_ms_max,
        inFlightMax: upstream.in_flight_max,
      },
    });
    this.#drain.onDrain('upstreams', async () => upstreams.close());
    const forward = forwardUpstream({
      upstreams,
      account: this.#bytes,
      build,
      limits: { answerBytesMax: limits.answer_bytes_max, mcpSessionsMax: limits.mcp_sessions_max },
    });
    this.#upstream = forward;
    const next = ulids({ clock, random });
    const recorder = (): Recorder => late(this.#recorder, 'a record');
    const reservations = this.#reservations;
    invariant(reservations !== undefined, 'the journal is open before the ports');
    return {
      agent: agent as AgentName,
      build,
      clock,
      limits: {
        connectionsMax: limits.connections_max,
        requestBodyBytesMax: limits.request_body_bytes_max,
        headersBytesMax: limits.head_bytes_max,
        holdWhileSyncingMs: this.#config.hold_while_syncing_ms,
        rejudgementsMax: 5,
      },
      load: { isDraining: () => this.#drain.draining.aborted, connections: () => 0 },
      bytesInFlight: this.#bytes,
      bundle: this.#holder,
      operatorTokens: operatorTokens(),
      sessionTokens: {
        mint: (grant, now) => late(this.#tokens, 'a session token').mint(grant, now),
        verify: (token, now) => late(this.#tokens, 'a session token').verify(token, now),
      },
      sessions: registry,
      reservations,
      recorder: {
        decision: async (body, how) => recorder().decision(body, how),
        outcome: async (body, how) => recorder().outcome(body, how),
        state: async (frames) => recorder().state(frames),
      },
      upstream: forward,
      counters: this.#metrics,
      ids: { request: () => next() as RequestId, decision: () => next() as DecisionId },
    };
  }

  /** The first identity: tried until it works, since without one there is no policy. */
  async #enrol(files: IdentityFiles): Promise<void> {
    const { clock, random, log } = this.#with;
    const { joinToken } = this.#anchors;
    const { enrolment_address: address } = this.#config.control_plane;
    const signal = this.#drain.draining;
    if (joinToken === undefined) {
      this.#holder.explainAbsence('not enrolled: there is no identity and no join token');
      return log.error('not_enrolled', { detail: 'set control_plane.join_token_file to a token of `sallyport agents join-token`' });
    }
    const waits = backoff({ minMs: 500, maxMs: 30_000, random });
    while (!signal.aborted) {
      try {
        const identity = await enrol(joinToken, { files, instance: this.#config.instance, address, clock });
        log.info('enrolled', { identity: identity.spiffeId });
        return await this.#begin(identity, files);
      } catch (thrown) {
        if (!(thrown instanceof Fault)) throw thrown;
        this.#holder.explainAbsence('not enrolled yet');
        log.warn('enrolment_failed', { reason: thrown.message });
        await delay(clock, waits.next(), { signal });
      }
    }
  }

  /** With an identity: the audit stream, the cached bundle by the same acceptance as ever, then the loops. */
  async #begin(identity: Identity, files: IdentityFiles): Promise<void> {
    const { clock, random, disk } = this.#with;
    this.#identity = identity;
    invariant(isSpiffeId(identity.spiffeId), 'a certificate names a workload');
    this.#tokens = sessionTokens({ signer: signerFromPem(identity.sessionPem), sidecar: identity.spiffeId, epoch: this.#epoch, random });
    this.#recorder = await this.#openStream(identity);
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
        activated: (bundle, previous, under) => {
          this.#metrics.activated();
          const { release, policyDigest } = bundle;
          const previousSeq = previous?.release.releaseSeq ?? null;
          this.#note({
            kind: 'ACTIVE',
            area: release.area,
            ring: release.ring,
            release_seq: release.releaseSeq,
            previous_release_seq: previousSeq,
            policy_digest: policyDigest,
            freshness_seq: under.freshnessSeq,
            revocation_seq: under.revocationSeq,
          });
        },
        rejected: (kind, { code, detail }) => {
          this.#metrics.rejected(code);
          this.#alert(`REJECTED_${code}`, `${kind}: ${detail}`);
        },
      },
    });
    this.#activator = activator;
    await activator.load();
    if (this.#anchors.root !== undefined && activator.position.rootNumber === 0)
      await activator.offer({ kind: 'root', envelope: this.#anchors.root });
    this.#watchState();
    this.#follow(activator, identity, files);
  }

  #openStream(identity: Identity): Promise<StreamRecorder> {
    const { clock, random, build } = this.#with;
    const { agent, instance, audit } = this.#config;
    const [journal, recovered] = [this.#journal, this.#recovered];
    invariant(journal !== undefined && recovered !== undefined, 'the journal is open before the stream');
    return startRecorder({
      journal,
      clock,
      random,
      signer: identity.auditSigner,
      start: {
        sidecar: identity.spiffeId,
        agent,
        instance,
        build,
        certificates: identity.auditChain.map((der) => Buffer.from(der).toString('base64')),
      },
      previous: endOfLast(recovered),
      checkpointRecords: audit.checkpoint_records,
      checkpointIntervalMs: audit.checkpoint_interval_ms,
      onRecord: (body) => this.#decisions.see(body),
    });
  }

  /** Everything that goes on while the process lives: ages, policy stream, shipping, renewal. */
  #follow(activator: Activator, identity: Identity, files: IdentityFiles): void {
    const { clock, random, build, log } = this.#with;
    const { draining: signal } = this.#drain;
    const tls = tlsHolder(materialOf(identity));
    invariant(tls.ok, 'the identity was read with its key');
    const channel = this.#openChannel(tls.value, identity);
    const waits = (): ReturnType<typeof backoff> => backoff({ minMs: 200, maxMs: 15_000, random });
    this.#drain.track('ages', this.#chargeAges(activator, signal));
    const source = {
      activator,
      client: () => createClient(PolicyPlane, channel),
      clock,
      backoff: waits(),
      build,
      isolation: this.#config.isolation,
      vitals: () => this.#vitals(),
      onConnection: (state: 'connected' | 'lost', reason: string) => {
        if (this.#isConnected !== (state === 'connected')) log.info(`policy_stream_${state}`, reason === '' ? {} : { reason });
        this.#isConnected = state === 'connected';
      },
    };
    this.#drain.track('policy stream', followStream(source, { signal }));
    this.#drain.track('shipping', this.#ship(channel));
    const renewal = {
      files,
      clock,
      backoff: waits(),
      fraction: () => (random(1)[0] ?? 0) / 255,
      client: () => createClient(Enrolment, channel),
      signal,
    };
    const onRenewed = (renewed: Identity): void => {
      this.#identity = renewed;
      const replaced = tls.value.replace(materialOf(renewed));
      if (!replaced.ok) log.error('certificate_not_replaced', { reason: replaced.error.map(({ message }) => message).join('; ') });
      this.#note({ kind: 'CERTIFICATE', certificates: renewed.auditChain.map((der) => Buffer.from(der).toString('base64')) });
    };
    this.#drain.track(
      'renewal',
      keepRenewed(identity, { ...renewal, onRenewed, onFailure: (reason) => log.warn('renewal_failed', { reason }) }),
    );
  }

  #openChannel(tls: TlsHolder, identity: Identity): Channel {
    const { address } = this.#config.control_plane;
    const parsed = parseSpiffeId(identity.spiffeId);
    invariant(parsed.ok && address.kind === 'tcp', 'the control plane is host and port');
    const trust = { kind: 'peer', tls, trustDomain: parsed.value.trustDomain, purpose: 'control_plane' } as const;
    const channel = openChannel({ host: address.host, port: address.port, trust, clock: this.#with.clock });
    this.#drain.cut.addEventListener('abort', () => channel.close(), { once: true });
    return channel;
  }

  async #chargeAges(activator: Activator, signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#with;
    while (await delay(clock, CHARGE_MS, { signal })) {
      try {
        await activator.charge();
      } catch (thrown) {
        if (!(thrown instanceof Fault)) throw thrown;
        log.error('age_not_charged', { reason: thrown.message });
      }
      this.#watchState();
    }
  }

  /** Shipping goes on through the drain until everything is acknowledged or the grace is over. */
  async #ship(channel: Channel): Promise<void> {
    const { clock, random } = this.#with;
    const journal = this.#journal;
    invariant(journal !== undefined, 'the journal is open before shipping');
    const over = new AbortController();
    this.#drain.cut.addEventListener('abort', () => over.abort(), { once: true });
    const endWhenShipped = (): void => {
      if (this.#drain.draining.aborted && journal.status.unacknowledgedRecords === 0) over.abort();
    };
    this.#drain.draining.addEventListener('abort', endWhenShipped, { once: true });
    await ship(
      {
        journal,
        clock,
        backoff: backoff({ minMs: 200, maxMs: 15_000, random }),
        client: () => createClient(Audit, channel),
        onAlert: (code, detail) => this.#alert(code, detail),
        onAck: () => {
          this.#lastAckAt = clock.boot();
          endWhenShipped();
        },
      },
      { signal: over.signal },
    );
  }

  #vitals(): Vitals {
    const head = this.#recorder?.head;
    const held = this.#holder.read();
    return {
      auditStream: head?.stream ?? '',
      auditSeq: head?.seq ?? 0,
      auditHead: head?.head ?? new Uint8Array(),
      decisions: this.#metrics.decisions,
      denials: this.#metrics.denials,
      policyAgeMs: held.state === 'absent' ? 0 : held.ageMs,
      state: held.state,
    };
  }

  /** Fresh, stale and absent are computed at every call; here only the change is put on record. */
  #watchState(): void {
    const held = this.#holder.read();
    if (held.state === this.#noted) return;
    this.#noted = held.state;
    const age = held.state === 'absent' ? null : Math.round(held.ageMs);
    const releaseSeq = held.state === 'absent' ? null : held.snapshot.releaseSeq;
    this.#note({
      kind: 'STATE',
      state: held.state,
      release_seq: releaseSeq,
      freshness_seq: this.#activator?.position.freshnessSeq ?? null,
      policy_age_ms: age,
    });
    this.#with.log[held.state === 'fresh' ? 'info' : 'error']('policy_state', {
      state: held.state,
      ...(releaseSeq === null ? {} : { release_seq: releaseSeq }),
    });
  }

  #alert(code: string, detail: string): void {
    this.#metrics.alert(code);
    this.#with.log.warn('alert', { code, detail });
    this.#note({ kind: 'ALERT', code, subject: null, detail });
  }

  /** A record beside the calls'. When the journal cannot take it, the calls notice by themselves. */
  #note(body: RecordBody): void {
    const noted = this.#recorder?.note(body);
    noted?.catch((error: unknown) => this.#with.log.error('record_lost', { name: body.kind }, error));
  }

  async #closeStream(): Promise<void> {
    try {
      await this.#recorder?.close('drain');
    } catch (thrown) {
      this.#with.log.error('stream_not_closed', {}, thrown);
    }
  }
}

function ageOf(holder: Holder): number | undefined {
  const held = holder.read();
  return held.state === 'absent' ? undefined : held.ageMs;
}

function materialOf({ tlsChain, tlsPem }: Identity): {
  chain: readonly Uint8Array[];
  privatePem: string;
  authorities: readonly Uint8Array[];
} {
  const authority = tlsChain.at(-1);
  return { chain: tlsChain, privatePem: tlsPem, authorities: authority === undefined ? [] : [authority] };
}

/** Where this sidecar's last stream ended, from its last line in the journal: its hash closes that chain. */
function endOfLast({ last }: Recovered): ChainState | null {
  if (last === null) return null;
  const record = readRecord(last.line);
  const head = record.ok ? decodeHex(record.value.prev) : undefined;
  invariant(head !== undefined, 'a line of this journal is a record');
  return append({ stream: last.stream, seq: last.seq - 1, head }, last.line);
}
