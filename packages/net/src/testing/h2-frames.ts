/** Frames of HTTP/2 by hand, for what no honest client sends (RFC 9113, sections 4 and 6; RFC 7541, section 6.2.2). */

export const FRAME = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goaway: 7, windowUpdate: 8, continuation: 9 } as const;
export const FLAG = { ack: 1, endStream: 1, endHeaders: 4 } as const;

/** What a client says first. */
export const PREFACE: Buffer = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

export function frame(type: number, flags: number, stream: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.byteLength, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** A block of literal fields without indexing and without compression; in their order. */
export function headerBlock(fields: readonly (readonly [name: string, value: string])[]): Buffer {
  const text = (value: string): Buffer => Buffer.concat([lengthOf(value.length), Buffer.from(value, 'latin1')]);
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.of(0), text(name), text(value)]));
}

/** An integer with a prefix of 7 bits (RFC 7541, section 5.1). */
function lengthOf(length: number): Buffer {
  if (length < 127) return Buffer.of(length);
  const bytes = [127];
  let rest = length - 127;
  for (; rest >= 128; rest >>= 7) bytes.push((rest & 127) | 128);
  return Buffer.of(...bytes, rest);
}

/** A whole request without a body, or the head of one with a body to come. */
export function headersFrame(stream: number, fields: readonly (readonly [string, string])[], isLast = true): Buffer {
  return frame(FRAME.headers, FLAG.endHeaders | (isLast ? FLAG.endStream : 0), stream, headerBlock(fields));
}

export interface ReceivedFrame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

/** The whole frames at the beginning of what was received. */
export function readFrames(received: Buffer): readonly ReceivedFrame[] {
  const frames: ReceivedFrame[] = [];
  for (let at = 0; at + 9 <= received.length;) {
    const end = at + 9 + received.readUIntBE(at, 3);
    if (end > received.length) break;
    const [type, flags, stream] = [received.readUInt8(at + 3), received.readUInt8(at + 4), received.readUInt32BE(at + 5)];
    frames.push({ type, flags, stream, payload: received.subarray(at + 9, end) });
    at = end;
  }
  return frames;
}
