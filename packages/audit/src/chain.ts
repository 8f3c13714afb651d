/**
 * The hash chain of one audit stream (docs/spec/audit-v1.md section 4). Each head covers every byte of every line up to
 * it, the stream's name and the place of each line; a new stream begins with the head of the one before. The chain alone
 * only shows damage: who vouches for a head is the checkpoint's business.
 */

import { encodeHex, sha256, uint64be, utf8 } from '@sallyport/crypto';
import { invariant } from '@sallyport/model';
import type { Instant, StreamId } from '@sallyport/model';
import { encodeRecord } from './record.ts';
import type { RecordBody } from './record.ts';

/** How far a stream has come. `seq` 0 means nothing yet: `head` is then the head of the stream before, or zeros. */
export interface ChainState {
  readonly stream: StreamId;
  readonly seq: number;
  /** 32 bytes. */
  readonly head: Uint8Array;
}

const DOMAIN = utf8('sallyport-audit-v1\0');
const HEAD_BYTES = 32;

/** Whether a text is a stream's name: 32 lower-case hex digits. */
export function isStreamId(text: string): text is StreamId {
  return /^[0-9a-f]{32}$/.test(text);
}

/** A stream before its first line. `previous` is where the same writer's last stream ended; null for the first of all. */
export function openStream(options: { readonly stream: StreamId; readonly previous: ChainState | null }): ChainState {
  invariant(isStreamId(options.stream), 'a stream is named by 32 hex digits');
  return { stream: options.stream, seq: 0, head: options.previous?.head ?? new Uint8Array(HEAD_BYTES) };
}

/** The state after `line` (its bytes without a line feed). */
export function append(state: ChainState, line: Uint8Array): ChainState {
  const seq = state.seq + 1;
  return { stream: state.stream, seq, head: hashLine({ stream: state.stream, seq, previous: state.head }, line) };
}

/** Encodes the next record of a stream and appends it: the one way to write a record with its place and `prev` right. */
export function appendRecord(state: ChainState, at: Instant, body: RecordBody): { readonly line: Uint8Array; readonly state: ChainState } {
  const line = encodeRecord({ stream: state.stream, seq: state.seq + 1, prev: headHex(state), at }, body);
  return { line, state: append(state, line) };
}

/** The head as 64 hex digits, as checkpoints and manifests carry it. */
export function headHex(state: ChainState): string {
  return encodeHex(state.head);
}

/** `SHA-256("sallyport-audit-v1" 0x00 || stream || uint64be seq || hash of the line before || line bytes)`. */
export function hashLine(
  place: { readonly stream: StreamId; readonly seq: number; readonly previous: Uint8Array },
  line: Uint8Array,
): Uint8Array {
  return sha256(DOMAIN, utf8(place.stream), uint64be(place.seq), place.previous, line);
}
