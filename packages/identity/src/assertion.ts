/**
 * What a sidecar says to a tool about one call: the claims of a `sallyport-assertion+jwt`, written and read. Signs and
 * verifies nothing and reads no clock. docs/spec/assertions-v1.md, sections 2 and 3.
 */

import {
  type AgentName,
  type Digest,
  type Instant,
  type Json,
  type JsonObject,
  type PrincipalId,
  type Problem,
  type Result,
  type RootKind,
  type ServerName,
  type SessionId,
  type TenantId,
  type ToolName,
  fail,
  ok,
} from '@sallyport/model';
import { type ActorHop, actorClaim, readActor } from './actor.ts';
import { type SpiffeId, parseSpiffeId } from './spiffe.ts';
import { readTokenTimes } from './token-times.ts';

/** The `typ` of an assertion; refused wherever another kind of token is expected (RFC 8725, section 3.11). */
export const ASSERTION_TYP = 'sallyport-assertion+jwt';

/** Longest `exp - iat`. */
export const ASSERTION_MS = 60_000;

/** Of the whole token: it travels in one header field, and common servers take 16 KB of head. */
export const ASSERTION_BYTES_MAX = 8_192;

/** What is asserted: who acts for whom, and with which one tool of which one audience. */
export interface Asserted {
  /** The sidecar that signs. */
  readonly issuer: SpiffeId;
  readonly operator: PrincipalId;
  readonly agent: AgentName;
  /** Who handed the call on to it, first to last; empty where nobody did. */
  readonly chain: readonly ActorHop[];
  readonly audience: string;
  readonly tool: ToolName;
  readonly sessionId: SessionId;
  readonly tenant: TenantId;
  /** The operator's, as far as they reach here. */
  readonly scopes: readonly string[];
  /** Ties together what belongs to one piece of work: the session's id, or the decision's of a call asserted by itself. */
  readonly transaction: string;
  readonly rootKind: RootKind;
  /** What the operator's credential said the session is for. */
  readonly purpose?: string;
  /** Of the arguments of this one call (arguments-v1, section 5), where the tool asks for it. */
  readonly argumentsDigest?: Digest;
}

/** An assertion as it was read. */
export interface AssertionClaims extends Asserted {
  readonly tokenId: string;
  readonly issuedAt: Instant;
  readonly expiresAt: Instant;
}

/** The audience of a tool server whose declaration names none. */
export function defaultAudience(trustDomain: string, server: ServerName): string {
  return `sallyport:${trustDomain}:server:${server}`;
}

/** The audience of the assertion that an agent gets with a request of its caller's. */
export function agentAudience(trustDomain: string, agent: AgentName): string {
  return `sallyport:${trustDomain}:agent:${agent}`;
}

/** The claims for an assertion from `now`, in whole seconds, for as long as one may live. */
export function assertionClaims(asserted: Asserted, { tokenId, now }: { tokenId: string; now: Instant }): JsonObject {
  const iat = Math.floor(now / 1_000);
  const { purpose, argumentsDigest } = asserted;
  return {
    iss: asserted.issuer,
    sub: asserted.operator,
    act: actorClaim(asserted.agent, asserted.chain),
    aud: asserted.audience,
    tool: asserted.tool,
    session_id: asserted.sessionId,
    tenant_id: asserted.tenant,
    scopes: asserted.scopes,
    txn: asserted.transaction,
    root_kind: asserted.rootKind,
    ...(purpose === undefined ? {} : { purpose }),
    ...(argumentsDigest === undefined ? {} : { args_sha256: argumentsDigest }),
    jti: tokenId,
    iat,
    exp: iat + ASSERTION_MS / 1_000,
  };
}

const TEXT_CHARS_MAX = 2_048;
const SCOPES_MAX = 256;
const DIGEST = /^sha256:[0-9a-f]{64}$/;
const ROOT_KINDS: readonly string[] = ['human', 'schedule', 'event', 'system', 'external'] satisfies readonly RootKind[];

/**
 * Reads the claims of a token whose signature and `typ` are proven; reports every problem by claim. Times are read, not
 * judged. Claims that it does not know are passed over (RFC 7519, section 4): one that narrows comes with another `typ`.
 */
export function readAssertionClaims(claims: JsonObject): Result<AssertionClaims, readonly Problem[]> {
  const problems: Problem[] = [];
  const own = (name: string): Json | undefined => (Object.hasOwn(claims, name) ? claims[name] : undefined);
  const text = (name: string, fits: (value: string) => boolean = () => true): string => {
    const value = own(name);
    if (typeof value === 'string' && value !== '' && value.length <= TEXT_CHARS_MAX && fits(value)) return value;
    problems.push({ path: name, message: value === undefined ? 'is missing' : 'is not the text that belongs there' });
    return '';
  };
  const purpose = own('purpose') === undefined ? undefined : text('purpose');
  const digest = own('args_sha256') === undefined ? undefined : text('args_sha256', (value) => DIGEST.test(value));
  const asserted: Asserted = {
    issuer: text('iss', isSidecar) as SpiffeId,
    operator: text('sub') as PrincipalId,
    ...readActor(own('act'), problems),
    // One text: of a list, each of several services could present the assertion to the others.
    audience: text('aud'),
    tool: text('tool') as ToolName,
    sessionId: text('session_id') as SessionId,
    tenant: text('tenant_id') as TenantId,
    scopes: readScopes(own('scopes'), problems),
    transaction: text('txn'),
    rootKind: text('root_kind', (value) => ROOT_KINDS.includes(value)) as RootKind,
    ...(purpose === undefined ? {} : { purpose }),
    ...(digest === undefined ? {} : { argumentsDigest: digest as Digest }),
  };
  const tokenId = text('jti');
  const times = readTokenTimes(claims);
  if (!times.ok) return fail([...problems, ...times.error]);
  if (problems.length > 0) return fail(problems);
  const { issuedAt, expiresAt } = times.value;
  return ok({ ...asserted, tokenId, issuedAt, expiresAt });
}

function isSidecar(id: string): boolean {
  const workload = parseSpiffeId(id);
  return workload.ok && workload.value.purpose.kind === 'sidecar';
}

function readScopes(value: Json | undefined, problems: Problem[]): readonly string[] {
  const isList = Array.isArray(value) && value.length <= SCOPES_MAX;
  if (isList && value.every((scope: Json) => typeof scope === 'string' && scope.length <= TEXT_CHARS_MAX))
    return value as readonly string[];
  problems.push({ path: 'scopes', message: value === undefined ? 'is missing' : 'is not a list of texts' });
  return [];
}
