/** The smallest change that flips a decision, as sentences. A first version: one requirement, one sentence. */

import type { CompiledRule } from '../compile/compile.ts';
import { conditionNamed } from '../decide/requirements.ts';
import type { Call, Unmet } from '../decide/requirements.ts';
import { DEMANDS, isDemand } from '../demand/demands.ts';
import { CelFailure } from '../expression/cel.ts';
import { argumentNamesOf, pathOf, readsOf } from '../expression/expression.ts';
import type { Expression } from '../expression/expression.ts';
import { showValue } from './explanation.ts';
import type { RuleExplanation } from './explanation.ts';

/** `values`: what was compared is shown; `words`: only what the policy itself says, and the names of what it reads. */
export type Shown = 'values' | 'words';

/** What would meet one unmet requirement. */
export function changesFor(
  call: Call,
  one: Unmet,
  { compiled, shown }: { compiled: CompiledRule | undefined; shown: Shown },
): readonly string[] {
  const { requirement } = one;
  if (isDemand(requirement)) {
    const demand = compiled?.demands.find(({ field }) => field === requirement);
    // Without a demand of its own an allow rule asks for no agent in between, and for the scopes that were handed on.
    return [demand === undefined ? DEMANDS.delegation.remedy({}) : demand.remedy(demand.value)];
  }
  switch (requirement) {
    case 'for':
      return [`let rule ${one.ruleId} be for this principal`];
    case 'scopes':
      return [`use a credential with scope ${one.subject}`];
    case 'after':
      return [`complete ${one.subject} in this session first`];
    case 'arguments':
      return [`change ${one.detail}`];
    case 'step':
      return [`use a credential that was issued for this tool`];
    case 'sequence':
      return ['make another call first'];
    case 'bind':
    case 'when':
    case 'once':
    case 'max':
    case 'budget': {
      const condition = compiled === undefined ? undefined : conditionNamed(compiled, one.subject);
      if (condition === undefined || LIMITED.has(one.requirement)) return [`let \`${one.subject}\` have a value`];
      return changesInside(call, call.expression(condition), { text: condition.text, shown });
    }
  }
}

const LIMITED: ReadonlySet<string> = new Set(['once', 'max', 'budget']);

const WORDS: Readonly<Record<string, string>> = {
  '==': 'be',
  '!=': 'not be',
  '<': 'be less than',
  '<=': 'be at most',
  '>': 'be more than',
  '>=': 'be at least',
  in: 'be one of',
};
const FLIPPED: Readonly<Record<string, string>> = { '==': '==', '!=': '!=', '<': '>', '<=': '>=', '>': '<', '>=': '<=' };

/** Of a conjunction, the parts that fail; of a comparison, what the argument should be. */
function changesInside(call: Call, expression: Expression, written: { readonly text: string; readonly shown: Shown }): readonly string[] {
  const { text, shown } = written;
  const tell = (part: Expression, value: unknown): string =>
    shown === 'values' || isOfPolicy(part) ? showValue(value) : `\`${slice(part)}\``;
  const slice = (part: Expression): string => text.slice(part.start, part.end);
  if (expression.kind === 'and') {
    const failing = [expression.left, expression.right].filter((part) => call.look(slice(part)) !== true);
    return failing.flatMap((part) => changesInside(call, part, written));
  }
  if (expression.kind === 'binary') {
    const { operator, left, right } = expression;
    const isArgument = (part: Expression): boolean => pathOf(part)?.[0] === 'args';
    const found = call.look(slice(right));
    if (isArgument(left) && WORDS[operator] !== undefined && !(found instanceof CelFailure))
      return [`let ${slice(left)} ${WORDS[operator]} ${tell(right, found)}`];
    const flipped = FLIPPED[operator];
    const wanted = call.look(slice(left));
    if (isArgument(right) && flipped !== undefined && !(wanted instanceof CelFailure))
      return [`let ${slice(right)} ${WORDS[flipped] ?? flipped} ${tell(left, wanted)}`];
  }
  const names = argumentNamesOf(expression);
  const about = names.length === 0 ? '' : ` (reads ${names.map((name) => `args.${name}`).join(', ')})`;
  return [`let \`${slice(expression)}\` be true${about}`];
}

/** Whether an expression reads nothing of the call, the caller or the session: its value stands in the policy for all to read. */
function isOfPolicy(expression: Expression): boolean {
  return readsOf(expression).every((read) => OF_POLICY.has(pathOf(read)?.[0] ?? ''));
}
const OF_POLICY: ReadonlySet<string> = new Set(['env', 'tool', 'agent']);

/** What would make some allow rule answer at all: of the rules for others, the one that lacks least. */
export function changesForDefaultDeny(tool: string, rules: readonly RuleExplanation[]): readonly string[] {
  const allows = rules.filter(({ verb }) => verb === 'allow').toSorted((a, b) => a.unmet.length - b.unmet.length);
  const [nearest] = allows;
  if (nearest === undefined) return [`add an allow rule about ${tool}`];
  return [
    `let rule ${nearest.ruleId} be for this principal: ${nearest.unmet.find(({ requirement }) => requirement === 'for')?.detail ?? 'see its `for`'}`,
  ];
}

/** What would take the grant away: one requirement of the granting rule, or the rule itself. */
export function changesForGrant(granting: readonly RuleExplanation[], compiled: readonly CompiledRule[]): readonly string[] {
  return granting.map(({ ruleId }) => {
    const rule = compiled.find((one) => one.rule.id === ruleId)?.rule;
    const [condition] = [...(rule?.bind ?? []), ...(rule?.when === undefined ? [] : [rule.when])];
    const [scope] = rule?.scopes ?? [];
    const [after] = rule?.after ?? [];
    if (condition !== undefined) return `rule ${ruleId}: let \`${condition}\` be false`;
    if (scope !== undefined) return `rule ${ruleId}: use a credential without scope ${scope}`;
    if (after !== undefined) return `rule ${ruleId}: call before ${after.tool} has completed`;
    return `rule ${ruleId}: remove it, or narrow it`;
  });
}
