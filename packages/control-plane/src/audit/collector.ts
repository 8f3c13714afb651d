/**
 * Takes batches of records from sidecars: appends what is contiguous and chained, and says so only when that survives a
 * loss of power. What it refuses is answered and alerted, never dropped in silence. It has no way to change or remove a
 * record. docs/spec/control-plane.md section 8.
 */

import { digestOf, equalBytes } from '@sallyport/crypto';
import type { SpiffeId } from '@sallyport/identity';
import { Fault, fail, ok } from '@sallyport/model';
import type { Clock, Digest, Result, StreamId } from '@sallyport/model';
import { bytesAccount } from '@sallyport/runtime';
import type { BytesAccount } from '@sallyport/runtime';
import type { Adopted } from './adopted.ts';
import { NO_HEAD, endOf } from './held-streams.ts';
import type { HeldStreams } from './held-streams.ts';
import type { Keeper } from './keeper.ts';
import type { AuditTables } from './store.ts';
import type { PutOutcome, SharedHeads } from './shared-heads.ts';
import { takeLine } from './streams.ts';
import type { HeldStream, LineContext, LineRefusal } from './streams.ts';
import type { AlertCode, Suspicion } from './suspicion.ts';

/** What a batch or a resume came to; one answer for each. */
export type Delivery =
  | { readonly kind: 'ack'; readonly through: number; readonly head: Uint8Array }
  /** The record at `seq` differs from the one held. Both sides are kept, and the stream is never continued. */
  | { readonly kind: 'fork'; readonly seq: number; readonly head: Uint8Array }
  | { readonly kind: 'gap'; readonly expected: number }
  /** Nothing was taken, for want of room; the same again later may be. */
  | { readonly kind: 'slow_down'; readonly waitMs: number }
  | { readonly kind: 'refused'; readonly detail: string };

export interface RecordBatch {
  readonly stream: StreamId;
  readonly firstSeq: number;
  readonly lines: readonly Uint8Array[];
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
  /** Streams of which another control plane holds a part. */
  readonly adopted: Pick<Adopted, 'upTo'>;
  /** What all control planes on one database know; absent where this one is alone. */
  readonly heads?: Pick<SharedHeads, 'put'>;
  /** Brings a stream together with what all know of it; nothing where this one is alone. */
  readonly catchUp: (stream: StreamId, writer: SpiffeId) => Promise<PutOutcome>;
  /** A stream's first line has become durable. */
  readonly onBegun: (begun: HeldStream) => Promise<void>;
}

/** A place in a stream, and who delivers it. */
interface About {
  readonly stream: StreamId;
  readonly seq: number;
  readonly source: LineContext['source'];
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

export class Collector {
  readonly #options: CollectorOptions;
  // Owner of what follows: this collector.
  readonly #forked: Set<StreamId>;
  readonly #pending: BytesAccount;
  /** The delivery of a stream that is at work: two connections with one stream must not both append what comes next. */
  readonly #turns = new Map<StreamId, Promise<unknown>>();

  constructor(options: CollectorOptions) {
    this.#options = options;
    this.#forked = new Set(options.tables.forkedStreams());
    this.#pending = bytesAccount(options.pendingBytesMax);
  }

  /** What is durable of a stream that its writer takes up again at `firstSeq`. */
  async resume(about: About): Promise<Delivery> {
    // What another control plane has acknowledged the sidecar does not have any more.
    return (await this.#catchUp(about)) ?? (await this.#judgeStream(about)) ?? this.#ack(about.stream);
  }

  /** Takes a batch from a proven source. Resolves when what it took is durable. Throws a Fault when the segments have failed. */
  async deliver(batch: RecordBatch, context: LineContext): Promise<Delivery> {
    const share = this.#pending.reserve(batch.lines.reduce((sum, line) => sum + line.byteLength, 0));
    if (share === undefined) return { kind: 'slow_down', waitMs: BUSY_WAIT_MS };
    const before = this.#turns.get(batch.stream) ?? Promise.resolve();
    const take = async (): Promise<Delivery> => this.#take(batch, context);
    const mine = before.then(take, take);
    this.#turns.set(batch.stream, mine);
    try {
      return await mine;
    } finally {
      share.release();
      if (this.#turns.get(batch.stream) === mine) this.#turns.delete(batch.stream);
    }
  }

  async #take(batch: RecordBatch, context: LineContext): Promise<Delivery> {
    const { streams, keeper } = this.#options;
    const { stream } = batch;
    const { source } = context;
    const about = { stream, seq: batch.firstSeq, source };
    const behind = batch.firstSeq > this.#heldSeq(stream) + 1 ? await this.#catchUp(about) : undefined;
    const judged = behind ?? (await this.#judgeStream(about));
    if (judged !== undefined) return judged;
    const fresh = await this.#newLines(batch, source);
    if (!fresh.ok) return fresh.error;
    const before = streams.of(stream);
    let next = before;
    const suspicions: string[] = [];
    for (const line of fresh.value) {
      const seq = (next?.chain.seq ?? 0) + 1;
      const taken = takeLine(next, line, { ...context, stream });
      if (!taken.ok) return this.#refuse(taken.error, line, { stream, seq, source });
      next = taken.value.held;
      if (taken.value.suspicion !== undefined) suspicions.push(taken.value.suspicion);
    }
    if (next === undefined || fresh.value.length === 0) return this.#ack(stream);
    const kept = await keeper.keep(fresh.value, { isOwn: false });
    if (!kept.ok && kept.error instanceof Fault) throw kept.error;
    if (!kept.ok) return { kind: 'slow_down', waitMs: FULL_WAIT_MS };
    streams.set(next);
    for (const detail of suspicions) await this.#suspect('CHECKPOINT_INVALID', detail, { stream, source });
    if (before === undefined) await this.#options.onBegun(next);
    const [last = new Uint8Array(0)] = fresh.value.slice(-1);
    const put = await this.#options.heads?.put(next);
    if (put === 'forked') return this.#fork('another control plane holds another record', last, { stream, seq: next.chain.seq, source });
    // Somebody else has gone on with this stream meanwhile: the sidecar begins again by asking what is acknowledged.
    if (put === 'overtaken') return { kind: 'slow_down', waitMs: BUSY_WAIT_MS };
    return this.#ack(stream);
  }

  /** Undefined where this process knows what all know. */
  async #catchUp(about: About): Promise<Delivery | undefined> {
    const outcome = await this.#options.catchUp(about.stream, about.source);
    if (outcome === 'forked') return this.#fork('another control plane holds another history', new Uint8Array(0), about);
    return outcome === 'overtaken' ? { kind: 'slow_down', waitMs: BUSY_WAIT_MS } : undefined;
  }

  /** What can be said of a stream before a line of it is looked at; `undefined` when it may go on. */
  async #judgeStream(about: About): Promise<Delivery | undefined> {
    const { stream, seq, source } = about;
    const writer = this.#options.streams.of(stream)?.writer;
    if (writer !== undefined && writer !== source)
      return this.#refuse({ code: 'forged', detail: `it belongs to \`${writer}\`` }, new Uint8Array(0), about);
    if (this.#forked.has(stream)) return this.#forkAt(stream, this.#heldSeq(stream));
    const expected = this.#heldSeq(stream) + 1;
    if (seq <= expected) return undefined;
    await this.#suspect('GAP', `records ${expected} to ${seq - 1} are missing`, { stream, source });
    return { kind: 'gap', expected };
  }

  /** The lines of a batch that are new. Those held already are compared byte for byte. */
  async #newLines(batch: RecordBatch, source: LineContext['source']): Promise<Result<readonly Uint8Array[], Delivery>> {
    const { stream, firstSeq, lines } = batch;
    const heldSeq = this.#heldSeq(stream);
    for (const [index, line] of lines.entries()) {
      const seq = firstSeq + index;
      if (seq > heldSeq) return ok(lines.slice(index));
      const stored = await this.#options.lineAt(stream, seq);
      // Held elsewhere, and acknowledged there: it cannot be compared here.
      if (stored === undefined && seq <= this.#options.adopted.upTo(stream)) continue;
      if (stored === undefined || !equalBytes(stored, line))
        return fail(await this.#fork('it differs from the record held', line, { stream, seq, source }));
    }
    return ok([]);
  }

  async #refuse(refusal: LineRefusal, line: Uint8Array, about: About): Promise<Delivery> {
    if (refusal.code === 'fork') return this.#fork(refusal.detail, line, about);
    const detail = `seq ${about.seq}: ${refusal.detail}`;
    await this.#suspect(REFUSALS[refusal.code], detail, about);
    // The text crosses the wire: a forger is not told whose stream it met.
    return { kind: 'refused', detail: refusal.code === 'forged' ? 'the stream is not of this sidecar' : detail };
  }

  /** Both sides are kept: ours in the segments, the other in its table. */
  async #fork(why: string, line: Uint8Array, about: About): Promise<Delivery> {
    const { tables, clock } = this.#options;
    const { stream, seq, source } = about;
    this.#forked.add(stream);
    if (tables.forkCount(stream) < FORK_LINES_MAX)
      tables.addFork({ stream, seq, digest: digestOf(line) as Digest, source, at: clock.wall(), line });
    await this.#suspect('FORK', `seq ${seq}: ${why}`, about);
    return this.#forkAt(stream, seq);
  }

  async #suspect(
    code: AlertCode,
    detail: string,
    { stream, source }: { readonly stream: StreamId; readonly source: string },
  ): Promise<void> {
    const held = this.#options.streams.of(stream);
    const subject = held === undefined ? { stream, seq: 0, head: NO_HEAD } : endOf(held);
    await this.#options.alert({ code, subject, detail: `stream ${stream}: ${detail}`, source });
  }

  #heldSeq(stream: StreamId): number {
    return this.#options.streams.of(stream)?.chain.seq ?? 0;
  }

  #heldHead(stream: StreamId): Uint8Array {
    return this.#options.streams.of(stream)?.chain.head ?? new Uint8Array(0);
  }

  #ack(stream: StreamId): Delivery {
    return { kind: 'ack', through: this.#heldSeq(stream), head: this.#heldHead(stream) };
  }

  #forkAt(stream: StreamId, seq: number): Delivery {
    return { kind: 'fork', seq, head: this.#heldHead(stream) };
  }
}
