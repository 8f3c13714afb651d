/**
 * What a bundle says of agents that call agents: to whom an agent may hand on what it was given, whom it takes it from, and
 * which other trust domains there are. docs/spec/policy-v1.md, section 17; docs/spec/delegation.md.
 */

import type { AgentName, ServerName } from './ids.ts';
import type { PinnedJwk, SessionRoot } from './bundle.ts';

/** Whose authority a list of hops began with: a person's, a schedule's or an event's of ours, anybody else's. */
export const DELEGATION_ROOTS = ['human', 'system', 'external'] as const;
export type DelegationRoot = (typeof DELEGATION_ROOTS)[number];

/** What a session began with, as far as it is known here: of another agent's session only whether it was a schedule or event. */
export type ChainRoot = SessionRoot | 'system' | 'external';

/** The caller's authority is handed on, or kept and only used. */
export const HOP_AUTHORITIES = ['transferred', 'retained'] as const;

/** That an agent may hand on what it was given to the agent behind a server, and how much of it. */
export interface DelegatesTo {
  readonly server: ServerName;
  /** At most these of the scopes that it holds. */
  readonly scopes: readonly string[];
  readonly authority: (typeof HOP_AUTHORITIES)[number];
}

/** Some of the calls that other agents hand on: one is of them where it meets every list that is there. */
export interface DelegatedBy {
  /** The agent that calls is one of them; one of another trust domain as `<domain>/<agent>`. */
  readonly agents: readonly string[];
  readonly roots: readonly DelegationRoot[];
  /** Of one of them, as the domain where it began says. */
  readonly tenants?: readonly string[];
  /** Whom it began with is one of them; of another trust domain as `<domain>/<subject>`. */
  readonly principals?: readonly string[];
  /** Hops of other trust domains may be among them. */
  readonly isThirdPartyToo: boolean;
  /** Somebody whose word counts says so much of the agent that calls; without it nothing need be said. */
  readonly trust?: TrustDemand;
  /** The tenant of those whom another trust domain vouches for: what that one says of tenants is not believed. */
  readonly tenant?: string;
  /** What whoever it began with is here. */
  readonly roles: readonly string[];
  /** At most these of the scopes that were handed on. */
  readonly scopes: readonly string[];
}

/** Tiers of trust in an agent; one of whom nobody says anything is of tier 0. */
export const TRUST_TIER_MAX = 3;

/** At least this tier, by a statement of one of these keys. */
export interface TrustDemand {
  readonly min: number;
  readonly keys: readonly PinnedJwk[];
}

/** An agent's part in delegation; without one it neither hands on nor takes. */
export interface AgentDelegation {
  /** Hops, this one included. */
  readonly depthMax: number;
  readonly to: readonly DelegatesTo[];
  readonly from: readonly DelegatedBy[];
}

/** Another trust domain whose sidecars are believed, within its scopes, to be what their own CA says. */
export interface TrustDomain {
  readonly name: string;
  /** CA certificates, DER in base64. */
  readonly authorities: readonly string[];
  /** What its hops may be used for at most. */
  readonly scopes: readonly string[];
}

/** The agent behind a server of kind `agent`. */
export interface CalledAgent {
  readonly name: AgentName;
  /** Where it is not our own. */
  readonly trustDomain?: string;
  /** CAs that its port’s certificate leads to, DER in base64, in place of that of the trust domain's workloads. */
  readonly authorities?: readonly string[];
}

/** An agent as relations, rules and records name it: by itself, or with the trust domain that is not ours. */
export function qualifiedAgent({ name, trustDomain }: CalledAgent): string {
  return trustDomain === undefined ? name : `${trustDomain}/${name}`;
}
