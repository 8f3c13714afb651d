/** What the gateway itself has seen in a session. The sidecar keeps it and hands it in; nothing here remembers. */

import type { SessionId, ToolName } from '@sallyport/model';

/**
 * Facts about one session, as a view that does not change while a decision reads it. Every call of a tool that the caller
 * may know is in `attempted`, a denied one too; only real success is in `completed`; a call in flight is in `attempted` alone.
 */
export interface SessionFacts {
  readonly id: SessionId;
  /** The case that the operator's credential named, if it named one. */
  readonly case?: string;
  /** Tools in order of first attempt to last, with repetitions; likewise the other three. */
  readonly attempted: readonly ToolName[];
  readonly completed: readonly ToolName[];
  readonly failed: readonly ToolName[];
  readonly denied: readonly ToolName[];
  /** Whether `completed` holds the tool; must not cost more for a long session. */
  hasCompleted(tool: ToolName): boolean;
}
