/**
 * Limits of a rule: how often, how often in a row, and how much. A decision only says what has to be reserved; that it
 * holds under parallel calls is the store's to see to. Spec: policy-v1 section 6.7.
 */

import { digestOf, utf8 } from '@sallyport/crypto';
import { Decimal } from '@sallyport/model';
import type { DenialCode, RuleId } from '@sallyport/model';
import { canonicalValue } from '@sallyport/strict';
import type { Condition } from '../expression/programs.ts';
import { formatSpan } from '../reader/read.ts';
import type { EnvironmentValues, LimitSpan, Rule } from '../rule.ts';

export type LimitName = 'once' | 'max' | 'sequence' | 'budget';

/** A limit ready to be judged. `sequence` has neither span nor subject: it is the session's. */
export type CompiledLimit =
  | { readonly name: 'once' | 'max'; readonly max: number; readonly withinMs?: number; readonly per?: Condition }
  | { readonly name: 'sequence'; readonly max: number }
  | { readonly name: 'budget'; readonly max: Decimal; readonly sum: Condition; readonly withinMs?: number; readonly per?: Condition };

/** What the reservation gate must hold before the call may go on. */
export type ReservationSpec = {
  readonly ruleId: RuleId;
  /** Which of the rule's limits it is, and the expression that it counts by: the rule's own words, no value of a call. */
  readonly limit: LimitName;
  readonly per?: string;
  /** What the caller is told where it cannot be had. */
  readonly code: DenialCode;
  /** The limit's name, the rule's id and the typed value of `per`, unambiguous; equal exactly for equal values. */
  readonly key: string;
  /** `session`: for the session's life; `agent`: in any session of the agent, within `windowMs`. */
  readonly scope: 'session' | 'agent';
  readonly windowMs?: number;
} & (
  | { readonly kind: 'count'; readonly max: number }
  /** At most `max` in a row, in the session. */
  | { readonly kind: 'run'; readonly max: number }
  | { readonly kind: 'sum'; readonly amount: Decimal; readonly max: Decimal }
);

export const LIMIT_CODES: Readonly<Record<LimitName, DenialCode>> = {
  once: 'call_limit_exceeded',
  max: 'call_limit_exceeded',
  sequence: 'call_limit_exceeded',
  budget: 'budget_exceeded',
};

/** The limits of a rule; a budget's `${env.x}` has been checked to name a number. */
export function limitsOf(
  rule: Rule,
  { environment, condition }: { readonly environment: EnvironmentValues; readonly condition: (text: string) => Condition },
): readonly CompiledLimit[] {
  const span = ({ per, withinMs }: LimitSpan): { withinMs?: number; per?: Condition } => ({
    ...(withinMs === undefined ? {} : { withinMs }),
    ...(per === undefined ? {} : { per: condition(per) }),
  });
  const { once, max, sequence, budget } = rule;
  return [
    ...(once === undefined ? [] : [{ name: 'once', max: 1, ...span(once) } as const]),
    ...(max === undefined ? [] : [{ name: 'max', max: max.count, ...span(max) } as const]),
    ...(sequence === undefined ? [] : [{ name: 'sequence', max: sequence.consecutive } as const]),
    ...(budget === undefined
      ? []
      : [{ name: 'budget', max: budgetMax(budget.max, environment) ?? NOTHING, sum: condition(budget.sum), ...span(budget) } as const]),
  ];
}

const NOTHING: Decimal = Decimal.fromBigInt(0n);

/** A budget as written, or the value of the environment that it names; `undefined` where that is no number, or negative. */
export function budgetMax(written: string, environment: EnvironmentValues): Decimal | undefined {
  const name = /^\$\{env\.(.*)\}$/.exec(written)?.[1];
  if (name === undefined) return Decimal.parse(written);
  const value = Object.hasOwn(environment, name) ? environment[name] : undefined;
  const amount = value?.type === 'decimal' ? value.value : value?.type === 'integer' ? Decimal.fromBigInt(value.value) : undefined;
  return amount !== undefined && amount.compare(NOTHING) >= 0 ? amount : undefined;
}

/** Why a limit cannot even be asked for; `undefined` where it can. */
export function unfitLimit(
  limit: CompiledLimit,
  value: (condition: Condition) => unknown,
): { readonly condition: Condition; readonly found: unknown } | undefined {
  if (limit.name === 'sequence') return undefined;
  if (limit.per !== undefined) {
    const found = value(limit.per);
    if (!isKey(found)) return { condition: limit.per, found };
  }
  if (limit.name !== 'budget') return undefined;
  const found = value(limit.sum);
  return amountOf(found) === undefined ? { condition: limit.sum, found } : undefined;
}

/** The reservation that a limit which fits wants; `undefined` for one that does not. */
export function reservationOf(limit: CompiledLimit, ruleId: RuleId, value: (condition: Condition) => unknown): ReservationSpec | undefined {
  const code = LIMIT_CODES[limit.name];
  // Rule ids hold no colon, so the value cannot be mistaken for a part of one.
  const name = `${limit.name}:${ruleId}`;
  if (limit.name === 'sequence') return { ruleId, limit: limit.name, code, key: name, scope: 'session', kind: 'run', max: limit.max };
  const subject = limit.per === undefined ? undefined : value(limit.per);
  if (limit.per !== undefined && !isKey(subject)) return undefined;
  const { withinMs } = limit;
  const common = {
    ruleId,
    limit: limit.name,
    ...(limit.per === undefined ? {} : { per: limit.per.text }),
    code,
    key: isKey(subject) ? `${name}:${canonicalValue(subject)}` : name,
    ...(withinMs === undefined ? ({ scope: 'session' } as const) : ({ scope: 'agent', windowMs: withinMs } as const)),
  };
  if (limit.name !== 'budget') return { ...common, kind: 'count', max: limit.max };
  const amount = amountOf(value(limit.sum));
  return amount === undefined ? undefined : { ...common, kind: 'sum', amount, max: limit.max };
}

/** A limit that is reached, in words for the record: which, how much of it is used and asked for, and of what it is one. */
export function describeReached(spec: ReservationSpec, used: Decimal | undefined): string {
  const span = spec.windowMs === undefined ? 'in the session' : `within ${formatSpan(spec.windowMs)}`;
  const of = `${spec.limit} of rule ${spec.ruleId}`;
  const whose = spec.per === undefined ? span : `per ${spec.per} ${span}`;
  const calls = spec.kind === 'sum' || spec.max !== 1 ? 'calls' : 'call';
  switch (spec.kind) {
    case 'count':
      return `${of}: ${spec.limit === 'once' ? 'already used' : `all ${spec.max} ${calls} used`}, ${whose}`;
    case 'run':
      return `${of}: ${spec.max} ${calls} in a row made (call another tool first), ${whose}`;
    case 'sum':
      return `${of}: ${(used ?? NOTHING).toString()} of ${spec.max.toString()} used and ${spec.amount.toString()} asked, ${whose}`;
  }
}

/** Whether a value can be counted by. Text with half a surrogate pair has no canonical form: two such would be one. */
export function isKey(value: unknown): value is string | boolean | bigint | Decimal {
  if (typeof value === 'string') return value.isWellFormed();
  return typeof value === 'boolean' || typeof value === 'bigint' || value instanceof Decimal;
}

/** Kept for later comparing, so of bounded length whatever a caller sends: the canonical form, or the digest of a longer one. */
export function comparedForm(value: string | boolean | bigint | Decimal): string {
  const text = canonicalValue(value);
  // A canonical form begins with a quotation mark, a digit or a word of JSON: it is never taken for a digest.
  return text.length <= COMPARED_CHARS_MAX ? text : digestOf(utf8(text));
}

const COMPARED_CHARS_MAX = 256;

/**
 * A number that can be summed: a negative one would make room for others, and one of more digits than a decimal has, which
 * sums of arguments and whole numbers can be, could not be read back from the journal.
 */
function amountOf(value: unknown): Decimal | undefined {
  const amount = typeof value === 'bigint' ? Decimal.fromBigInt(value) : value instanceof Decimal ? value : undefined;
  if (amount === undefined || amount.compare(NOTHING) < 0) return undefined;
  return Decimal.parse(amount.toString());
}
