/**
 * While nobody can tell who calls (keys that cannot be fetched, a secret that is away), a caller may be served as nobody, where
 * the agent's own document names `anonymous` among its callers. What nobody may do, rules say that name it: reading alone, and
 * nothing of money, pii or export (policy-v1, 4.3). Who reads this while planning to take an identity provider down: that is
 * all there is to win.
 */

import type { VerifiedOperator } from '@sallyport/credentials';
import { digestOf, utf8 } from '@sallyport/crypto';
import {
  addMs,
  deny,
  type Agent,
  type Denial,
  type Digest,
  type Instant,
  type Principal,
  type PrincipalId,
  type Result,
  type TenantId,
} from '@sallyport/model';
import { judgeCaller } from '@sallyport/policy';
import type { Place } from './gate.ts';

/** An answer to nobody that takes longer is cut. */
const ANSWER_MS_MAX = 300_000;
const DIGEST = digestOf(utf8('anonymous')) as Digest;

/**
 * What a verifier said, or nobody in its place: where it could not judge at all, the agent takes such calls, and the request
 * goes on in no session. A credential that was judged and refused stays refused, and one that is missing is none.
 */
export function orAnonymous(
  verified: Result<VerifiedOperator, Denial>,
  { agent, namesSession, now }: { readonly agent: Agent | undefined; readonly namesSession: boolean; readonly now: Instant },
): Result<VerifiedOperator, Denial> {
  if (verified.ok || verified.error.code !== 'identity_unavailable' || namesSession || agent === undefined) return verified;
  const principal = nobodyAt(now);
  return judgeCaller(agent, principal).verdict === 'granted' ? { ok: true, value: nobodyAs(principal) } : verified;
}

/**
 * Of a request whose head nobody could judge. It stays nobody's: its proof has been spent by nobody, so that judging it now as one
 * that was taken already would take it unproven.
 */
export const UNJUDGED: Result<never, Denial> = {
  ok: false,
  error: deny('identity_unavailable', 'nobody could tell at the head of the request'),
};

/** Whether a request's head was nobody's. */
export function isNobodys(earlier: VerifiedOperator | undefined): boolean {
  return earlier?.principal.kind === 'anonymous';
}

function nobodyAt(now: Instant): Principal {
  return {
    id: 'anonymous' as PrincipalId,
    kind: 'anonymous',
    tenant: '-' as TenantId,
    issuer: '',
    roles: [],
    scopes: [],
    attributes: {},
    authenticatedAt: now,
  };
}

function nobodyAs(principal: Principal): VerifiedOperator {
  const { authenticatedAt: now } = principal;
  return {
    principal,
    case: null,
    purpose: {},
    tokenId: null,
    tokenDigest: DIGEST,
    times: { issuedAt: now, notBefore: now, expiresAt: addMs(now, ANSWER_MS_MAX) },
    origin: { rootKind: 'external', method: 'none', hops: [] },
  };
}

/** Why a call of nobody's is refused by what only rules say: that nobody could be told who it is. Its own code goes to the record. */
export function asDegraded(denial: Denial, gate: Place, principal: Principal | undefined): Denial {
  const isByRules = (gate === 'tool' || gate === 'authorization') && denial.code !== 'internal';
  if (principal?.kind !== 'anonymous' || !isByRules) return denial;
  const { ruleId } = denial;
  return deny('identity_unavailable', `${denial.code}: ${denial.detail}`, ruleId === undefined ? {} : { ruleId });
}
