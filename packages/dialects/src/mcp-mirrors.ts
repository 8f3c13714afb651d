/**
 * Values of a body that headers repeat (2026-07-28, transports, request metadata): their spelling in a header, the
 * `Mcp-Param-*` headers that a pinned schema asks for with `x-mcp-header`, and whether they say what the body says.
 */

import { type Json, type JsonObject, deny, fail } from '@sallyport/model';
import type { HeaderLookup, TypedArguments, TypedValue } from '@sallyport/strict';
import { type Failed, MODERN_CODES } from './mcp-ask.ts';

/** One argument that a header repeats. */
export interface HeaderMirror {
  /** Lower case: `mcp-param-region`. */
  readonly header: string;
  /** The chain of `properties` that leads to it. */
  readonly path: readonly string[];
}

const [BASE64_BEGIN, BASE64_END] = ['=?base64?', '?='];
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$/;
/** Visible ASCII, with spaces and tabs between. */
const PLAIN = /^(?:[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?)?$/;
/** An integer, also one with an empty fraction: `42` and `42.0` are equal. */
const WHOLE = /^(-?\d{1,40})(?:\.0{1,20})?$/;
const MIRRORED_TYPES: ReadonlySet<Json | undefined> = new Set<Json | undefined>(['string', 'integer', 'boolean']);

/**
 * The headers that a schema asks for. Only where the revision permits it: along `properties` alone, on text, integers
 * and booleans, under a name that is a token and no other property's. What asks for one elsewhere asks for none.
 */
export function headerMirrors(schema: JsonObject): readonly HeaderMirror[] {
  const found: HeaderMirror[] = [];
  collect(schema, [], found);
  return found.filter(({ header }) => found.filter((other) => other.header === header).length === 1);
}

function collect(schema: JsonObject, path: readonly string[], found: HeaderMirror[]): void {
  const properties = own(schema, 'properties');
  if (!isObject(properties)) return;
  for (const [name, property] of Object.entries(properties)) {
    if (!isObject(property)) continue;
    const asked = own(property, 'x-mcp-header');
    const at = [...path, name];
    if (typeof asked === 'string' && TOKEN.test(asked) && MIRRORED_TYPES.has(own(property, 'type')))
      found.push({ header: `mcp-param-${asked.toLowerCase()}`, path: at });
    collect(property, at, found);
  }
}

/** Refuses headers that do not say what the arguments say; -32020. A header without a value in the body is a lie too. */
export function mirrorsProblem(mirrors: readonly HeaderMirror[], headers: HeaderLookup, args: TypedArguments): Failed | undefined {
  for (const { header, path } of mirrors) {
    const value = valueAt(args, path);
    const given = headers.get(header);
    if (value === undefined && given === undefined) continue;
    const said = given === undefined ? undefined : decodeMirror(given);
    if (value === undefined || said === undefined || !saysSame(said, value))
      return headerMismatch(`\`${header}\` is missing, or differs from \`${path.join('.')}\``);
  }
  return undefined;
}

/** The headers that repeat these arguments; for whoever sends them on. */
export function mirrorHeaders(mirrors: readonly HeaderMirror[], args: TypedArguments): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const { header, path } of mirrors) {
    const value = valueAt(args, path);
    if (value !== undefined) headers[header] = encodeMirror(String(value));
  }
  return headers;
}

/** A header that does not say what the body says: 400, -32020. */
export function headerMismatch(why: string): Failed {
  const message = `Header mismatch: ${why}`;
  return fail(deny('malformed_request', `mcp: ${message}`, { rpc: { status: 400, code: MODERN_CODES.headerMismatch, message } }));
}

/** A mirrored value as a header may carry it. */
export function encodeMirror(value: string): string {
  const isMarked = value.startsWith(BASE64_BEGIN) && value.endsWith(BASE64_END);
  return PLAIN.test(value) && !isMarked ? value : `${BASE64_BEGIN}${toBase64(encoder.encode(value))}${BASE64_END}`;
}

/** The value that a header carries; `undefined` where it is marked as base64 and is none, or no UTF-8. */
export function decodeMirror(header: string): string | undefined {
  if (!header.startsWith(BASE64_BEGIN) || !header.endsWith(BASE64_END)) return header;
  const bytes = fromBase64(header.slice(BASE64_BEGIN.length, -BASE64_END.length));
  if (bytes === undefined) return undefined;
  try {
    return decoder.decode(bytes);
  } catch {
    // The decoder's only failure: ill-formed UTF-8.
    return undefined;
  }
}

function saysSame(said: string, value: string | bigint | boolean): boolean {
  if (typeof value !== 'bigint') return said === String(value);
  const whole = WHOLE.exec(said)?.[1];
  return whole !== undefined && BigInt(whole) === value;
}

/** Null is no value (2026-07-28: such a parameter has no header). */
function valueAt(args: TypedArguments, path: readonly string[]): string | bigint | boolean | undefined {
  let value: TypedValue | undefined = args;
  for (const name of path) value = membersOfTyped(value)?.[name];
  return typeof value === 'string' || typeof value === 'bigint' || typeof value === 'boolean' ? value : undefined;
}

function membersOfTyped(value: TypedValue | undefined): Readonly<Record<string, TypedValue>> | undefined {
  // Records alone have a null prototype: neither a list nor a Decimal is walked into.
  const isRecord = typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === null;
  return isRecord ? (value as Readonly<Record<string, TypedValue>>) : undefined;
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function own(object: JsonObject, name: string): Json | undefined {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

function toBase64(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.byteLength; at += 3) {
    const [a = 0, b, c] = bytes.subarray(at, at + 3);
    const bits = (a << 16) | ((b ?? 0) << 8) | (c ?? 0);
    const four = [18, 12, 6, 0].map((shift) => ALPHABET[(bits >> shift) & 63] ?? '');
    text += `${four[0]}${four[1]}${b === undefined ? '=' : four[2]}${c === undefined ? '=' : four[3]}`;
  }
  return text;
}

/** Canonical alone, so that one value has one spelling: padded, and no bits behind the last byte. */
function fromBase64(text: string): Uint8Array | undefined {
  if (!BASE64.test(text)) return undefined;
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  for (let from = 0, to = 0; from < text.length; from += 4, to += 3) {
    const [a = 0, b = 0, c = 0, d = 0] = [0, 1, 2, 3].map((i) => Math.max(0, ALPHABET.indexOf(text[from + i] ?? '=')));
    const bits = (a << 18) | (b << 12) | (c << 6) | d;
    for (let i = 0; i < 3 && to + i < bytes.byteLength; i++) bytes[to + i] = (bits >> (16 - 8 * i)) & 255;
  }
  return toBase64(bytes) === text ? bytes : undefined;
}
