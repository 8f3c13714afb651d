/**
 * Journal frames: `uint32be length | uint8 kind | bytes | uint32be CRC-32C over kind and bytes` (docs/spec/journal-v1.md
 * section 2). The codec finds torn and rotten bytes; it is no protection against anyone who may write the file.
 */

import { Bug } from '@sallyport/model';

/** `mark` is the log's own: it names what was durable when it was written, and is never handed to readers. */
export type FrameKind = 'record' | 'reservation' | 'settlement' | 'nonce' | 'snapshot' | 'mark';

export interface Frame {
  readonly kind: FrameKind;
  readonly bytes: Uint8Array;
}

/** The longest `bytes` of a frame that a reader accepts. */
export const FRAME_BYTES_MAX: number = 16 * 1_048_576;
/** What a frame costs beside its bytes. */
export const FRAME_OVERHEAD_BYTES = 9;

export function encodeFrame(_frame: Frame): Uint8Array {
  throw new Bug('to come');
}
