/**
 * An append-only log in segment files, used by the sidecar's journal and by the control plane's audit segments
 * (docs/spec/journal-v1.md sections 3 to 5). All appends of one turn are one write; one sync is in flight. What it holds
 * is opaque to it. A failed write or sync ends it for good: after a failed fsync nobody knows what is on the disk.
 */

import { Fault, fail, invariant, ok } from '@sallyport/model';
import type { Result } from '@sallyport/model';
import type { FileSystem } from '@sallyport/runtime';
import type { Frame, FrameSize } from './frames.ts';
import { SegmentEngine } from './segment-engine.ts';
import { recoverSegments } from './segment-files.ts';

/** When an append is acknowledged: once it survives a kill of the process, or once it survives a loss of power. */
export type Durability = 'kernel' | 'disk';

/** A frame and its place in the log; places are contiguous and start at 1. */
export interface LoggedFrame extends Frame {
  readonly sequence: number;
}

export interface SegmentLogOptions {
  readonly disk: FileSystem;
  /** Absolute; made if absent. One process at a time: its owner holds whatever lock there is. */
  readonly directory: string;
  /** A segment is ended before it would grow past this. */
  readonly segmentBytesMax: number;
  /** All segments together; appends beyond are refused as `full`. At least four segments. */
  readonly logBytesMax: number;
  /** Kept free below `logBytesMax` for appends that complete what was begun (`usesHeadroom`). */
  readonly headroomBytes: number;
  /** Sees every frame that is there on opening, in order. */
  readonly onRecovered?: (frame: LoggedFrame) => void;
  /** Runs the write of this turn; `setImmediate` unless a test holds the turn. */
  readonly schedule?: (write: () => void) => void;
}

/** Why nothing was appended. `failed`: the log is poisoned, now and from now on. */
export type AppendRefusal = { readonly code: 'full' } | { readonly code: 'closed' } | { readonly code: 'failed'; readonly fault: Fault };

/** Why a log does not open. Nothing was changed on disk. */
export type LogProblem =
  | { readonly code: 'corrupt' | 'hole'; readonly path: string; readonly position: number; readonly message: string }
  | { readonly code: 'failed'; readonly fault: Fault };

export interface AppendOptions {
  readonly durability: Durability;
  /** For outcomes and settlements of calls that were let through: a full log must not lose them. */
  readonly usesHeadroom?: boolean;
  /** For the one append that makes room: what follows it is a `dropBelow`. */
  readonly mayExceed?: boolean;
}

/** The places that an append took. */
export interface Appended {
  readonly first: number;
  readonly last: number;
}

export interface SegmentLogStatus {
  readonly bytes: number;
  readonly segments: number;
  /** First place still held. */
  readonly firstSequence: number;
  /** Last place that was given out; 0 before the first. */
  readonly lastSequence: number;
  /** Last place that survives a loss of power. */
  readonly durableSequence: number;
  /** Whether an append without headroom was last refused and nothing has been dropped since. */
  readonly isFull: boolean;
  /** What opening cut from the torn end. */
  readonly cutBytes: number;
  /** What ended the log, if something did. */
  readonly fault: Fault | null;
}

export interface SegmentLog {
  /**
   * Takes all frames or none, in contiguous places, and resolves when they are as durable as asked. After a crash in
   * between, a beginning of them may be there. Whether they are refused as `full` is decided in this call.
   */
  append(frames: readonly Frame[], options: AppendOptions): Promise<Result<Appended, AppendRefusal>>;
  /** Why such an append would be refused now; asked and answered in one turn, it is what `append` then does. */
  refuses(frames: readonly FrameSize[], options: Omit<AppendOptions, 'durability'>): AppendRefusal | undefined;
  /** Durable frames from place `from` on, at most about `bytesMax` (at least one, if there is one). Throws a Fault. */
  read(options: { readonly from: number; readonly bytesMax: number }): readonly LoggedFrame[];
  /** The last place of the ended segment that holds this one; `undefined` for a place of the segment that is being written. */
  endOfSegment(sequence: number): number | undefined;
  /** Removes whole segments whose every place is below `sequence`; never the current one. Returns how many went. */
  dropBelow(sequence: number): Promise<number>;
  /** Whether `dropBelow(sequence)` would remove anything. */
  wouldDrop(sequence: number): boolean;
  /** Resolves at the next advance of `durableSequence` past `sequence` (at once if it is past already), or at the log's end. */
  whenDurable(sequence: number): Promise<void>;
  readonly status: SegmentLogStatus;
  /** Resolves once nothing more can be appended: with what failed, or null after `close`. */
  readonly ended: Promise<Fault | null>;
  /** Writes and syncs what was accepted, then takes no more. */
  close(): Promise<void>;
}

/** Opens the log, cutting what a loss of power left torn at its end; refuses rot and holes before that end. */
export async function openSegmentLog(options: SegmentLogOptions): Promise<Result<SegmentLog, LogProblem>> {
  const { disk, directory, segmentBytesMax, logBytesMax, headroomBytes } = options;
  invariant(logBytesMax >= 4 * segmentBytesMax, 'a log has room for four segments');
  invariant(headroomBytes * 2 <= logBytesMax, 'at most half of a log is headroom');
  try {
    disk.makeDirectory(directory);
    const recovery = await recoverSegments(disk, directory, options.onRecovered ?? (() => undefined));
    if (!recovery.ok) return recovery;
    const engine = new SegmentEngine(options, recovery.value);
    await engine.begin();
    return ok(engine);
  } catch (error) {
    if (error instanceof Fault) return fail({ code: 'failed', fault: error });
    throw error;
  }
}
