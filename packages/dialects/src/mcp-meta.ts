/**
 * `_meta` of an agent's request: what is ours, what must go on to the tool's server, and what stays here. Nothing of it
 * is ever a fact of a decision. Bounded, and passed on only where its value is the same for every reader.
 */

import { type Denial, type Json, type JsonObject, type Result, deny, fail, ok } from '@sallyport/model';
import type { Judged } from '@sallyport/strict';
import { membersOf } from './ask.ts';

/** Where MCP carries the session token. */
export const SESSION_META_KEY = 'dev.sallyport/session';

/** What a tool call carries beside its arguments. */
export interface CallMeta {
  /** The agent's own token for progress; the upstream is given one of ours in its place. */
  readonly progressToken: string | number | undefined;
  /** Members for the tool's server, as they came, without ours and without those of the hop to us. */
  readonly forwarded: JsonObject;
}

/** What 2026-07-28 carries with each message: of the hop to us, and written anew on the next one. */
export const VERSION_META_KEY = 'io.modelcontextprotocol/protocolVersion';
export const CAPABILITIES_META_KEY = 'io.modelcontextprotocol/clientCapabilities';
export const CLIENT_META_KEY = 'io.modelcontextprotocol/clientInfo';

const OWN_PREFIX = 'dev.sallyport/';
const HOP_PREFIX = 'io.modelcontextprotocol/';
const PROGRESS_TOKEN = 'progressToken';
const READ_HERE = [PROGRESS_TOKEN, SESSION_META_KEY, VERSION_META_KEY, CAPABILITIES_META_KEY];
const TOKEN_CHARS_MAX = 256;
const SESSION_CHARS_MAX = 8192;
const FORWARDED_CHARS_MAX = 16_384;

/** Reads `params._meta`; absent, it is empty. */
export function readMeta(params: Judged | undefined): Result<CallMeta & { readonly session: string | undefined }, Denial> {
  const meta = params?.at('_meta');
  if (meta === undefined) return ok({ progressToken: undefined, forwarded: {}, session: undefined });
  const members = membersOf(meta) as JsonObject | undefined;
  if (members === undefined) return malformed('is not an object');
  // A reader that folds case would find another token than we do.
  const variant = Object.keys(members).find((key) => READ_HERE.some((name) => isCaseVariant(key, name)));
  if (variant !== undefined) return malformed(`has \`${variant.slice(0, 64)}\` in another case`);
  const session = own(members, SESSION_META_KEY);
  if (session !== undefined && (typeof session !== 'string' || session.length > SESSION_CHARS_MAX))
    return malformed(`has a \`${SESSION_META_KEY}\` that is no token`);
  const progressToken = own(members, PROGRESS_TOKEN);
  if (progressToken !== undefined && !isProgressToken(progressToken)) return malformed('has a `progressToken` that is no token');
  const rest = Object.entries(members).filter(([key]) => key !== PROGRESS_TOKEN && !isOwnKey(key) && !fold(key).startsWith(HOP_PREFIX));
  const forwarded = Object.fromEntries(rest);
  if (!rest.every(([key, value]) => isExact(meta, members, key, value))) return malformed('holds a number that no double is');
  if (JSON.stringify(forwarded).length > FORWARDED_CHARS_MAX) return malformed(`is longer than ${FORWARDED_CHARS_MAX} characters`);
  return ok({ progressToken, forwarded, session });
}

/** Whether a member of `_meta` is of the gateway's own, in whatever case it is spelled. */
export function isOwnKey(key: string): boolean {
  return fold(key).startsWith(OWN_PREFIX);
}

/** Whether a value can be written again from the tree without changing what it says. */
function isExact(meta: Judged, holder: object, key: string | number, value: Json): boolean {
  if (typeof value === 'number') return meta.numberText(holder, key) === undefined;
  if (typeof value !== 'object' || value === null) return true;
  if (Array.isArray(value)) return value.every((item: Json, i) => isExact(meta, value, i, item));
  return Object.entries(value).every(([name, item]) => isExact(meta, value, name, item));
}

function isProgressToken(value: Json): value is string | number {
  return typeof value === 'string' ? value.length <= TOKEN_CHARS_MAX : Number.isSafeInteger(value);
}

function own(members: JsonObject, name: string): Json | undefined {
  return Object.hasOwn(members, name) ? members[name] : undefined;
}

function isCaseVariant(key: string, name: string): boolean {
  return key !== name && fold(key) === fold(name);
}

/** Upper case first, so that the long s and the Kelvin sign fold as they do in other languages' readers. */
function fold(text: string): string {
  return text.toUpperCase().toLowerCase();
}

function malformed(detail: string): { readonly ok: false; readonly error: Denial } {
  return fail(deny('malformed_request', `mcp: \`_meta\` ${detail}`));
}
