/** The hop that a sidecar adds when it lets an agent's call out to another agent: never more than it was given. */

import { type Denial, type Instant, type Result, deny, fail, invariant, ok } from '@sallyport/model';
import { HOPS_MAX, HOP_LIFETIME_MS_MAX, type ProvenHop } from './delegation.ts';
import { type Hop, type HopRoot, sidecarOf } from './hop.ts';
import type { SpiffeId } from './spiffe.ts';

/** What the next hop is made from. */
export interface HopGrant {
  /** The list that this session was entered by, verified; empty where the session began here. */
  readonly entered: readonly ProvenHop[];
  readonly self: SpiffeId;
  /** The sidecar of the agent that is called, as its certificate says. */
  readonly audience: SpiffeId;
  /** For a session that began here; otherwise the list's own count. */
  readonly transaction: string;
  readonly root: HopRoot;
  /** What the call may be used for. */
  readonly scopes: readonly string[];
  readonly authority: 'transferred' | 'retained';
  readonly depthMax: number;
  readonly now: Instant;
}

/** The next hop, unsigned; `delegation_not_allowed` where the one who receives it would have to refuse it. */
export function nextHop(grant: HopGrant): Result<Hop, Denial> {
  const { entered, self, audience, authority, now, depthMax } = grant;
  const [issuer, called, before] = [sidecarOf(self), sidecarOf(audience), entered.at(-1)];
  invariant(issuer !== undefined && called !== undefined, 'hops lead from sidecar to sidecar');
  invariant(before === undefined || before.hop.audience === self, 'a session is entered by a list that ends here');
  if (!(entered.length + 1 <= depthMax && entered.length + 1 <= HOPS_MAX))
    return refuse(`${entered.length + 1} hops, of at most ${Math.min(depthMax, HOPS_MAX)}`);
  const isLoop = [issuer, ...entered.map(({ hop }) => hop)].some(
    ({ trustDomain, agent }) => trustDomain === called.trustDomain && agent === called.agent,
  );
  if (isLoop) return refuse('the called agent stands in the list already');
  const scopes = [...new Set(grant.scopes)].toSorted((a, b) => (a < b ? -1 : 1));
  if (before !== undefined && !scopes.every((scope) => before.hop.scopes.includes(scope)))
    return refuse('a scope that was not delegated here');
  const issuedAt = (Math.floor(now / 1000) * 1000) as Instant;
  return ok({
    issuer: self,
    trustDomain: issuer.trustDomain,
    agent: issuer.agent,
    audience,
    previous: before?.digest ?? null,
    transaction: before?.hop.transaction ?? grant.transaction,
    root: before?.hop.root ?? grant.root,
    scopes,
    authority,
    issuedAt,
    expiresAt: (issuedAt + HOP_LIFETIME_MS_MAX) as Instant,
  });
}

function refuse(detail: string): { readonly ok: false; readonly error: Denial } {
  return fail(deny('delegation_not_allowed', `delegation: ${detail}`));
}
