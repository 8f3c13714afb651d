/**
 * Facts, in the order in which gates prove them. A fact is there because its gate passed; a gate that reads one does
 * not compile in front of the gate that proves it.
 */

import type { VerifiedOperator } from '@sallyport/credentials';
import type { AgentRoute, OutboundRoute } from '@sallyport/dialects';
import type { SessionClaims } from '@sallyport/identity';
import type { AgentName, Denial, Destination, Isolation, Result, ToolServer } from '@sallyport/model';
import type { ConnectionEnds } from '@sallyport/net';
import type { PolicyDecision } from '@sallyport/policy';
import type { SettleOutcome, StateFrame } from '@sallyport/store';
import type { CanonicalTarget, HeaderLookup, TypedArguments } from '@sallyport/strict';
import type { Ask } from './asked.ts';
import type { ProvenOperator } from './delegated.ts';
import type { CallIds, Dialect, Leg } from './gate.ts';
import type { JobCaller } from './job-session.ts';
import type { Held, OpenSession, PinnedTool, UnderWay } from './ports.ts';

/** What the listener hands over. Nothing in it has been judged. */
export interface Arrival extends CallIds {
  readonly leg: Leg;
  readonly method: string;
  /** The request target as it stood on the start line. */
  readonly target: string;
  readonly httpVersion: string;
  readonly rawHeaders: readonly string[];
  /** Address of the peer; for the record, never for a decision. */
  readonly peer: string;
  /** DER, the leaf first: what the peer of a TLS connection has proven the key of, and no more. Empty where it showed none. */
  readonly peerChain: readonly Uint8Array[];
  /** Of the connection; for whose user the agent is, never for who it is. */
  readonly ends: ConnectionEnds;
  readonly body: Body;
  /** To be told which session the exchange serves, once that is known; it ends with the exchange. */
  readonly serving: { begin(session: UnderWay): void };
  /** Aborted when the caller is gone or the sidecar must end the exchange. */
  readonly signal: AbortSignal;
}

/** The body, unread until somebody asks; read once by the bound of who asked first, and kept for a call that is judged anew. */
export interface Body {
  read(options: { bytesMax: number; coding: 'identity' | 'gzip' }): Promise<Result<Uint8Array, Denial>>;
}

/** framing: a head with one meaning, its path canonical, its headers unambiguous. */
export interface Framed {
  readonly head: { readonly method: string; readonly target: CanonicalTarget; readonly headers: HeaderLookup };
}

/** freshness: the release and the revocations that this call is judged by, and how old they are. */
export interface Fresh {
  readonly held: Extract<Held, { snapshot: unknown }>;
}

/** What names the session of a call: which one, of which agent, and until when that is good. */
export type SessionTie = Pick<SessionClaims, 'sessionId' | 'agent' | 'expiresAt'>;

/** Who is calling, as far as a credential proves it. The session itself is looked up per call. */
export type Caller =
  /** By the session's token, or by the tie that the agent's tracing carries along. */
  | { readonly kind: 'session'; readonly claims: SessionTie }
  | { readonly kind: 'operator'; readonly operator: VerifiedOperator }
  /** A job that the bundle lets open a session, as itself or with an operator's token. */
  | JobCaller
  /** On the inbound leg; `client` where the request names a session that is open already. */
  | { readonly kind: 'client'; readonly operator: ProvenOperator; readonly client: SessionClaims | undefined };

/** authentication */
export interface Authenticated {
  readonly caller: Caller;
  /** The agent that the call is of: on the outbound leg as its own credential names it, where one is asked for. */
  readonly agentId: AgentName;
}

/** route: a logical name of the port's table, never an address. */
export interface Routed {
  readonly route: OutboundRoute | AgentRoute;
  readonly dialect: Dialect;
}

/** What HEAD proves, and CALL starts from. */
export type HeadFacts = Arrival & Framed & Fresh & Authenticated & Routed;

/** content: the body as one message with one meaning. */
export interface Asked {
  readonly ask: Ask;
}

/** session: the open session that the credential names. */
export interface InSession {
  readonly session: OpenSession;
  /** The session was opened for this very request: to be closed where nothing comes of it. */
  readonly opened?: { close(): void };
}

/** tool: exactly one, that some rule could allow for this principal and agent; on the inbound leg the agent itself. */
export interface Named {
  readonly tool: PinnedTool;
  readonly server: ToolServer;
  readonly destination: Destination;
}

/** validation: arguments, exact and of one type each. */
export interface Validated {
  readonly args: TypedArguments;
  /** What the tool's declaration made of what was sent, in words, for the record. */
  readonly changes: readonly string[];
  /** Arguments whose values were changed; the caller is told. */
  readonly narrowed: readonly string[];
}

/** authorization: the rule that allows, and what it wants reserved. */
export interface Authorized {
  /** What the decision went by. */
  readonly isolation: Isolation;
  readonly decision: Extract<PolicyDecision, { decision: 'allow' }>;
}

/** reservation: taken, and neither settled nor cancelled. */
export interface Reserving {
  readonly reserved: {
    /** Written to the journal in one batch with the DECISION. */
    readonly frames: readonly StateFrame[];
    /** What each budget has come to, in words, for the DECISION. */
    readonly budgets: readonly string[];
    /** The call was or may have been carried out; it counts. Gives the frames that say so. */
    settle(outcome: SettleOutcome): Promise<readonly StateFrame[]>;
    /** Nothing happened; as if it had never been. */
    cancel(): Promise<void>;
  };
}

/** What CALL proves: all that a permit is minted from. */
export type CallFacts = HeadFacts & Asked & InSession & Named & Validated & Authorized & Reserving;
