/**
 * What the pipeline needs of the rest of the sidecar, and nothing more. Each port is implemented in one room
 * (`bundle/`, `audit/`, `sessions/`, `upstream/`) and handed over by `compose.ts`; gates see facts, not ports.
 */

import type { DecisionBody, OutcomeBody, OutcomeResult } from '@sallyport/audit';
import type { CallerContext, CallerProof, CallerRequest, OperatorTokens, SessionTokens, VerifiedDelegation } from '@sallyport/credentials';
import type {
  Agent,
  AgentJob,
  AgentName,
  Clock,
  DecisionId,
  Denial,
  DenialCode,
  Destination,
  Digest,
  DirectoryReading,
  Instant,
  Isolation,
  Issuer,
  Principal,
  ReleaseSeq,
  RequestId,
  Result,
  ServerName,
  SessionId,
  SessionOrigin,
  Tool,
  ToolName,
  ToolServer,
} from '@sallyport/model';
import type { ConnectionEnds } from '@sallyport/net';
import type { Purpose, TieHandle } from '@sallyport/identity';
import type { CallNotes, CompiledPolicy, DelegatedCall, SessionFacts, Source } from '@sallyport/policy';
import type { BytesAccount } from '@sallyport/runtime';
import type { HeaderMirror } from '@sallyport/dialects';
import type { Durability, ReservationStore, StateFrame } from '@sallyport/store';
import type { ArgumentSchema, HeaderLookup } from '@sallyport/strict';
import type { Ask } from './asked.ts';
import type { SessionBinding } from './fingerprint.ts';
import type { Answer, Leg, SentEvidence } from './gate.ts';
import type { Leases } from './leases.ts';
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
  /** What is said of principals at this moment; says nothing where nothing is held. */
  readonly directory: DirectoryReading;
}

/** A tool and its argument schema, compiled once per bundle. */
export interface PinnedTool {
  readonly tool: Tool;
  readonly schema: ArgumentSchema;
  /** The arguments that headers repeat, by MCP's 2026-07-28. */
  readonly mirrors: readonly HeaderMirror[];
}

/** What of a call a revocation may name. */
export interface RevocationSubject {
  readonly tokenId?: string | undefined;
  /** Names a credential that has no id of its own. */
  readonly tokenDigest?: Digest | undefined;
  readonly run?: string | undefined;
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
  /** Resolves when there is a fresh bundle, after `ms`, or at once where too many wait already; for `hold_while_syncing_ms`. */
  whenFresh(ms: number, signal: AbortSignal): Promise<void>;
}

/** Kept in memory, lost with the process: an id of an earlier start is `session_expired`, never a fresh session. */
export interface SessionRegistry {
  /**
   * Whether another session may be opened for such a principal (`sessions_max`, `sessions_per_principal_max`; of `anonymous` at most a tenth of all); the room may be
   * taken by another before this one is.
   */
  hasRoom(principal: Pick<Principal, 'id' | 'kind' | 'tenant' | 'issuer'>): boolean;
  /** Opens a session for an operator, if there is room. */
  open(opening: SessionOpening): OpenSession | undefined;
  find(id: SessionId): OpenSession | 'unknown' | 'expired';
  /** Ends it now; nothing where it is over. */
  close(id: SessionId): void;
  /** The handle by which the agent's tracing may name the session, good for as long as a token from now on. */
  tieOf(id: SessionId): TieHandle | undefined;
  /** The session that a handle names, and until when; nothing of it is a use of the session. */
  tied(handle: TieHandle): { readonly sessionId: SessionId; readonly expiresAt: Instant } | 'unknown' | 'expired';
  /** As `find`, without being a use of it: what only looks must not keep a session from idling out. */
  peek(id: SessionId): OpenSession | undefined;
}

/** How often jobs open sessions; implemented in `sessions/`. */
export interface JobStarts {
  /** Whether the job may open a session now; another request may be faster. */
  mayStart(job: AgentJob): boolean;
  /** Takes a start, where one is left. */
  start(job: AgentJob): boolean;
}

/** What an MCP session belongs to: a Sallyport session, so a person and an agent, and one server. */
export interface McpBinding {
  readonly session: SessionId;
  readonly server: ServerName;
}

/** The MCP sessions of legacy clients. An id names a conversation of the agent with one server, whosever call comes under it. */
export interface McpSessions {
  open(binding: McpBinding): string;
  /** From now on the binding's session is one of those that used it. */
  has(id: string, binding: McpBinding): boolean;
  end(id: string, binding: McpBinding): void;
}

/** A stream that a client holds open, as far as its judgement needs it. */
export interface McpStreamOf extends McpBinding {
  readonly mcpSession: string;
  /** When the credential that opened it ends. */
  readonly expiresAt: Instant;
  /** What stands against whoever opened it being the agent still; absent where the agent proves nothing. */
  readonly stranger?: () => Denial | undefined;
  /** The caller is gone, or the exchange must end. */
  readonly signal: AbortSignal;
}

/** What a stream's caller may see, by the facts of this generation. */
export interface McpStreamView {
  readonly generation: number;
  /** The last revocation that was asked. */
  readonly revocationSeq: number;
  /** The listing as one text. */
  listing(): string;
}

export interface McpStreams {
  /** A denial where it may not be opened, `undefined` where no more can be. */
  open(of: McpStreamOf): Answer | Denial | undefined;
  /** Its MCP session is over. */
  end(mcpSession: string): void;
}

export interface SessionOpening {
  readonly principal: Principal;
  readonly agent: Agent;
  readonly case: string | null;
  readonly purpose: Purpose;
  /** `jti` of the operator's token, so that revoking it ends what it opened. */
  readonly tokenId: string | null;
  /** Hash of that token, which a revocation may name it by. */
  readonly tokenDigest?: Digest | undefined;
  /** When the operator's token ends; the session may outlive it, the token's renewal may not. */
  readonly tokenExpiresAt: Instant;
  readonly origin: SessionOrigin;
  /** Of the client that opened it, where sessions are bound to one. */
  readonly fingerprint?: string;
  /** Where another agent handed it on. */
  readonly delegation?: EnteredDelegation;
}

/** A list of hops that was verified when it entered, kept by the session that it opened. */
export interface EnteredDelegation {
  readonly verified: VerifiedDelegation;
  /** As relations and rules ask for it. */
  readonly call: DelegatedCall;
}

/** Proves lists of hops. Implemented in `delegation/`. */
export interface Delegations {
  /** SPIFFE id of this sidecar; absent until there is one. */
  readonly self: string | undefined;
  /** What was shown in `Sallyport-Delegation`, on the connection of the peer whose certificates these are. */
  enter(
    shown: string,
    by: {
      readonly peerChain: readonly Uint8Array[];
      readonly snapshot: Snapshot;
      /** The agent that is called, and what the one that calls shows in `Sallyport-Trust`. */
      readonly agent: AgentName;
      readonly statement: string | undefined;
    },
  ): Result<EnteredDelegation, Denial>;
}

/** What is under way in one session; counted by `SessionsServed` alone. */
export interface UnderWay {
  exchanges: number;
}

/** Implemented in `sessions/`. */
export interface SessionsServed {
  /** Sessions of which something is under way. */
  readonly count: number;
  begin(session: UnderWay): void;
  end(session: UnderWay): void;
}

export interface OpenSession {
  readonly underWay: UnderWay;
  readonly id: SessionId;
  readonly principal: Principal;
  readonly agent: AgentName;
  readonly case: string | null;
  readonly fingerprint: string | undefined;
  readonly tokenId: string | null;
  readonly tokenDigest?: Digest | undefined;
  readonly origin: SessionOrigin;
  /** Where another agent handed it on: its hops are in every record, and before the next. */
  readonly delegation?: EnteredDelegation;
  facts(): SessionFacts;
  /** Called by settlement and the runner alone; a fact is written once, in call order. */
  record(what: 'attempted' | 'completed' | 'failed' | 'denied', tool: ToolName): void;
  /** What a completed call leaves behind for later rules; called by settlement alone. */
  note(tool: Tool, notes: CallNotes): void;
  /** Something of the tool's answer is about to reach the caller, whatever becomes of the rest; called by settlement alone. */
  saw(tool: Tool): void;
}

/** One requirement that a call did not meet, in words that hold no value of it. */
export interface UnmetWhy {
  readonly requirement: string;
  readonly code: DenialCode;
  readonly rule_id: string;
  readonly source: Source | null;
  readonly says: string;
}

/** Beside a DECISION, for whoever may ask this sidecar why; never written. Members are named as they are told. */
export interface Why {
  /** Of the rule that decided; null where none did, or its place is not in the bundle. */
  readonly source: Source | null;
  /** Paths of the arguments at fault. */
  readonly fields: readonly string[];
  readonly unmet: readonly UnmetWhy[];
  /** What would have to differ for an allow; all of them together. */
  readonly change: readonly string[];
}

/** The write-ahead record. All reject with a Fault when the journal cannot keep the line; the call is then refused. */
export interface Recorder {
  /**
   * `frames` (a reservation) are written with the line in one batch; `disk` resolves after the disk has it. `stranger`:
   * where a refusal came from that nobody is known for; of many from one source the later ones are counted, not kept.
   * `why` is for the window on the last decisions, and is not written.
   */
  decision(
    body: DecisionBody,
    options: { durability: Durability; frames: readonly StateFrame[]; stranger?: string | undefined; why?: Why },
  ): Promise<void>;
  outcome(body: OutcomeBody, options: { frames: readonly StateFrame[] }): Promise<void>;
  /** State without a record: a reservation given back. */
  state(frames: readonly StateFrame[]): Promise<void>;
}

/** Forwarding takes the permit; there is no other way out. */
export interface Upstream {
  /** Rejects with a Fault; an upstream that answered with an error is a failure by value. */
  forward(permit: Permit, call: ForwardContext): Promise<Answer | UpstreamFailure>;
}
/** A call that went out, or tried to, and has no answer to deliver. */
export interface UpstreamFailure {
  readonly failure: Denial;
  readonly result: OutcomeResult;
  readonly upstreamStatus?: number;
  /** False only where the upstream certainly saw nothing of the call. */
  readonly wasSent: boolean;
}
export interface ForwardContext {
  /** As asked; the answer takes the form of its dialect. */
  readonly ask: Ask;
  readonly session: OpenSession;
  /** Ends the exchange: its lease is over. */
  readonly signal: AbortSignal;
  /** W3C trace context of the caller, if it sent a valid one. */
  readonly traceparent: string | undefined;
  /** Where the request is to be signed. */
  readonly evidence?: SentEvidence;
  /** Of an invocation: the head that it came with, and whether its client has a session since this request. */
  readonly client?: { readonly headers: HeaderLookup; readonly isOpened: boolean; readonly renewsToken: boolean; readonly tie?: TieHandle };
}

/** What an agent must prove on the outbound port, by exactly one way. Implemented in `downstream/`. */
export interface AgentCredential {
  /** False: whoever reaches the port is taken for the agent. */
  readonly isAsked: boolean;
  /**
   * The agent that is proven by what was shown in `Sallyport-Agent`, or by the certificate of the connection; never another
   * than the one beside this sidecar. Without a promise where nothing has to be verified anew.
   */
  judge(shown: string | undefined, peerChain: readonly Uint8Array[]): Result<AgentName, Denial> | Promise<Result<AgentName, Denial>>;
}

/** Implemented in `callers/`: the ways beside tokens in which callers prove themselves, by the policy in force. */
export interface CallerMethods {
  hasAny(policy: CompiledPolicy): boolean;
  /** The one whose credential the request carries, `undefined` where that is none of theirs; `unauthenticated` for two. */
  choose(policy: CompiledPolicy, request: CallerRequest): Result<ChosenMethod | undefined, Denial>;
  /** What the bodies may be together that are being read of callers who are not proven before: a part of all, so that strangers keep nobody out. */
  readonly unproven: BytesAccount;
}

/** A method about one request. */
export interface ChosenMethod {
  readonly needsBody: boolean;
  /** Reads the secrets that are due. */
  ready(): Promise<unknown> | undefined;
  /** What the head alone refuses. */
  judgeHead(context: CallerContext): Denial | undefined;
  verify(body: Uint8Array | undefined, context: CallerContext): Result<CallerProof, Denial> | Promise<Result<CallerProof, Denial>>;
}

/** A call as it came, for its envelope. */
export interface Sealed {
  readonly method: string;
  /** Origin form, as on the wire. */
  readonly target: string;
  readonly authority: string;
  readonly rawHeaders: readonly string[];
  /** As received, nothing decoded. */
  readonly body: Uint8Array;
  /** The same for every judgement of one request. */
  readonly identity: object;
}

/** Implemented in `downstream/`. */
export interface Envelopes {
  /** What is wrong with the envelope; `undefined` where it is the agent's, covers these fields besides, and was not used before. */
  judge(
    sealed: Sealed,
    of: { readonly agent: Agent | undefined; readonly fields: readonly string[]; readonly now: Instant; readonly bundle: Digest },
  ): Promise<Denial | undefined>;
}

/** Whether the agent is kept from going round this sidecar. Implemented in `isolation/`. */
export interface IsolationPort {
  /** Of a call that came over this connection. */
  of(leg: Leg, ends: ConnectionEnds): Isolation;
}

export interface Load {
  isDraining(): boolean;
}

export interface PipelineLimits {
  readonly requestBodyBytesMax: number;
  readonly headersBytesMax: number;
  readonly holdWhileSyncingMs: number;
  /** How often a call is judged anew because the release switched under it. */
  readonly rejudgementsMax: number;
}

/** Counts what the records say; for `/metrics`. */
export interface Counters {
  decision(decision: 'allow' | 'deny', code: string, gate: string): void;
  /** A call passed that rules would have refused with the code: its agent is observed. */
  observed(code: string): void;
  /** A rule in shadow would have turned the decision about. */
  shadow(ruleId: string, would: 'allow' | 'deny'): void;
  bug(): void;
  /** A refusal or an outcome that the journal could not keep. */
  unrecorded(): void;
  /** A tool's server that could not be reached, or answered what is no answer. */
  upstreamFailed(server: ServerName, code: DenialCode, detail: string): void;
}

export interface Ports {
  /** The agent beside which this sidecar stands, as its certificate says. */
  readonly agent: AgentName;
  readonly build: string;
  readonly clock: Clock;
  readonly limits: PipelineLimits;
  readonly load: Load;
  readonly bytesInFlight: BytesAccount;
  readonly bundle: BundleHolder;
  /** What a session of a client is bound to beside its principal; asked on the inbound leg. */
  readonly sessionBinding: SessionBinding;
  /** What each port speaks. */
  readonly schemes: Readonly<Record<Leg, 'http' | 'https'>>;
  /** Whether who calls on the outbound port is the agent at all; asked first. */
  readonly agentCredential: AgentCredential;
  readonly isolation: IsolationPort;
  readonly operatorTokens: OperatorTokens;
  /** On the inbound leg. */
  readonly callers: CallerMethods;
  /** Where its clients learn where tokens are had, for the challenge of a 401; `undefined` where that is told nobody. */
  readonly resourceMetadata: string | undefined;
  readonly envelopes: Envelopes;
  readonly sessionTokens: SessionTokens;
  /** For the same sessions, in their clients' hands. */
  readonly clientTokens: SessionTokens;
  readonly delegations: Delegations;
  readonly sessions: SessionRegistry;
  readonly sessionsServed: SessionsServed;
  readonly jobStarts: JobStarts;
  readonly mcpSessions: McpSessions;
  readonly mcpStreams: McpStreams;
  readonly reservations: ReservationStore;
  readonly recorder: Recorder;
  readonly upstream: Upstream;
  readonly leases: Leases;
  readonly counters: Counters;
  readonly ids: { request(): RequestId; decision(): DecisionId };
}
