/** What a decision is made from. */

import type { AgentName, Instant, Isolation, Principal, Tool } from '@sallyport/model';
import type { TypedArguments } from '@sallyport/strict';
import type { Approver, Hop } from './rule.ts';
import type { SessionFacts } from './session.ts';

export interface PolicyInput {
  readonly principal: Principal;
  readonly agent: AgentName;
  /** Its name alone counts: effect and classes are read from the policy's own catalog. */
  readonly tool: Tool;
  readonly args: TypedArguments;
  readonly session: SessionFacts;
  readonly now: Instant;
  /** Attributes that the directory says and that nobody knows now: what may read one is refused. */
  readonly unknownAttributes?: readonly string[];
  /** What is absent below is not there: it meets no demand. */
  readonly chain?: readonly Hop[];
  readonly justification?: string;
  readonly approvals?: readonly Approver[];
  /** Whether the agent is kept from going round its sidecar. */
  readonly isolation?: Isolation;
}
