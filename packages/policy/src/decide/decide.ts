/**
 * The decision. Pure, total, and deny unless an allow rule is fully met and no deny rule matches or errs. What it costs
 * depends on the rules about this one tool, not on how many there are. Spec: policy-v1 section 6.
 */

import type { DenialCode, Instant, RuleId } from '@sallyport/model';
import { entryOf } from '../compile/compile.ts';
import type { CompiledPolicy, CompiledRule } from '../compile/compile.ts';
import type { ReservationSpec } from '../demand/limit.ts';
import type { PolicyInput } from '../input.ts';
import type { Source } from '../rule.ts';
import { demandsOn, firstDenial } from './ceilings.ts';
import { unlessHandedOn } from './delegations.ts';
import { unknownAttribute } from './directory.ts';
import { unfitAttribute } from './facts.ts';
import { nearer } from './nearest.ts';
import type { Lacking } from './nearest.ts';
import { Call, REQUIREMENTS, isFor, unmetOf } from './requirements.ts';
import type { Unmet } from './requirements.ts';
import { reservationsOf } from './reservations.ts';
import { shadowFindings } from './shadow.ts';
import type { ShadowFinding } from './shadow.ts';

export type PolicyDecision =
  | {
      readonly decision: 'allow';
      readonly ruleId: RuleId;
      readonly reservations: readonly ReservationSpec[];
      /** Some rule of the agent counts calls in a row: this one is a step, also where it reserves nothing. */
      readonly isStep: boolean;
      /** Refused where its agent serves more sessions than this when the call is let out; whoever counts them sees to it. */
      readonly sessionsConcurrentMax?: number;
      /** Arguments whose values some precondition will compare, once the call has completed. */
      readonly comparedArguments: readonly string[];
      readonly source?: Source;
      /** What rules in shadow would have made of it, where they would have made something else. */
      readonly shadow?: readonly ShadowFinding[];
      /** What rules would have refused and an Observe lets pass; `observe` alone says so, never `decide`. */
      readonly observed?: Observed;
    }
  | {
      readonly decision: 'deny';
      readonly code: DenialCode;
      /** `default-deny` when nothing matched. */
      readonly ruleId: RuleId;
      /** For the record and the log, never for the caller. */
      readonly detail: string;
      /** Paths of the arguments at fault; public. */
      readonly fields?: readonly string[];
      readonly source?: Source;
      /** Every unmet requirement that answers, in table order. */
      readonly unmet: readonly Unmet[];
      readonly shadow?: readonly ShadowFinding[];
    };

/** The refusal that a call would have met, and until when it does not. */
export interface Observed {
  readonly code: DenialCode;
  readonly ruleId: RuleId;
  readonly until: Instant;
}

/** What a record names when no rule matched. */
export const DEFAULT_DENY: RuleId = 'default-deny' as RuleId;

/** Same input, same decision: no clock, no randomness, no state that a caller could see. */
export function decide(policy: CompiledPolicy, input: PolicyInput): PolicyDecision {
  const entry = entryOf(policy, input.agent, input.tool.name);
  if (entry === undefined) return defaultDeny(`no rule of agent ${input.agent} is about ${input.tool.name}`);
  // Types were checked against the declaration; a value of another type could turn a denial's condition about.
  const unfit = unfitAttribute(policy, input.principal);
  if (unfit !== undefined) return defaultDeny(`attribute ${unfit} of principal ${input.principal.id} is not what was declared`);
  const unknown = unknownAttribute(entry, input);
  if (unknown !== undefined) return defaultDeny(`attribute ${unknown} is the directory's to say, and it is too old or not there`);
  const call = new Call(policy, input, entry);
  const denied = denial(call);
  const decision = denied ?? grant(call);
  return entry.shadows.length === 0 ? decision : withShadow(decision, shadowFindings(call, { decision, isDenied: denied !== undefined }));
}

function withShadow(decision: PolicyDecision, shadow: readonly ShadowFinding[]): PolicyDecision {
  return shadow.length === 0 ? decision : { ...decision, shadow };
}

/** The first deny rule, by id, that matches or that cannot be evaluated. */
function denial(call: Call): PolicyDecision | undefined {
  const found = firstDenial(call);
  if (found === undefined) return undefined;
  const { compiled, why } = found;
  return {
    decision: 'deny',
    code: 'no_matching_policy',
    ruleId: compiled.rule.id,
    detail: `denied by rule ${compiled.rule.id}: ${why}`,
    ...(compiled.source === undefined ? {} : { source: compiled.source }),
    unmet: [],
  };
}

const NONE: readonly never[] = [];

function grant(call: Call): PolicyDecision {
  const { allows } = call.entry;
  const demands = demandsOn(call);
  let nearest: Lacking | undefined;
  for (const compiled of allows) {
    if (!isFor(compiled, call.input.principal)) continue;
    const list = unmetOf(call, compiled) ?? NONE;
    if (list.length === 0 && demands.unmet.length === 0) return handed(call) ?? allow(call, compiled, demands.rules);
    nearest = nearer(nearest, { compiled, list });
  }
  if (nearest === undefined) return defaultDeny(`no allow rule about ${call.entry.tool.name} is for principal ${call.input.principal.id}`);
  return refuse([...nearest.list, ...demands.unmet], [nearest.compiled, ...demands.rules]);
}

/** What rules allow of another agent's tool goes nowhere without a relation to that agent. */
function handed({ entry, input }: Call): PolicyDecision | undefined {
  const why = entry.handingOn === undefined ? undefined : unlessHandedOn(entry.handingOn, input);
  return why === undefined
    ? undefined
    : { decision: 'deny', code: 'delegation_not_allowed', ruleId: DEFAULT_DENY, detail: `delegation: ${why}`, unmet: [] };
}

function allow(call: Call, compiled: CompiledRule, requires: readonly CompiledRule[]): PolicyDecision {
  const { sessionsConcurrentMax } = call.entry;
  return {
    decision: 'allow',
    ruleId: compiled.rule.id,
    reservations: reservationsOf(call, [compiled, ...requires]),
    isStep: call.entry.countsSteps,
    ...(sessionsConcurrentMax === undefined ? {} : { sessionsConcurrentMax }),
    comparedArguments: call.entry.comparedArguments,
    ...(compiled.source === undefined ? {} : { source: compiled.source }),
  };
}

/** The answer of the nearest allow rule and the require rules: the first of their unmet requirements in table order. */
function refuse(list: readonly Unmet[], rules: readonly CompiledRule[]): PolicyDecision {
  const sorted = list.toSorted((a, b) => REQUIREMENTS[a.requirement].row - REQUIREMENTS[b.requirement].row);
  const [first] = sorted;
  if (first === undefined) return defaultDeny('no requirement is unmet, and yet nothing was granted');
  const source = rules.find(({ rule }) => rule.id === first.ruleId)?.source;
  const fields = [...new Set(sorted.filter(({ code }) => code === first.code).flatMap((one) => one.fields ?? []))];
  return {
    decision: 'deny',
    code: first.code,
    ruleId: first.ruleId,
    detail: sorted.map(({ requirement, ruleId, detail }) => `rule ${ruleId}, ${requirement}: ${detail}`).join('; '),
    ...(fields.length === 0 ? {} : { fields }),
    ...(source === undefined ? {} : { source }),
    unmet: sorted,
  };
}

function defaultDeny(detail: string): PolicyDecision {
  return { decision: 'deny', code: 'no_matching_policy', ruleId: DEFAULT_DENY, detail, unmet: [] };
}
