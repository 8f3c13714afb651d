/**
 * Chunks into one piece of memory. Chunks themselves are not kept: a peer that sends a megabyte byte by byte would make
 * a million small objects of it, which cost a hundred times what the account was charged.
 */

import { invariant } from '@sallyport/model';

export interface Gathered {
  readonly length: number;
  /** Copies the chunk to the end; false, and nothing taken, where it would pass the maximum. */
  add(chunk: Uint8Array): boolean;
  /** Everything so far; valid until the next `add`. */
  bytes(): Uint8Array;
}

const FIRST_BYTES = 4_096;

/** `expected`: a length that was announced, allocated at once. Never more is allocated than twice what has come, or than was expected. */
export function gathered({ bytesMax, expected }: { bytesMax: number; expected?: number | undefined }): Gathered {
  invariant((expected ?? 0) <= bytesMax, 'no more is expected than may come');
  // Owner: this object.
  let held = Buffer.allocUnsafeSlow(expected ?? Math.min(FIRST_BYTES, bytesMax));
  let length = 0;
  return {
    get length() {
      return length;
    },
    add(chunk) {
      const next = length + chunk.byteLength;
      if (next > bytesMax) return false;
      if (next > held.byteLength) {
        const grown = Buffer.allocUnsafeSlow(Math.min(bytesMax, Math.max(next, held.byteLength * 2)));
        held.copy(grown, 0, 0, length);
        held = grown;
      }
      held.set(chunk, length);
      length = next;
      return true;
    },
    bytes: () => held.subarray(0, length),
  };
}
