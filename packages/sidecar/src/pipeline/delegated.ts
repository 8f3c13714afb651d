/**
 * Calls that another agent hands on, as the session sees them: whose they are here, and whether the agent still takes them.
 * What they may then do is for rules, each of which asks anew. Spec: policy-v1 section 17.
 */

import type { VerifiedOperator } from '@sallyport/credentials';
import { digestOf, utf8 } from '@sallyport/crypto';
import { addMs, deny, type Agent, type Denial, type Digest, type Instant, type PrincipalId, type TenantId } from '@sallyport/model';
import { judgeDelegated, type DelegationVerdict } from '@sallyport/policy';
import type { EnteredDelegation, OpenSession, Ports, Snapshot } from './ports.ts';

/** Whoever is proven on the inbound leg; with `delegation`, by another agent's sidecar. */
export interface ProvenOperator extends VerifiedOperator {
  readonly delegation?: EnteredDelegation;
}

/** The root of a list as principal of this side, and how its session begins. Without a relation it has no role and no scope. */
export function operatorOf(entered: EnteredDelegation, agent: Agent | undefined, now: Instant): ProvenOperator {
  const { verified, call } = entered;
  const { root, scopes, steps, transaction } = verified.delegation;
  const judged = agent === undefined ? undefined : judgeDelegated(agent, call);
  const taken = judged?.verdict === 'taken' ? judged : undefined;
  const isOurs = call.root.tenant !== undefined;
  return {
    principal: {
      id: call.root.id as PrincipalId,
      kind: root.kind === 'human' ? 'person' : 'service',
      tenant: (taken?.tenant ?? call.root.tenant ?? root.trustDomain) as TenantId,
      issuer: `spiffe://${root.trustDomain}`,
      roles: taken?.relation.roles ?? [],
      scopes: scopes.filter((scope) => taken?.relation.scopes.includes(scope) === true),
      attributes: {},
      // What another domain says of a sign-in meets no demand, and outlives no revocation.
      authenticatedAt: isOurs ? root.authenticatedAt : (0 as Instant),
    },
    case: null,
    purpose: {},
    tokenId: transaction,
    tokenDigest: digestOf(utf8(verified.tokens.join(','))) as Digest,
    // The list was judged as it entered. What it opened ends with its session.
    times: { issuedAt: now, notBefore: now, expiresAt: addMs(now, agent?.sessions.maxMs ?? 0) },
    origin: {
      rootKind: root.kind,
      method: 'delegation',
      hops: steps.map(({ agent: name, sidecar, authority }) => ({ agent: name, sidecar, authority })),
    },
    delegation: entered,
  };
}

/** Whether the agent takes the call, by this release. */
export function takenBy(agent: Agent | undefined, { call }: EnteredDelegation): DelegationVerdict {
  return agent === undefined ? { verdict: 'refused', detail: 'the agent is not in the bundle' } : judgeDelegated(agent, call);
}

/** As `unlessTaken`, of an open session: what a relation gives is given once, and another one is for a session of its own. */
export function unlessTakenStill(
  open: OpenSession,
  entered: EnteredDelegation,
  { snapshot, ports }: { readonly snapshot: Snapshot; readonly ports: Pick<Ports, 'agent' | 'clock'> },
): Denial | undefined {
  const against = unlessTaken(entered, snapshot, ports);
  if (against !== undefined) return against;
  const now = operatorOf(entered, snapshot.agents.get(ports.agent), ports.clock.wall()).principal;
  const { tenant, roles, scopes } = open.principal;
  const isSame = tenant === now.tenant && isSameList(roles, now.roles) && isSameList(scopes, now.scopes);
  return isSame ? undefined : deny('delegation_not_allowed', 'delegation: the relation gives other rights than when it was taken');
}

function isSameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((one) => b.includes(one));
}

/** Why a session that another agent's call opened goes on no longer; `undefined` where it does. */
export function unlessTaken(
  entered: EnteredDelegation,
  { agents, policy, revocations }: Snapshot,
  { agent, clock }: Pick<Ports, 'agent' | 'clock'>,
): Denial | undefined {
  const verdict = takenBy(agents.get(agent), entered);
  if (verdict.verdict === 'refused') return deny('delegation_not_allowed', `delegation: ${verdict.detail}`);
  const pinned = new Set(policy.parts.trustDomains?.map(({ name }) => name));
  for (const { agent: name, trustDomain, isThirdParty } of entered.verified.delegation.steps) {
    if (isThirdParty && !pinned.has(trustDomain)) return deny('unauthenticated', `delegation: ${trustDomain} is pinned no longer`);
    if (!isThirdParty && revocations.denies({ agent: name }, clock.wall()))
      return deny('token_revoked', `delegation: agent ${name} is revoked`);
  }
  return undefined;
}
