/**
 * Takes batches of records from sidecars: appends what is contiguous and chained, and says so only when that survives a
 * loss of power. What it refuses is answered and alerted, never dropped in silence. It has no way to change or remove a
 * record. docs/spec/control-plane.md section 8.
 */

import { digestOf, equalBytes } from '@sallyport/crypto';
import { fail, ok } from '@sallyport/model';
import type { Clock, Digest, Result, StreamId } from '@sallyport/model';
import { bytesAccount } from '@sallyport/runtime';
import { NO_HEAD, endOf } from './held-streams.ts';
import type { HeldStreams } from './held-streams.ts';
import type { Keeper } from './keeper.ts';
import type { AuditTables } from './store.ts';
import { takeLine } from './streams.ts';
import type { HeldStream, LineContext, LineRefusal } from './streams.ts';
import type { AlertCode, Suspicion } from './suspicion.ts';

/** What a batch or a resume came to; one answer for each. */
export type Delivery =
  | { readonly kind: 'ack'; readonly through: number; readonly head: Uint8Array }
  | { readonly kind: 'fork'; readonly seq: number; readonly head: Uint8Array }
  | { readonly kind: 'gap'; readonly expected: number }
  | { readonly kind: 'slow_down'; readonly waitMs: number }
  | { readonly kind: 'refused'; readonly detail: string };

export interface RecordBatch {
  readonly stream: StreamId;
  readonly firstSeq: number;
  readonly lines: readonly Uint8Array[];
}

export interface Collector {
  /** What is durable of a stream that its writer takes up again at `firstSeq`. */
  resume(stream: StreamId, firstSeq: number, source: LineContext['source']): Promise<Delivery>;
  /** Takes a batch from a proven source. Resolves when what it took is durable. Throws a Fault when the segments have failed. */
  deliver(batch: RecordBatch, context: LineContext): Promise<Delivery>;
}

export interface CollectorOptions {
  readonly streams: HeldStreams;
  readonly keeper: Keeper;
  readonly tables: AuditTables;
  readonly clock: Clock;
  readonly pendingBytesMax: number;
  /** The stored line, from the index; waits for the index where it lags. */
  readonly lineAt: (stream: StreamId, seq: number) => Promise<Uint8Array | undefined>;
  readonly alert: (suspicion: Suspicion) => Promise<void>;
  /** A stream's first line has become durable. */
  readonly onBegun: (begun: HeldStream) => Promise<void>;
}

const FULL_WAIT_MS = 30_000;
const BUSY_WAIT_MS = 250;
/** Lines kept of one forked stream: enough to show that it forked, and no way to fill the disk. */
const FORK_LINES_MAX = 16;

const REFUSALS: Readonly<Record<Exclude<LineRefusal['code'], 'fork'>, AlertCode>> = {
  forged: 'FORGED_SOURCE',
  malformed: 'MALFORMED_RECORD',
  closed: 'AFTER_CLOSE',
};

export function createCollector(options: CollectorOptions): Collector {
  const { streams, keeper, tables, clock, alert } = options;
  // Owner: this collector.
  const forked = new Set<StreamId>(tables.forkedStreams());
  const pending = bytesAccount(options.pendingBytesMax);
  const inTurn = oneByOne<StreamId>();

  const suspect = async (code: AlertCode, about: { stream: StreamId; detail: string; source: string }): Promise<void> => {
    const held = streams.of(about.stream);
    const subject = held === undefined ? { stream: about.stream, seq: 0, head: NO_HEAD } : endOf(held);
    await alert({ code, subject, detail: `stream ${about.stream}: ${about.detail}`, source: about.source });
  };
  const held = (stream: StreamId): Pick<Extract<Delivery, { kind: 'ack' }>, 'through' | 'head'> => {
    const chain = streams.of(stream)?.chain;
    return { through: chain?.seq ?? 0, head: chain?.head ?? new Uint8Array(0) };
  };
  const forkOf = (stream: StreamId): Delivery => ({ kind: 'fork', seq: held(stream).through, head: held(stream).head });

  /** Both sides are kept: ours in the segments, the other in its table. The stream is never continued. */
  const fork = async (line: Uint8Array, about: { stream: StreamId; seq: number; detail: string; source: string }): Promise<Delivery> => {
    const { stream, seq, source } = about;
    forked.add(stream);
    if (tables.forkCount(stream) < FORK_LINES_MAX)
      tables.addFork({ stream, seq, digest: digestOf(line) as Digest, source, at: clock.wall(), line });
    await suspect('FORK', about);
    return { ...forkOf(stream), kind: 'fork', seq, head: held(stream).head };
  };

  const refuse = async (refusal: LineRefusal, about: { stream: StreamId; seq: number; source: string; line: Uint8Array }): Promise<Delivery> => {
    const detail = `seq ${about.seq}: ${refusal.detail}`;
    if (refusal.code === 'fork') return fork(about.line, { ...about, detail });
    await suspect(REFUSALS[refusal.code], { ...about, detail });
    // The text crosses the wire: a forger is not told whose stream it met.
    return { kind: 'refused', detail: refusal.code === 'forged' ? 'the stream is not of this sidecar' : detail };
  };

  const gap = async (stream: StreamId, of: { expected: number; firstSeq: number; source: string }): Promise<Delivery> => {
    await suspect('GAP', { stream, detail: `records ${of.expected} to ${of.firstSeq - 1} are missing`, source: of.source });
    return { kind: 'gap', expected: of.expected };
  };

  /** What can be said of a stream before a line of it is looked at; `undefined` when it may go on. */
  const judgeStream = async (stream: StreamId, firstSeq: number, source: LineContext['source']): Promise<Delivery | undefined> => {
    const writer = streams.of(stream)?.writer;
    if (writer !== undefined && writer !== source)
      return refuse({ code: 'forged', detail: `it belongs to \`${writer}\`` }, { stream, seq: firstSeq, source, line: new Uint8Array(0) });
    if (forked.has(stream)) return forkOf(stream);
    const expected = held(stream).through + 1;
    return firstSeq > expected ? gap(stream, { expected, firstSeq, source }) : undefined;
  };

  /** The lines of a batch that are new. Those held already are compared byte for byte. */
  const newLines = async ({ stream, firstSeq, lines }: RecordBatch, source: string): Promise<Result<readonly Uint8Array[], Delivery>> => {
    const heldSeq = held(stream).through;
    for (const [index, line] of lines.entries()) {
      const seq = firstSeq + index;
      if (seq > heldSeq) return ok(lines.slice(index));
      const stored = await options.lineAt(stream, seq);
      if (stored === undefined || !equalBytes(stored, line))
        return fail(await fork(line, { stream, seq, detail: `seq ${seq}: it differs from the record held`, source }));
    }
    return ok([]);
  };

  const take = async (batch: RecordBatch, context: LineContext): Promise<Delivery> => {
    const { stream } = batch;
    const judged = await judgeStream(stream, batch.firstSeq, context.source);
    if (judged !== undefined) return judged;
    const fresh = await newLines(batch, context.source);
    if (!fresh.ok) return fresh.error;
    const before = streams.of(stream);
    let next = before;
    const suspicions: string[] = [];
    for (const line of fresh.value) {
      const seq = (next?.chain.seq ?? 0) + 1;
      const taken = takeLine(next, line, { ...context, stream });
      if (!taken.ok) return refuse(taken.error, { stream, seq, source: context.source, line });
      next = taken.value.held;
      if (taken.value.suspicion !== undefined) suspicions.push(taken.value.suspicion);
    }
    if (next === undefined || fresh.value.length === 0) return { kind: 'ack', ...held(stream) };
    const kept = await keeper.keep(fresh.value, { isOwn: false });
    if (!kept.ok && kept.error === 'full') return { kind: 'slow_down', waitMs: FULL_WAIT_MS };
    if (!kept.ok) throw kept.error;
    streams.set(next);
    for (const detail of suspicions) await suspect('CHECKPOINT_INVALID', { stream, detail, source: context.source });
    if (before === undefined) await options.onBegun(next);
    return { kind: 'ack', ...held(stream) };
  };

  return {
    async resume(stream, firstSeq, source) {
      return (await judgeStream(stream, firstSeq, source)) ?? { kind: 'ack', ...held(stream) };
    },
    async deliver(batch, context) {
      const share = pending.reserve(batch.lines.reduce((sum, line) => sum + line.byteLength, 0));
      if (share === undefined) return { kind: 'slow_down', waitMs: BUSY_WAIT_MS };
      try {
        return await inTurn(batch.stream, async () => take(batch, context));
      } finally {
        share.release();
      }
    },
  };
}

/** One act of a key at a time: two connections with the same stream must not both append what comes next. */
function oneByOne<K>(): <T>(key: K, act: () => Promise<T>) => Promise<T> {
  // Owner: this closure.
  const last = new Map<K, Promise<unknown>>();
  return async (key, act) => {
    const before = last.get(key) ?? Promise.resolve();
    const mine = before.then(act, act);
    last.set(key, mine);
    try {
      return await mine;
    } finally {
      if (last.get(key) === mine) last.delete(key);
    }
  };
}
