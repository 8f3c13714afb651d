/** A decision as a record tells it: who, what and when, never the arguments, roles or scopes. */

import type { AgentName, Instant, Isolation } from '@sallyport/model';

export interface RecordedCall {
  readonly decisionId: string;
  readonly at: Instant;
  readonly agent: AgentName;
  /** As recorded: of a refused call what the caller claimed. */
  readonly tool: string;
  /** Absent where the record does not know. */
  readonly principal?: string;
  readonly tenant?: string;
  readonly case?: string;
  readonly decision: 'allow' | 'deny';
  /** `-` for an allow. */
  readonly code: string;
  readonly gate: string;
  readonly ruleId: string;
  /** The call was let pass although rules refused it; what stands here is what rules answered. */
  readonly isObserved?: true;
  /** Another agent had handed it on. */
  readonly isDelegated?: true;
  /** Absent where the record does not know. */
  readonly isolation?: Isolation;
  readonly policyDigest: string | null;
  readonly detail: string | null;
  /** What the records before this one tell of its session. */
  readonly session: RecordedSession;
}

export interface RecordedSession {
  readonly completed: ReadonlySet<string>;
  /** The session's opening is among the records: what they do not tell of it did not happen. */
  readonly isWhole: boolean;
  readonly openedAt?: Instant;
}
