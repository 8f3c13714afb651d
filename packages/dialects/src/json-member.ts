/**
 * Finds, takes out and puts in a member of a JSON object by its source bytes, so that all others stay as they came. The
 * object is already known to be valid and free of duplicates. Judges nothing.
 */

import { invariant } from '@sallyport/model';

const [QUOTE, BACKSLASH, COMMA, COLON] = [0x22, 0x5c, 0x2c, 0x3a];
const OPEN = new Set([0x7b, 0x5b]);
const CLOSE = new Set([0x7d, 0x5d]);
const WHITE = new Set([0x20, 0x09, 0x0a, 0x0d]);
const decoder = new TextDecoder('utf-8', { fatal: true });

/**
 * The bytes of the value of `name` at the top level of `source`, without white space around them, or `undefined`.
 * `source` must be one valid JSON object: `judge` has accepted these very bytes.
 */
export function memberBytes(source: Uint8Array, name: string): Uint8Array | undefined {
  const found = placeOf(source, name);
  return found === undefined ? undefined : source.subarray(found.valueAt, found.valueEnd);
}

/** The same object without `name`, every other byte as it was. */
export function withoutMember(source: Uint8Array, name: string): Uint8Array {
  const found = placeOf(source, name);
  if (found === undefined) return source;
  const { keyAt, valueEnd, commaBefore } = found;
  const after = skipWhite(source, valueEnd);
  const isFollowed = source[after] === COMMA;
  // A first member goes with the comma behind it, any other with the one before.
  if (commaBefore === undefined) return spliced(source, keyAt, isFollowed ? after + 1 : valueEnd);
  return spliced(source, commaBefore, valueEnd);
}

/** The same object with another value for `name`, which it must have. */
export function withMember(source: Uint8Array, name: string, value: Uint8Array): Uint8Array {
  const found = placeOf(source, name);
  invariant(found !== undefined, 'the member to replace is there');
  return spliced(source, found.valueAt, found.valueEnd, value);
}

/** The same object with `member` (`"name":value`) in front of its members; it must not have it yet. */
export function withFirst(source: Uint8Array, member: string): Uint8Array {
  const begin = skipWhite(source, 0) + 1;
  const isEmpty = CLOSE.has(source[skipWhite(source, begin)] ?? 0);
  return spliced(source, begin, begin, new TextEncoder().encode(isEmpty ? member : `${member},`));
}

interface Place {
  readonly keyAt: number;
  readonly valueAt: number;
  readonly valueEnd: number;
  /** Where the comma in front of it is; none in front of the first. */
  readonly commaBefore: number | undefined;
}

function placeOf(source: Uint8Array, name: string): Place | undefined {
  let commaBefore: number | undefined;
  let at = skipWhite(source, 0) + 1;
  for (;;) {
    at = skipWhite(source, at);
    if (source[at] !== QUOTE) return undefined;
    const keyAt = at;
    const keyEnd = endOfString(source, at);
    const key: unknown = JSON.parse(decoder.decode(source.subarray(at, keyEnd)));
    const valueAt = skipWhite(source, skipWhite(source, keyEnd) + 1);
    invariant(source[valueAt - 1] === COLON || WHITE.has(source[valueAt - 1] ?? 0), 'a member without a colon was judged valid');
    const valueEnd = endOfValue(source, valueAt);
    if (key === name) return { keyAt, valueAt, valueEnd, commaBefore };
    at = skipWhite(source, valueEnd);
    if (source[at] !== COMMA) return undefined;
    commaBefore = at;
    at += 1;
  }
}

function spliced(source: Uint8Array, from: number, to: number, middle: Uint8Array = new Uint8Array()): Uint8Array {
  const result = new Uint8Array(source.byteLength - (to - from) + middle.byteLength);
  result.set(source.subarray(0, from), 0);
  result.set(middle, from);
  result.set(source.subarray(to), from + middle.byteLength);
  return result;
}

function endOfValue(source: Uint8Array, start: number): number {
  let depth = 0;
  for (let at = start; at < source.byteLength;) {
    const byte = source[at] ?? 0;
    if (byte === QUOTE) at = endOfString(source, at);
    else if (OPEN.has(byte)) [depth, at] = [depth + 1, at + 1];
    else if (CLOSE.has(byte) && depth > 0) [depth, at] = [depth - 1, at + 1];
    else if (depth > 0) at += 1;
    else if (CLOSE.has(byte) || byte === COMMA || WHITE.has(byte)) return at;
    else at += 1;
    if (depth === 0 && (byte === QUOTE || CLOSE.has(byte))) return at;
  }
  return source.byteLength;
}

function endOfString(source: Uint8Array, quote: number): number {
  let at = quote + 1;
  while (at < source.byteLength && source[at] !== QUOTE) at += source[at] === BACKSLASH ? 2 : 1;
  return at + 1;
}

function skipWhite(source: Uint8Array, from: number): number {
  let at = from;
  while (at < source.byteLength && WHITE.has(source[at] ?? 0)) at += 1;
  return at;
}
