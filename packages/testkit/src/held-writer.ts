/** A stream's sending end in the test's hands: it takes everything, until it is told to be full. */

import type { Encoded, Sendable, StreamWriter } from '@sallyport/net';

export interface HeldWriter<T> extends StreamWriter<T> {
  /** What was taken, in order, and whether it had priority. */
  readonly written: readonly { readonly message: Sendable<T>; readonly priority: boolean }[];
  /** From now on only messages with priority are taken, or none. */
  fill(to: 'priority' | 'all'): void;
}

/** A writer that is never drained. */
export function heldWriter<T>(): HeldWriter<T> {
  const written: { message: Sendable<T>; priority: boolean }[] = [];
  // Owner: this writer.
  let full: 'nothing' | 'priority' | 'all' = 'nothing';
  let isOver = false;
  return {
    written,
    fill: (to) => {
      full = to;
    },
    write(message, { priority = false } = {}) {
      if (isOver || full === 'all' || (full === 'priority' && !priority)) return false;
      written.push({ message, priority });
      return true;
    },
    get unsentBytes() {
      return written.reduce((sum, { message }) => sum + (message as Encoded<T>).byteLength, 0);
    },
    drained: async () => Promise.resolve(),
    end() {
      isOver = true;
    },
    get isOver() {
      return isOver;
    },
  };
}
