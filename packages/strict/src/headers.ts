/**
 * Request headers as they came: one meaning each, or a refusal. Node joins, drops or keeps duplicates by its own table
 * and lets several of these pass, so framing is judged on the raw list, before anything else looks at it (RFC 9110, RFC 9112).
 */

import { deny, fail, ok } from '@sallyport/model';
import type { Denial, Result } from '@sallyport/model';

export interface HeaderLimits {
  readonly countMax: number;
  readonly nameBytesMax: number;
  readonly valueBytesMax: number;
  /** Names, values and four bytes of punctuation for each field. */
  readonly totalBytesMax: number;
}

export const HEADER_LIMITS: HeaderLimits = { countMax: 100, nameBytesMax: 128, valueBytesMax: 8_192, totalBytesMax: 32_768 };

/** Request headers by lower-case name. A repeated list field is joined by `, ` (RFC 9110 section 5.3), `cookie` by `; `. */
export interface HeaderLookup {
  /** By lower-case name. */
  get(name: string): string | undefined;
  has(name: string): boolean;
  /** In the order of first appearance. */
  entries(): IterableIterator<[name: string, value: string]>;
}

/**
 * Reads Node's `rawHeaders` (name, value, name, value, ...) of HTTP/1.1. Refusals: `headers_too_large` for more than the
 * limits, else `malformed_request`. The details name fields, never their values.
 */
export function readHeaders(rawHeaders: readonly string[], limits: HeaderLimits = HEADER_LIMITS): Result<HeaderLookup, Denial> {
  if (rawHeaders.length % 2 !== 0) return refuse('a header has no value');
  if (rawHeaders.length / 2 > limits.countMax) return tooLarge(`more than ${limits.countMax} headers`);
  const headers = new Map<string, string>();
  let totalBytes = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const [rawName, value] = [rawHeaders[i] as string, rawHeaders[i + 1] as string];
    totalBytes += rawName.length + value.length + 4;
    if (rawName.length > limits.nameBytesMax) return tooLarge(`a header name has more than ${limits.nameBytesMax} bytes`);
    if (!NAME.test(rawName)) return refuse('a header name is not a token');
    const name = rawName.toLowerCase();
    if (value.length > limits.valueBytesMax) return tooLarge(`\`${name}\` has more than ${limits.valueBytesMax} bytes`);
    if (totalBytes > limits.totalBytesMax) return tooLarge(`the headers have more than ${limits.totalBytesMax} bytes`);
    if (!VALUE.test(value)) return refuse(`\`${name}\` holds a character that is not printable ASCII`);
    const before = headers.get(name);
    if (before === undefined) headers.set(name, value);
    else if (isSingle(name)) return refuse(`\`${name}\` stands twice`);
    else headers.set(name, `${before}${name === 'cookie' ? ';' : ','} ${value}`);
  }
  const problem = framingProblem(headers) ?? connectionProblem(headers);
  return problem === undefined ? ok(headers) : refuse(problem);
}

/** RFC 9110 section 5.6.2. */
const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** Visible ASCII, space and tab: what is beyond has no agreed decoding. White space at the ends is the parser's to strip. */
const VALUE = /^(?:[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?)?$/;

/** Fields with one value. Of two, one reader would take the first and another the last. */
const SINGLES: ReadonlySet<string> = new Set([
  'authorization',
  'content-digest',
  'content-encoding',
  'content-length',
  'content-location',
  'content-range',
  'content-type',
  'date',
  'dpop',
  'expect',
  'from',
  'host',
  'idempotency-key',
  'if-modified-since',
  'if-range',
  'if-unmodified-since',
  'last-event-id',
  'max-forwards',
  'origin',
  'proxy-authorization',
  'range',
  'referer',
  'repr-digest',
  'signature',
  'signature-input',
  'traceparent',
  'transfer-encoding',
  'upgrade',
  'user-agent',
]);
/** Families of which every member, also one that is not known yet, has one value. */
const SINGLE_PREFIXES: readonly string[] = ['sallyport-', 'mcp-', 'a2a-', 'sec-', 'access-control-'];

function isSingle(name: string): boolean {
  return SINGLES.has(name) || SINGLE_PREFIXES.some((prefix) => name.startsWith(prefix));
}

/** Request smuggling begins with two readers that disagree on where the body ends (RFC 9112 section 6.3). */
function framingProblem(headers: ReadonlyMap<string, string>): string | undefined {
  const [length, encoding] = [headers.get('content-length'), headers.get('transfer-encoding')];
  if (length !== undefined && encoding !== undefined) return '`content-length` stands beside `transfer-encoding`';
  // Digits alone: no sign, no list of equal lengths, nothing beyond what a double counts exactly.
  if (length !== undefined && !/^(?:0|[1-9][0-9]{0,14})$/.test(length)) return '`content-length` is not a length';
  if (encoding !== undefined && encoding.toLowerCase() !== 'chunked') return '`transfer-encoding` is not `chunked`';
  return undefined;
}

/** A field named in `connection` is dropped by the next proxy: so a caller could make it lose a credential or a bound. */
function connectionProblem(headers: ReadonlyMap<string, string>): string | undefined {
  const names = (headers.get('connection') ?? '').toLowerCase().split(',');
  const named = names.map((name) => name.trim()).find((name) => isSingle(name) && name !== 'upgrade');
  return named === undefined ? undefined : `\`connection\` names \`${named}\``;
}

function refuse(detail: string): Result<never, Denial> {
  return fail(deny('malformed_request', detail));
}

function tooLarge(detail: string): Result<never, Denial> {
  return fail(deny('headers_too_large', detail));
}
