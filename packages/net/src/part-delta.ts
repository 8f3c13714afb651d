/**
 * A bundle part as its difference from one that the receiver holds: a Zstandard frame (RFC 8878) with the other as raw
 * dictionary, so that a rule changed among thousands travels as a hundred bytes or two. Both ends are here, for they must agree.
 */

import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';

/** Made once and sent to all: a few milliseconds more than by default for a quarter of the bytes. */
const LEVEL = 9;

/** 8 MB, twice the longest part: a frame that asks for more memory than that was made for nothing else. */
const WINDOW_LOG_MAX = 23;

/** The difference; of the size of what is new. */
export function makeDelta(part: Uint8Array, base: Uint8Array): Uint8Array {
  return zstdCompressSync(part, { dictionary: base, params: { [constants.ZSTD_c_compressionLevel]: LEVEL } });
}

/**
 * What comes out, of at most `bytesMax` bytes; `undefined` where nothing does. It is not what was made into a difference
 * unless its digest says so: both arguments are what somebody sent.
 */
export function applyDelta(delta: Uint8Array, base: Uint8Array, bytesMax: number): Uint8Array | undefined {
  try {
    const params = { [constants.ZSTD_d_windowLogMax]: WINDOW_LOG_MAX };
    return new Uint8Array(zstdDecompressSync(delta, { dictionary: base, maxOutputLength: bytesMax, params }));
  } catch {
    // Cut, edited, longer than was signed, or over another base: the whole part is fetched instead.
    return undefined;
  }
}
