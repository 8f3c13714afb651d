/**
 * Sessions by name: their ids, the claims of the token that stands for one, and the rule that ties a call to exactly
 * one. Holds no session; that is the sidecar's memory. docs/spec/sessions.md.
 */

import { encodeBase64Url } from '@sallyport/crypto';
import {
  type AgentName,
  type Branded,
  type Denial,
  type Instant,
  type JsonObject,
  type PrincipalId,
  type Problem,
  type Result,
  type SessionId,
  deny,
  fail,
  invariant,
  isAgentName,
  ok,
} from '@sallyport/model';
import { type Leg, type SpiffeId, audienceOf } from './spiffe.ts';
import { readTokenTimes } from './token-times.ts';

/** Names one start of one sidecar, 8 to 32 lower-case hex digits: a session of an earlier start is over, not unknown. */
export type SessionEpoch = Branded<string, 'SessionEpoch'>;

/** The `typ` of the agent's token; refused wherever another kind of token is expected (RFC 8725, section 3.11). */
export const SESSION_TOKEN_TYP = 'sallyport-session+jwt';

/** The `typ` of the client's token for the same session, on the inbound leg. */
export const CLIENT_SESSION_TOKEN_TYP = 'sallyport-client-session+jwt';

/** The token's life; the session lives longer, and the token is renewed. */
export const SESSION_TOKEN_MS: number = 15 * 60_000;

/** What a `sallyport-session+jwt` or a `sallyport-client-session+jwt` says; which leg it is good on, its type and audience do. */
export interface SessionClaims {
  /** The sidecar that minted it. */
  readonly issuer: SpiffeId;
  readonly operator: PrincipalId;
  readonly agent: AgentName;
  readonly sessionId: SessionId;
  readonly epoch: SessionEpoch;
  readonly tokenId: string;
  readonly issuedAt: Instant;
  readonly expiresAt: Instant;
}

/** Where a call may name its session; the raw tokens, unverified. */
export interface SessionTies {
  /** The header `Sallyport-Session`. */
  readonly header?: string | undefined;
  /** MCP: `params._meta["dev.sallyport/session"]`. */
  readonly meta?: string | undefined;
}

const EPOCH = /^[0-9a-f]{8,32}$/;
/** 128 bits: an id cannot be guessed. */
const SESSION_RANDOM_BYTES = 16;
const SESSION_ID = /^([0-9a-f]{8,32})\.([A-Za-z0-9_-]{22})$/;
const CLAIM_NAMES = ['agent', 'aud', 'epoch', 'exp', 'iat', 'iss', 'jti', 'sid', 'sub'];

export function isSessionEpoch(text: string): text is SessionEpoch {
  return EPOCH.test(text);
}

/** `<epoch>.<16 random bytes, base64url>`. */
export function formatSessionId(epoch: SessionEpoch, random: Uint8Array): SessionId {
  invariant(random.byteLength === SESSION_RANDOM_BYTES, 'a session id is 16 random bytes');
  return `${epoch}.${encodeBase64Url(random)}` as SessionId;
}

/** The start that a session id belongs to, or `undefined` for a text that is no session id. */
export function epochOf(sessionId: string): SessionEpoch | undefined {
  return SESSION_ID.exec(sessionId)?.[1] as SessionEpoch | undefined;
}

/** Reads the claims of a token whose signature and `typ` are proven: exactly these members, nothing else. Times are read, not judged. */
export function readSessionClaims(claims: JsonObject, sidecar: SpiffeId, leg: Leg): Result<SessionClaims, readonly Problem[]> {
  const problems: Problem[] = [];
  for (const name of Object.keys(claims))
    if (!CLAIM_NAMES.includes(name)) problems.push({ path: name, message: 'is not a claim of a session token' });
  const text = (name: string): string => {
    const value = Object.hasOwn(claims, name) ? claims[name] : undefined;
    if (typeof value === 'string' && value !== '') return value;
    problems.push({ path: name, message: 'is not a text' });
    return '';
  };
  if (text('iss') !== sidecar) problems.push({ path: 'iss', message: 'is another sidecar' });
  if (text('aud') !== audienceOf(sidecar, leg)) problems.push({ path: 'aud', message: 'is not this leg of this sidecar' });
  const [operator, agent, sessionId, epoch, tokenId] = [text('sub'), text('agent'), text('sid'), text('epoch'), text('jti')];
  if (!isAgentName(agent)) problems.push({ path: 'agent', message: 'is not an agent name' });
  if (epochOf(sessionId) === undefined || epochOf(sessionId) !== epoch)
    problems.push({ path: 'sid', message: 'is not a session of `epoch`' });
  const times = readTokenTimes(claims);
  if (!times.ok) return fail([...problems, ...times.error]);
  if (problems.length > 0 || !isAgentName(agent) || !isSessionEpoch(epoch)) return fail(problems);
  const { issuedAt, expiresAt } = times.value;
  return ok({
    issuer: sidecar,
    operator: operator as PrincipalId,
    agent,
    sessionId: sessionId as SessionId,
    epoch,
    tokenId,
    issuedAt,
    expiresAt,
  });
}

/**
 * The one token that ties a call to its session. Header and `_meta` may both name it, but never differently: an
 * intermediary that can add one of them must not be able to move the call into another session.
 */
export function tieSession(ties: SessionTies): Result<string, Denial> {
  const { header, meta } = ties;
  if (header !== undefined && meta !== undefined && header !== meta)
    return fail(deny('session_binding_mismatch', '`Sallyport-Session` and `_meta` name different sessions'));
  const token = header ?? meta;
  if (token === undefined || token === '')
    return fail(deny('session_unknown', 'neither `Sallyport-Session` nor `_meta["dev.sallyport/session"]` is present'));
  return ok(token);
}
