/**
 * One hop of a delegation: what the sidecar says that let an agent's call out to another agent. Its claims alone, read
 * strictly; signatures are proven elsewhere. docs/spec/delegation.md, section 1.
 */

import { type AgentName, type Instant, type JsonObject, type Problem, type Result, fail, isAgentName, ok } from '@sallyport/model';
import { type SpiffeId, isSpiffeId, parseSpiffeId } from './spiffe.ts';
import { readTokenTimes } from './token-times.ts';

/** The `typ` of a hop; refused wherever another kind of token is expected (RFC 8725, section 3.11). */
export const HOP_TYP = 'sallyport-hop+jwt';

/** Whose authority a delegation began with. */
export type DelegationRootKind = 'human' | 'system' | 'external';

/** What became of the caller's authority: handed on, or kept and only used. Nothing else is sayable; `expanded` is a denial. */
export type HopAuthority = 'transferred' | 'retained' | 'expanded';

/** With whom a delegation began, as the sidecar said where it did: every later hop repeats it. */
export interface HopRoot {
  readonly kind: DelegationRootKind;
  readonly subject: string;
  readonly tenant: string;
  /** When they last proved who they are; whole seconds. */
  readonly authenticatedAt: Instant;
}

/** What a hop says. */
export interface Hop {
  /** The sidecar that let the call out, and of whom. */
  readonly issuer: SpiffeId;
  readonly trustDomain: string;
  /** The agent that calls: that of `issuer`. */
  readonly agent: AgentName;
  /** The sidecar of the agent that is called. */
  readonly audience: SpiffeId;
  /** SHA-256 of the hop before, base64url; `null` for the first. */
  readonly previous: string | null;
  readonly transaction: string;
  readonly root: HopRoot;
  readonly scopes: readonly string[];
  readonly authority: HopAuthority;
  readonly issuedAt: Instant;
  readonly expiresAt: Instant;
}

const CLAIM_NAMES = ['aud', 'authority', 'exp', 'iat', 'iss', 'prev', 'root', 'scope', 'sub', 'txn'];
const DIGEST = /^[A-Za-z0-9_-]{43}$/;
const TRANSACTION = /^[A-Za-z0-9._-]{8,128}$/;
/** RFC 6749, section 3.3: a scope token. */
const SCOPE = /^[\x21\x23-\x5b\x5d-\x7e]{1,128}$/;
const SCOPES_MAX = 64;
/** As subjects of tokens: printable, so that a record's line stays one. */
const SUBJECT = /^[^\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]{1,256}$/u;
/** 9999-12-31T23:59:59Z, the last instant that a record can print. */
const SECONDS_MAX = 253_402_300_799;
const ROOT_KINDS: readonly unknown[] = ['human', 'system', 'external'];
const AUTHORITIES: readonly unknown[] = ['transferred', 'retained', 'expanded'];

/** Reads the claims of a hop whose signature and `typ` are proven: exactly these members. Times are read, not judged. */
export function readHop(claims: JsonObject): Result<Hop, readonly Problem[]> {
  const problems: Problem[] = [];
  const wrong = (path: string, message: string): void => void problems.push({ path, message });
  for (const name of Object.keys(claims)) if (!CLAIM_NAMES.includes(name)) wrong(name, 'is not a claim of a hop');
  const { iss, sub, aud, prev, txn, root, scope, authority } = claims;
  const issuer = sidecarOf(iss);
  if (issuer === undefined) wrong('iss', 'is no sidecar');
  else if (sub !== issuer.agent) wrong('sub', 'is not the agent of `iss`');
  if (sidecarOf(aud) === undefined) wrong('aud', 'is no sidecar');
  if (prev !== null && !matches(prev, DIGEST)) wrong('prev', 'is neither a digest nor null');
  if (!matches(txn, TRANSACTION)) wrong('txn', 'is no transaction id');
  if (!isRoot(root)) wrong('root', 'is no root');
  if (!isScopeList(scope)) wrong('scope', `is not a sorted list of at most ${SCOPES_MAX} scopes`);
  if (!AUTHORITIES.includes(authority)) wrong('authority', 'is none of the three');
  const times = readTokenTimes(claims);
  if (!times.ok) return fail([...problems, ...times.error]);
  if (problems.length > 0 || issuer === undefined) return fail(problems);
  const { issuedAt, expiresAt } = times.value;
  return ok({
    issuer: iss as SpiffeId,
    trustDomain: issuer.trustDomain,
    agent: issuer.agent,
    audience: aud as SpiffeId,
    previous: prev as string | null,
    transaction: txn as string,
    root: rootOf(root as JsonObject),
    scopes: scope as readonly string[],
    authority: authority as HopAuthority,
    issuedAt,
    expiresAt,
  });
}

/** The claims of a hop, in the members that `readHop` reads; times in whole seconds. */
export function hopClaims(hop: Hop): JsonObject {
  return {
    iss: hop.issuer,
    sub: hop.agent,
    aud: hop.audience,
    prev: hop.previous,
    txn: hop.transaction,
    root: { kind: hop.root.kind, sub: hop.root.subject, tenant: hop.root.tenant, auth_time: Math.floor(hop.root.authenticatedAt / 1000) },
    scope: [...hop.scopes],
    authority: hop.authority,
    iat: Math.floor(hop.issuedAt / 1000),
    exp: Math.floor(hop.expiresAt / 1000),
  };
}

/** Whose sidecar an id names; `undefined` for every other workload and for what is no id in its only spelling. */
export function sidecarOf(id: unknown): { readonly trustDomain: string; readonly agent: AgentName } | undefined {
  if (typeof id !== 'string' || !isSpiffeId(id)) return undefined;
  const parsed = parseSpiffeId(id);
  if (!parsed.ok || parsed.value.purpose.kind !== 'sidecar') return undefined;
  const { trustDomain, purpose } = parsed.value;
  return isAgentName(purpose.agent) ? { trustDomain, agent: purpose.agent } : undefined;
}

function matches(value: unknown, form: RegExp): boolean {
  return typeof value === 'string' && form.test(value);
}

function isRoot(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const { kind, sub, tenant, auth_time: at, ...rest } = value as JsonObject;
  const isTime = typeof at === 'number' && Number.isSafeInteger(at) && at >= 0 && at <= SECONDS_MAX;
  return Object.keys(rest).length === 0 && ROOT_KINDS.includes(kind) && matches(sub, SUBJECT) && matches(tenant, SUBJECT) && isTime;
}

function rootOf({ kind, sub, tenant, auth_time: at }: JsonObject): HopRoot {
  return {
    kind: kind as DelegationRootKind,
    subject: sub as string,
    tenant: tenant as string,
    authenticatedAt: ((at as number) * 1000) as Instant,
  };
}

/** In order and without repetition: one spelling of one set. */
function isScopeList(value: unknown): boolean {
  if (!Array.isArray(value) || value.length > SCOPES_MAX || !value.every((scope) => matches(scope, SCOPE))) return false;
  return (value as readonly string[]).every((scope, index, all) => index === 0 || (all[index - 1] as string) < scope);
}
