/**
 * Observing: for a while, calls pass that rules of the agent's own layer refuse, and the record says what they would have
 * met. Everything else that refuses a call still does: what is above the rules (identity, the credential's step, delegation), what is
 * beside them (visibility, limits), and the rules of the layers above the agent's. Spec: policy-v1 section 14.
 */

import type { RuleId } from '@sallyport/model';
import { layerOfAgent, layerOfRule } from '../check/layering.ts';
import { entryOf, observeOf } from '../compile/compile.ts';
import type { CompiledPolicy, CompiledRule, Entry } from '../compile/compile.ts';
import { unfitLimit } from '../demand/limit.ts';
import type { Observe } from '../grammar/observe.ts';
import type { PolicyInput } from '../input.ts';
import { isGuarded } from '../reader/forms.ts';
import { demandsOn, firstDenial } from './ceilings.ts';
import type { PolicyDecision } from './decide.ts';
import { unknownAttribute } from './directory.ts';
import { unfitAttribute } from './facts.ts';
import { nearer } from './nearest.ts';
import type { Lacking } from './nearest.ts';
import { Call, isFor, isOfAnotherStep, unmetOf } from './requirements.ts';
import { reservationsOf } from './reservations.ts';

/** What a record names where an Observe let a call pass. */
export const OBSERVED: RuleId = 'observe' as RuleId;

type Refusal = Extract<PolicyDecision, { decision: 'deny' }>;
type Passed = Extract<PolicyDecision, { decision: 'allow' }>;

/** `refusal` is what `decide` answered to this very input; `undefined` where it stands. */
export function observe(policy: CompiledPolicy, input: PolicyInput, refusal: Refusal): Passed | undefined {
  const inForce = observeOf(policy, input.agent);
  const entry = entryOf(policy, input.agent, input.tool.name);
  if (inForce === undefined || entry === undefined || !isObservable(inForce, entry, input)) return undefined;
  // Its session is older than the declaration: who calls is not known as the rules have it.
  if (unfitAttribute(policy, input.principal) !== undefined || unknownAttribute(entry, input) !== undefined) return undefined;
  const call = new Call(policy, input, entry);
  if (isOfAnotherStep(call) || isRefusedAbove(call, policy)) return undefined;
  // What came through another agent, or would be handed on to one, is more than this agent's own trial.
  if ((input.chain ?? []).length > 0 || entry.handingOn !== undefined) return undefined;
  const nearest = entry.allows
    .filter((compiled) => isFor(compiled, input.principal))
    .map((compiled): Lacking => ({ compiled, list: unmetOf(call, compiled) ?? [] }))
    .reduce<Lacking | undefined>(nearer, undefined);
  // No rule is for this caller, so that for it the tool does not exist.
  if (nearest === undefined) return undefined;
  const limited = [nearest.compiled, ...demandsOn(call).rules];
  if (limited.some((rule) => isUncountable(call, rule))) return undefined;
  return {
    decision: 'allow',
    ruleId: OBSERVED,
    reservations: reservationsOf(call, limited),
    isStep: entry.countsSteps,
    comparedArguments: entry.comparedArguments,
    observed: { code: refusal.code, ruleId: refusal.ruleId, until: inForce.until },
    ...(refusal.source === undefined ? {} : { source: refusal.source }),
    ...(refusal.shadow === undefined ? {} : { shadow: refusal.shadow }),
  };
}

function isObservable({ from, until, classesExcluded }: Observe, { tool }: Entry, { now }: PolicyInput): boolean {
  // Written so that a moment that is no number is outside.
  if (!(now >= from && now < until)) return false;
  return !isGuarded(tool) && !tool.classes.some((name) => classesExcluded.includes(name));
}

/** What the layers above the agent's own deny and demand is a ceiling, and not the agent's to look through. */
function isRefusedAbove(call: Call, { parts: { layering } }: CompiledPolicy): boolean {
  if (layering === undefined) return false;
  const own = layerOfAgent(layering, call.input.agent);
  const isAbove = ({ rule }: CompiledRule): boolean => layerOfRule(layering, rule) < own;
  const { denies, requires } = call.entry;
  return firstDenial(call, denies.filter(isAbove)) !== undefined || demandsOn(call, requires.filter(isAbove)).unmet.length > 0;
}

/** Whether a limit of the rule cannot be asked for: then nothing would count the call. */
function isUncountable(call: Call, { limits }: CompiledRule): boolean {
  return limits.some((limit) => unfitLimit(limit, (condition) => call.value(condition)) !== undefined);
}
