/**
 * The tie of a session in a trace's state (W3C Trace Context level 2, section 3.3): one member of ours among whatever else the
 * agent's libraries carry along. A handle is a secret, and means nothing but to the sidecar that made it; a trace id is never
 * a tie, because clients choose it. docs/spec/sessions.md, section 4a.
 */

import { encodeBase64Url, encodeHex, sha256, utf8 } from '@sallyport/crypto';
import { invariant, type Branded, type DecisionId } from '@sallyport/model';

/** 128 random bits, base64url. */
export type TieHandle = Branded<string, 'TieHandle'>;

const KEY = 'sallyport';
const HANDLE = /^[A-Za-z0-9_-]{22}$/;
const HANDLE_BYTES = 16;

export function formatTieHandle(random: Uint8Array): TieHandle {
  invariant(random.byteLength === HANDLE_BYTES, 'a handle is 16 random bytes');
  return encodeBase64Url(random) as TieHandle;
}

/** The value of `tracestate` towards the agent. */
export function formatTraceTie(handle: TieHandle): string {
  return `${KEY}=${handle}`;
}

/** The one handle that a `tracestate` carries; `undefined` where it carries none, `ambiguous` where two or no handle at all. */
export function readTraceTie(tracestate: string | undefined): TieHandle | 'ambiguous' | undefined {
  if (tracestate === undefined) return undefined;
  const ours = tracestate
    .split(',')
    .map((member) => member.trim())
    .filter((member) => member.startsWith(`${KEY}=`));
  const [only] = ours;
  if (only === undefined) return undefined;
  const value = only.slice(KEY.length + 1);
  return ours.length === 1 && HANDLE.test(value) ? (value as TieHandle) : 'ambiguous';
}

const TRACEPARENT = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

/** W3C Trace Context, version 00: what is anything else is not passed on. */
export function isTraceparent(text: string): boolean {
  return TRACEPARENT.test(text);
}

/**
 * The trace of an invocation that is tied. A tie rides in the state of a trace, and libraries drop the state of one that is not
 * there: where the caller sent none that is valid, one begins with the decision, and is sampled.
 */
export function tiedTrace(traceparent: string | undefined, decisionId: DecisionId): string {
  if (traceparent !== undefined && isTraceparent(traceparent)) return traceparent;
  const digest = encodeHex(sha256(utf8(decisionId)));
  return `00-${digest.slice(0, 32)}-${digest.slice(32, 48)}-01`;
}
