/** What an explanation consists of, and how values are shown in one. */

import { Decimal } from '@sallyport/model';
import type { PolicyDecision } from '../decide/decide.ts';
import type { Unmet } from '../decide/requirements.ts';
import { CelFailure } from '../expression/cel.ts';
import type { Source, Verb } from '../rule.ts';

/** An unmet requirement with the values that were compared, by what they are called: `args.amount`. */
export interface UnmetExplanation extends Unmet {
  readonly values: Readonly<Record<string, string>>;
}

export interface RuleExplanation {
  readonly ruleId: string;
  readonly verb: Verb;
  /** It is evaluated and has no effect. */
  readonly shadow?: true;
  readonly source?: Source;
  /** Allow: every requirement is met. Deny: it denies. Require: it applies, and what it demands is met. */
  readonly matches: boolean;
  readonly unmet: readonly UnmetExplanation[];
}

export interface Explanation {
  readonly tool: string;
  readonly decision: PolicyDecision;
  /** Every rule that is about this tool, the one that answers first, the others by id. */
  readonly rules: readonly RuleExplanation[];
  /** What would have to differ for the opposite decision, as sentences; all of them together. */
  readonly change: readonly string[];
}

/** A denial explained without a value of the call (`explainDenial`). */
export interface DenialExplanation {
  readonly decision: Extract<PolicyDecision, { decision: 'deny' }>;
  /** The requirements that answer, in table order, each with the place of its rule. */
  readonly unmet: readonly (Unmet & { readonly source?: Source })[];
  /** As of an Explanation; what is compared with is named, not shown, unless it stands in the policy. */
  readonly change: readonly string[];
}

/** A value as a person reads it, cut where it is long. */
export function showValue(value: unknown): string {
  if (value instanceof CelFailure) return `(${value.reason})`;
  if (value instanceof Decimal || typeof value === 'bigint') return value.toString();
  if (Array.isArray(value)) {
    const shown = value.slice(0, 8).map(showValue).join(', ');
    return `[${shown}${value.length > 8 ? `, … ${value.length - 8} more` : ''}]`;
  }
  if (typeof value === 'object' && value !== null) return `{${Object.keys(value).slice(0, 8).join(', ')}}`;
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value);
  return text.length > 160 ? `${text.slice(0, 157)}...` : text;
}
