/**
 * Journal frames: `uint32be length | uint8 kind | bytes | uint32be CRC-32C over kind and bytes` (docs/spec/journal-v1.md
 * section 2). The codec finds torn and rotten bytes; it is no protection against anyone who may write the file.
 */

import { crc32c } from '@sallyport/crypto';
import { invariant } from '@sallyport/model';

/** `mark` is the log's own: it names what was durable when it was written, and is never handed to readers. */
export type FrameKind = 'record' | 'reservation' | 'settlement' | 'nonce' | 'snapshot' | 'mark';

export interface Frame {
  readonly kind: FrameKind;
  readonly bytes: Uint8Array;
}

/** A frame as far as a question about room goes. */
export interface FrameSize {
  readonly bytes: { readonly length: number };
}

/** The longest `bytes` of a frame that a reader accepts. */
export const FRAME_BYTES_MAX: number = 16 * 1_048_576;
/** What a frame costs beside its bytes. */
export const FRAME_OVERHEAD_BYTES = 9;

const KIND_NUMBERS: Readonly<Record<FrameKind, number>> = { record: 1, reservation: 2, settlement: 3, nonce: 4, snapshot: 5, mark: 6 };
const KINDS: ReadonlyMap<number, FrameKind> = new Map(Object.entries(KIND_NUMBERS).map(([kind, number]) => [number, kind as FrameKind]));
const HEAD_BYTES = 5;
const CHECKSUM_BYTES = 4;

/** The frame's bytes on disk. */
export function encodeFrame({ kind, bytes }: Frame): Uint8Array {
  invariant(bytes.length <= FRAME_BYTES_MAX, 'a frame has at most 16 MiB');
  // Every byte is written; memory out of a pool, for there are four of these in a call.
  const encoded = Buffer.allocUnsafe(bytes.length + FRAME_OVERHEAD_BYTES);
  encoded.writeUInt32BE(bytes.length, 0);
  encoded.writeUInt8(KIND_NUMBERS[kind], 4);
  encoded.set(bytes, HEAD_BYTES);
  encoded.writeUInt32BE(crc32c(encoded.subarray(4, HEAD_BYTES + bytes.length)), HEAD_BYTES + bytes.length);
  return encoded;
}

/** Where frames are read from; a `DiskFile` fits. */
export interface FrameSource {
  size(): number;
  read(position: number, bytesMax: number): Uint8Array;
}

/** A frame as found, and where the next one begins. */
export interface FoundFrame {
  readonly ok: true;
  readonly frame: Frame;
  readonly position: number;
  readonly next: number;
}

/** What stands at `position` is no frame: the source ends inside it, or its length, kind or checksum is wrong. */
export interface BadFrame {
  readonly ok: false;
  readonly position: number;
  readonly reason: 'incomplete' | 'length' | 'kind' | 'checksum';
}

/** Reads frames in order; `undefined` at the end. After a bad frame it stays there: the next boundary is unknown. */
export interface FrameReader {
  next(): FoundFrame | BadFrame | undefined;
}

const CHUNK_BYTES = 262_144;

/** A reader from `from` on that holds one chunk, or one frame where that is longer. The source's end is taken once, now. */
export function frameReader(source: FrameSource, from = 0): FrameReader {
  const end = source.size();
  // Owner: this reader. `chunk` holds the source's bytes from `chunkAt` on.
  let position = from;
  let chunk: Uint8Array = new Uint8Array(0);
  let chunkAt = from;

  /** `bytes` bytes from `at` on, or `undefined` where the source ends before. */
  const peek = (at: number, bytes: number): Uint8Array | undefined => {
    if (at + bytes > end) return undefined;
    if (at < chunkAt || at + bytes > chunkAt + chunk.length) {
      chunk = source.read(at, Math.min(Math.max(bytes, CHUNK_BYTES), end - at));
      chunkAt = at;
    }
    const found = chunk.subarray(at - chunkAt, at - chunkAt + bytes);
    return found.length === bytes ? found : undefined;
  };
  const bad = (reason: BadFrame['reason']): BadFrame => ({ ok: false, position, reason });

  return {
    next() {
      if (position === end) return undefined;
      const head = peek(position, HEAD_BYTES);
      if (head === undefined) return bad('incomplete');
      const length = new DataView(head.buffer, head.byteOffset, head.byteLength).getUint32(0);
      const kind = KINDS.get(head[4] ?? 0);
      if (kind === undefined) return bad('kind');
      if (length > FRAME_BYTES_MAX) return bad('length');
      const whole = peek(position, length + FRAME_OVERHEAD_BYTES);
      if (whole === undefined) return bad('incomplete');
      const checksum = new DataView(whole.buffer, whole.byteOffset + HEAD_BYTES + length, CHECKSUM_BYTES).getUint32(0);
      if (crc32c(whole.subarray(4, HEAD_BYTES + length)) !== checksum) return bad('checksum');
      const found: FoundFrame = {
        ok: true,
        frame: { kind, bytes: whole.slice(HEAD_BYTES, HEAD_BYTES + length) },
        position,
        next: position + whole.length,
      };
      position = found.next;
      return found;
    },
  };
}

/** `sequence` was the last durable place when this was written. */
export function markFrame(sequence: number): Frame {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(sequence));
  return { kind: 'mark', bytes };
}

/** The place that a mark names. */
export function markedSequence(mark: Frame): number {
  invariant(mark.kind === 'mark' && mark.bytes.length === 8, 'a mark has eight bytes');
  return Number(new DataView(mark.bytes.buffer, mark.bytes.byteOffset, 8).getBigUint64(0));
}

const MARK_HEAD = Uint8Array.of(0, 0, 0, 8, KIND_NUMBERS.mark);
const MARK_BYTES = 8 + FRAME_OVERHEAD_BYTES;

/** The highest place that any whole mark from `from` on names, whatever lies between; 0 where there is none. */
export function highestMarkAfter(source: FrameSource, from: number): number {
  const end = source.size();
  let highest = 0;
  for (let at = from; at < end; at += CHUNK_BYTES) {
    // Chunks overlap, so that a mark across their border is seen.
    const bytes = Buffer.from(source.read(at, Math.min(CHUNK_BYTES + MARK_BYTES, end - at)));
    for (let found = bytes.indexOf(MARK_HEAD); found !== -1; found = bytes.indexOf(MARK_HEAD, found + 1)) {
      const candidate = frameReader(
        { size: () => bytes.length, read: (position, max) => bytes.subarray(position, position + max) },
        found,
      ).next();
      if (candidate?.ok === true) highest = Math.max(highest, markedSequence(candidate.frame));
    }
  }
  return highest;
}
