/**
 * Writes this start's audit stream: one line at a time in chain order, in one batch with the state that belongs to it,
 * into the journal. A line takes its place in the chain only when the journal will take it, so that none is missing.
 */

import {
  appendRecord,
  signCheckpoint,
  type AuditSigner,
  type ChainState,
  type RecordBody,
  openStream,
  type StartBody,
} from '@sallyport/audit';
import { encodeHex } from '@sallyport/crypto';
import { Fault, type BootMs, type Clock, type Instant, type Random, type StreamId } from '@sallyport/model';
import type { AppendOptions, Journal, StateFrame } from '@sallyport/store';
import type { Recorder, Why } from '../pipeline/ports.ts';
import type { Strangers } from './strangers.ts';

export interface StreamRecorder extends Recorder {
  readonly stream: StreamId;
  /** Where the chain stands. */
  readonly head: ChainState;
  /** Any other record: ACTIVE, STATE, ALERT, CERTIFICATE. */
  note(body: RecordBody): Promise<void>;
  /** To be called every second or so: writes what was counted, and signs the head where it is time to. */
  tick(): void;
  /** The last line: a clean stop, signed. Nothing follows it. */
  close(reason: string): Promise<void>;
}

export interface RecorderOptions {
  readonly journal: Journal;
  readonly clock: Clock;
  readonly random: Random;
  readonly signer: AuditSigner;
  readonly start: Omit<StartBody, 'kind' | 'previous'>;
  /** Where this writer's last stream ended, for the link between starts. */
  readonly previous: ChainState | null;
  readonly checkpointRecords: number;
  readonly checkpointIntervalMs: number;
  /** How much strangers can make this stream write. */
  readonly strangers: Strangers;
  /** Told of every decision, for `explain` and the counters. */
  readonly onRecord: (body: RecordBody, beside: Beside) => void;
}

/** What goes with a record and is not in its body: when it was written, and of a decision why it fell. */
export interface Beside {
  readonly at: Instant;
  readonly why?: Why | undefined;
}

interface WriteOptions extends AppendOptions {
  readonly frames: readonly StateFrame[];
  readonly why?: Why | undefined;
}

/** Opens a new stream and writes its START; rejects with a Fault when the journal cannot take it. */
export async function startRecorder(options: RecorderOptions): Promise<StreamRecorder> {
  const { journal, clock, random, signer, start, previous } = options;
  const stream = encodeHex(random(16)) as StreamId;
  // Owner: this recorder. The chain is only ever replaced by its successor.
  let chain = openStream({ stream, previous });
  let signedSeq = 0;
  let signedAt: BootMs = clock.boot();
  let isClosed = false;

  const write = async (body: RecordBody, { frames, why, ...how }: WriteOptions): Promise<number> => {
    if (isClosed) throw new Fault('journal_failed', 'internal', 'the audit stream is closed');
    const at = clock.wall();
    const { line, state } = appendRecord(chain, at, body);
    const entries = [...frames, { kind: 'record' as const, stream, seq: state.seq, line }];
    const refusal = journal.refuses(entries, how);
    if (refusal !== undefined) throw refused(refusal);
    // From here on the journal takes it or ends for good; in both cases the chain goes on from this line.
    chain = state;
    const appended = await journal.append(entries, how);
    if (!appended.ok) throw refused(appended.error);
    options.onRecord(body, { at, why });
    if (body.kind !== 'CHECKPOINT' && body.kind !== 'CLOSE') checkpointWhenDue();
    return line.byteLength;
  };
  // Of strangers: without headroom, and nothing waits for it but its own answer.
  const writeRefusal = async (body: RecordBody, why?: Why): Promise<void> =>
    options.strangers.spent(await write(body, { durability: 'kernel', frames: [], why }));

  // One signature at a time: with a slow signer two could be written in the other order, which reads as a forgery.
  let signing: Promise<void> = Promise.resolve();
  const sign = async (after: Promise<void>): Promise<void> => {
    await after;
    if (chain.seq <= signedSeq || isClosed) return;
    signedAt = clock.boot();
    const envelope = await signCheckpoint(chain, { at: clock.wall(), sidecar: start.sidecar, signer });
    await write({ kind: 'CHECKPOINT', envelope }, { durability: 'kernel', usesHeadroom: true, frames: [] });
    signedSeq = chain.seq;
  };
  const checkpointWhenDue = (): void => {
    if (chain.seq <= signedSeq) return;
    const isDue = chain.seq - signedSeq >= options.checkpointRecords || clock.boot() - signedAt >= options.checkpointIntervalMs;
    // A signature that cannot be written ends with the journal, which the next call notices.
    if (isDue) signing = sign(signing).catch(() => undefined);
  };

  // Also into a full journal: nothing is shipped before there is a stream, so it would stay full for ever.
  const first = { kind: 'START', ...start, previous: previous === null ? null : endOf(previous) } as const;
  await write(first, { durability: 'disk', mayExceed: true, frames: [] });
  return {
    stream,
    get head() {
      return chain;
    },
    async decision(body, { durability, frames, stranger, why }) {
      if (stranger === undefined) await write(body, { durability, frames, why });
      else if (options.strangers.admits({ source: stranger, code: body.code, sample: body.action })) await writeRefusal(body, why);
    },
    // A call that was let through has an outcome, also when the journal has become full meanwhile.
    outcome: async (body, { frames }) => void (await write(body, { durability: 'kernel', usesHeadroom: true, frames })),
    async state(frames) {
      if (frames.length === 0) return;
      const appended = await journal.append(frames, { durability: 'kernel', usesHeadroom: true });
      if (!appended.ok) throw refused(appended.error);
    },
    // Alerts can be provoked from outside; what is kept free for outcomes is not theirs.
    note: async (body) => void (await write(body, { durability: 'kernel', usesHeadroom: body.kind !== 'ALERT', frames: [] })),
    tick() {
      // What cannot be written now was refused all the same, and the metrics have counted it.
      for (const counted of options.strangers.due()) writeRefusal(counted).catch(() => undefined);
      checkpointWhenDue();
    },
    async close(reason) {
      for (const counted of options.strangers.due(true)) await writeRefusal(counted).catch(() => undefined);
      await signing;
      // The last signature covers the line right before it: sign again if one came in between.
      for (;;) {
        const covered = chain;
        const envelope = await signCheckpoint(covered, { at: clock.wall(), sidecar: start.sidecar, signer });
        if (covered !== chain) continue;
        const closing = write({ kind: 'CLOSE', reason, envelope }, { durability: 'disk', usesHeadroom: true, frames: [] });
        isClosed = true;
        await closing;
        return;
      }
    },
  };
}

function endOf(state: ChainState): { stream: StreamId; seq: number; head: string } {
  return { stream: state.stream, seq: state.seq, head: encodeHex(state.head) };
}

function refused(refusal: { readonly code: string }): Fault {
  return new Fault('journal_failed', 'internal', `the journal takes nothing: ${refusal.code}`);
}
