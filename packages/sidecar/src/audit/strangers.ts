/**
 * Bounds what strangers can make us write. A refusal before anybody is known is a record of its own up to a number per
 * source and window; beyond it is counted, and a window's counts become one REFUSED each. All of it together may take a
 * twentieth of the journal, so that nobody without a credential can fill it and have everybody's calls refused.
 */

import type { RefusedBody } from '@sallyport/audit';
import type { BootMs, Clock } from '@sallyport/model';

export interface StrangersOptions {
  readonly clock: Clock;
  /** Refusals of one source that are records of their own, in one window. */
  readonly recordsPerWindow: number;
  /** What all records made here may take of the journal while it holds anything unacknowledged. */
  readonly bytesMax: number;
  /** Whether everything that was written is with the collector. */
  readonly isShipped: () => boolean;
}

/** One refusal, as far as it is told apart. */
export interface Refusal {
  readonly source: string;
  readonly code: string;
  /** What was asked for. */
  readonly sample: string;
}

export interface Strangers {
  /** True: write it, and tell `spent`. False: it has been counted. */
  admits(refusal: Refusal): boolean;
  /** What a record made here took. */
  spent(bytes: number): void;
  /** The counts of windows that are over; all of them with `isLast`. Each is given once. */
  due(isLast?: boolean): readonly RefusedBody[];
}

export const WINDOW_MS = 60_000;
const SAMPLES_MAX = 8;
/** Sources and counts kept apart; what comes beyond is counted together. */
const SOURCES_MAX = 256;
const OTHERS = 'others';

interface Counted {
  readonly source: string;
  readonly code: string;
  count: number;
  readonly samples: string[];
}

export function strangers({ clock, recordsPerWindow, bytesMax, isShipped }: StrangersOptions): Strangers {
  // Owner: this object.
  let began: BootMs = clock.boot();
  let countedSince: BootMs = began;
  let bytes = 0;
  const recorded = new Map<string, number>();
  const counted = new Map<string, Counted>();

  const isOver = (since: BootMs): boolean => clock.boot() - since >= WINDOW_MS;
  const hasRoom = (): boolean => {
    if (bytes > 0 && isShipped()) bytes = 0;
    return bytes < bytesMax;
  };
  const count = ({ source, code, sample }: Refusal): void => {
    if (counted.size === 0) countedSince = clock.boot();
    const known = counted.get(`${source} ${code}`);
    const name = known === undefined && counted.size >= SOURCES_MAX ? OTHERS : source;
    const entry = known ?? counted.get(`${name} ${code}`) ?? { source: name, code, count: 0, samples: [] };
    counted.set(`${name} ${code}`, entry);
    entry.count += 1;
    if (entry.samples.length < SAMPLES_MAX && !entry.samples.includes(sample)) entry.samples.push(sample);
  };

  return {
    admits(refusal) {
      if (isOver(began)) {
        began = clock.boot();
        recorded.clear();
      }
      const source = recorded.has(refusal.source) || recorded.size < SOURCES_MAX ? refusal.source : OTHERS;
      const before = recorded.get(source) ?? 0;
      const isAdmitted = before < recordsPerWindow && hasRoom();
      if (isAdmitted) recorded.set(source, before + 1);
      else count(refusal);
      return isAdmitted;
    },
    spent(more) {
      bytes += more;
    },
    due(isLast = false) {
      // Counts that find no room wait for it: they grow, and take no more of it.
      if (counted.size === 0 || !(isLast || (isOver(countedSince) && hasRoom()))) return [];
      const bodies = [...counted.values()].map((entry): RefusedBody => ({ kind: 'REFUSED', ...entry }));
      counted.clear();
      return bodies;
    },
  };
}
