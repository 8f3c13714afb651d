/** What a bundle pins besides rules: its parts by name, agents, issuers with their keys, and upstream destinations. */

import type { AttributeClaim } from './attribute.ts';
import type { AgentName, ServerName } from './ids.ts';

/** Every bundle has exactly these parts; one may be empty, none may be absent (docs/spec/trust-v1.md). */
export const PART_NAMES = ['policy', 'catalog', 'environment', 'identity', 'egress', 'detectors', 'tests'] as const;
export type PartName = (typeof PART_NAMES)[number];

/** What opens a session: a signed-in operator, a schedule, or an event. */
export type SessionRoot = 'operator' | 'schedule' | 'event';

/** Some of those whom an agent may act for: a principal is one of them when it meets every list that is there. */
export interface CallerGrant {
  /** Has one of them. */
  readonly roles?: readonly string[];
  /** Is of one of them. */
  readonly tenants?: readonly string[];
  /** Is one of them. */
  readonly principals?: readonly string[];
  /** Its credential has all of them. */
  readonly scopes?: readonly string[];
}

/** A registered agent. One that is not registered gets no certificate and no traffic. */
export interface Agent {
  readonly name: AgentName;
  readonly owner: string;
  /** Tool servers whose catalogs this agent's rules may name. */
  readonly uses: readonly ServerName[];
  /** Whom it may act for, by any of them. Absent: nobody on the inbound port, and any verified operator on the agent's own. */
  readonly callers?: readonly CallerGrant[];
  readonly sessions: {
    /** What may open a session. */
    readonly roots: readonly SessionRoot[];
    /** A session without a call for this long is over. */
    readonly idleMs: number;
    /** A session is over after this long, whatever happens in it. */
    readonly maxMs: number;
  };
}

/** A public key of an issuer as it stands in the bundle (RFC 7517); members that could name a URL are refused at build. */
export interface PinnedJwk {
  readonly kid: string;
  readonly kty: 'EC';
  readonly crv: 'P-256';
  readonly x: string;
  readonly y: string;
}

/** An identity provider whose tokens are accepted, with the keys that verify them and what its claims mean here. */
export interface Issuer {
  /** Compared with `iss` byte for byte. */
  readonly issuer: string;
  /** Must be among `aud`. */
  readonly audience: string;
  readonly keys: readonly PinnedJwk[];
  /** Longest accepted `exp - iat`. */
  readonly tokenLifetimeMsMax: number;
  /** Which claim carries what. Roles and scopes may be an array or a space-separated string. */
  readonly claims: {
    readonly subject: string;
    readonly tenant: string;
    readonly roles: string;
    readonly scopes: string;
    /** Ties a session to one case: `ticket_id`. */
    readonly case: string;
    /** What a session is for, and the one tool that a credential was issued for; read where they are named. */
    readonly task?: string;
    readonly step?: string;
    /** By attribute; nothing else of the token becomes a fact. Issuers that map one attribute agree on its type. */
    readonly attributes: Readonly<Record<string, AttributeClaim>>;
  };
}

/** An upstream that may be dialled. Everything else is refused; redirects are never followed. */
export interface Destination {
  readonly server: ServerName;
  readonly scheme: 'http' | 'https';
  readonly host: string;
  readonly port: number;
  /** Which resolved addresses are acceptable: loopback and private ranges must be declared. */
  readonly network: 'public' | 'private' | 'loopback';
}
