/**
 * The writing end of a segment log: gathers a turn's appends into one write, keeps one sync in flight, rotates, and ends
 * for good at the first failure (docs/spec/journal-v1.md section 5). Made by `openSegmentLog` alone.
 */

import { dirname } from 'node:path';
import { Fault, fail, invariant, ok } from '@sallyport/model';
import type { Result } from '@sallyport/model';
import type { DiskFile, FileSystem } from '@sallyport/runtime';
import { encodeFrame, FRAME_OVERHEAD_BYTES, markFrame } from './frames.ts';
import type { Frame, FrameSize } from './frames.ts';
import { segmentPath } from './segment-files.ts';
import type { Recovery, Segment } from './segment-files.ts';
import type {
  AppendOptions,
  AppendRefusal,
  Appended,
  Durability,
  LoggedFrame,
  SegmentLog,
  SegmentLogOptions,
  SegmentLogStatus,
} from './segment-log.ts';
import { segmentReader } from './segment-reader.ts';
import type { SegmentReader } from './segment-reader.ts';

/** An append that waits for the turn's write. */
interface Pending {
  readonly chunks: readonly Uint8Array[];
  readonly bytes: number;
  readonly places: Appended;
  readonly durability: Durability;
  readonly resolve: (result: Result<Appended, AppendRefusal>) => void;
}

/** Someone who waits for a place to be durable; `settle` gets the refusal when the log ends before. */
interface Waiter {
  readonly sequence: number;
  readonly settle: (refusal: AppendRefusal | undefined) => void;
}

interface OpenSegment {
  readonly path: string;
  readonly first: number;
  readonly file: DiskFile;
  bytes: number;
}

/** Its owner calls `begin` once, before anything else. */
export class SegmentEngine implements SegmentLog {
  readonly #options: SegmentLogOptions;
  // All fields below: written and read by this engine alone, on the one thread that calls it.
  /** Segments that are ended, oldest first. */
  #ended: Segment[];
  #endedBytes: number;
  #active: OpenSegment | undefined;
  /** Files with bytes that no sync has covered; ended ones are closed once it has. */
  #dirty: Set<DiskFile> = new Set();
  #isDirectoryDirty = false;
  #hasEndedSegment = false;
  #pending: Pending[] = [];
  #pendingBytes = 0;
  /** In the order of their places, so that the first ones are due first. */
  #waiters: Waiter[] = [];
  #isWriteScheduled = false;
  #syncing: Promise<void> | undefined;
  #isClosed = false;
  #closing: Promise<void> | undefined;
  #isFull = false;
  #fault: Fault | undefined;
  /** Last place given out, written, durable, and named by a mark. */
  #last: number;
  #written: number;
  #durable: number;
  #marked: number;
  readonly #cutBytes: number;
  readonly #reader: SegmentReader;
  readonly #end: PromiseWithResolvers<Fault | null> = Promise.withResolvers();

  constructor(options: SegmentLogOptions, recovery: Recovery) {
    this.#options = options;
    this.#reader = segmentReader(options.disk);
    this.#ended = [...recovery.segments];
    this.#endedBytes = recovery.segments.slice(0, -1).reduce((sum, segment) => sum + segment.bytes, 0);
    this.#last = recovery.next - 1;
    this.#written = this.#last;
    this.#durable = this.#last;
    this.#marked = recovery.marked;
    this.#cutBytes = recovery.cutBytes;
  }

  /** Opens the last segment, or makes the first, and syncs what a kill may have left in the page cache. */
  async begin(): Promise<void> {
    const { disk, directory } = this.#options;
    const last = this.#ended.pop();
    if (last === undefined) {
      this.#active = this.#create(this.#last + 1);
      await disk.syncDirectory(directory);
      await disk.syncDirectory(dirname(directory));
      this.#isDirectoryDirty = false;
      return;
    }
    for (const [index, { path }] of this.#ended.entries()) {
      const lastPlace = (this.#ended[index + 1]?.first ?? last.first) - 1;
      if (lastPlace > this.#marked) await syncSegment(disk, path);
    }
    const file = disk.open(last.path, 'append');
    this.#active = { path: last.path, first: last.first, file, bytes: last.bytes };
    await file.sync();
    await disk.syncDirectory(directory);
  }

  get status(): SegmentLogStatus {
    return {
      bytes: this.#bytes(),
      segments: this.#ended.length + 1,
      firstSequence: this.#ended[0]?.first ?? this.#active?.first ?? this.#last + 1,
      lastSequence: this.#last,
      durableSequence: this.#durable,
      isFull: this.#isFull,
      cutBytes: this.#cutBytes,
      fault: this.#fault ?? null,
    };
  }

  refuses(
    frames: readonly FrameSize[],
    { usesHeadroom = false, mayExceed = false }: Omit<AppendOptions, 'durability'>,
  ): AppendRefusal | undefined {
    const ending = this.#ending();
    if (ending !== undefined) return ending;
    const room = this.#options.logBytesMax - (usesHeadroom ? 0 : this.#options.headroomBytes);
    return mayExceed || this.#bytes() + encodedBytes(frames) <= room ? undefined : { code: 'full' };
  }

  get ended(): Promise<Fault | null> {
    return this.#end.promise;
  }

  append(frames: readonly Frame[], options: AppendOptions): Promise<Result<Appended, AppendRefusal>> {
    invariant(frames.length > 0, 'an append has at least one frame');
    const refusal = this.refuses(frames, options);
    if (refusal !== undefined) {
      this.#isFull ||= refusal.code === 'full';
      return Promise.resolve(fail(refusal));
    }
    const { durability } = options;
    const bytes = encodedBytes(frames);
    const places = { first: this.#last + 1, last: this.#last + frames.length };
    this.#last = places.last;
    this.#pendingBytes += bytes;
    return new Promise((resolve) => {
      this.#pending.push({ chunks: frames.map(encodeFrame), bytes, places, durability, resolve });
      this.#scheduleWrite();
    });
  }

  read({ from, bytesMax }: { readonly from: number; readonly bytesMax: number }): readonly LoggedFrame[] {
    const frames: LoggedFrame[] = [];
    let bytes = 0;
    for (let next = Math.max(from, this.status.firstSequence); next <= this.#durable && (bytes < bytesMax || frames.length === 0);) {
      let found: readonly LoggedFrame[];
      try {
        found = this.#reader.read(this.#segmentOf(next), { from: next, through: this.#durable, bytesMax: bytesMax - bytes });
      } catch (thrown) {
        // What stands before the damage is given first; the next read begins at it.
        if (frames.length > 0) return frames;
        throw thrown;
      }
      for (const frame of found) {
        frames.push(frame);
        bytes += frame.bytes.length;
      }
      next += found.length;
    }
    return frames;
  }

  endOfSegment(sequence: number): number | undefined {
    const next = [...this.#ended.map(({ first }) => first), this.#active?.first].find((first) => first !== undefined && first > sequence);
    return next === undefined ? undefined : next - 1;
  }

  async dropBelow(sequence: number): Promise<number> {
    const { disk, directory } = this.#options;
    let dropped = 0;
    for (;;) {
      const [oldest] = this.#ended;
      if (oldest === undefined || !this.wouldDrop(sequence)) return dropped;
      // Oldest first, each removal durable before the next: a crash in between may not leave a hole.
      disk.unlink(oldest.path);
      this.#ended.shift();
      this.#endedBytes -= oldest.bytes;
      this.#isFull = false;
      dropped += 1;
      await disk.syncDirectory(directory);
    }
  }

  wouldDrop(sequence: number): boolean {
    const [oldest, second] = this.#ended;
    const next = second?.first ?? this.#active?.first;
    return oldest !== undefined && next !== undefined && next <= sequence;
  }

  whenDurable(sequence: number): Promise<void> {
    if (this.#durable > sequence || this.#ending() !== undefined) return Promise.resolve();
    return new Promise((resolve) => {
      this.#wait({ sequence: Math.max(sequence, this.#durable) + 1, settle: () => resolve() });
      this.#startSync();
    });
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#write();
    this.#isClosed = true;
    while (this.#fault === undefined && (this.#syncing !== undefined || this.#durable < this.#written)) {
      this.#startSync();
      await this.#syncing;
    }
    this.#refuseAll({ code: 'closed' });
    // A log that failed keeps its handles to the end of the process: nothing true can be said to the disk any more.
    if (this.#fault === undefined) this.#active?.file.close();
  }

  #bytes(): number {
    return this.#endedBytes + (this.#active?.bytes ?? 0) + this.#pendingBytes;
  }

  #ending(): AppendRefusal | undefined {
    if (this.#fault !== undefined) return { code: 'failed', fault: this.#fault };
    return this.#isClosed ? { code: 'closed' } : undefined;
  }

  #scheduleWrite(): void {
    if (this.#isWriteScheduled) return;
    this.#isWriteScheduled = true;
    (this.#options.schedule ?? setImmediate)(() => this.#write());
  }

  /** Writes everything that was appended in this turn: one write per segment that it touches, which is one. */
  #write(): void {
    this.#isWriteScheduled = false;
    if (this.#ending() !== undefined || this.#pending.length === 0) return;
    const batch = this.#pending;
    try {
      for (let index = 0; index < batch.length;) index = this.#writeInto(this.#segmentFor(batch[index]), batch, index);
    } catch (error) {
      this.#poison('writing', error);
      return;
    }
    this.#pending = [];
    this.#pendingBytes = 0;
    this.#written = this.#last;
    for (const { durability, places, resolve } of batch) {
      if (durability === 'kernel') resolve(ok(places));
      else this.#wait({ sequence: places.last, settle: (refusal) => resolve(refusal === undefined ? ok(places) : fail(refusal)) });
    }
    this.#startSync();
  }

  /** Writes appends from `index` on while they fit; returns the index of the first that does not. */
  #writeInto(segment: OpenSegment, batch: readonly Pending[], index: number): number {
    const chunks = this.#durable > this.#marked ? [encodeFrame(markFrame(this.#durable))] : [];
    let bytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    let next = index;
    for (let append = batch[next]; append !== undefined; append = batch[++next]) {
      const isFirst = segment.bytes === 0 && next === index;
      if (!isFirst && segment.bytes + bytes + append.bytes > this.#options.segmentBytesMax) break;
      chunks.push(...append.chunks);
      bytes += append.bytes;
    }
    segment.file.append(...chunks);
    segment.bytes += bytes;
    this.#marked = this.#durable;
    this.#dirty.add(segment.file);
    return next;
  }

  /** The segment that takes this append: the active one, or a new one where it would grow too long. */
  #segmentFor(append: Pending | undefined): OpenSegment {
    invariant(this.#active !== undefined && append !== undefined, 'a log that writes has a segment');
    const mark = FRAME_OVERHEAD_BYTES + 8;
    if (this.#active.bytes === 0 || this.#active.bytes + mark + append.bytes <= this.#options.segmentBytesMax) return this.#active;
    const { path, first, bytes, file } = this.#active;
    this.#ended.push({ path, first, bytes });
    this.#endedBytes += bytes;
    // Synced and closed by the next sync, which an ended segment does not leave to whoever waits: open files are bounded.
    this.#dirty.add(file);
    this.#hasEndedSegment = true;
    this.#active = this.#create(append.places.first);
    return this.#active;
  }

  #create(first: number): OpenSegment {
    const { disk, directory } = this.#options;
    const path = segmentPath(directory, first);
    const file = disk.open(path, 'create_new');
    this.#isDirectoryDirty = true;
    return { path, first, file, bytes: 0 };
  }

  #wait(waiter: Waiter): void {
    const after = this.#waiters.findLastIndex(({ sequence }) => sequence <= waiter.sequence);
    this.#waiters.splice(after + 1, 0, waiter);
  }

  /** Begins a sync if someone waits for one, something is unsynced, and none is under way. */
  #startSync(): void {
    if (this.#syncing !== undefined || this.#fault !== undefined || this.#durable === this.#written) return;
    if (this.#waiters.length === 0 && !this.#hasEndedSegment && !this.#isClosed) return;
    this.#syncing = this.#syncRound();
  }

  async #syncRound(): Promise<void> {
    await this.#sync();
    this.#syncing = undefined;
    this.#startSync();
  }

  async #sync(): Promise<void> {
    const through = this.#written;
    const files = [...this.#dirty];
    const isDirectoryDirty = this.#isDirectoryDirty;
    this.#dirty.clear();
    this.#isDirectoryDirty = false;
    this.#hasEndedSegment = false;
    try {
      for (const file of files) {
        await file.sync();
        if (file !== this.#active?.file && !this.#dirty.has(file)) file.close();
      }
      // A name that is lost takes its bytes with it: durable means both.
      if (isDirectoryDirty) await this.#options.disk.syncDirectory(this.#options.directory);
    } catch (error) {
      this.#poison('syncing', error);
      return;
    }
    this.#durable = through;
    const due = this.#waiters.findIndex(({ sequence }) => sequence > through);
    for (const { settle } of this.#waiters.splice(0, due === -1 ? this.#waiters.length : due)) settle(undefined);
  }

  /** The end: pages that failed to reach the disk may be gone from the cache too, and a second sync would say all is well. */
  #poison(what: string, error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    this.#fault ??= new Fault('journal_failed', 'internal', `while ${what} the log in \`${this.#options.directory}\`: ${reason}`, {
      cause: error,
    });
    this.#refuseAll({ code: 'failed', fault: this.#fault });
  }

  #refuseAll(refusal: AppendRefusal): void {
    const [pending, waiters] = [this.#pending, this.#waiters];
    [this.#pending, this.#waiters, this.#pendingBytes] = [[], [], 0];
    this.#end.resolve(this.#fault ?? null);
    for (const { resolve } of pending) resolve(fail(refusal));
    for (const { settle } of waiters) settle(refusal);
  }

  #segmentOf(sequence: number): { readonly path: string; readonly first: number } {
    const ended = this.#ended.findLast(({ first }) => first <= sequence);
    const active = this.#active;
    invariant(active !== undefined, 'an open log has a segment');
    if (sequence >= active.first || ended === undefined) return active;
    return ended;
  }
}

function encodedBytes(frames: readonly FrameSize[]): number {
  return frames.reduce((sum, { bytes }) => sum + bytes.length + FRAME_OVERHEAD_BYTES, 0);
}

async function syncSegment(disk: FileSystem, path: string): Promise<void> {
  const file = disk.open(path, 'append');
  try {
    await file.sync();
  } finally {
    file.close();
  }
}
