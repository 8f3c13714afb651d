/** The journal over a segment log (docs/spec/journal-v1.md section 6). Made by `openJournal` alone. */

import { Fault, invariant, ok } from '@sallyport/model';
import type { Result, StreamId } from '@sallyport/model';
import type { Journal, JournalEntry, JournalRecord, JournalStatus, UnshippedRecord } from './journal.ts';
import { entryFrame, entrySize, readRecordFrame, snapshotFrame } from './journal-frames.ts';
import type { AppendOptions, AppendRefusal, LoggedFrame, SegmentLog } from './segment-log.ts';
import type { Unacknowledged } from './unacknowledged.ts';

const READ_BYTES = 262_144;

export class SegmentJournal implements Journal {
  readonly #log: SegmentLog;
  readonly #records: Unacknowledged;
  readonly #snapshot: () => Uint8Array;
  // All fields below: written and read by this journal alone.
  #last: JournalRecord | null;
  /** Rung when a record is appended or the journal ends. */
  #onRecord: (() => void)[] = [];
  #trimming: Promise<void> | undefined;
  #isEnded = false;

  constructor(options: {
    readonly log: SegmentLog;
    readonly records: Unacknowledged;
    readonly last: JournalRecord | null;
    readonly snapshot: () => Uint8Array;
  }) {
    this.#log = options.log;
    this.#records = options.records;
    this.#last = options.last;
    this.#snapshot = options.snapshot;
    void this.#watchEnd();
  }

  get ended(): Promise<Fault | null> {
    return this.#log.ended;
  }

  get status(): JournalStatus {
    return { ...this.#log.status, unacknowledgedRecords: this.#records.records };
  }

  refuses(entries: readonly JournalEntry[], options: Omit<AppendOptions, 'durability'> = {}): AppendRefusal | undefined {
    return this.#log.refuses(entries.map(entrySize), options);
  }

  async append(entries: readonly JournalEntry[], options: AppendOptions): Promise<Result<undefined, AppendRefusal>> {
    const frames = entries.map(entryFrame);
    this.#assertOrder(entries);
    const refusal = this.#log.refuses(frames, options);
    const before = this.#log.status.lastSequence;
    // No await before the log has taken the frames: places and chain order are those of this turn.
    const appended = this.#log.append(frames, options);
    if (refusal === undefined) this.#register(entries, before + 1);
    const result = await appended;
    return result.ok ? ok(undefined) : result;
  }

  unshipped({ after, bytesMax }: { readonly after: number; readonly bytesMax: number }): readonly UnshippedRecord[] {
    const records: UnshippedRecord[] = [];
    let bytes = 0;
    for (let next = this.#records.firstAfter(after); next !== undefined && bytes < bytesMax;) {
      if (next > this.#log.status.durableSequence) break;
      const frames = this.#readFrom(next, Math.min(READ_BYTES, bytesMax - bytes));
      if (frames === undefined) {
        // Somebody took a segment away. What stands behind it goes out all the same: the collector then sees the gap and says so.
        next = this.#records.firstAfter(this.#log.endOfSegment(next) ?? next);
        continue;
      }
      for (const frame of frames) {
        if (frame.kind !== 'record' || bytes >= bytesMax) continue;
        const record = readRecordFrame(frame);
        invariant(record !== undefined, 'a record frame that was written can be read');
        if (!this.#records.has(record.stream, record.seq)) continue;
        records.push({ ...record, cursor: frame.sequence });
        bytes += record.line.length;
      }
      next = this.#records.firstAfter(frames.at(-1)?.sequence ?? next);
    }
    return records;
  }

  /** `undefined` where an ended segment cannot be read any more; of the one that is being written that is a Fault. */
  #readFrom(place: number, bytesMax: number): readonly LoggedFrame[] | undefined {
    try {
      return this.#log.read({ from: place, bytesMax });
    } catch (thrown) {
      if (thrown instanceof Fault && this.#log.endOfSegment(place) !== undefined) return undefined;
      throw thrown;
    }
  }

  async whenUnshipped(cursor: number): Promise<void> {
    while (!this.#isEnded) {
      const place = this.#records.firstAfter(cursor);
      if (place !== undefined) return this.#log.whenDurable(place - 1);
      await new Promise<void>((resolve) => this.#onRecord.push(resolve));
    }
  }

  async acknowledged(stream: StreamId, seq: number): Promise<void> {
    this.#records.acknowledge(stream, seq);
    // One trim at a time; one that is under way looks again before it ends.
    this.#trimming ??= this.#trim().finally(() => (this.#trimming = undefined));
    await this.#trimming;
  }

  close(): Promise<void> {
    return this.#log.close();
  }

  /** Removes segments that hold nothing unacknowledged, each time after a durable snapshot of what else they hold. */
  async #trim(): Promise<void> {
    for (;;) {
      const keepsFrom = this.#records.firstAfter(0) ?? this.#log.status.lastSequence + 1;
      if (!this.#log.wouldDrop(keepsFrom)) return;
      const head = { keepsFrom, acknowledged: this.#records.acknowledged(), last: this.#last };
      const written = await this.#log.append([snapshotFrame(head, this.#snapshot())], { durability: 'disk', mayExceed: true });
      // A log that has ended keeps its segments; the next start sees them again.
      if (!written.ok) return;
      await this.#log.dropBelow(Math.min(keepsFrom, written.value.first));
    }
  }

  /** Before anything is taken: a gap that was written would make the journal unreadable. */
  #assertOrder(entries: readonly JournalEntry[]): void {
    const next = new Map<StreamId, number>();
    for (const entry of entries) {
      if (entry.kind !== 'record') continue;
      const expected = next.get(entry.stream) ?? this.#records.nextSeq(entry.stream) ?? entry.seq;
      invariant(entry.seq === expected, 'records of a stream are appended in order');
      next.set(entry.stream, entry.seq + 1);
    }
  }

  #register(entries: readonly JournalEntry[], firstPlace: number): void {
    for (const [index, entry] of entries.entries()) {
      if (entry.kind !== 'record') continue;
      this.#records.add(entry.stream, entry.seq, firstPlace + index);
      this.#last = entry;
    }
    if (entries.some(({ kind }) => kind === 'record')) this.#ring();
  }

  async #watchEnd(): Promise<void> {
    await this.#log.ended;
    this.#isEnded = true;
    this.#ring();
  }

  #ring(): void {
    const rung = this.#onRecord;
    this.#onRecord = [];
    for (const ring of rung) ring();
  }
}
