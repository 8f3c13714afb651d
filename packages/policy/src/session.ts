/** What the gateway itself has seen in a session. The sidecar keeps it and hands it in; nothing here remembers. */

import type { ChainRoot, Instant, OriginClaim, SessionId, SessionOrigin, ToolName } from '@sallyport/model';

/** What conditions may read of how a session began, by its name there. A trace id is for records alone: clients choose it. */
export type OriginFact = Exclude<OriginClaim, 'trace_id'>;
export const ORIGIN_FACTS: Readonly<
  Record<OriginFact, 'customerId' | 'workflowId' | 'workflowStep' | 'conversationId' | 'runId' | 'purpose'>
> = {
  customer_id: 'customerId',
  workflow_id: 'workflowId',
  workflow_step: 'workflowStep',
  conversation_id: 'conversationId',
  run_id: 'runId',
  purpose: 'purpose',
};
export const ORIGIN_FACT_NAMES: readonly OriginFact[] = Object.keys(ORIGIN_FACTS) as OriginFact[];

/**
 * Facts about one session, as a view that does not change while a decision reads it. Every call is in `attempted`,
 * a denied one too, also of a tool that is hidden or not there; only real success is in `completed`; a call in flight is
 * in `attempted` alone.
 */
export interface SessionFacts {
  readonly id: SessionId;
  /** The case that the operator's credential named, if it named one. */
  readonly case?: string | undefined;
  /** Tools in order of first attempt to last, with repetitions; likewise the other three. `undefined`: too many to know, and what reads it denies. */
  readonly attempted: readonly ToolName[] | undefined;
  readonly completed: readonly ToolName[] | undefined;
  readonly failed: readonly ToolName[] | undefined;
  readonly denied: readonly ToolName[] | undefined;
  /** Whether the tool completed, also where `completed` is too long to know; must not cost more for a long session. */
  hasCompleted(tool: ToolName): boolean;
  /**
   * Whether the tool completed in a call whose arguments had these values, each in the form of `comparedForm`. What
   * is not known is not so; without this member nothing is.
   */
  hasCompletedWith?(tool: ToolName, values: Readonly<Record<string, string>>): boolean;
  /** Whatever is absent below is unknown, and what reads it denies. */
  readonly startedAt?: Instant;
  readonly root?: ChainRoot;
  /** How it began: what the credential that opened it said beside who, and the delegations that led here. */
  readonly origin?: SessionOrigin;
  /** What the operator's credential says the session is for, and the one step that it was issued for. */
  readonly task?: string | undefined;
  readonly step?: string | undefined;
  /** Data classes of the tools of whose answers anything has reached the caller. */
  readonly classes?: readonly string[];
  /** What tools touched and results held, by the names that tools declare; `undefined` where too much was noted to know. */
  noted?(kind: 'touched' | 'remembered', name: string): readonly string[] | undefined;
  /** 0 to 100. */
  readonly risk?: number;
  /** SHA-256, in lower-case hex, of each text that a person has reviewed in this session. */
  readonly reviews?: ReadonlySet<string>;
}
