/**
 * Brings the journal's records to the collector: resumes where it acknowledged, sends in order, and lets go only of what
 * it says is durable. It never decides what is recorded, and nothing waits for it but a full journal.
 */

import { Audit, BatchSchema, create, ResumeSchema, ShipMessageSchema, type ShipAnswer, type ShipMessage } from '@sallyport/contract';
import { encodeHex } from '@sallyport/crypto';
import type { Clock, StreamId } from '@sallyport/model';
import type { Client, StreamWriter } from '@sallyport/net';
import { delay, type Backoff } from '@sallyport/runtime';
import type { Journal, UnshippedRecord } from '@sallyport/store';

export interface ShipperOptions {
  readonly journal: Journal;
  readonly clock: Clock;
  readonly backoff: Backoff;
  readonly client: () => Client<typeof Audit>;
  /** Something that must not happen: the collector holds another history (FORK) or lacks a part of ours (GAP). */
  readonly onAlert: (code: 'FORK' | 'GAP', detail: string) => void;
  readonly onAck: (stream: StreamId, seq: number) => void;
}

const BATCH_BYTES_MAX = 262_144;
const BATCH_RECORDS_MAX = 1_000;

/** Ships until the signal aborts, over as many connections as it takes. */
export async function ship(options: ShipperOptions, { signal }: { signal: AbortSignal }): Promise<void> {
  const { clock, backoff } = options;
  // Streams that the collector refuses to continue; their records stay here, as evidence.
  const refused = new Set<string>();
  while (!signal.aborted) {
    const over = new AbortController();
    const stop = (): void => over.abort();
    signal.addEventListener('abort', stop, { once: true });
    try {
      await shipOnce({ ...options, refused }, over);
    } catch {
      // The connection is gone; what is not acknowledged is still in the journal and goes out over the next one.
    } finally {
      signal.removeEventListener('abort', stop);
      over.abort();
    }
    await delay(clock, backoff.next(), { signal });
  }
}

async function shipOnce(options: ShipperOptions & { refused: Set<string> }, over: AbortController): Promise<void> {
  const { out, incoming } = options.client().ship({ signal: over.signal });
  const listening = listen(incoming, options).finally(() => over.abort());
  try {
    await send(out, options, over.signal);
  } finally {
    out.end();
    over.abort();
    await listening.catch(() => undefined);
  }
}

async function send(
  out: StreamWriter<ShipMessage>,
  { journal, refused }: ShipperOptions & { refused: Set<string> },
  signal: AbortSignal,
): Promise<void> {
  const gone = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
  let cursor = 0;
  let stream: string | undefined;
  while (!signal.aborted) {
    const records = journal.unshipped({ after: cursor, bytesMax: BATCH_BYTES_MAX });
    if (records.length === 0) {
      await Promise.race([journal.whenUnshipped(cursor), gone]);
      continue;
    }
    for (const batch of batches(records)) {
      const [first] = batch;
      if (first === undefined || refused.has(first.stream)) continue;
      if (first.stream !== stream) {
        stream = first.stream;
        out.write(
          create(ShipMessageSchema, {
            message: { case: 'resume', value: create(ResumeSchema, { stream, firstUnackedSeq: BigInt(first.seq) }) },
          }),
        );
      }
      const message = create(BatchSchema, { stream, firstSeq: BigInt(first.seq), records: batch.map(({ line }) => line) });
      out.write(create(ShipMessageSchema, { message: { case: 'batch', value: message } }), { priority: true });
      await Promise.race([out.drained(), gone]);
      if (out.isOver) return;
    }
    cursor = records.at(-1)?.cursor ?? cursor;
  }
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

async function listen(incoming: AsyncIterable<ShipAnswer>, options: ShipperOptions & { refused: Set<string> }): Promise<void> {
  for await (const { answer } of incoming) {
    options.backoff.reset();
    switch (answer.case) {
      case 'ack': {
        const { stream, durableThrough } = answer.value;
        if (durableThrough === 0n) break;
        await options.journal.acknowledged(stream as StreamId, Number(durableThrough));
        options.onAck(stream as StreamId, Number(durableThrough));
        break;
      }
      case 'fork':
        options.refused.add(answer.value.stream);
        options.onAlert(
          'FORK',
          `the collector holds another record ${answer.value.seq} of stream ${answer.value.stream} (${encodeHex(answer.value.heldHead)})`,
        );
        break;
      case 'gap':
        options.refused.add(answer.value.stream);
        options.onAlert(
          'GAP',
          `the collector expects record ${answer.value.expectedSeq} of stream ${answer.value.stream}, which is not held here any more`,
        );
        break;
      case 'slowDown':
        await delay(options.clock, answer.value.waitMs, { signal: NEVER });
        break;
      case undefined:
        break;
    }
  }
}

const NEVER = new AbortController().signal;
