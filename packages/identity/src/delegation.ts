/**
 * Delegation: the list of hops from a root to the agent that calls now, judged as a whole. Pure: whoever asks has proven each
 * hop's signature and hands over its digest. docs/spec/delegation.md, sections 2 and 3.
 */

import { type AgentName, type Denial, type Instant, type Result, deny, fail, invariant, ok } from '@sallyport/model';
import { type Hop, type HopRoot, sidecarOf } from './hop.ts';
import type { SpiffeId } from './spiffe.ts';

/** A hop whose signature, key and certificate are proven. */
export interface ProvenHop {
  readonly hop: Hop;
  /** SHA-256 of its compact form, base64url. */
  readonly digest: string;
}

/** What a list is judged by. */
export interface DelegationRules {
  /** The sidecar that judges. */
  readonly self: SpiffeId;
  /** The sidecar at the other end of this connection, as its certificate says: a list is no bearer credential. */
  readonly from: SpiffeId;
  readonly now: Instant;
  /** Hops that policy accepts. */
  readonly depthMax: number;
  /** By trust domain, what a foreign one may be used for at most. Our own is not among them. */
  readonly foreign: ReadonlyMap<string, { readonly scopes: readonly string[] }>;
}

/** One step of a verified list, as records and assertions show it. */
export interface DelegationStep {
  readonly agent: AgentName;
  readonly trustDomain: string;
  readonly authority: 'transferred' | 'retained';
  /** The sidecar that let its call out. */
  readonly sidecar: SpiffeId;
  /** Vouched for by a trust domain that is not ours. */
  readonly isThirdParty: boolean;
}

/** A verified list. Decisions use this; `act` is only rendered from it. */
export interface Delegation {
  readonly root: HopRoot & { readonly trustDomain: string };
  readonly transaction: string;
  /** From the root on; never empty. */
  readonly steps: readonly DelegationStep[];
  /** What is left of the scopes after every hop and every foreign domain. */
  readonly scopes: readonly string[];
  readonly isThirdParty: boolean;
  /** The end of the last hop: until then the list may enter. */
  readonly expiresAt: Instant;
}

/** The longest list that is read at all, whatever policy says. */
export const HOPS_MAX = 8;
/** A hop is made for one call; it is judged on entry. */
export const HOP_LIFETIME_MS_MAX = 60_000;
/** The longest session, and so the oldest first hop. */
const AGE_MS_MAX = 7 * 86_400_000;
const CLOCK_SKEW_MS_MAX = 30_000;

/**
 * Judges a list, the root's hop first. One that is broken is `unauthenticated`, one that is over `token_expired` or
 * `token_lifetime_exceeded`; an intact one that says more than it may is `delegation_not_allowed`.
 */
export function judgeDelegation(hops: readonly ProvenHop[], rules: DelegationRules): Result<Delegation, Denial> {
  const [first, last] = [hops[0]?.hop, hops.at(-1)?.hop];
  if (first === undefined || last === undefined) return fail(deny('unauthenticated', 'delegation: the list is empty'));
  const denial = linkProblem(hops) ?? entryProblem(last, rules) ?? timeProblem(first, last, rules.now) ?? growthProblem(hops, rules);
  if (denial !== undefined) return fail(denial);
  const steps = hops.map(({ hop: { issuer, agent, trustDomain, authority } }) => ({
    agent,
    trustDomain,
    // What expands has been refused.
    authority: authority as DelegationStep['authority'],
    sidecar: issuer,
    isThirdParty: rules.foreign.has(trustDomain),
  }));
  return ok({
    // Whom a foreign domain calls a person of ours is nobody here.
    root: { ...first.root, trustDomain: first.trustDomain, kind: steps[0]?.isThirdParty === true ? 'external' : first.root.kind },
    transaction: first.transaction,
    steps,
    scopes: last.scopes.filter((scope) => steps.every(({ trustDomain }) => rules.foreign.get(trustDomain)?.scopes.includes(scope) ?? true)),
    isThirdParty: steps.some((step) => step.isThirdParty),
    expiresAt: last.expiresAt,
  });
}

/** Each hop is the answer to the one before: removed, invented, reordered and mixed ones end here. */
function linkProblem(hops: readonly ProvenHop[]): Denial | undefined {
  for (const [index, { hop }] of hops.entries()) {
    const before = hops[index - 1];
    if (hop.previous !== (before?.digest ?? null)) return broken(index, 'does not name the hop before it');
    if (before === undefined) continue;
    if (hop.issuer !== before.hop.audience) return broken(index, 'is not by the sidecar that was called');
    if (hop.transaction !== before.hop.transaction) return broken(index, 'is of another transaction');
    if (!isSameRoot(hop.root, before.hop.root)) return broken(index, 'has another root');
    if (hop.issuedAt + CLOCK_SKEW_MS_MAX < before.hop.issuedAt) return broken(index, 'was made before the hop before it');
  }
  return undefined;
}

function isSameRoot(a: HopRoot, b: HopRoot): boolean {
  return a.kind === b.kind && a.subject === b.subject && a.tenant === b.tenant && a.authenticatedAt === b.authenticatedAt;
}

/** The list ends here, and came from where it says. */
function entryProblem(last: Hop, { self, from }: DelegationRules): Denial | undefined {
  if (last.audience !== self) return deny('unauthenticated', 'delegation: the last hop is for another sidecar');
  return last.issuer === from ? undefined : deny('unauthenticated', 'delegation: the last hop is not by the sidecar that calls');
}

/** Earlier hops were judged on entry by whoever made the next; here they can only be too old for any session. */
function timeProblem(first: Hop, last: Hop, now: Instant): Denial | undefined {
  const lifetimeMs = last.expiresAt - last.issuedAt;
  if (lifetimeMs > HOP_LIFETIME_MS_MAX) return deny('token_lifetime_exceeded', `delegation: the last hop lives ${lifetimeMs} ms`);
  if (now >= last.expiresAt) return deny('token_expired', `delegation: the last hop expired ${now - last.expiresAt} ms ago`);
  if (last.issuedAt - now > CLOCK_SKEW_MS_MAX) return deny('unauthenticated', `delegation: made ${last.issuedAt - now} ms in the future`);
  return now - first.issuedAt > AGE_MS_MAX ? deny('token_expired', 'delegation: the first hop is older than any session') : undefined;
}

/** What no honest sidecar signs, and what policy bounds. */
function growthProblem(hops: readonly ProvenHop[], { self, depthMax }: DelegationRules): Denial | undefined {
  // Written so that a bound that is no number refuses.
  if (!(hops.length <= depthMax && hops.length <= HOPS_MAX))
    return forbidden(`${hops.length} hops, of at most ${Math.min(depthMax, HOPS_MAX)}`);
  const agents = [...hops.map(({ hop }) => agentOf(hop.issuer)), agentOf(self)];
  if (new Set(agents).size !== agents.length) return forbidden('an agent stands in the list twice');
  for (const [index, { hop }] of hops.entries()) {
    if (hop.authority === 'expanded') return forbidden(`hop ${index + 1} expands authority`);
    const before = hops[index - 1]?.hop.scopes;
    if (before !== undefined && !hop.scopes.every((scope) => before.includes(scope)))
      return forbidden(`hop ${index + 1} has a scope that the one before it lacks`);
  }
  return undefined;
}

/** An agent, whichever of its sidecars speaks. */
function agentOf(sidecar: SpiffeId): string {
  const named = sidecarOf(sidecar);
  invariant(named !== undefined, 'the ids of hops and of this sidecar are sidecars');
  return `${named.trustDomain}/${named.agent}`;
}

function broken(index: number, detail: string): Denial {
  return deny('unauthenticated', `delegation: hop ${index + 1} ${detail}`);
}

function forbidden(detail: string): Denial {
  return deny('delegation_not_allowed', `delegation: ${detail}`);
}
