/** What a bundle pins besides rules: its parts by name, agents, issuers with their keys, and upstream destinations. */

import type { AttributeClaim, AttributeForm, DirectoryAttribute } from './attribute.ts';
import type { AgentDelegation } from './delegation.ts';
import type { AgentName, ServerName } from './ids.ts';
import type { ServerTls } from './server-tls.ts';

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

/** Who a job is, where no operator's token comes with it: a service, with what the bundle says of it and no more. */
export interface JobPrincipal {
  readonly principal: string;
  readonly tenant: string;
  readonly roles: readonly string[];
  readonly scopes: readonly string[];
}

/** A kind of job that may open sessions of the agent without a person asking. */
export interface AgentJob {
  readonly name: string;
  readonly root: Exclude<SessionRoot, 'operator'>;
  /** Absent: only with an operator's token, such as an event's message may carry. */
  readonly as?: JobPrincipal;
  /** What its sessions are for. */
  readonly task?: string;
  readonly purpose?: string;
  /** Sessions that it may open at one sidecar within a span. */
  readonly max: { readonly count: number; readonly withinMs: number };
}

/** A registered agent. One that is not registered gets no certificate and no traffic. */
export interface Agent {
  readonly name: AgentName;
  readonly owner: string;
  /** Tool servers whose catalogs this agent's rules may name. */
  readonly uses: readonly ServerName[];
  /** Whom it may act for, by any of them. Absent: nobody on the inbound port, and any verified operator on the agent's own. */
  readonly callers?: readonly CallerGrant[];
  /** To which agents it may hand on what it was given, and from which it takes it. Absent: none, either way. */
  readonly delegation?: AgentDelegation;
  /** With which it seals calls of tools that want an envelope. */
  readonly signingKeys?: readonly PinnedJwk[];
  /** Tools that want an agent which is kept from going round its sidecar are content with one that is not. */
  readonly isolation?: 'advisory';
  readonly sessions: {
    /** What may open a session. */
    readonly roots: readonly SessionRoot[];
    /** A session without a call for this long is over. */
    readonly idleMs: number;
    /** A session is over after this long, whatever happens in it. */
    readonly maxMs: number;
    /** How a call may name its session beside `Sallyport-Session`; that header alone where it is absent. */
    readonly tie?: 'tracestate';
    /** What may open a session but an operator; none where it is absent. */
    readonly jobs?: readonly AgentJob[];
    /** While it serves more, it calls no tool that moves money, personal data or exports, or destroys; 1 where it is absent. */
    readonly concurrentMax?: number;
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

/** How an issuer may sign (RFC 7518, section 3.1; RFC 8037): asymmetric, and nothing that is broken or optional to verify. */
export const TOKEN_ALGORITHMS = ['ES256', 'ES384', 'RS256', 'PS256', 'EdDSA'] as const;
export type TokenAlgorithm = (typeof TOKEN_ALGORITHMS)[number];

/** Where the key set of an issuer is fetched, where it does not stand in the bundle. */
export interface KeySource {
  /** The key set itself; absent where the issuer's own discovery document names it, on the issuer's own origin. */
  readonly jwksUri?: string;
  readonly network: Destination['network'];
  /** A set that was fetched longer ago verifies nothing. */
  readonly ageMsMax: number;
}

/** What a claim may say of how a session began, by the names that the mapping, conditions and records share. */
export const ORIGIN_CLAIMS = ['customer_id', 'workflow_id', 'workflow_step', 'conversation_id', 'run_id', 'trace_id', 'purpose'] as const;
export type OriginClaim = (typeof ORIGIN_CLAIMS)[number];

/** A claim, or one member of a claim that is an object. */
export interface ClaimPlace {
  readonly claim: string;
  readonly member?: string;
}

/** What an issuer may ask its tokens to say; `authentication` is `acr` or `amr`. Subject and tenant are always asked for. */
export type RequirableClaim =
  | 'roles'
  | 'scopes'
  | 'case'
  | 'task'
  | 'step'
  | 'environment'
  | 'scope_version'
  | 'authentication'
  | OriginClaim;
export const REQUIRABLE_CLAIMS: readonly RequirableClaim[] = [
  'roles',
  'scopes',
  'case',
  'task',
  'step',
  'environment',
  'scope_version',
  'authentication',
  ...ORIGIN_CLAIMS,
];

/** What `strict_claims` asks for beside subject and tenant. */
export const STRICT_CLAIMS: readonly RequirableClaim[] = ['run_id', 'step', 'scopes', 'scope_version', 'environment', 'authentication'];

/** Where a secret lies; never the secret. Places as those of credentials. */
export type SecretPlace =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'vault'; readonly mount: string; readonly path: string; readonly field: string };

/** Where an issuer is asked about tokens that say nothing by themselves (RFC 7662), and as whom. */
export interface Introspection {
  readonly url: string;
  readonly network: Destination['network'];
  readonly clientId: string;
  /** `name` tells places apart. */
  readonly secret: { readonly name: string; readonly source: SecretPlace };
  /** How long an answer is believed, and never past the token's own end. */
  readonly cacheMsMax: number;
}

/** An identity provider whose tokens are accepted, with the keys that verify them and what its claims mean here. */
export interface Issuer {
  /** Compared with `iss` byte for byte. */
  readonly issuer: string;
  /** Must be among `aud`. */
  readonly audience: string;
  /** Empty where `keySource` says where they are. */
  readonly keys: readonly PinnedJwk[];
  readonly keySource?: KeySource;
  /** Then there are no keys: every token is asked about. */
  readonly introspection?: Introspection;
  /** The algorithms that its tokens may name; `algorithmsOf` where it does not say. */
  readonly algorithms?: readonly TokenAlgorithm[];
  /** The environment for which a token must have been made, and the claim that says so. */
  readonly environment?: { readonly claim: string; readonly is: string };
  /** The oldest set of scopes that is still in force, and the claim that tells a token's. */
  readonly scopeVersion?: { readonly claim: string; readonly min: number };
  /** Roles by the value of the roles claim: what is not mapped is no role. Absent, the claim's values are the roles. */
  readonly groups?: Readonly<Record<string, string>>;
  /** A token that misses one of these is refused. */
  readonly requiredClaims?: readonly RequirableClaim[];
  /** A token that misses one of STRICT_CLAIMS is refused. */
  readonly strictClaims?: true;
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
    /** For which environment, and under which version of its scopes, the token was issued; read where they are named. */
    readonly environment?: string;
    readonly scopeVersion?: string;
    /** What is known of how a session began; what is not named here is not a fact. */
    readonly origin?: Readonly<Partial<Record<OriginClaim, ClaimPlace>>>;
    /** By attribute; nothing else of the token becomes a fact. Issuers that map one attribute agree on its type. */
    readonly attributes: Readonly<Record<string, AttributeClaim>>;
  };
  /** Attributes of its principals that the directory says. None of them is read from a claim. */
  readonly directory?: Readonly<Record<string, DirectoryAttribute>>;
}

/** Every attribute that principals of an issuer can have, with what is declared of it. */
export function attributesOf({ claims, directory = {} }: Issuer): readonly (readonly [name: string, form: AttributeForm])[] {
  return [...Object.entries(claims.attributes), ...Object.entries(directory)];
}

/** The algorithms that tokens of the issuer may name. Keys in the bundle are of P-256. */
export function algorithmsOf({ algorithms, keySource }: Issuer): readonly TokenAlgorithm[] {
  return algorithms ?? (keySource === undefined ? PINNED_ALGORITHMS : FETCHED_ALGORITHMS);
}

const PINNED_ALGORITHMS: readonly TokenAlgorithm[] = ['ES256'];
const FETCHED_ALGORITHMS: readonly TokenAlgorithm[] = ['ES256', 'RS256'];

/** An upstream that may be dialled. Everything else is refused; redirects are never followed. */
export interface Destination {
  readonly server: ServerName;
  readonly scheme: 'http' | 'https';
  readonly host: string;
  readonly port: number;
  /** Which resolved addresses are acceptable: loopback and private ranges must be declared. */
  readonly network: 'public' | 'private' | 'loopback';
  /** Of `https` alone. */
  readonly tls?: ServerTls;
}
