/**
 * Part of the composition root: the journal, the audit stream of this start in it, and what is put on record beside the
 * calls. Records of calls are written by the pipeline, through the recorder that begins here.
 */

import { stateAfter, type ChainState, type RecordBody } from '@sallyport/audit';
import { encodeBase64 } from '@sallyport/crypto';
import { Fault, invariant, type Clock, type Isolation, type Random } from '@sallyport/model';
import type { FileSystem } from '@sallyport/runtime';
import { memoryReservations, openJournal, type Journal, type MemoryReservations, type Recovered } from '@sallyport/store';
import type { Log } from '@sallyport/telemetry';
import { join } from 'node:path';
import { lastDecisions } from './admin/decisions.ts';
import type { SidecarMetrics } from './admin/metrics.ts';
import { floodBound } from './audit/flood-bound.ts';
import { startRecorder, type StreamRecorder } from './audit/recorder.ts';
import { strangers } from './audit/strangers.ts';
import type { Vitals } from './bundle/stream-source.ts';
import type { TrustedBundle } from './bundle/trusted-bundle.ts';
import type { SidecarConfig } from './config.ts';
import type { Identity } from './enrolment/identity-files.ts';
import type { Held } from './pipeline/ports.ts';

/** Kept free in a full journal for outcomes of calls that were let through. */
const HEADROOM_BYTES = 262_144;
/** What strangers may take of the journal: a twentieth. */
const STRANGERS_PART = 20;

export interface EvidenceOptions {
  readonly config: SidecarConfig;
  readonly clock: Clock;
  readonly random: Random;
  readonly build: string;
  readonly log: Log;
  readonly disk: FileSystem;
  readonly metrics: SidecarMetrics;
}

interface Opened {
  readonly journal: Journal;
  readonly recovered: Recovered;
  readonly reservations: MemoryReservations;
}

/** Owner of the journal and of the one stream that this start writes. */
export class Evidence {
  readonly decisions: ReturnType<typeof lastDecisions> = lastDecisions();
  readonly #with: EvidenceOptions;
  /** Owner: `open`. */
  #opened: Opened | undefined;
  /** Owner: `begin`. */
  #recorder: StreamRecorder | undefined;
  /** Owner: `close`. */
  #isClosed = false;
  /** Owner: `watch`. The state that was last put on record. */
  #noted: Held['state'] = 'absent';

  readonly #boundAlert: ReturnType<typeof floodBound>;

  constructor(options: EvidenceOptions) {
    this.#with = options;
    this.#boundAlert = floodBound(options.clock);
  }

  /** `undefined` until it is open. */
  get journal(): Journal | undefined {
    return this.#opened?.journal;
  }

  /** `undefined` until the stream has begun. */
  get recorder(): StreamRecorder | undefined {
    return this.#recorder;
  }

  /** What the control plane is told of this sidecar, besides what it enforces. */
  vitals(held: Held, isolation: Isolation): Vitals {
    const head = this.#recorder?.head;
    const { decisions, denials } = this.#with.metrics;
    return {
      auditStream: head?.stream ?? '',
      auditSeq: head?.seq ?? 0,
      auditHead: head?.head ?? new Uint8Array(),
      decisions,
      denials,
      policyAgeMs: held.state === 'absent' ? 0 : held.ageMs,
      state: held.state,
      isolation,
    };
  }

  /** Opens the journal and rebuilds what it holds; rejects with a Fault where it is damaged. */
  async open(): Promise<Opened> {
    const { config, disk, log } = this.#with;
    const { segment_bytes_max: segmentBytesMax, journal_bytes_max: logBytesMax } = config.audit;
    const opened = await openJournal({
      disk,
      directory: join(config.state_dir, 'journal'),
      segmentBytesMax,
      logBytesMax,
      headroomBytes: HEADROOM_BYTES,
      snapshot: () => this.#opened?.reservations.snapshot() ?? new Uint8Array(),
    });
    if (!opened.ok) {
      const { error } = opened;
      throw error.code === 'failed' ? error.fault : new Fault('journal_failed', 'internal', `${error.path}: ${error.message}`);
    }
    const { journal, recovered } = opened.value;
    void journal.ended.then((fault) => fault !== null && log.error('journal_failed', {}, fault));
    const reservations = memoryReservations({ entriesMax: config.limits.reservations_max, recovered });
    this.#opened = { journal, recovered, reservations };
    return this.#opened;
  }

  /** Begins the stream, signed by this identity's audit key; once. */
  async begin(identity: Identity): Promise<void> {
    if (this.#recorder !== undefined) return;
    invariant(this.#opened !== undefined, 'a stream is written into an open journal');
    const { journal, recovered } = this.#opened;
    const { config, clock, random, build } = this.#with;
    const { agent, instance, audit } = config;
    this.#recorder = await startRecorder({
      journal,
      clock,
      random,
      signer: identity.auditSigner,
      start: { sidecar: identity.spiffeId, agent, instance, build, certificates: chainOf(identity) },
      previous: endOfLast(recovered),
      checkpointRecords: audit.checkpoint_records,
      checkpointIntervalMs: audit.checkpoint_interval_ms,
      strangers: strangers({
        clock,
        recordsPerWindow: audit.refusal_records_per_window,
        bytesMax: audit.journal_bytes_max / STRANGERS_PART,
        isShipped: () => journal.status.unacknowledgedRecords === 0,
      }),
      onRecord: (body, beside) => this.decisions.see(body, beside),
    });
  }

  activated(
    { release, policyDigest }: TrustedBundle,
    previous: TrustedBundle | undefined,
    under: { freshnessSeq: number | null; revocationSeq: number },
  ): void {
    this.#with.metrics.activated();
    this.#note({
      kind: 'ACTIVE',
      area: release.area,
      ring: release.ring,
      release_seq: release.releaseSeq,
      previous_release_seq: previous?.release.releaseSeq ?? null,
      policy_digest: policyDigest,
      freshness_seq: under.freshnessSeq,
      revocation_seq: under.revocationSeq,
      detail: release.bundles.map(({ area, revision, digest }) => `${area} ${revision} ${digest}`).join(', '),
    });
  }

  /** Fresh, stale and absent are computed at every call; here only the change is put on record. */
  watch(held: Held, freshnessSeq: number | null): void {
    if (held.state === this.#noted) return;
    this.#noted = held.state;
    const isAbsent = held.state === 'absent';
    this.#note({
      kind: 'STATE',
      state: held.state,
      release_seq: isAbsent ? null : held.snapshot.releaseSeq,
      freshness_seq: freshnessSeq,
      policy_age_ms: isAbsent ? null : Math.round(held.ageMs),
    });
    this.#with.log[held.state === 'fresh' ? 'info' : 'error']('policy_state', {
      state: held.state,
      ...(isAbsent ? {} : { release_seq: held.snapshot.releaseSeq }),
    });
  }

  renewed(identity: Identity): void {
    this.#note({ kind: 'CERTIFICATE', certificates: chainOf(identity) });
  }

  alert(code: string, detail: string): void {
    this.#with.metrics.alert(code);
    const kept = this.#boundAlert(code, detail);
    if (kept === undefined) return;
    this.#with.log.warn('alert', { code, detail: kept });
    this.#note({ kind: 'ALERT', code, subject: null, detail: kept });
  }

  /** Ends the stream, before the process does. What still happens is in the log alone. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#recorder?.close('drain');
  }

  /** A record beside the calls'. When the journal cannot take it, the calls notice by themselves. */
  #note(body: RecordBody): void {
    if (this.#isClosed) return;
    const noted = this.#recorder?.note(body);
    noted?.catch((error: unknown) => this.#with.log.error('record_lost', { name: body.kind }, error));
  }
}

function chainOf({ auditChain }: Identity): readonly string[] {
  return auditChain.map((der) => encodeBase64(der));
}

/** Where this sidecar's last stream ended: the next one commits to it. */
function endOfLast({ last }: Recovered): ChainState | null {
  if (last === null) return null;
  const state = stateAfter(last.line);
  invariant(state !== undefined, 'a line of this journal is a record');
  return state;
}
