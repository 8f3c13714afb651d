/**
 * The sidecar's one durable log (docs/spec/journal-v1.md section 6): audit records on their way to the collector, and
 * the mutations from which reservations and nonces are rebuilt. A call's reservation, nonce and DECISION are one append.
 * It does not chain or ship records, and knows nothing of what a snapshot says.
 */

import { fail, ok } from '@sallyport/model';
import type { Fault, Result, StreamId } from '@sallyport/model';
import { journalReplay } from './journal-replay.ts';
import { SegmentJournal } from './segment-journal.ts';
import { openSegmentLog } from './segment-log.ts';
import type { AppendOptions, AppendRefusal, LogProblem, SegmentLogOptions, SegmentLogStatus } from './segment-log.ts';

/** An audit record line and its place in its stream. */
export interface JournalRecord {
  readonly kind: 'record';
  readonly stream: StreamId;
  readonly seq: number;
  /** Without line feed. */
  readonly line: Uint8Array;
}

/** A change of state that must survive a restart, as its owner encoded it. Replaying one twice must change nothing. */
export interface StateFrame {
  readonly kind: 'reservation' | 'settlement' | 'nonce';
  readonly bytes: Uint8Array;
}

export type JournalEntry = JournalRecord | StateFrame;

/** What was found on opening. */
export interface Recovered {
  /** The last snapshot's bytes, and the state frames since; null and all of them where there was no snapshot. */
  readonly snapshot: Uint8Array | null;
  readonly mutations: readonly StateFrame[];
  /** The last record of all, from which the next stream takes the head to commit to; null on a first start. */
  readonly last: JournalRecord | null;
  /** Records that may not be acknowledged yet, by stream, in the order of the streams. */
  readonly unacknowledged: readonly { readonly stream: StreamId; readonly firstSeq: number; readonly lastSeq: number }[];
}

/** A record to ship, and where reading goes on after it. */
export interface UnshippedRecord extends JournalRecord {
  readonly cursor: number;
}

export interface JournalStatus extends SegmentLogStatus {
  /** Records held that are not acknowledged. */
  readonly unacknowledgedRecords: number;
}

export interface Journal {
  /** All entries or none, in order. A refusal means `audit_unavailable`: the call may not go on. */
  append(entries: readonly JournalEntry[], options: AppendOptions): Promise<Result<undefined, AppendRefusal>>;
  /** Why such an append would be refused now. Asked before a record takes its place in a chain, so that none is lost from it. */
  refuses(entries: readonly JournalEntry[], options?: Omit<AppendOptions, 'durability'>): AppendRefusal | undefined;
  /**
   * Durable records after `after` (0 is the beginning) that are not acknowledged, at most about `bytesMax`, at least one
   * if there is one. Those of an ended segment that cannot be read any more are left out, which shows as a gap in their
   * stream. Throws a Fault.
   */
  unshipped(options: { readonly after: number; readonly bytesMax: number }): readonly UnshippedRecord[];
  /** Resolves when there may be durable records after `cursor`, or the journal has ended. */
  whenUnshipped(cursor: number): Promise<void>;
  /** The collector holds everything of this stream up to `seq`: segments that hold nothing else are removed, after a snapshot. */
  acknowledged(stream: StreamId, seq: number): Promise<void>;
  readonly status: JournalStatus;
  /** Resolves once nothing more can be appended: with what failed, or null after `close`. */
  readonly ended: Promise<Fault | null>;
  close(): Promise<void>;
}

export interface JournalOptions extends Omit<SegmentLogOptions, 'onRecovered'> {
  /** All state that must survive, now; it is written before the segments it came from are removed. */
  readonly snapshot: () => Uint8Array;
}

/** Opens the journal; fails on damage to what was durable, and where records that nobody acknowledged are missing. */
export async function openJournal(
  options: JournalOptions,
): Promise<Result<{ readonly journal: Journal; readonly recovered: Recovered }, LogProblem>> {
  const replay = journalReplay();
  const log = await openSegmentLog({ ...options, onRecovered: replay.add });
  if (!log.ok) return log;
  const problem = replay.problem(options.directory, log.value.status.firstSequence);
  if (problem !== undefined) {
    await log.value.close();
    return fail(problem);
  }
  const recovered = replay.recovered();
  const journal = new SegmentJournal({
    log: log.value,
    records: replay.unacknowledged,
    last: recovered.last,
    snapshot: options.snapshot,
  });
  return ok({ journal, recovered });
}
