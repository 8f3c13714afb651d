/**
 * The index over the segments: follows what is durable, a batch at a time, and never holds up an acknowledgement. It may
 * be thrown away at any time and is built anew. It copies what readers search by and interprets nothing else.
 */

import type { Clock } from '@sallyport/model';
import type { Database, LoggedFrame, SegmentLog } from '@sallyport/store';
import { doorbell } from '../doorbell.ts';
import { readLineHead } from './line.ts';
import type { AuditTables, IndexedRecord } from './store.ts';
import type { HeldStreams } from './held-streams.ts';

export interface Indexer {
  /** There may be something new. */
  kick(): void;
  /** Resolves when everything up to `place` is indexed, or the signal aborts. */
  reached(place: number, signal: AbortSignal): Promise<void>;
  /** True when something beyond `place` is indexed; false when the signal aborts or nothing more will be. */
  beyond(place: number, signal: AbortSignal): Promise<boolean>;
  /** The last place that readers can find. */
  readonly place: number;
  /** How long the oldest record that is durable and not indexed has waited; 0 when there is none. */
  lagMs(): number;
  /** Ends after the batch at work. */
  stop(): Promise<void>;
}

export interface IndexerOptions {
  readonly database: Database;
  readonly tables: AuditTables;
  readonly log: SegmentLog;
  readonly streams: HeldStreams;
  readonly clock: Clock;
  readonly onFailure: (error: unknown) => void;
}

/** Small enough that a commit does not hold up the streams for long. */
const BATCH_BYTES = 256 * 1024;

export function createIndexer(options: IndexerOptions): Indexer {
  const { database, tables, log, streams, clock } = options;
  // Owner: this indexer.
  let place = tables.indexedPlace();
  let behindSince: number | undefined;
  let running: Promise<void> | undefined;
  let isStopped = false;
  const advanced = doorbell();

  const indexBatch = (): boolean => {
    const frames = log.read({ from: place + 1, bytesMax: BATCH_BYTES });
    const last = frames.at(-1);
    if (last === undefined) return false;
    database.transaction(() => {
      for (const frame of frames) addFrame(frame, { tables, streams });
      tables.setIndexedPlace(last.sequence);
    });
    place = last.sequence;
    advanced.ring();
    return true;
  };

  const run = async (): Promise<void> => {
    behindSince ??= clock.boot();
    while (!isStopped && indexBatch()) await turn();
    behindSince = undefined;
  };

  const kick = (): void => {
    if (running !== undefined || isStopped) return;
    running = turn()
      .then(run)
      .catch(options.onFailure)
      .finally(() => {
        running = undefined;
        if (!isStopped && log.status.durableSequence > place && log.status.fault === null) kick();
      });
  };

  const waitUntil = async (isThere: () => boolean, signal: AbortSignal): Promise<void> => {
    while (!isThere() && !signal.aborted && !isStopped) await advanced.heard(signal);
  };

  return {
    kick,
    reached: async (wanted, signal) => {
      kick();
      return waitUntil(() => place >= wanted, signal);
    },
    async beyond(after, signal) {
      await waitUntil(() => place > after, signal);
      return place > after;
    },
    get place() {
      return place;
    },
    lagMs: () => (behindSince === undefined ? 0 : clock.boot() - behindSince),
    async stop() {
      isStopped = true;
      advanced.ring();
      await running;
    },
  };
}

/** Lets the streams have their turn between two batches. */
async function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function addFrame(frame: LoggedFrame, { tables, streams }: { readonly tables: AuditTables; readonly streams: HeldStreams }): void {
  const head = readLineHead(frame.bytes);
  if (head === undefined) return;
  const fields = fieldsOf(frame.bytes);
  const base: IndexedRecord = {
    place: frame.sequence,
    stream: head.stream,
    seq: head.seq,
    at: head.at,
    kind: head.kind,
    decisionId: named(fields, 'decision_id'),
    agent: named(fields, 'agent_id'),
    session: named(fields, 'session_id'),
    operator: named(fields, 'operator'),
    caseId: named(fields, 'case'),
    tool: named(fields, 'tool'),
    decision: named(fields, 'decision'),
    code: named(fields, 'code'),
  };
  if (head.kind === 'START') {
    const held = streams.of(head.stream);
    if (held !== undefined) tables.addStream(head.stream, held.writer, held.agent);
  }
  // An outcome says only which decision it belongs to; readers look for it by what the decision was about.
  const decided = head.kind === 'OUTCOME' && base.decisionId !== null ? tables.decisionOf(base.decisionId, head.stream) : undefined;
  tables.addRecord(decided === undefined ? base : { ...base, ...decided });
}

function fieldsOf(line: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    return JSON.parse(new TextDecoder().decode(line)) as Readonly<Record<string, unknown>>;
  } catch {
    // Evidence that cannot be read is still found by its place.
    return {};
  }
}

function named(fields: Readonly<Record<string, unknown>>, name: string): string | null {
  const value = fields[name];
  return typeof value === 'string' && value !== '-' ? value : null;
}
