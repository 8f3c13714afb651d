/**
 * Conditions that no call can meet together: two different constants for one value, or bounds that leave nothing. Only
 * conjunctions of comparisons with constants are looked at; what is found is certain, what is not found may still be.
 */

import { Decimal } from '@sallyport/model';
import type { Expression } from '../expression/expression.ts';
import { pathOf } from '../expression/expression.ts';

type Constant = string | boolean | Decimal;

interface Constraint {
  readonly path: string;
  readonly operator: '==' | '<' | '<=' | '>' | '>=' | 'in';
  readonly values: readonly Constant[];
}

/** Says why no call can meet all the conditions, or `undefined`. */
export function contradictionOf(conditions: readonly Expression[]): string | undefined {
  const byPath = new Map<string, Constraint[]>();
  for (const constraint of conditions.flatMap(constraintsOf)) {
    const known = byPath.get(constraint.path);
    if (known === undefined) byPath.set(constraint.path, [constraint]);
    else known.push(constraint);
  }
  for (const [path, constraints] of byPath) {
    const why = clashOf(constraints);
    if (why !== undefined) return `\`${path}\` cannot be ${why}`;
  }
  return undefined;
}

const FLIPPED = { '==': '==', '<': '>', '<=': '>=', '>': '<', '>=': '<=' } as const;

function constraintsOf(expression: Expression): readonly Constraint[] {
  if (expression.kind === 'and') return [...constraintsOf(expression.left), ...constraintsOf(expression.right)];
  if (expression.kind !== 'binary') return [];
  const { operator, left, right } = expression;
  if (operator === 'in') {
    const path = pathOf(left);
    const values = right.kind === 'list' ? right.items.map(constantOf) : [];
    return path === undefined || right.kind !== 'list' || values.includes(undefined)
      ? []
      : [{ path: path.join('.'), operator, values: values.filter((value) => value !== undefined) }];
  }
  if (!Object.hasOwn(FLIPPED, operator)) return [];
  const comparison = operator as keyof typeof FLIPPED;
  const [leftPath, rightPath, leftValue, rightValue] = [pathOf(left), pathOf(right), constantOf(left), constantOf(right)];
  if (leftPath !== undefined && rightValue !== undefined) return [{ path: leftPath.join('.'), operator: comparison, values: [rightValue] }];
  if (rightPath !== undefined && leftValue !== undefined)
    return [{ path: rightPath.join('.'), operator: FLIPPED[comparison], values: [leftValue] }];
  return [];
}

function constantOf(expression: Expression): Constant | undefined {
  if (expression.kind === 'negate') {
    const value = constantOf(expression.of);
    return value instanceof Decimal ? Decimal.fromBigInt(0n).subtract(value) : undefined;
  }
  if (expression.kind === 'call' && expression.name === 'decimal') {
    const [text] = expression.args;
    return text?.kind === 'literal' && typeof text.value === 'string' ? Decimal.parse(text.value) : undefined;
  }
  if (expression.kind !== 'literal') return undefined;
  const { value } = expression;
  if (typeof value === 'bigint') return Decimal.fromBigInt(value);
  if (typeof value === 'number') return Decimal.parse(String(value));
  return value ?? undefined;
}

function clashOf(constraints: readonly Constraint[]): string | undefined {
  const sets = constraints.filter(({ operator }) => operator === '==' || operator === 'in');
  const bounds = constraints.filter(({ operator }) => operator !== '==' && operator !== 'in');
  const [first, ...others] = sets;
  if (first !== undefined) {
    const possible = first.values.filter(
      (value) =>
        others.every(({ values }) => values.some((other) => isEqual(value, other))) && bounds.every((bound) => isWithin(value, bound)),
    );
    return possible.length > 0 ? undefined : constraints.map(describe).join(' and ');
  }
  const low = tightest(bounds, ['>', '>=']);
  const high = tightest(bounds, ['<', '<=']);
  return low === undefined || high === undefined || !isEmpty(low, high) ? undefined : [low, high].map(describe).join(' and ');
}

/** The bound that implies all others of its direction: one pass, for a hostile rule holds ten thousand of each. */
function tightest(
  bounds: readonly Constraint[],
  [strict, inclusive]: readonly [Constraint['operator'], Constraint['operator']],
): Constraint | undefined {
  let best: Constraint | undefined;
  for (const bound of bounds) {
    if (bound.operator !== strict && bound.operator !== inclusive) continue;
    const [limit, known] = [bound.values[0], best?.values[0]];
    if (!(limit instanceof Decimal)) continue;
    const order = known instanceof Decimal ? limit.compare(known) * (strict === '>' ? 1 : -1) : 1;
    if (order > 0 || (order === 0 && bound.operator === strict)) best = bound;
  }
  return best;
}

function isEqual(a: Constant, b: Constant): boolean {
  return a instanceof Decimal && b instanceof Decimal ? a.equals(b) : a === b;
}

function isWithin(value: Constant, { operator, values: [limit] }: Constraint): boolean {
  if (!(value instanceof Decimal) || !(limit instanceof Decimal)) return true;
  const order = value.compare(limit);
  return operator === '<' ? order < 0 : operator === '<=' ? order <= 0 : operator === '>' ? order > 0 : order >= 0;
}

function isEmpty(low: Constraint, high: Constraint): boolean {
  const [[from], [to]] = [low.values, high.values];
  if (!(from instanceof Decimal) || !(to instanceof Decimal)) return false;
  const order = from.compare(to);
  return order > 0 || (order === 0 && (low.operator === '>' || high.operator === '<'));
}

function describe({ operator, values }: Constraint): string {
  const shown = values.map((value) => (typeof value === 'string' ? JSON.stringify(value) : String(value)));
  return `${operator} ${operator === 'in' ? `[${shown.join(', ')}]` : (shown[0] ?? '')}`;
}
