/**
 * Why a decision fell as it did, and the smallest change that flips it. For people with the right to see rules and
 * values: nothing here may reach a caller. The decision itself is the one `decide` makes; this only looks at it.
 */

import { entryOf } from '../compile/compile.ts';
import type { CompiledPolicy, CompiledRule } from '../compile/compile.ts';
import { decide } from '../decide/decide.ts';
import type { PolicyDecision } from '../decide/decide.ts';
import { Call, conditionNamed, unless, unmet, unmetFor, unmetOf } from '../decide/requirements.ts';
import type { Unmet } from '../decide/requirements.ts';
import { isDemand } from '../demand/demands.ts';
import { readsOf } from '../expression/expression.ts';
import type { Condition } from '../expression/programs.ts';
import { formatSource } from '../grammar/test-suite.ts';
import type { PolicyInput } from '../input.ts';
import { changesFor, changesForDefaultDeny, changesForGrant } from './change.ts';
import type { Shown } from './change.ts';
import { showValue } from './explanation.ts';
import type { DenialExplanation, Explanation, RuleExplanation, UnmetExplanation } from './explanation.ts';

/** Explains the decision on a call. */
export function explain(policy: CompiledPolicy, input: PolicyInput): Explanation {
  const decision = decide(policy, input);
  const entry = entryOf(policy, input.agent, input.tool.name);
  if (entry === undefined)
    return { tool: input.tool.name, decision, rules: [], change: [`add an allow rule about ${input.tool.name} to agent ${input.agent}`] };
  const call = new Call(policy, input, entry);
  const compiled = [...entry.denies, ...entry.requires, ...entry.allows];
  const rules = compiled.map((one) => explainRule(call, one)).toSorted((a, b) => rank(a, decision) - rank(b, decision));
  const shadows = entry.shadows.map((one) => explainRule(call, one));
  return { tool: input.tool.name, decision, rules: [...rules, ...shadows], change: changeOf(call, decision, { rules, shown: 'values' }) };
}

/**
 * Explains a denial for whoever may see rules and must not see the call: names, places and the policy's own words, no
 * value of an argument, a claim or a session. Costs about as much as the decision, however many rules there are about
 * the tool. `undefined` where the decision is an allow.
 */
export function explainDenial(policy: CompiledPolicy, input: PolicyInput): DenialExplanation | undefined {
  const decision = decide(policy, input);
  if (decision.decision === 'allow') return undefined;
  const entry = entryOf(policy, input.agent, input.tool.name);
  if (entry === undefined) return { decision, unmet: [], change: [`add an allow rule about ${input.tool.name} to agent ${input.agent}`] };
  const call = new Call(policy, input, entry);
  const inputs = [...entry.denies, ...entry.requires, ...entry.allows];
  const unmetAt = decision.unmet.map((one) => {
    const source = inputs.find(({ rule }) => rule.id === one.ruleId)?.source;
    return source === undefined ? one : { ...one, source };
  });
  // Of rules that do not answer, one is enough to say what is missing.
  const answering = inputs.filter(({ rule }) => rule.id === decision.ruleId);
  const rules = (answering.length > 0 ? answering : entry.allows.slice(0, 1)).map((one) => briefly(one, input));
  return { decision, unmet: unmetAt, change: changeOf(call, decision, { rules, shown: 'words' }) };
}

function briefly(compiled: CompiledRule, { principal }: PolicyInput): RuleExplanation {
  const { rule, source } = compiled;
  const notFor = unmetFor(compiled, principal);
  return {
    ruleId: rule.id,
    verb: rule.verb,
    ...(source === undefined ? {} : { source }),
    matches: false,
    unmet: notFor === undefined ? [] : [{ ...notFor, values: {} }],
  };
}

function rank(rule: RuleExplanation, decision: PolicyDecision): number {
  return rule.ruleId === decision.ruleId ? 0 : 1;
}

function explainRule(call: Call, compiled: CompiledRule): RuleExplanation {
  const { rule, source, when } = compiled;
  const about = {
    ruleId: rule.id,
    verb: rule.verb,
    ...(rule.shadow === true ? { shadow: true as const } : {}),
    ...(source === undefined ? {} : { source }),
  };
  const notFor = unmetFor(compiled, call.input.principal);
  const list: Unmet[] = notFor === undefined ? [] : [notFor];
  if (rule.verb !== 'allow' && when !== undefined) {
    const value = call.value(when);
    // For a denial the condition not holding is what keeps it from matching; for a requirement, from applying.
    if (value === false || (value !== true && rule.verb === 'require'))
      list.push(unmet('when', compiled, { subject: when.text, detail: unless(call, when) ?? '' }));
  }
  if (rule.verb !== 'deny') list.push(...(unmetOf(call, compiled) ?? []));
  return { ...about, matches: list.length === 0, unmet: list.map((one) => ({ ...one, values: valuesOf(call, compiled, one) })) };
}

function valuesOf(call: Call, compiled: CompiledRule, one: Unmet): Readonly<Record<string, string>> {
  const { principal, session, args } = call.input;
  const { requirement } = one;
  if (isDemand(requirement)) return shownFacts(compiled.demands.find(({ field }) => field === requirement)?.facts(call.input) ?? {});
  switch (requirement) {
    case 'for':
      return {
        'principal.id': showValue(principal.id),
        'principal.tenant': showValue(principal.tenant),
        'principal.roles': showValue(principal.roles),
      };
    case 'scopes':
      return { 'principal.scopes': showValue(principal.scopes) };
    case 'after':
      return { 'session.completed': showValue([...new Set(session.completed)]) };
    case 'arguments': {
      const name = /^[^.[]*/.exec(one.subject)?.[0] ?? '';
      return Object.hasOwn(args, name) ? { [`args.${name}`]: showValue(args[name]) } : {};
    }
    case 'step':
      return { 'session.step': showValue(session.step) };
    case 'sequence':
      return {};
    case 'bind':
    case 'when':
    case 'once':
    case 'max':
    case 'budget': {
      const condition = conditionNamed(compiled, one.subject);
      return condition === undefined ? {} : readsIn(call, condition);
    }
  }
}

function shownFacts(facts: Readonly<Record<string, unknown>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(facts).map(([name, value]) => [name, value === undefined ? 'unknown' : showValue(value)]));
}

function readsIn(call: Call, condition: Condition): Readonly<Record<string, string>> {
  const texts = readsOf(call.expression(condition)).map(({ start, end }) => condition.text.slice(start, end));
  return Object.fromEntries([...new Set(texts)].map((text) => [text, showValue(call.look(text))]));
}

function changeOf(
  call: Call,
  decision: PolicyDecision,
  { rules, shown }: { readonly rules: readonly RuleExplanation[]; readonly shown: Shown },
): readonly string[] {
  const inputs = [...call.entry.denies, ...call.entry.requires, ...call.entry.allows];
  if (decision.decision === 'allow')
    return changesForGrant(
      rules.filter(({ verb, matches }) => verb === 'allow' && matches),
      inputs,
    );
  const denying = rules.find(({ ruleId, verb }) => verb === 'deny' && ruleId === decision.ruleId);
  if (denying !== undefined) {
    const where = denying.source === undefined ? '' : ` (${formatSource(denying.source)})`;
    const when = inputs.find(({ rule }) => rule.id === denying.ruleId)?.when?.text;
    return [
      when === undefined
        ? `remove or narrow deny rule ${denying.ruleId}${where}`
        : `let \`${when}\` be false, or narrow deny rule ${denying.ruleId}${where}`,
    ];
  }
  if (decision.unmet.length === 0) return changesForDefaultDeny(call.entry.tool.name, rules);
  return decision.unmet.flatMap((one) => changesFor(call, one, { compiled: inputs.find(({ rule }) => rule.id === one.ruleId), shown }));
}

/** The explanation as text for a terminal, no trailing newline. */
export function formatExplanation({ tool, decision, rules, change }: Explanation): string {
  const [answering] = rules;
  const isAnswered = answering?.ruleId === decision.ruleId;
  const where = decision.source === undefined ? '' : ` (${formatSource(decision.source)})`;
  const head =
    decision.decision === 'allow'
      ? `allow ${tool}, by rule ${decision.ruleId}${where}`
      : `deny ${tool}: ${decision.code}, by ${decision.ruleId}${where}`;
  const others = isAnswered ? rules.slice(1) : rules;
  return [
    head,
    ...(isAnswered && answering !== undefined ? answering.unmet.flatMap(formatUnmet) : []),
    ...(change.length === 0
      ? []
      : [decision.decision === 'allow' ? 'to deny it:' : 'to allow it:', ...change.map((sentence) => `  ${sentence}`)]),
    ...(others.length === 0 ? [] : ['other rules about this tool:', ...others.flatMap(formatRule)]),
  ].join('\n');
}

function formatRule({ ruleId, verb, shadow, source, matches, unmet: list }: RuleExplanation): readonly string[] {
  const where = source === undefined ? '' : ` (${formatSource(source)})`;
  return [
    `  ${shadow === true ? 'in shadow: ' : ''}${verb} ${ruleId}${where}: ${matches ? 'matches' : 'does not match'}`,
    ...list.flatMap(formatUnmet).map((line) => `  ${line}`),
  ];
}

function formatUnmet({ requirement, detail, values }: UnmetExplanation): readonly string[] {
  return [`  ${requirement}: ${detail}`, ...Object.entries(values).map(([name, value]) => `    ${name} = ${value}`)];
}
