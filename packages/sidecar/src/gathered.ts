/**
 * Chunks into one piece of memory. Chunks themselves are not kept: a peer that sends a megabyte byte by byte would make
 * a million small objects of it, which cost a hundred times what the account was charged. Only one that is all there is,
 * as most bodies are, stays where it is.
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
  // Owner: this object. `only` is the first chunk, as long as it is the last one too; `held` is memory of our own.
  let only: Uint8Array | undefined;
  let held: Buffer | undefined;
  let length = 0;
  const room = (bytes: number): Buffer => {
    if (held !== undefined && bytes <= held.byteLength) return held;
    const wanted = held === undefined ? (expected ?? Math.min(FIRST_BYTES, bytesMax)) : held.byteLength * 2;
    const grown = Buffer.allocUnsafeSlow(Math.min(bytesMax, Math.max(bytes, wanted)));
    const before = only ?? held?.subarray(0, length);
    if (before !== undefined) grown.set(before);
    only = undefined;
    held = grown;
    return grown;
  };
  return {
    get length() {
      return length;
    },
    add(chunk) {
      const next = length + chunk.byteLength;
      if (next > bytesMax) return false;
      if (length === 0 && held === undefined && isItsOwnMemory(chunk)) only = chunk;
      else room(next).set(chunk, length);
      length = next;
      return true;
    },
    bytes: () => only ?? held?.subarray(0, length) ?? NOTHING,
  };
}

const NOTHING = new Uint8Array();

/** A small piece of something large would keep all of it in memory. */
function isItsOwnMemory(chunk: Uint8Array): boolean {
  return chunk.byteLength > 0 && chunk.buffer.byteLength <= 2 * chunk.byteLength;
}
