/** The decision. Pure, total, and deny unless an allow rule is fully met and no deny rule matches or errs. */

import type { AgentName, DenialCode, Instant, Principal, RuleId, Tool } from '@sallyport/model';
import { Bug } from '@sallyport/model';
import type { TypedArguments } from '@sallyport/strict';
import type { CompiledPolicy } from './compile.ts';
import type { Source } from './rule.ts';
import type { SessionFacts } from './session.ts';

export interface PolicyInput {
  readonly principal: Principal;
  readonly agent: AgentName;
  readonly tool: Tool;
  readonly args: TypedArguments;
  readonly session: SessionFacts;
  readonly now: Instant;
}

/** Rows of the requirement table, in its order (policy-v1 section 6). */
export type Requirement = 'for' | 'scopes' | 'bind' | 'arguments' | 'after' | 'when' | 'once';

/** One requirement that does not hold. */
export interface Unmet {
  readonly requirement: Requirement;
  readonly code: DenialCode;
  readonly ruleId: RuleId;
  /** What was wanted and what was found; for the record and the log, never for the caller. */
  readonly detail: string;
  /** The expression, scope, tool or argument at fault. */
  readonly subject: string;
}

/** What the reservation gate must hold before the call may go on. */
export interface ReservationSpec {
  readonly kind: 'once';
  readonly ruleId: RuleId;
  /** Rule id and typed value of `per`, unambiguous; equal exactly for equal values. */
  readonly key: string;
  /** `session`: for the session's life; `agent`: in any session of the agent, within `windowMs`. */
  readonly scope: 'session' | 'agent';
  readonly windowMs?: number;
  readonly max: 1;
}

export type PolicyDecision =
  | {
      readonly decision: 'allow';
      readonly ruleId: RuleId;
      readonly reservations: readonly ReservationSpec[];
      readonly source?: Source;
    }
  | {
      readonly decision: 'deny';
      readonly code: DenialCode;
      /** `default-deny` when nothing matched. */
      readonly ruleId: RuleId;
      readonly detail: string;
      /** Argument names at fault, for `parameter_not_allowed` and `resource_binding_mismatch`. */
      readonly fields?: readonly string[];
      readonly source?: Source;
      /** Every unmet requirement of the rule that answers, in table order. */
      readonly unmet: readonly Unmet[];
    };

/** Same input, same decision: no clock, no randomness, no state that a caller could see. */
export function decide(_policy: CompiledPolicy, _input: PolicyInput): PolicyDecision {
  throw new Bug('to come');
}
