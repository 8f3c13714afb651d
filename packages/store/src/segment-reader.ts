/** The reading end of a segment log. A reader that goes on where it stopped does not scan the segment again. */

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

export function segmentReader(disk: FileSystem): SegmentReader {
  // Owner: this reader. Where the frame at a place begins, for the places at which reading stopped last.
  const positions = new Map<number, { readonly path: string; readonly position: number }>();

  const remember = (place: number, path: string, position: number): void => {
    positions.delete(place);
    positions.set(place, { path, position });
    const [oldest] = positions.keys();
    if (positions.size > POSITIONS_MAX && oldest !== undefined) positions.delete(oldest);
  };

  return {
    read({ path, first }, { from, through, bytesMax }) {
      const known = positions.get(from);
      const start = known?.path === path ? { place: from, position: known.position } : { place: first, position: 0 };
      return readSegment(disk, path, (file) => {
        const frames: LoggedFrame[] = [];
        const reader = frameReader(file, start.position);
        let { place, position } = start;
        let bytes = 0;
        while (place <= through && (bytes < bytesMax || frames.length === 0)) {
          const entry = reader.next();
          if (entry === undefined) break;
          if (!entry.ok) throw fault(`a durable frame of \`${path}\` cannot be read: ${entry.reason} at ${entry.position}`);
          if (entry.frame.kind === 'mark') continue;
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

function fault(message: string): Fault {
  return new Fault('store_failed', 'internal', message);
}
