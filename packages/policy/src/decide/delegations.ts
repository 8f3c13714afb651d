/**
 * Agents that call agents. Which calls an agent may hand on, which it takes from another one and for whom. Nothing is handed
 * on or taken that no relation names. Spec: policy-v1 section 17.
 */

import { qualifiedAgent } from '@sallyport/model';
import type { Agent, DelegatedBy, DelegationRoot, PinnedJwk, RuleId, TrustDemand } from '@sallyport/model';
import type { HandingOn } from '../compile/handing-on.ts';
import type { PolicyInput } from '../input.ts';
import type { Hop } from '../rule.ts';

/** Why the call may not be handed on, for the record; `undefined` where it may. */
export function unlessHandedOn({ called, depthMax, relation }: HandingOn, { agent, chain = [] }: PolicyInput): string | undefined {
  const name = qualifiedAgent(called);
  if (relation === undefined) return `agent ${agent} does not hand on to ${name}`;
  if (!(chain.length + 1 <= depthMax)) return `${chain.length + 1} hops, of at most ${depthMax}`;
  if (name === agent || chain.some((hop) => hop.agent === name)) return `agent ${name} stands in the chain already`;
  return undefined;
}

/** A verified list of hops, as far as relations ask. */
export interface DelegatedCall {
  /** First to last; the last is the agent that calls. Never empty. */
  readonly chain: readonly Hop[];
  /** `id` with its domain where it began in another trust domain; `tenant` where it began in ours. */
  readonly root: { readonly kind: DelegationRoot; readonly id: string; readonly tenant?: string };
  /** What a pinned key says of the agent that calls; absent where nobody whose word counts says anything. */
  readonly trust?: { readonly tier: number; readonly key: PinnedJwk };
}

export type DelegationVerdict =
  /** `ruleId` is `delegation:` and the place of the relation in the document, from 1. */
  | { readonly verdict: 'taken'; readonly ruleId: RuleId; readonly relation: DelegatedBy; readonly tenant: string }
  /** `detail` is for the record. */
  | { readonly verdict: 'refused'; readonly detail: string };

/** The first relation that takes the call, within the agent's own bound on hops. */
export function judgeDelegated({ name, delegation }: Agent, { chain, root, trust: said }: DelegatedCall): DelegationVerdict {
  const from = delegation?.from ?? [];
  const caller = chain.at(-1)?.agent ?? '';
  if (!(chain.length <= (delegation?.depthMax ?? 0)))
    return { verdict: 'refused', detail: `${chain.length} hops, of at most ${delegation?.depthMax ?? 0}` };
  const isThirdParty = chain.some((hop) => !hop.first_party);
  for (const [index, relation] of from.entries()) {
    const { agents, roots, tenants, principals, isThirdPartyToo, trust } = relation;
    // What another domain says of tenants is not believed: there the relation says it, or nobody does.
    const tenant = root.tenant ?? relation.tenant;
    const isTaken =
      agents.includes(caller) &&
      roots.includes(root.kind) &&
      (!isThirdParty || isThirdPartyToo) &&
      (trust === undefined || isTrusted(trust, said)) &&
      tenant !== undefined &&
      (tenants === undefined || tenants.includes(tenant)) &&
      (principals === undefined || principals.includes(root.id));
    if (isTaken) return { verdict: 'taken', ruleId: `delegation:${index + 1}` as RuleId, relation, tenant };
  }
  return { verdict: 'refused', detail: `agent ${name} takes nothing of this kind from ${caller}` };
}

/** By a key of this very relation: another one's authority has no say in it. Written so that a tier that is no number is none. */
function isTrusted({ min, keys }: TrustDemand, said: DelegatedCall['trust']): boolean {
  return said !== undefined && said.tier >= min && keys.some(({ x, y }) => x === said.key.x && y === said.key.y);
}
