/**
 * Brings the journal's records to the collector: resumes where it acknowledged, sends in order, and lets go only of what
 * it says is durable. It never decides what is recorded, and nothing waits for it but a full journal.
 */

import { Audit, BatchSchema, create, ResumeSchema, ShipMessageSchema, type ShipAnswer, type ShipMessage } from '@sallyport/contract';
import { encodeHex } from '@sallyport/crypto';
import type { BootMs, Clock, StreamId } from '@sallyport/model';
import type { Client, IncomingStream, StreamWriter } from '@sallyport/net';
import { delay, orAborted, type Backoff } from '@sallyport/runtime';
import type { Journal, UnshippedRecord } from '@sallyport/store';

export interface ShipperOptions {
  readonly journal: Journal;
  readonly clock: Clock;
  readonly backoff: Backoff;
  readonly client: () => Client<typeof Audit>;
  /** Something that must not happen: the collector holds another history (FORK) or lacks a part of ours (GAP). Once for a stream. */
  readonly onAlert: (code: 'FORK' | 'GAP', detail: string) => void;
  readonly onAck: (stream: StreamId, seq: number) => void;
  /** A connection has ended, and why; another follows. */
  readonly onLost: (reason: string) => void;
}

const BATCH_BYTES_MAX = 262_144;
const BATCH_RECORDS_MAX = 1_000;
/** Between few records and the next: what a batch costs both sides is then shared by what came meanwhile. */
const GATHER_MS = 20;
/** The longest that a collector may have us wait: the journal fills meanwhile, and a full one refuses calls. */
const SLOW_DOWN_MS_MAX = 60_000;

/** Ships until the signal aborts, over as many connections as it takes. Never rejects. */
export async function ship(options: ShipperOptions, { signal }: { signal: AbortSignal }): Promise<void> {
  const { clock, backoff } = options;
  // Streams that the collector refuses to continue; their records stay here, as evidence.
  const refused = new Set<string>();
  const source = { hasEnded: false };
  void options.journal.ended.then(() => (source.hasEnded = true));
  while (!signal.aborted) {
    const over = new AbortController();
    const stop = (): void => over.abort();
    signal.addEventListener('abort', stop, { once: true });
    let reason: string;
    try {
      const fresh = { offered: new Set<string>(), pause: Promise.resolve(), answers: 0, onAnswer: () => {} };
      reason = await shipOnce({ ...options, refused, source, ...fresh }, over);
    } catch (thrown) {
      // What is not acknowledged is still in the journal and goes out over the next connection.
      reason = thrown instanceof Error ? thrown.message : String(thrown);
    } finally {
      signal.removeEventListener('abort', stop);
      over.abort();
    }
    if (!signal.aborted) options.onLost(reason);
    await delay(clock, backoff.next(), { signal });
  }
}

/** One connection's own state beside what all share. */
interface Connection extends ShipperOptions {
  readonly refused: Set<string>;
  /** Whether the journal has ended: it then answers every wait at once, and asking it again and again would stop the process. */
  readonly source: { readonly hasEnded: boolean };
  /** Owner: `send`. Streams that were offered over this connection; answers about others mean nothing. */
  readonly offered: Set<string>;
  /** Owner: `listen`. What sending waits for. */
  pause: Promise<unknown>;
  /** Owner: `listen`. How many answers have come. */
  answers: number;
  /** Owner: `answered`. Called at each. */
  onAnswer: () => void;
}

async function shipOnce(connection: Connection, over: AbortController): Promise<string> {
  const { out, incoming } = connection.client().ship({ signal: over.signal });
  const listening = listen(incoming, connection, over.signal).finally(() => over.abort());
  // Told below; until then it must not count as unheard.
  listening.catch(() => undefined);
  try {
    await send(out, connection, over.signal);
  } finally {
    out.end();
    over.abort();
  }
  return listening;
}

async function send(out: StreamWriter<ShipMessage>, connection: Connection, signal: AbortSignal): Promise<void> {
  const { clock, journal, refused, offered, source } = connection;
  let cursor = 0;
  let stream: string | undefined;
  while (!signal.aborted) {
    const records = journal.unshipped({ after: cursor, bytesMax: BATCH_BYTES_MAX });
    if (records.length === 0) {
      // Of a journal that has ended nothing more will come; what is on its way may still be acknowledged.
      await orAborted(source.hasEnded ? new Promise(() => undefined) : journal.whenUnshipped(cursor), { signal });
      continue;
    }
    const { answers } = connection;
    const begunAt = clock.boot();
    let isAsked = false;
    for (const batch of batches(records)) {
      await orAborted(connection.pause, { signal });
      const [first] = batch;
      if (signal.aborted || out.isOver) return;
      if (first === undefined || refused.has(first.stream)) continue;
      if (first.stream !== stream) {
        stream = first.stream;
        offered.add(stream);
        const value = create(ResumeSchema, { stream, firstUnackedSeq: BigInt(first.seq) });
        out.write(create(ShipMessageSchema, { message: { case: 'resume', value } }));
      }
      const value = create(BatchSchema, { stream, firstSeq: BigInt(first.seq), records: batch.map(({ line }) => line) });
      out.write(create(ShipMessageSchema, { message: { case: 'batch', value } }), { priority: true });
      isAsked = true;
      await orAborted(out.drained(), { signal });
    }
    cursor = records.at(-1)?.cursor ?? cursor;
    if (isAsked && bytesOf(records) < BATCH_BYTES_MAX) {
      await orAborted(answered(connection, answers), { signal });
      await gathered(begunAt, connection, signal);
    }
  }
}

/**
 * Few records go out only when those before have been answered; meanwhile others gather (Nagle, RFC 896). Each batch asks
 * the disk for a sync and the network for a message: one for every record took more of a busy sidecar than writing it.
 */
async function answered(connection: Connection, answers: number): Promise<void> {
  if (connection.answers === answers) await new Promise<void>((resolve) => (connection.onAnswer = resolve));
}

/** A collector nearby answers so fast that nothing has gathered. The first record after a rest waits for nothing. */
async function gathered(begunAt: BootMs, { clock, source }: Connection, signal: AbortSignal): Promise<void> {
  const restMs = begunAt + GATHER_MS - clock.boot();
  if (restMs > 0 && !source.hasEnded) await delay(clock, restMs, { signal });
}

function bytesOf(records: readonly UnshippedRecord[]): number {
  return records.reduce((sum, { line }) => sum + line.length, 0);
}

/** Contiguous records of one stream each. */
function batches(records: readonly UnshippedRecord[]): readonly (readonly UnshippedRecord[])[] {
  const groups: UnshippedRecord[][] = [];
  for (const record of records) {
    const group = groups.at(-1);
    const last = group?.at(-1);
    const continues =
      last !== undefined && last.stream === record.stream && last.seq + 1 === record.seq && (group?.length ?? 0) < BATCH_RECORDS_MAX;
    if (continues) group?.push(record);
    else groups.push([record]);
  }
  return groups;
}

/** Takes answers until there are no more; resolves with how the stream ended. */
async function listen(incoming: IncomingStream<ShipAnswer>, connection: Connection, signal: AbortSignal): Promise<string> {
  for await (const { answer } of incoming) {
    connection.answers += 1;
    connection.onAnswer();
    switch (answer.case) {
      case 'ack':
        await acknowledged(answer.value, connection);
        break;
      case 'fork': {
        const { stream, seq, heldHead } = answer.value;
        refuse('FORK', stream, `the collector holds another record ${seq} of stream ${stream} (${encodeHex(heldHead)})`, connection);
        break;
      }
      case 'gap': {
        const { stream, expectedSeq } = answer.value;
        refuse(
          'GAP',
          stream,
          `the collector expects record ${expectedSeq} of stream ${stream}, which is not held here any more`,
          connection,
        );
        break;
      }
      case 'slowDown':
        connection.pause = delay(connection.clock, Math.min(answer.value.waitMs, SLOW_DOWN_MS_MAX), { signal });
        break;
      case undefined:
        break;
    }
  }
  const { code, message } = await incoming.status;
  return `${code}: ${message}`;
}

async function acknowledged(
  { stream, durableThrough }: { stream: string; durableThrough: bigint },
  { journal, offered, backoff, onAck }: Connection,
): Promise<void> {
  if (!offered.has(stream)) return;
  backoff.reset();
  if (durableThrough === 0n) return;
  await journal.acknowledged(stream as StreamId, Number(durableThrough));
  onAck(stream as StreamId, Number(durableThrough));
}

/** A collector may refuse what it was offered, each stream once: names of its own would fill memory and the journal. */
function refuse(code: 'FORK' | 'GAP', stream: string, detail: string, { offered, refused, onAlert }: Connection): void {
  if (!offered.has(stream) || refused.has(stream)) return;
  refused.add(stream);
  onAlert(code, detail);
}
