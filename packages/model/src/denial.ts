/**
 * Every way to be refused: one closed list of codes and one table of public answers. A code without an answer does
 * not compile. Public text never says which rule fired, nor whether a forbidden thing exists; `detail` is for the
 * record and the log alone.
 */

import type { RuleId } from './ids.ts';
import type { JsonObject } from './json.ts';
import type { Effect } from './tool.ts';

export type DenialCode =
  | 'malformed_request'
  | 'direct_address_rejected'
  | 'idempotency_key_required'
  | 'unauthenticated'
  | 'token_expired'
  | 'token_revoked'
  | 'token_outdated'
  | 'token_lifetime_exceeded'
  | 'session_unknown'
  | 'session_expired'
  | 'session_binding_mismatch'
  | 'signature_invalid'
  | 'replay_detected'
  | 'no_matching_policy'
  | 'tool_not_allowed'
  | 'tool_step_mismatch'
  | 'parameter_not_allowed'
  | 'out_of_task'
  | 'insufficient_scope'
  | 'resource_binding_mismatch'
  | 'step_up_required'
  | 'requires_approval'
  | 'approval_invalid'
  | 'session_precondition_failed'
  | 'call_limit_exceeded'
  | 'budget_exceeded'
  | 'risk_too_high'
  | 'injection_detected'
  | 'delegation_not_allowed'
  | 'egress_denied'
  | 'agent_not_registered'
  | 'obligation_unsupported'
  | 'response_blocked'
  | 'method_not_allowed'
  | 'idempotency_key_reused'
  | 'payload_too_large'
  | 'unsupported_content_type'
  | 'schema_violation'
  | 'field_not_allowed'
  | 'rate_limited'
  | 'headers_too_large'
  | 'internal'
  | 'upstream_error'
  | 'upstream_untrusted'
  | 'upstream_timeout'
  | 'overloaded'
  | 'policy_stale'
  | 'policy_unavailable'
  | 'dlp_unavailable'
  | 'identity_unavailable'
  | 'audit_unavailable'
  | 'credential_unavailable';

/** What the agent should do next; a closed set, so that a workflow can branch on it. */
export type NextAction =
  | 'fix_arguments'
  | 'authenticate'
  | 'step_up'
  | 'get_approval'
  | 'wait'
  | 'use_allowed_tool'
  | 'ask_user'
  | 'route_to_human'
  | 'revise_or_review'
  | 'contact_owner'
  | 'stop';

/** What has happened to the call: nothing, perhaps something, or it was carried out. */
export type DenialEffect = 'none' | 'possible' | 'done';

export interface PublicAnswer {
  /** HTTP status where the protocol has one. */
  readonly status: number;
  /** RFC 9457 `title`: what went wrong, for the agent's developer. Same for every occurrence of the code. */
  readonly title: string;
  readonly nextAction: NextAction;
  /** May be shown to the end user: neutral, says nothing of a control. */
  readonly userMessage: string;
  /** Whether the same call can succeed later by waiting alone. */
  readonly isTransient: boolean;
}

const CANNOT = 'I cannot do that.';
const SIGN_IN = 'Please sign in again to continue.';
const LATER = 'This is not available right now. Please try again later.';

const answer = (status: number, title: string, nextAction: NextAction, userMessage: string, isTransient = false): PublicAnswer => ({
  status,
  title,
  nextAction,
  userMessage,
  isTransient,
});

export const ANSWERS: Readonly<Record<DenialCode, PublicAnswer>> = {
  malformed_request: answer(400, 'the request is malformed or ambiguous', 'fix_arguments', CANNOT),
  direct_address_rejected: answer(400, 'targets are named, not addressed', 'use_allowed_tool', CANNOT),
  idempotency_key_required: answer(400, 'this call needs an idempotency key', 'fix_arguments', CANNOT),
  unauthenticated: answer(401, 'no valid credential was presented', 'authenticate', SIGN_IN),
  token_expired: answer(401, 'the token has expired', 'authenticate', SIGN_IN),
  token_revoked: answer(401, 'the token is no longer accepted', 'authenticate', SIGN_IN),
  token_outdated: answer(401, 'the token was issued under withdrawn terms', 'authenticate', SIGN_IN),
  token_lifetime_exceeded: answer(401, 'the token lives longer than is accepted', 'authenticate', SIGN_IN),
  session_unknown: answer(401, 'no session is tied to this call', 'authenticate', SIGN_IN),
  session_expired: answer(401, 'the session is over; open a new one', 'authenticate', SIGN_IN),
  session_binding_mismatch: answer(401, 'the session belongs to another connection', 'authenticate', SIGN_IN),
  signature_invalid: answer(401, 'a signature does not verify', 'authenticate', SIGN_IN),
  replay_detected: answer(401, 'this request was seen before', 'authenticate', SIGN_IN),
  no_matching_policy: answer(403, 'nothing allows this call', 'use_allowed_tool', CANNOT),
  tool_not_allowed: answer(403, 'unknown tool', 'use_allowed_tool', CANNOT),
  tool_step_mismatch: answer(403, 'the credential was issued for another step', 'authenticate', CANNOT),
  parameter_not_allowed: answer(403, 'an argument has a value that is not allowed', 'fix_arguments', CANNOT),
  out_of_task: answer(403, 'the call is outside the present task', 'stop', CANNOT),
  insufficient_scope: answer(
    403,
    'the credential lacks a scope for this call',
    'authenticate',
    'I do not have permission to do that for you.',
  ),
  resource_binding_mismatch: answer(
    403,
    'the call is about something this session is not for',
    'ask_user',
    'I can only help with the present case.',
  ),
  step_up_required: answer(403, 'a fresh or stronger sign-in is needed', 'step_up', 'Please verify that it is you to continue.'),
  requires_approval: answer(403, 'a person has to approve this call', 'get_approval', 'This needs to be confirmed by a colleague first.'),
  approval_invalid: answer(403, 'the approval does not fit this call', 'get_approval', 'This needs to be confirmed by a colleague first.'),
  session_precondition_failed: answer(403, 'another step has to succeed first', 'use_allowed_tool', 'Something else has to be done first.'),
  call_limit_exceeded: answer(
    403,
    'this call was made as often, or as often in a row, as it may be',
    'stop',
    'That has already been done.',
  ),
  budget_exceeded: answer(403, 'a budget is used up', 'route_to_human', 'I cannot do that right now. A colleague can help.'),
  risk_too_high: answer(403, 'the call is too risky under present circumstances', 'route_to_human', 'A colleague has to help with that.'),
  injection_detected: answer(403, 'the content was refused', 'revise_or_review', 'I cannot work with that content.'),
  delegation_not_allowed: answer(403, 'this agent may not hand the task on', 'stop', CANNOT),
  egress_denied: answer(403, 'nothing is reachable under this name', 'use_allowed_tool', CANNOT),
  agent_not_registered: answer(403, 'no such agent', 'contact_owner', CANNOT),
  obligation_unsupported: answer(403, 'a condition of this call cannot be met here', 'contact_owner', CANNOT),
  response_blocked: answer(403, 'the answer was withheld', 'revise_or_review', 'I cannot show that.'),
  method_not_allowed: answer(405, 'this method is not served here', 'use_allowed_tool', CANNOT),
  idempotency_key_reused: answer(409, 'this idempotency key was used for another call', 'fix_arguments', CANNOT),
  payload_too_large: answer(413, 'the payload is too large', 'fix_arguments', 'That is too large for me to work with.'),
  unsupported_content_type: answer(415, 'this content type or coding is not accepted', 'fix_arguments', CANNOT),
  schema_violation: answer(422, 'the arguments do not fit the tool', 'fix_arguments', CANNOT),
  field_not_allowed: answer(422, 'an argument is not known to the tool', 'fix_arguments', CANNOT),
  rate_limited: answer(429, 'too many calls', 'wait', LATER, true),
  headers_too_large: answer(431, 'the request head is too large', 'fix_arguments', CANNOT),
  internal: answer(500, 'the gateway failed and refused the call', 'contact_owner', LATER),
  upstream_error: answer(502, 'the tool failed', 'wait', LATER, true),
  upstream_untrusted: answer(502, 'the tool could not be trusted', 'contact_owner', LATER),
  upstream_timeout: answer(504, 'the tool did not answer in time', 'wait', LATER, true),
  overloaded: answer(503, 'the gateway is busy or shutting down', 'wait', LATER, true),
  policy_stale: answer(503, 'the policy held here is too old to act on', 'wait', LATER, true),
  policy_unavailable: answer(503, 'no policy is held here yet', 'wait', LATER, true),
  dlp_unavailable: answer(503, 'content inspection is not available', 'wait', LATER, true),
  identity_unavailable: answer(503, 'credentials cannot be verified right now', 'wait', LATER, true),
  audit_unavailable: answer(503, 'the call cannot be recorded right now', 'wait', LATER, true),
  credential_unavailable: answer(503, 'the tool’s credential is not available', 'wait', LATER, true),
};

export const DENIAL_CODES: readonly DenialCode[] = Object.keys(ANSWERS) as DenialCode[];

/** A refusal as a value. Gates return it; nothing throws to deny. */
export interface Denial {
  readonly code: DenialCode;
  /** For the record and the log; may name rules and values that the caller must not see. */
  readonly detail: string;
  readonly ruleId?: RuleId;
  /** Argument paths at fault. Public: they name only what the caller itself sent, or what the tool's listing shows. */
  readonly fields?: readonly string[];
  /** How far a field at fault may go, by the tool's own declaration. Public: it is the same for every caller of the tool. */
  readonly limits?: readonly FieldLimit[];
  readonly retryAfterMs?: number;
  /** Where this occurrence of the code leaves another way than the table says. */
  readonly nextAction?: NextAction;
  /** Rules in shadow that would have let the call pass; for the record and for counters. */
  readonly shadow?: readonly RuleId[];
  /**
   * Where a JSON-RPC protocol has a name of its own for exactly this: what is said in place of the table's status and
   * title. Public, like `fields`: it speaks of nothing but what the caller itself sent.
   */
  readonly rpc?: RpcName;
}

/** `field` lies at most `max` before `before`, two dates among the arguments. */
export interface FieldLimit {
  readonly field: string;
  /** A span as policies write it, such as `90d`. */
  readonly max: string;
  readonly before: string;
}

export interface RpcName {
  readonly status: number;
  readonly code: number;
  readonly message: string;
  readonly data?: JsonObject;
}

/** A denial value; `detail` stays inside. */
export function deny(code: DenialCode, detail: string, more: Omit<Denial, 'code' | 'detail'> = {}): Denial {
  return { code, detail, ...more };
}

/**
 * Whether repeating the same call makes sense and is safe: the reason passes with time, and either nothing has
 * happened, or repeating does no harm (a read, or a call under an idempotency key).
 */
export function isRetryable(
  code: DenialCode,
  effect: DenialEffect,
  call: { toolEffect?: Effect; hasIdempotencyKey?: boolean } = {},
): boolean {
  return ANSWERS[code].isTransient && (effect === 'none' || call.toolEffect === 'read' || call.hasIdempotencyKey === true);
}

/** The public form, the same members in every protocol; each dialect wraps it in its own envelope. */
export interface PublicDenial {
  readonly code: DenialCode;
  readonly status: number;
  readonly title: string;
  readonly decision_id: string;
  readonly effect: DenialEffect;
  readonly retryable: boolean;
  readonly next_action: NextAction;
  readonly user_message: string;
  readonly fields?: readonly string[];
  readonly limits?: readonly FieldLimit[];
  readonly retry_after_ms?: number;
}

/** Drops everything inside; what remains may leave the process. */
export function publicDenial(
  denial: Denial,
  context: { decisionId: string; effect: DenialEffect; toolEffect?: Effect; hasIdempotencyKey?: boolean },
): PublicDenial {
  const row = ANSWERS[denial.code];
  return {
    code: denial.code,
    status: row.status,
    title: row.title,
    decision_id: context.decisionId,
    effect: context.effect,
    retryable: isRetryable(denial.code, context.effect, context),
    next_action: denial.nextAction ?? row.nextAction,
    user_message: row.userMessage,
    ...(denial.fields === undefined ? {} : { fields: denial.fields }),
    ...(denial.limits === undefined ? {} : { limits: denial.limits }),
    ...(denial.retryAfterMs === undefined ? {} : { retry_after_ms: denial.retryAfterMs }),
  };
}
