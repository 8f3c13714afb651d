/**
 * The head of a record line, read without parsing the rest: its place in the chain decides whether it is taken, what it
 * says only how it is found again (`indexer.ts`). docs/spec/audit-v1.md section 2 fixes the first six members.
 */

import { RECORD_BYTES_MAX, isStreamId } from '@sallyport/audit';
import { parseInstant } from '@sallyport/model';
import type { Instant, StreamId } from '@sallyport/model';

export interface LineHead {
  readonly kind: string;
  readonly stream: StreamId;
  readonly seq: number;
  readonly at: Instant;
  /** 64 hex digits: the hash of the line before. */
  readonly prev: string;
}

const HEAD =
  /^\{"v":1,"kind":"([A-Z_]{1,32})","stream":"([0-9a-f]{32})","seq":([1-9][0-9]{0,15}),"at":"([^"]{24})","prev":"([0-9a-f]{64})"[,}]/;
const HEAD_BYTES_MAX = 256;
const LINE_FEED = 0x0a;
const CLOSING_BRACE = 0x7d;
const latin1 = new TextDecoder('latin1');

/** `undefined` for bytes that are no record line: another beginning, too long, or with a line feed, which would make two lines of an export. */
export function readLineHead(line: Uint8Array): LineHead | undefined {
  if (line.byteLength > RECORD_BYTES_MAX || line.includes(LINE_FEED) || line.at(-1) !== CLOSING_BRACE) return undefined;
  const match = HEAD.exec(latin1.decode(line.subarray(0, HEAD_BYTES_MAX)));
  if (match === null) return undefined;
  const [, kind = '', stream = '', seq = '', at = '', prev = ''] = match;
  const instant = parseInstant(at);
  if (instant === undefined || !isStreamId(stream) || !Number.isSafeInteger(Number(seq))) return undefined;
  return { kind, stream, seq: Number(seq), at: instant, prev };
}
