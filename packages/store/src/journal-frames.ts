/** What stands inside the journal's record and snapshot frames (docs/spec/journal-v1.md section 6). */

import { decodeBase64, encodeBase64, fromUtf8, utf8 } from '@sallyport/crypto';
import { invariant } from '@sallyport/model';
import type { StreamId } from '@sallyport/model';
import type { Frame, FrameSize } from './frames.ts';
import type { JournalEntry, JournalRecord } from './journal.ts';

const STREAM_BYTES = 32;
const LINE_AT = STREAM_BYTES + 8;

/** `stream (32 ASCII) | uint64be seq | line` for a record; state frames are their owner's bytes. */
export function entryFrame(entry: JournalEntry): Frame {
  if (entry.kind !== 'record') return entry;
  const { stream, seq, line } = entry;
  invariant(/^[0-9a-f]{32}$/.test(stream) && Number.isSafeInteger(seq) && seq > 0, 'a record has a stream and a place from 1');
  const bytes = Buffer.allocUnsafe(LINE_AT + line.length);
  bytes.write(stream, 0, STREAM_BYTES, 'latin1');
  bytes.writeUInt32BE(Math.floor(seq / 2 ** 32), STREAM_BYTES);
  bytes.writeUInt32BE(seq % 2 ** 32, STREAM_BYTES + 4);
  bytes.set(line, LINE_AT);
  return { kind: 'record', bytes };
}

/** What `entryFrame` would make, as far as a question about room goes: nothing is copied. */
export function entrySize(entry: JournalEntry): FrameSize {
  return entry.kind === 'record' ? { bytes: { length: LINE_AT + entry.line.length } } : entry;
}

/** The record in a record frame; `undefined` where its bytes are none, which only a writer's bug can cause. */
export function readRecordFrame({ bytes }: Frame): JournalRecord | undefined {
  if (bytes.length < LINE_AT) return undefined;
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const stream = view.toString('latin1', 0, STREAM_BYTES);
  if (!/^[0-9a-f]{32}$/.test(stream)) return undefined;
  const seq = view.readUInt32BE(STREAM_BYTES) * 2 ** 32 + view.readUInt32BE(STREAM_BYTES + 4);
  if (!Number.isSafeInteger(seq) || seq < 1) return undefined;
  return { kind: 'record', stream: stream as StreamId, seq, line: bytes.subarray(LINE_AT) };
}

/** What the journal itself must remember when the segments below are removed. */
export interface SnapshotHead {
  /** Every place from here on must be in the log: older ones may have been removed. */
  readonly keepsFrom: number;
  /** How far streams with records still in the log are acknowledged. */
  readonly acknowledged: ReadonlyMap<StreamId, number>;
  readonly last: JournalRecord | null;
}

/** `uint32be length | head as JSON | the owner's bytes`. */
export function snapshotFrame(head: SnapshotHead, owned: Uint8Array): Frame {
  const { keepsFrom, acknowledged, last } = head;
  const json = utf8(
    JSON.stringify({
      v: 1,
      keeps_from: keepsFrom,
      acknowledged: [...acknowledged].map(([stream, seq]) => ({ stream, seq })),
      last: last === null ? null : { stream: last.stream, seq: last.seq, line: encodeBase64(last.line) },
    }),
  );
  const bytes = new Uint8Array(4 + json.length + owned.length);
  new DataView(bytes.buffer).setUint32(0, json.length);
  bytes.set(json, 4);
  bytes.set(owned, 4 + json.length);
  return { kind: 'snapshot', bytes };
}

/** A snapshot frame's two halves; `undefined` where its bytes are none, or of a later format. */
export function readSnapshotFrame({ bytes }: Frame): { readonly head: SnapshotHead; readonly owned: Uint8Array } | undefined {
  if (bytes.length < 4) return undefined;
  const length = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(0);
  const text = fromUtf8(bytes.subarray(4, 4 + length));
  if (text === undefined || bytes.length < 4 + length) return undefined;
  const json = parsed(text);
  if (json?.v !== 1) return undefined;
  const line = json.last === null ? undefined : decodeBase64(json.last.line);
  if (json.last !== null && line === undefined) return undefined;
  return {
    head: {
      keepsFrom: json.keeps_from,
      acknowledged: new Map(json.acknowledged.map(({ stream, seq }) => [stream as StreamId, seq])),
      last:
        json.last === null || line === undefined
          ? null
          : { kind: 'record', stream: json.last.stream as StreamId, seq: json.last.seq, line },
    },
    owned: bytes.slice(4 + length),
  };
}

interface SnapshotJson {
  readonly v: number;
  readonly keeps_from: number;
  readonly acknowledged: readonly { readonly stream: string; readonly seq: number }[];
  readonly last: { readonly stream: string; readonly seq: number; readonly line: string } | null;
}

/** Our own bytes behind a checksum: their shape is taken as written, their version is not. */
function parsed(text: string): SnapshotJson | undefined {
  try {
    return JSON.parse(text) as SnapshotJson;
  } catch {
    // Not what any version of this writer wrote; the caller refuses the log.
    return undefined;
  }
}
