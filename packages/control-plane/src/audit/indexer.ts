/**
 * The index over the segments: follows what is durable, a batch at a time, and never holds up an acknowledgement. It may
 * be thrown away at any time and is built anew. It copies what readers search by and interprets nothing else.
 */

import type { Clock } from '@sallyport/model';
import type { LocalDatabase, LoggedFrame, SegmentLog } from '@sallyport/store';
import { doorbell } from '../doorbell.ts';
import { readLineHead } from './line.ts';
import type { AuditTables, IndexedRecord } from './store.ts';
import type { HeldStreams } from './held-streams.ts';

export interface IndexerOptions {
  readonly database: LocalDatabase;
  readonly tables: AuditTables;
  readonly log: SegmentLog;
  readonly streams: HeldStreams;
  readonly clock: Clock;
  readonly onFailure: (error: unknown) => void;
}

/** Small enough that a commit does not hold up the streams for long. */
const BATCH_BYTES = 256 * 1024;
/** After a failure: a database that is locked would otherwise be asked again and again, and nothing else would run. */
const RETRY_MS = 1_000;

export class Indexer {
  readonly #options: IndexerOptions;
  readonly #advanced = doorbell();
  // Owner of what follows: this indexer.
  #place: number;
  #behindSince: number | undefined;
  #running: Promise<void> | undefined;
  #isStopped = false;
  /** Aborts when this indexer stops. */
  readonly #stopped = new AbortController();

  constructor(options: IndexerOptions) {
    this.#options = options;
    this.#place = options.tables.indexedPlace();
  }

  /** The last place that readers can find. */
  get place(): number {
    return this.#place;
  }

  /** How long the oldest record that is durable and not indexed has waited; 0 when there is none. */
  lagMs(): number {
    return this.#behindSince === undefined ? 0 : this.#options.clock.boot() - this.#behindSince;
  }

  /** There may be something new. */
  kick(): void {
    if (this.#running !== undefined || this.#isStopped) return;
    this.#behindSince ??= this.#options.clock.boot();
    this.#running = this.#runOnce();
  }

  /** Resolves when everything up to `place` is indexed, the signal aborts, or nothing more will be. */
  async reached(place: number, signal: AbortSignal): Promise<void> {
    this.kick();
    while (this.#place < place && !signal.aborted && !this.#isStopped) await this.#advanced.heard(signal);
  }

  /** True when something beyond `place` is indexed; false when the signal aborts or nothing more will be. */
  async beyond(place: number, signal: AbortSignal): Promise<boolean> {
    await this.reached(place + 1, signal);
    return this.#place > place;
  }

  /** Ends after the batch at work. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#stopped.abort();
    this.#advanced.ring();
    await this.#running;
  }

  async #runOnce(): Promise<void> {
    const isDone = await this.#run();
    this.#running = undefined;
    const { log, clock } = this.#options;
    if (log.status.durableSequence <= this.#place || log.status.fault !== null) return;
    if (isDone) this.kick();
    else clock.timer(RETRY_MS, () => this.kick(), { signal: this.#stopped.signal });
  }

  /** Whether it came to the end of what is durable. */
  async #run(): Promise<boolean> {
    try {
      do await turn();
      while (!this.#isStopped && this.#indexBatch());
      this.#behindSince = undefined;
      return true;
    } catch (error) {
      // Records stay durable and acknowledged; the lag grows, and it is tried again a little later.
      this.#isStopped ||= this.#options.log.status.fault !== null;
      this.#options.onFailure(error);
      return false;
    }
  }

  #indexBatch(): boolean {
    const { log, database, tables } = this.#options;
    const frames = log.read({ from: this.#place + 1, bytesMax: BATCH_BYTES });
    const last = frames.at(-1);
    if (last === undefined) return false;
    database.transaction(() => {
      for (const frame of frames) addFrame(frame, this.#options);
      tables.setIndexedPlace(last.sequence);
    });
    this.#place = last.sequence;
    this.#advanced.ring();
    return true;
  }
}

/** Lets the streams have their turn between two batches. */
async function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function addFrame(frame: LoggedFrame, { tables, streams }: Pick<IndexerOptions, 'tables' | 'streams'>): void {
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
    subject: head.kind === 'ALERT' ? streamOf(fields['subject']) : null,
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

function streamOf(subject: unknown): string | null {
  const { stream } = (subject ?? {}) as { readonly stream?: unknown };
  return typeof stream === 'string' ? stream : null;
}

function named(fields: Readonly<Record<string, unknown>>, name: string): string | null {
  const value = fields[name];
  return typeof value === 'string' && value !== '-' ? value : null;
}
