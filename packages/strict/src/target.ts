/**
 * Request targets: one path, decoded once, that no two readers read differently. What is merely unusual is refused
 * as well: a route that was judged by one spelling must not be reached by another.
 */

import { fromUtf8 } from '@sallyport/crypto';
import { deny, fail, ok } from '@sallyport/model';
import type { Denial, Result } from '@sallyport/model';

export interface TargetOptions {
  /** Of the whole target; longer is `headers_too_large`. Default 8192. */
  readonly bytesMax?: number;
  /** Accept `http://host/path` where its authority equals Host (a forward proxy's form). Default false. */
  readonly allowAbsoluteForm?: boolean;
}

export interface CanonicalTarget {
  /** Decoded once; none is empty, `.` or `..`, none holds a slash, a backslash or a control character. `/` has none. */
  readonly segments: readonly string[];
  /** `/` and the segments, encoded anew in one spelling. */
  readonly path: string;
  /** As sent, without the question mark; `undefined` where there is none. Well-formed, not decoded. */
  readonly query: string | undefined;
  /** From the Host header, lower case. An IPv6 address keeps its brackets. */
  readonly host: string;
  readonly port: number | undefined;
}

const TARGET_BYTES_MAX = 8_192;

/**
 * Reads the target of a request line beside its Host header (RFC 9112 sections 3.2 and 3.3). Refusals: `headers_too_large`,
 * `direct_address_rejected` for an address where a name belongs, else `malformed_request`.
 */
export function canonicalTarget(
  requestTarget: string,
  hostHeader: string | undefined,
  options: TargetOptions = {},
): Result<CanonicalTarget, Denial> {
  const bytesMax = options.bytesMax ?? TARGET_BYTES_MAX;
  if (requestTarget.length > bytesMax) return fail(deny('headers_too_large', `the target has more than ${bytesMax} bytes`));
  const authority = readAuthority(hostHeader ?? '');
  if (authority === undefined) return refuse('`host` is missing or not a host');

  const origin = originFormOf(requestTarget, authority, options.allowAbsoluteForm ?? false);
  if (!origin.ok) return origin;
  const [rawPath = '', ...queries] = origin.value.split('?');
  const query = queries.length === 0 ? undefined : queries.join('?');
  if (!PATH.test(rawPath)) return refuse('the path holds a character or an escape that does not belong there');
  if (query !== undefined && !QUERY.test(query)) return refuse('the query holds a character or an escape that does not belong there');

  const segments: string[] = [];
  for (const raw of rawPath === '/' ? [] : rawPath.slice(1).split('/')) {
    const segment = decodeSegment(raw);
    if (segment === undefined) return refuse('a path segment is empty, climbs, or hides a separator');
    segments.push(segment);
  }
  return ok({ segments, path: `/${segments.map(encodeURIComponent).join('/')}`, query, ...authority });
}

/** RFC 3986 `pchar` and slashes; every percent sign begins an escape. */
const PATH = /^\/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*$/;
const QUERY = /^(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*$/;
const ABSOLUTE = /^https?:\/\/([^/?#]*)(.*)$/is;
/** What other readers would take for the structure of a path: separators, controls, and a second layer of escapes. */
const HIDDEN = /[/\\\p{Cc}]|%[0-9A-Fa-f]{2}/u;

interface Authority {
  readonly host: string;
  readonly port: number | undefined;
}

/** The path and query of an origin-form target, or of an absolute one where that is allowed and names the same host. */
function originFormOf(target: string, host: Authority, allowAbsoluteForm: boolean): Result<string, Denial> {
  if (target.startsWith('/')) return ok(target);
  const match = ABSOLUTE.exec(target);
  if (match === null) return refuse('the target is neither a path nor an absolute URI');
  const [, authorityText = '', rest = ''] = match;
  const authority = readAuthority(authorityText);
  // One of the two would be judged and the other one dialled.
  if (authority?.host !== host.host || authority.port !== host.port) return refuse('the target and `host` name two authorities');
  if (!allowAbsoluteForm) return fail(deny('direct_address_rejected', 'the target is an absolute URI'));
  return ok(rest.startsWith('/') ? rest : `/${rest}`);
}

/** RFC 9110 section 7.2: a name or address and perhaps a port; no user, no path, no list. */
function readAuthority(text: string): Authority | undefined {
  const match = /^([A-Za-z0-9](?:[A-Za-z0-9._-]{0,252})|\[[0-9A-Fa-f:.]{2,45}\])(?::([0-9]{1,5}))?$/.exec(text);
  if (match === null) return undefined;
  const [, host = '', port] = match;
  const number = port === undefined ? undefined : Number(port);
  return number !== undefined && (number < 1 || number > 65_535) ? undefined : { host: host.toLowerCase(), port: number };
}

/** A segment decoded once, `undefined` where what it decodes to is not a plain name. */
function decodeSegment(raw: string): string | undefined {
  const segment = raw.includes('%') ? percentDecode(raw) : raw;
  if (segment === undefined || segment === '' || HIDDEN.test(segment)) return undefined;
  // Some servers cut parameters off: to them `..;x` is `..`.
  const [name] = segment.split(';');
  return name === '' || name === '.' || name === '..' ? undefined : segment;
}

function percentDecode(raw: string): string | undefined {
  const bytes: number[] = [];
  for (let i = 0; i < raw.length; i++) {
    if (raw[i] === '%') {
      bytes.push(Number.parseInt(raw.slice(i + 1, i + 3), 16));
      i += 2;
    } else {
      bytes.push(raw.charCodeAt(i));
    }
  }
  return fromUtf8(Uint8Array.from(bytes));
}

function refuse(detail: string): Result<never, Denial> {
  return fail(deny('malformed_request', detail));
}
