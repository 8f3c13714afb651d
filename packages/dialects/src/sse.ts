/**
 * Server-sent events (WHATWG HTML, section 9.2), bytes to events and back. Incremental: any cutting of the stream into
 * chunks gives the same events. Data stays bytes, so that whoever parses it judges what was sent. Bounded per event.
 */

import { Bug, type Result, fail, invariant, ok } from '@sallyport/model';

/** One dispatched event. */
export interface SseEvent {
  readonly kind: 'event';
  /** `message` unless the event says otherwise. */
  readonly event: string;
  /** The lines of data joined by line feeds; empty for an event that only sets an id. */
  readonly data: Uint8Array;
  /** The id that this very event carried; it does not stick to later ones. */
  readonly id?: string;
  readonly retryMs?: number;
}

/** A comment: a keep-alive, to be passed on or dropped. */
export interface SseComment {
  readonly kind: 'comment';
}

export type SseItem = SseEvent | SseComment;

export interface SseProblem {
  readonly code: 'event_too_large' | 'invalid_utf8' | 'truncated';
}

export interface SseReaderOptions {
  /** Bytes of one event with all its fields, and of one comment. */
  readonly eventBytesMax: number;
}

const [LF, CR, COLON, SPACE] = [0x0a, 0x0d, 0x3a, 0x20];
const BOM = [0xef, 0xbb, 0xbf];
const RETRY = /^[0-9]{1,9}$/;

/** Reads one stream. After a problem it stays failed. */
export class SseReader {
  readonly #eventBytesMax: number;
  // Owner of everything below: this reader; written by `push` and what it calls.
  /** The line being read. */
  #line: Uint8Array<ArrayBuffer>;
  #lineLength = 0;
  /** Bytes of the finished lines of the present event. */
  #eventBytes = 0;
  #data: Uint8Array<ArrayBuffer>[] = [];
  #fields: { event?: string; id?: string; retryMs?: number } = {};
  /** A CR ended the last line, so that an LF right after it ends nothing. */
  #isAfterCr = false;
  #isFirstLine = true;
  #problem: SseProblem | undefined;

  constructor(options: SseReaderOptions) {
    invariant(options.eventBytesMax > 0, 'an event needs room');
    this.#eventBytesMax = options.eventBytesMax;
    this.#line = new Uint8Array(Math.min(1024, options.eventBytesMax));
  }

  /** Every event and comment that these bytes complete, in order. */
  push(chunk: Uint8Array): Result<readonly SseItem[], SseProblem> {
    const items: SseItem[] = [];
    for (let at = 0; at < chunk.byteLength && this.#problem === undefined;) {
      if (this.#isAfterCr && chunk[at] === LF) at += 1;
      this.#isAfterCr = false;
      const end = endOfLine(chunk, at);
      this.#append(chunk.subarray(at, end));
      if (end === chunk.byteLength) break;
      this.#isAfterCr = chunk[end] === CR;
      this.#endLine(items);
      at = end + 1;
    }
    return this.#problem === undefined ? ok(items) : fail(this.#problem);
  }

  /** To be called at the end of the stream: an event without its closing blank line was cut off, and is no event. */
  end(): Result<void, SseProblem> {
    if (this.#problem !== undefined) return fail(this.#problem);
    return this.#lineLength === 0 && this.#eventBytes === 0 ? ok(undefined) : fail({ code: 'truncated' });
  }

  #append(bytes: Uint8Array): void {
    const length = this.#lineLength + bytes.byteLength;
    if (this.#eventBytes + length > this.#eventBytesMax) {
      this.#problem = { code: 'event_too_large' };
      return;
    }
    if (length > this.#line.byteLength) {
      const grown = new Uint8Array(Math.min(Math.max(length, this.#line.byteLength * 2), this.#eventBytesMax));
      grown.set(this.#line.subarray(0, this.#lineLength));
      this.#line = grown;
    }
    this.#line.set(bytes, this.#lineLength);
    this.#lineLength = length;
  }

  #endLine(items: SseItem[]): void {
    if (this.#problem !== undefined) return;
    const line = this.#takeLine();
    if (line.byteLength === 0) this.#dispatch(items);
    else if (line[0] === COLON) items.push({ kind: 'comment' });
    else this.#field(line);
  }

  #takeLine(): Uint8Array<ArrayBuffer> {
    const hasBom = this.#isFirstLine && BOM.every((byte, i) => this.#lineLength > i && this.#line[i] === byte);
    this.#isFirstLine = false;
    const line = this.#line.slice(hasBom ? BOM.length : 0, this.#lineLength);
    this.#lineLength = 0;
    return line;
  }

  #field(line: Uint8Array<ArrayBuffer>): void {
    this.#eventBytes += line.byteLength + 1;
    const colon = line.indexOf(COLON);
    const nameEnd = colon === -1 ? line.byteLength : colon;
    const value = line.subarray(colon === -1 ? nameEnd : colon + (line[colon + 1] === SPACE ? 2 : 1));
    const name = decode(line.subarray(0, nameEnd));
    if (name === 'data') this.#data.push(value);
    else if (name === 'event' || name === 'id' || name === 'retry') this.#textField(name, decode(value));
    else if (name === undefined) this.#problem = { code: 'invalid_utf8' };
  }

  /** As the standard says, an id with a NUL and a retry that is no number are as if they were not there. */
  #textField(name: 'event' | 'id' | 'retry', value: string | undefined): void {
    if (value === undefined) this.#problem = { code: 'invalid_utf8' };
    else if (name === 'event') this.#fields.event = value;
    else if (name === 'id' && !value.includes('\0')) this.#fields.id = value;
    else if (name === 'retry' && RETRY.test(value)) this.#fields.retryMs = Number(value);
  }

  #dispatch(items: SseItem[]): void {
    const [data, { event = '', ...more }] = [this.#data, this.#fields];
    [this.#data, this.#fields, this.#eventBytes] = [[], {}, 0];
    // Without a data line there is nothing to dispatch, whatever else the event said.
    if (data.length > 0) items.push({ kind: 'event', event: event === '' ? 'message' : event, data: joinLines(data), ...more });
  }
}

/** One event as bytes; data may hold line breaks of any kind and is read back with line feeds. */
export function writeSseEvent(event: { data: Uint8Array; event?: string; id?: string; retryMs?: number }): Uint8Array {
  const head: string[] = [];
  if (event.event !== undefined && event.event !== 'message') head.push(`event: ${oneLine(event.event)}\n`);
  if (event.id !== undefined) head.push(`id: ${oneLine(event.id)}\n`);
  if (event.retryMs !== undefined) head.push(`retry: ${event.retryMs}\n`);
  const parts: Uint8Array[] = [encoder.encode(head.join(''))];
  for (const line of splitLines(event.data)) parts.push(DATA_FIELD, line, LINE_END);
  parts.push(LINE_END);
  return concat(parts);
}

/** A comment as bytes: keeps a quiet stream open. */
export function writeSseComment(): Uint8Array {
  return encoder.encode(':\n\n');
}

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const DATA_FIELD = encoder.encode('data: ');
const LINE_END = new Uint8Array([LF]);

/** A line break in an event's name or id would begin a field of the sender's choosing. */
function oneLine(value: string): string {
  if (/[\r\n\0]/.test(value)) throw new Bug('an event name or id holds a line break');
  return value;
}

function endOfLine(bytes: Uint8Array, from: number): number {
  for (let at = from; at < bytes.byteLength; at++) if (bytes[at] === LF || bytes[at] === CR) return at;
  return bytes.byteLength;
}

function splitLines(data: Uint8Array): Uint8Array[] {
  const lines: Uint8Array[] = [];
  let from = 0;
  for (;;) {
    const end = endOfLine(data, from);
    lines.push(data.subarray(from, end));
    if (end === data.byteLength) return lines;
    from = data[end] === CR && data[end + 1] === LF ? end + 2 : end + 1;
  }
}

function joinLines(lines: readonly Uint8Array[]): Uint8Array {
  return concat(lines.flatMap((line, i) => (i === 0 ? [line] : [LINE_END, line])));
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.byteLength;
  }
  return whole;
}

function decode(bytes: Uint8Array<ArrayBuffer>): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    // The decoder's only failure is ill-formed UTF-8, which the caller reports.
    return undefined;
  }
}
