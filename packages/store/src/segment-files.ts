/**
 * The files of a segment log, and what a start finds in them (docs/spec/journal-v1.md sections 3 and 4). A loss of power
 * leaves torn frames, and perhaps missing files, at the end: they are cut. Damage to what was durable is refused. The
 * difference is told by marks: each names the last place that was on disk when it was written.
 */

import { Fault, fail, ok } from '@sallyport/model';
import type { Result } from '@sallyport/model';
import type { DiskFile, FileSystem } from '@sallyport/runtime';
import { frameReader, highestMarkAfter, markedSequence } from './frames.ts';
import type { LoggedFrame, LogProblem } from './segment-log.ts';

/** A segment as it stands after recovery. */
export interface Segment {
  readonly path: string;
  /** The place of its first frame. */
  readonly first: number;
  /** Length of its file. */
  readonly bytes: number;
}

export interface Recovery {
  readonly segments: readonly Segment[];
  /** Place after the last frame; 1 in an empty log. */
  readonly next: number;
  /** The highest place that a mark names as durable. */
  readonly marked: number;
  readonly cutBytes: number;
}

const NAME = /^([0-9]{16})\.log$/;

/** The file whose first frame has this place. */
export function segmentPath(directory: string, first: number): string {
  return `${directory}/${String(first).padStart(16, '0')}.log`;
}

/** Reads the whole log in order, shows every frame, and cuts what was torn; on a problem nothing was changed. */
export async function recoverSegments(
  disk: FileSystem,
  directory: string,
  onFrame: (frame: LoggedFrame) => void,
): Promise<Result<Recovery, LogProblem>> {
  try {
    const found = listSegments(disk, directory);
    const scan = scanSegments(disk, found, onFrame);
    if (scan.bad === undefined) return ok({ segments: scan.segments, next: scan.next, marked: scan.marked, cutBytes: 0 });
    const damaged = durableDamage(disk, found, scan);
    if (damaged !== undefined) return fail(damaged);
    return ok(await cut({ disk, directory, found, scan, bad: scan.bad }));
  } catch (error) {
    if (error instanceof Fault) return fail({ code: 'failed', fault: error });
    throw error;
  }
}

interface Found {
  readonly path: string;
  readonly first: number;
}

/** Where reading could not go on: inside a segment, or before one that does not continue the one before. */
interface Bad {
  readonly index: number;
  readonly position: number;
  readonly code: 'corrupt' | 'hole';
}

interface Scan {
  readonly segments: readonly Segment[];
  readonly next: number;
  readonly marked: number;
  readonly bad: Bad | undefined;
}

function listSegments(disk: FileSystem, directory: string): readonly Found[] {
  return disk.list(directory).flatMap((name) => {
    const first = NAME.exec(name)?.[1];
    return first === undefined ? [] : [{ path: `${directory}/${name}`, first: Number(first) }];
  });
}

function scanSegments(disk: FileSystem, found: readonly Found[], onFrame: (frame: LoggedFrame) => void): Scan {
  const segments: Segment[] = [];
  let next = found[0]?.first ?? 1;
  let marked = 0;
  for (const [index, { path, first }] of found.entries()) {
    if (first !== next) return { segments, next, marked, bad: { index, position: 0, code: 'hole' } };
    const seen = readSegment(disk, path, (file) => {
      const reader = frameReader(file);
      let position = 0;
      for (let entry = reader.next(); entry !== undefined; entry = reader.next()) {
        if (!entry.ok) return { position, isWhole: false };
        position = entry.next;
        if (entry.frame.kind === 'mark') marked = Math.max(marked, markedSequence(entry.frame));
        else onFrame({ ...entry.frame, sequence: next++ });
      }
      return { position, isWhole: true };
    });
    segments.push({ path, first, bytes: seen.position });
    if (!seen.isWhole) return { segments, next, marked, bad: { index, position: seen.position, code: 'corrupt' } };
  }
  return { segments, next, marked, bad: undefined };
}

/** A problem, if a mark anywhere says that the first unreadable place was once durable. */
function durableDamage(disk: FileSystem, found: readonly Found[], { bad, next, marked }: Scan): LogProblem | undefined {
  if (bad === undefined) return undefined;
  let highest = marked;
  for (const [index, { path }] of found.entries()) {
    if (index < bad.index) continue;
    const from = index === bad.index ? bad.position : 0;
    highest = Math.max(
      highest,
      readSegment(disk, path, (file) => highestMarkAfter(file, from)),
    );
  }
  if (highest < next) return undefined;
  const path = found[bad.index]?.path ?? '';
  const what = bad.code === 'hole' ? 'the segment before it is missing or ends early' : 'a frame that was durable cannot be read';
  return {
    code: bad.code,
    path,
    position: bad.position,
    message: `${what}: place ${next} is lost, and places up to ${highest} were durable`,
  };
}

/** Removes later segments first: if the power goes in between, the next start finds the same bad place and goes on. */
async function cut(options: {
  readonly disk: FileSystem;
  readonly directory: string;
  readonly found: readonly Found[];
  readonly scan: Scan;
  readonly bad: Bad;
}): Promise<Recovery> {
  const { disk, directory, found, scan, bad } = options;
  let cutBytes = 0;
  const firstRemoved = bad.code === 'hole' ? bad.index : bad.index + 1;
  for (const { path } of found.slice(firstRemoved).toReversed()) {
    cutBytes += readSegment(disk, path, (file) => file.size());
    disk.unlink(path);
    await disk.syncDirectory(directory);
  }
  const torn = bad.code === 'hole' ? undefined : found[bad.index];
  if (torn !== undefined) {
    const file = disk.open(torn.path, 'append');
    try {
      cutBytes += file.size() - bad.position;
      file.truncate(bad.position);
      await file.sync();
    } finally {
      file.close();
    }
  }
  return { segments: scan.segments, next: scan.next, marked: scan.marked, cutBytes };
}

/** Opens a segment for reading while `act` runs. */
export function readSegment<T>(disk: FileSystem, path: string, act: (file: DiskFile) => T): T {
  const file = disk.open(path, 'read');
  try {
    return act(file);
  } finally {
    file.close();
  }
}
