/**
 * The audit service, as other services see it: acts to be remembered with what they change, alerts, and what is held of
 * whose stream. Opening it re-reads and verifies the segments, links the own stream to the last one, and writes the acts
 * that a kill left unwritten.
 */

import type { StreamEnd } from '@sallyport/audit';
import { encodeHex } from '@sallyport/crypto';
import type { Audit } from '@sallyport/contract';
import type { LocalSigner } from '@sallyport/crypto/keys';
import type { SpiffeId } from '@sallyport/identity';
import { Fault } from '@sallyport/model';
import type { Clock, Random, StreamId } from '@sallyport/model';
import type { FileSystem } from '@sallyport/runtime';
import type { Database, LocalDatabase, SegmentLog, Transaction } from '@sallyport/store';
import type { Log, Metrics } from '@sallyport/telemetry';
import type { TrustedRoot } from '@sallyport/trust';
import type { ControlPlaneConfig } from '../config.ts';
import { repeat } from '../repeat.ts';
import type { ProvenHandlers } from '../rpc.ts';
import { createActs } from './acts.ts';
import type { Act } from './acts.ts';
import { ACTS_MIGRATIONS, actsTable } from './acts-table.ts';
import { adoptedStreams, catchUp } from './adopted.ts';
import { createAlerts } from './alerts.ts';
import { Collector } from './collector.ts';
import { Indexer } from './indexer.ts';
import { createKeeper } from './keeper.ts';
import { createOwnStream } from './own-stream.ts';
import { recoverSegments } from './recovery.ts';
import { reportedHeads } from './reported.ts';
import { judgeRestart } from './restart.ts';
import { shipHandler } from './ship.ts';
import { openSharedHeads } from './shared-heads.ts';
import type { PutOutcome } from './shared-heads.ts';
import { AUDIT_MIGRATIONS, auditTables } from './store.ts';
import type { AuditTables } from './store.ts';
import type { HeldStream } from './streams.ts';
import type { Suspicion } from './suspicion.ts';
import { tailHandler } from './tail.ts';
import { watchUnclosed } from './unclosed.ts';

export type { Act } from './acts.ts';
export type { Suspicion } from './suspicion.ts';

export interface AuditService {
  /** Remembers an act, in the transaction that carries it out. `recordActs` then makes it evidence. */
  act(tx: Transaction, act: Act): Promise<void>;
  /** Resolves when every act remembered so far is in the own stream, on disk. No act is answered before. */
  recordActs(): Promise<void>;
  /** Resolves when the alert is recorded, or was judged a repetition. */
  alert(suspicion: Suspicion): Promise<void>;
  /** What a sidecar says the head of its stream is; compared with what arrives, also after a restart. */
  noteHead(writer: SpiffeId, end: StreamEnd): Promise<void>;
  noteContact(writer: SpiffeId): void;
  /** The last place held of a stream; 0 for an unknown one. */
  heldSeq(stream: StreamId): number;
  /** The audit key's certificate was renewed. */
  certify(certificates: readonly Uint8Array[]): Promise<void>;
  readonly handlers: ProvenHandlers<typeof Audit>;
  /** Ends what runs by the clock. */
  stopTimers(): void;
  /** Writes CLOSE and takes no more; the index goes on from there at the next start. Nothing may be recorded afterwards. */
  close(): Promise<void>;
  /** Resolves with the fault that ended the segments, if one does: then nothing can be acknowledged any more. */
  readonly failed: Promise<Fault>;
}

export interface AuditServiceOptions {
  readonly config: ControlPlaneConfig;
  readonly clock: Clock;
  readonly random: Random;
  readonly disk: FileSystem;
  /** Where acts are remembered with what they change; shared with other control planes, maybe. */
  readonly database: Database;
  /** For the index over the segments of this process. */
  readonly index: LocalDatabase;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly root: TrustedRoot;
  readonly identity: SpiffeId;
  readonly signer: LocalSigner;
  /** Chain of the audit key, DER, leaf first. */
  readonly certificates: () => readonly Uint8Array[];
  readonly build: string;
  readonly draining: AbortSignal;
  /** Keeps a running task until it ends. */
  readonly track: (name: string, task: Promise<unknown>) => void;
}

const REPLICA_BYTES = 8;
const FLUSH_MS = 1_000;
const SWEEP_MS_MAX = 60_000;

/** Opens it; throws a Fault `store_failed` when the segments cannot be opened. */
export async function openAudit(options: AuditServiceOptions): Promise<AuditService> {
  const { config, clock, random, database, index, log, metrics, identity, signer, certificates, root, draining } = options;
  const tables = auditTables(index.service('audit', AUDIT_MIGRATIONS));
  const replica = tables.replica(encodeHex(random(REPLICA_BYTES)));
  const adopted = adoptedStreams(tables);
  const heads = database.isShared ? await openSharedHeads(database) : undefined;
  const { segments, streams, found, actNames } = await recoverSegments({ ...options, database: index, tables, adopted });
  const onFailure = (error: unknown): void => log.error('audit.index_failed', {}, error);
  const indexer = new Indexer({ database: index, tables, log: segments, streams, clock, onFailure });
  const keeper = createKeeper(segments, () => indexer.kick());
  const checkpointRecords = config.audit.checkpoint_records;
  const own = createOwnStream({ streams, keeper, clock, random, signer, identity, certificates, build: options.build, checkpointRecords });
  const table = actsTable(await database.service('acts', ACTS_MIGRATIONS), replica);
  const acts = createActs({ database, table, random, own, recovered: actNames });
  const alerts = createAlerts({ own, clock, log, metrics });
  const alert = async (suspicion: Suspicion): Promise<void> => alerts.raise(suspicion);
  const noteContact = (writer: string): void => unclosed.noteContact(writer);
  const reported = reportedHeads({ database: index, tables, streams });
  const lineAt = storedLines({ indexer, tables, segments, draining });
  const catchUpTo = async (stream: StreamId, writer: SpiffeId): Promise<PutOutcome> =>
    heads === undefined ? 'kept' : catchUp({ stream, writer }, { streams, adopted, heads, lineAt });
  const watched = { clock, tables, streams, own: identity, alert, catchUp: catchUpTo };
  const unclosed = watchUnclosed({ ...watched, afterMs: config.audit.unclosed_after_ms });

  const onBegun = async (begun: HeldStream): Promise<void> => {
    // The stream before may have ended at another control plane.
    if (begun.previous !== null && begun.writer !== identity) await catchUpTo(begun.previous.stream, begun.writer);
    const earlier = streams.ofWriter(begun.writer).filter((held) => held.chain.stream !== begun.chain.stream);
    const isKnownUnclosed = (held: HeldStream): boolean => unclosed.isKnown(held);
    const facts = { begun, earlier, reported: reported.of(begun.writer), isKnownUnclosed };
    for (const suspicion of judgeRestart(facts)) await alert(suspicion);
    for (const held of earlier) if (!held.isClosed && !unclosed.isKnown(held)) unclosed.remember(held.chain.stream);
  };
  const pendingBytesMax = config.limits.ship_pending_bytes_max;
  const shared = { adopted, catchUp: catchUpTo, ...(heads === undefined ? {} : { heads }) };
  const collector = new Collector({ streams, keeper, tables, clock, pendingBytesMax, lineAt, alert, onBegun, ...shared });

  await own.open();
  await onBegun(required(streams.of(own.stream)));
  for (const suspicion of found) await alert(suspicion);
  await acts.record();

  const ended = new AbortController();
  const every = (everyMs: number, name: string, act: () => Promise<void> | void): void => {
    const onFailed = (error: unknown): void => log.error('task.failed', { name }, error);
    options.track(name, repeat(clock, { everyMs, act, onFailure: onFailed, signal: ended.signal }));
  };
  every(config.audit.checkpoint_interval_ms, 'checkpoint', async () => own.checkpoint());
  every(Math.min(SWEEP_MS_MAX, config.audit.unclosed_after_ms), 'unclosed streams', async () => unclosed.sweep());
  every(FLUSH_MS, 'reported heads', () => reported.flush());
  measure(metrics, indexer, segments);

  return {
    act: async (tx, act) => acts.remember(tx, act),
    recordActs: async () => acts.record(),
    alert,
    async noteHead(writer, end) {
      const suspicion = reported.note(writer, end);
      if (suspicion !== undefined) await alert(suspicion);
    },
    noteContact,
    heldSeq: (stream) => streams.of(stream)?.chain.seq ?? 0,
    certify: async (chain) => own.certify(chain),
    handlers: {
      ship: shipHandler({
        collector,
        clock,
        root,
        draining,
        shipStreamsMax: config.limits.ship_streams_max,
        onContact: noteContact,
      }),
      tail: tailHandler({
        log: segments,
        tables,
        indexer,
        clock,
        draining,
        tailStreamsMax: config.limits.tail_streams_max,
        exporter: { identity, signer, certificates },
      }),
    },
    failed: keeper.failed,
    stopTimers: () => ended.abort(),
    async close() {
      ended.abort();
      reported.flush();
      await own.close('drained');
      await indexer.stop();
      await segments.close();
    },
  };
}

function required<T>(value: T | undefined): T {
  if (value === undefined) throw new Fault('store_failed', 'internal', 'the own stream did not begin');
  return value;
}

function measure(metrics: Metrics, indexer: Indexer, segments: SegmentLog): void {
  const lagSeconds = (): number => indexer.lagMs() / 1_000;
  const help = 'How long durable records have waited to be searchable';
  metrics.gaugeFrom({ name: 'sallyport_audit_index_lag_seconds', help }, lagSeconds);
  metrics.gaugeFrom({ name: 'sallyport_audit_segments_bytes', help: 'Bytes of all audit segments' }, () => segments.status.bytes);
}

/** The stored line of a stream, from the index; waits for the index where it lags. */
function storedLines(of: {
  readonly indexer: Indexer;
  readonly tables: AuditTables;
  readonly segments: SegmentLog;
  readonly draining: AbortSignal;
}): (stream: StreamId, seq: number) => Promise<Uint8Array | undefined> {
  const { indexer, tables, segments, draining } = of;
  return async (stream, seq) => {
    await indexer.reached(segments.status.durableSequence, draining);
    const place = tables.placeOf(stream, seq);
    return place === undefined ? undefined : segments.read({ from: place, bytesMax: 1 })[0]?.bytes;
  };
}
