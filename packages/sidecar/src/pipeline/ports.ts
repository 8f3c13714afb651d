/**
 * What the pipeline needs of the rest of the sidecar, and nothing more. Each port is implemented in one room
 * (`bundle/`, `audit/`, `sessions/`, `upstream/`) and handed over by `compose.ts`; gates see facts, not ports.
 */

import type { DecisionBody, OutcomeBody } from '@sallyport/audit';
import type { OperatorTokens, SessionTokens } from '@sallyport/credentials';
import type { SessionClaims } from '@sallyport/identity';
import type {
  Agent,
  AgentName,
  Clock,
  DecisionId,
  Destination,
  Digest,
  Instant,
  Issuer,
  Principal,
  ReleaseSeq,
  RequestId,
  ServerName,
  SessionId,
  Tool,
  ToolName,
  ToolServer,
} from '@sallyport/model';
import type { CompiledPolicy, ReservationSpec, SessionFacts } from '@sallyport/policy';
import type { BytesAccount } from '@sallyport/runtime';
import type { ArgumentSchema } from '@sallyport/strict';
import type { Answer } from './gate.ts';
import type { Permit } from './permit.ts';

/** One active release and one revocation state, immutable; a switch replaces the pointer to it. */
export interface Snapshot {
  /** Rises with every switch of release or revocations; a call whose snapshot is no longer current is judged anew. */
  readonly generation: number;
  readonly releaseSeq: ReleaseSeq;
  /** Digest of the joined set of bundles. */
  readonly policyDigest: Digest;
  readonly policy: CompiledPolicy;
  readonly agents: ReadonlyMap<AgentName, Agent>;
  readonly issuers: readonly Issuer[];
  readonly servers: ReadonlyMap<ServerName, ToolServer>;
  readonly tools: ReadonlyMap<ToolName, PinnedTool>;
  readonly destinations: ReadonlyMap<ServerName, Destination>;
  readonly revocations: Revocations;
}

/** A tool and its argument schema, compiled once per bundle. */
export interface PinnedTool {
  readonly tool: Tool;
  readonly schema: ArgumentSchema;
}

/** What of a call a revocation may name. */
export interface RevocationSubject {
  readonly tokenId?: string | undefined;
  readonly session?: SessionId | undefined;
  readonly principal?: Principal | undefined;
  readonly agent: AgentName;
  readonly tool?: ToolName | undefined;
}

export interface Revocations {
  readonly seq: number;
  /** Whether any live entry denies the subject at `now`. */
  denies(subject: RevocationSubject, now: Instant): boolean;
}

/** The bundle as it stands at one moment; computed at each reading, never stored. */
export type Held =
  | { readonly state: 'absent'; readonly why: string }
  | {
      readonly state: 'fresh' | 'stale';
      readonly snapshot: Snapshot;
      readonly freshnessSeq: number;
      readonly ageMs: number;
      /** The ttl in force less the age; zero or less when stale. */
      readonly freshForMs: number;
    };

export interface BundleHolder {
  read(): Held;
  /** Resolves when the state may have changed from stale or absent, or after `ms`; for `hold_while_syncing_ms`. */
  changed(ms: number, signal: AbortSignal): Promise<void>;
}

/** Kept in memory, lost with the process: an id of an earlier start is `session_expired`, never a fresh session. */
export interface SessionRegistry {
  /** Opens a session for an operator; refused (`undefined`) when `sessions_max` are open. */
  open(opening: SessionOpening): OpenSession | undefined;
  find(id: SessionId): OpenSession | 'unknown' | 'expired';
}

export interface SessionOpening {
  readonly principal: Principal;
  readonly agent: Agent;
  readonly case: string | null;
  /** `jti` of the operator's token, so that revoking it ends what it opened. */
  readonly tokenId: string | null;
  /** When the operator's token ends; the session may outlive it, the token's renewal may not. */
  readonly tokenExpiresAt: Instant;
}

export interface OpenSession {
  readonly id: SessionId;
  readonly principal: Principal;
  readonly agent: AgentName;
  readonly case: string | null;
  readonly tokenId: string | null;
  facts(): SessionFacts;
  /** Called by settlement and the runner alone; a fact is written once, in call order. */
  record(what: 'attempted' | 'completed' | 'failed' | 'denied', tool: ToolName): void;
}

/** Reservations of one call, all or none. */
export interface Reservations {
  reserve(call: ReservationCall): Reserved | ReservationRefused;
}
export interface ReservationCall {
  readonly decisionId: DecisionId;
  readonly session: SessionId;
  readonly agent: AgentName;
  readonly specs: readonly ReservationSpec[];
}
export interface Reserved {
  readonly verdict: 'reserved';
  /** Journal frames that make the reservation durable, written with the DECISION in one batch. */
  readonly frames: readonly Uint8Array[];
  /** After forwarding: it counts, whatever the tool answered. */
  settle(): void;
  /** Before any effect: as if it had never been. */
  cancel(): void;
}
export interface ReservationRefused {
  readonly verdict: 'refused';
  readonly spec: ReservationSpec | undefined;
  readonly detail: string;
}

/** The write-ahead record. Both reject with a Fault when the journal cannot keep the line; the call is then refused. */
export interface Recorder {
  decision(body: DecisionBody, options: { durability: 'disk' | 'kernel'; frames?: readonly Uint8Array[] }): Promise<void>;
  outcome(body: OutcomeBody): Promise<void>;
}

/** Forwarding takes the permit; there is no other way out. */
export interface Upstream {
  forward(permit: Permit, call: ForwardContext): Promise<Answer>;
}
export interface ForwardContext {
  readonly session: OpenSession;
  readonly destination: Destination;
  /** Ends the exchange: the caller left (where its dialect says that this cancels), or the sidecar is draining. */
  readonly signal: AbortSignal;
  /** W3C trace context of the caller, if it sent a valid one. */
  readonly traceparent: string | undefined;
}

export interface Load {
  isDraining(): boolean;
  connections(): number;
}

export interface PipelineLimits {
  readonly connectionsMax: number;
  readonly requestBodyBytesMax: number;
  readonly headersBytesMax: number;
  readonly holdWhileSyncingMs: number;
  /** How often a call is judged anew because the release switched under it. */
  readonly rejudgementsMax: number;
}

/** Counts what the records say; for `/metrics`. */
export interface Counters {
  decision(decision: 'allow' | 'deny', code: string, gate: string): void;
  bug(): void;
}

export interface Ports {
  readonly agent: AgentName;
  readonly clock: Clock;
  readonly limits: PipelineLimits;
  readonly load: Load;
  readonly bytesInFlight: BytesAccount;
  readonly bundle: BundleHolder;
  readonly operatorTokens: OperatorTokens;
  readonly sessionTokens: SessionTokens;
  readonly sessions: SessionRegistry;
  readonly reservations: Reservations;
  readonly recorder: Recorder;
  readonly upstream: Upstream;
  readonly counters: Counters;
  readonly ids: { request(): RequestId; decision(): DecisionId };
}

export type { SessionClaims };
