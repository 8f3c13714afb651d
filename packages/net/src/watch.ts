/**
 * Deadlines of many exchanges with one timer: a sweep looks for what is overdue. A timer of its own for every call and
 * every silence between two chunks would cost more than the wait is worth; a deadline is noticed one sweep late at most.
 */

import type { BootMs, Clock } from '@sallyport/model';
import { roster } from '@sallyport/runtime';

/** One exchange's deadline. */
export interface Watched {
  /** Now overdue `ms` from now; replaces what was set before. */
  within(ms: number): void;
  /** No deadline for the time being. */
  pause(): void;
  /** Never again. */
  end(): void;
}

export interface Watch {
  /** `onOverdue` is called once, after which the deadline is paused. */
  add(onOverdue: () => void): Watched;
  readonly size: number;
  /** No more sweeps; nothing watched becomes overdue any more. */
  close(): void;
}

interface Entry {
  due: number;
  readonly onOverdue: () => void;
}

/** Sweeps every `everyMs` while it watches anything, and once more after the last. */
export function createWatch(clock: Clock, everyMs: number): Watch {
  // Owner: this watch.
  const entries = roster<Entry>();
  const closed = new AbortController();
  let isSweeping = false;

  const sweep = (): void => {
    const now: BootMs = clock.boot();
    for (const entry of entries.members()) {
      if (entry.due > now) continue;
      entry.due = Infinity;
      entry.onOverdue();
    }
    isSweeping = entries.size > 0;
    if (isSweeping) clock.timer(everyMs, sweep, { signal: closed.signal });
  };

  return {
    add(onOverdue) {
      const entry: Entry = { due: Infinity, onOverdue };
      const seat = entries.join(entry);
      if (!isSweeping) {
        isSweeping = true;
        clock.timer(everyMs, sweep, { signal: closed.signal });
      }
      return {
        within(ms) {
          entry.due = clock.boot() + ms;
        },
        pause() {
          entry.due = Infinity;
        },
        end() {
          entry.due = Infinity;
          seat.leave();
        },
      };
    },
    get size() {
      return entries.size;
    },
    close: () => closed.abort(),
  };
}
