/** Every condition of a rule, wherever it stands, with what it must yield. */

import { demandsOf } from '../demand/demands.ts';
import type { CheckOptions } from '../expression/check-expression.ts';
import type { Step } from '../reader/locate.ts';
import type { Rule } from '../rule.ts';

export interface RuleExpression {
  readonly steps: readonly Step[];
  readonly text: string;
  readonly options: CheckOptions;
}

/**
 * In the order of the rule's fields. Where a failure denies what nobody granted (a deny rule's `when`, a require rule's,
 * the guard of a demand) what may be absent has to be guarded; elsewhere absence is what denies.
 */
export function expressionsOf(rule: Rule): readonly RuleExpression[] {
  const bool = { wants: 'bool', guardsAbsence: false } as const;
  const found: RuleExpression[] = (rule.bind ?? []).map((text, at) => ({ steps: ['bind', at], text, options: bool }));
  if (rule.when !== undefined) found.push({ steps: ['when'], text: rule.when, options: { ...bool, guardsAbsence: rule.verb !== 'allow' } });
  for (const [at, { with: values = {} }] of (rule.after ?? []).entries())
    for (const [name, text] of Object.entries(values))
      found.push({ steps: ['after', at, 'with', name], text, options: { wants: 'key', guardsAbsence: false } });
  for (const { field, value, expressions } of demandsOf(rule))
    for (const { steps, text, wants } of expressions?.(value) ?? [])
      found.push({ steps: [field, ...steps], text, options: { wants, guardsAbsence: false } });
  for (const limit of ['once', 'max', 'budget'] as const) {
    const per = rule[limit]?.per;
    if (per !== undefined) found.push({ steps: [limit, 'per'], text: per, options: { wants: 'key', guardsAbsence: false } });
  }
  if (rule.budget !== undefined)
    found.push({ steps: ['budget', 'sum'], text: rule.budget.sum, options: { wants: 'amount', guardsAbsence: false } });
  return found;
}
