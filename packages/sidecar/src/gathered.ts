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
export function gathered(options: { bytesMax: number; expected?: number | undefined }): Gathered {
  return new Pieces(options);
}

/** Owner of its fields. `only` is the first chunk, as long as it is the last one too; `held` is memory of our own. */
class Pieces implements Gathered {
  readonly #bytesMax: number;
  readonly #expected: number | undefined;
  #only: Uint8Array | undefined;
  #held: Buffer | undefined;
  #length = 0;

  constructor({ bytesMax, expected }: { bytesMax: number; expected?: number | undefined }) {
    invariant((expected ?? 0) <= bytesMax, 'no more is expected than may come');
    this.#bytesMax = bytesMax;
    this.#expected = expected;
  }

  get length(): number {
    return this.#length;
  }

  add(chunk: Uint8Array): boolean {
    const next = this.#length + chunk.byteLength;
    if (next > this.#bytesMax) return false;
    if (this.#length === 0 && this.#held === undefined && isItsOwnMemory(chunk)) this.#only = chunk;
    else this.#room(next).set(chunk, this.#length);
    this.#length = next;
    return true;
  }

  bytes(): Uint8Array {
    return this.#only ?? this.#held?.subarray(0, this.#length) ?? NOTHING;
  }

  #room(bytes: number): Buffer {
    const held = this.#held;
    if (held !== undefined && bytes <= held.byteLength) return held;
    const wanted = held === undefined ? (this.#expected ?? Math.min(FIRST_BYTES, this.#bytesMax)) : held.byteLength * 2;
    const grown = Buffer.allocUnsafeSlow(Math.min(this.#bytesMax, Math.max(bytes, wanted)));
    const before = this.#only ?? held?.subarray(0, this.#length);
    if (before !== undefined) grown.set(before);
    this.#only = undefined;
    this.#held = grown;
    return grown;
  }
}

const NOTHING = new Uint8Array();

/** A small piece of something large would keep all of it in memory. */
function isItsOwnMemory(chunk: Uint8Array): boolean {
  return chunk.byteLength > 0 && chunk.buffer.byteLength <= 2 * chunk.byteLength;
}
