/** A queue of length one in which the newest wins: for candidates of which only the last matters. */

import { bell } from './bell.ts';

/** One reader; any number of writers. */
export interface Latest<T> {
  /** Replaces what waits unread. Returns what was replaced, if anything. */
  put(item: T): T | undefined;
  /** The waiting item, waiting for one; `undefined` once closed and empty, or when the signal aborts. */
  take(options: { readonly signal: AbortSignal }): Promise<T | undefined>;
  close(): void;
}

export function latest<T>(): Latest<T> {
  // Owner: this slot.
  let waiting: { readonly item: T } | undefined;
  let isClosed = false;
  const reader = bell();
  const mustWait = (): boolean => waiting === undefined && !isClosed;
  return {
    put(item) {
      const replaced = waiting;
      if (!isClosed) waiting = { item };
      reader.ring();
      return replaced?.item;
    },
    async take({ signal }) {
      while (mustWait() && !signal.aborted) await reader.heard(signal);
      if (signal.aborted) return undefined;
      const taken = waiting;
      waiting = undefined;
      return taken?.item;
    },
    close() {
      isClosed = true;
      reader.ring();
    },
  };
}
