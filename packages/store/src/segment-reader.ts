/**
 * The reading end of a segment log. A reader that goes on where it stopped does not scan the segment again, and one that
 * asks for a place in the middle scans from the last place that any reading has passed before it.
 */

import { Fault } from '@sallyport/model';
import type { FileSystem } from '@sallyport/runtime';
import { frameReader } from './frames.ts';
import { readSegment } from './segment-files.ts';
import type { LoggedFrame } from './segment-log.ts';

export interface SegmentReader {
  /** Frames of one segment from place `from` on, up to `through`, until they are `bytesMax` long; at least one. Throws a Fault. */
  read(
    segment: { readonly path: string; readonly first: number },
    range: { readonly from: number; readonly through: number; readonly bytesMax: number },
  ): readonly LoggedFrame[];
}

const POSITIONS_MAX = 16;
/** One frame is remembered in each stretch of this many bytes: a place in the middle then costs about one stretch. */
const STRETCH_BYTES = 131_072;
/** Segments of which that is remembered; the one that was read longest ago goes. */
const MARKED_SEGMENTS_MAX = 1_024;

/** A frame and where it begins. */
interface Mark {
  readonly place: number;
  readonly position: number;
}

/** By stretch of the segment: the first frame that any reading has passed in it. */
type Marks = (Mark | undefined)[];

export function segmentReader(disk: FileSystem): SegmentReader {
  // Owner: this reader. Where the frame at a place begins, for the places at which reading stopped last, and here and there.
  const positions = new Map<number, { readonly path: string; readonly position: number }>();
  const marked = new Map<string, Marks>();

  const remember = (place: number, path: string, position: number): void => {
    positions.delete(place);
    positions.set(place, { path, position });
    const [oldest] = positions.keys();
    if (positions.size > POSITIONS_MAX && oldest !== undefined) positions.delete(oldest);
  };

  const marksOf = (path: string): Marks => {
    const marks = marked.get(path) ?? [];
    marked.delete(path);
    marked.set(path, marks);
    const [oldest] = marked.keys();
    if (marked.size > MARKED_SEGMENTS_MAX && oldest !== undefined) marked.delete(oldest);
    return marks;
  };

  return {
    read({ path, first }, { from, through, bytesMax }) {
      const known = positions.get(from);
      const marks = marksOf(path);
      const start = known?.path === path ? { place: from, position: known.position } : nearest(marks, from, first);
      return readSegment(disk, path, (file) => {
        const frames: LoggedFrame[] = [];
        const reader = frameReader(file, start.position);
        let { place, position } = start;
        let bytes = 0;
        while (place <= through && (bytes < bytesMax || frames.length === 0)) {
          const entry = reader.next();
          if (entry === undefined) break;
          // What stands before the damage is given first; the next read begins at it.
          if (!entry.ok && frames.length > 0) break;
          if (!entry.ok) throw fault(`a durable frame of \`${path}\` cannot be read: ${entry.reason} at ${entry.position}`);
          if (entry.frame.kind === 'mark') continue;
          marks[Math.floor(entry.position / STRETCH_BYTES)] ??= { place, position: entry.position };
          position = entry.next;
          const sequence = place++;
          if (sequence < from) continue;
          frames.push({ ...entry.frame, sequence });
          bytes += entry.frame.bytes.length;
        }
        if (frames.length === 0) throw fault(`place ${from} is missing from \`${path}\``);
        remember(place, path, position);
        return frames;
      });
    },
  };
}

/** The last remembered frame at or before a place; the segment's first where there is none. */
function nearest(marks: Marks, from: number, first: number): Mark {
  return marks.findLast((mark) => mark !== undefined && mark.place <= from) ?? { place: first, position: 0 };
}

function fault(message: string): Fault {
  return new Fault('store_failed', 'internal', message);
}
