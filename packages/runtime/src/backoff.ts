/** How long to wait before trying again: decorrelated jitter, so that a fleet that lost one server does not return as one. */

import type { Random } from '@sallyport/model';

export interface Backoff {
  /** The next wait in milliseconds, at least `minMs`, at most `maxMs`, drawn up to three times the one before. */
  next(): number;
  /** After a success: the next wait starts small again. */
  reset(): void;
}

export function backoff(options: { readonly minMs: number; readonly maxMs: number; readonly random: Random }): Backoff {
  const { minMs, maxMs, random } = options;
  // Owner: this backoff.
  let last = minMs;
  return {
    next() {
      const ceiling = Math.max(minMs, last * 3);
      last = Math.min(maxMs, minMs + fraction(random) * (ceiling - minMs));
      return Math.round(last);
    },
    reset() {
      last = minMs;
    },
  };
}

/** Uniform in [0, 1), from 32 random bits. */
function fraction(random: Random): number {
  const bytes = random(4);
  return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0) / 2 ** 32;
}
