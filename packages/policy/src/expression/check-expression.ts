/**
 * Judges one condition against the types of one tool: every operation fits, every field exists or is guarded, and the
 * work of one evaluation is bounded. What passes here can still fail on a value (an absent optional argument); such a
 * failure denies. Spec: policy-v1 section 7.
 */

import { Decimal } from '@sallyport/model';
import { compilePattern } from '@sallyport/strict';
import { LIMITS } from '../reader/limits.ts';
import { didYouMean, orListed, quote } from '../reader/node.ts';
import type { Expression, ExpressionProblem } from './expression.ts';
import { pathOf, readsFacts } from './expression.ts';
import { FUNCTIONS, MACRO_NAMES, arithmetic, capOf, isComparable, isFindable, isOrdered, remedyFor } from './operations.ts';
import type { Field, RecordType, Scope, Type } from './types.ts';
import { DYN, describeType } from './types.ts';

export interface CheckOptions {
  /** What the condition must yield. */
  readonly wants: 'bool' | 'key' | 'text' | 'amount';
  /**
   * Whether a field that may be absent has to be guarded by `has`. Where a failure merely denies what an allow rule
   * would grant, it need not; in a deny rule a failure denies every call, which is seldom meant.
   */
  readonly guardsAbsence: boolean;
}

export interface Checked {
  readonly problems: readonly ExpressionProblem[];
  /** Comparisons that can never come out otherwise for this tool. A problem if it is so for every tool of the rule. */
  readonly constants: readonly ExpressionProblem[];
}

/** Types, presence and cost of a condition in a scope. */
export function checkExpression(expression: Expression, scope: Scope, options: CheckOptions): Checked {
  const checker = new Checker(options.guardsAbsence);
  const { type, cost } = checker.check(expression, { scope, present: new Set() });
  const fits = type.kind === 'dyn' || WANTED[options.wants].kinds.has(type.kind);
  if (!fits) {
    const wanted = WANTED[options.wants].words;
    checker.report(expression, `yields ${describeType(type)}, not ${wanted}`);
  }
  if (cost > LIMITS.expressionCostMax) {
    checker.report(
      expression,
      `can take ${cost} steps, more than ${LIMITS.expressionCostMax}`,
      'give its lists `maxItems`, or nest fewer macros',
    );
  }
  if (!readsFacts(expression))
    checker.report(expression, 'does not read the call, so it always or never holds', 'leave it out, or compare with an argument');
  return { problems: checker.problems, constants: checker.constants };
}

const WANTED: Readonly<Record<CheckOptions['wants'], { readonly kinds: ReadonlySet<string>; readonly words: string }>> = {
  bool: { kinds: new Set(['bool']), words: 'true or false' },
  key: { kinds: new Set(['string', 'int', 'decimal', 'bool']), words: 'text, a whole number, a decimal or a bool' },
  text: { kinds: new Set(['string']), words: 'text' },
  amount: { kinds: new Set(['int', 'decimal']), words: 'a whole number or a decimal' },
};

interface Surroundings {
  readonly scope: Scope;
  /** Paths that are known to be there, because a guard stands before. */
  readonly present: ReadonlySet<string>;
}

interface Judgement {
  readonly type: Type;
  readonly cost: number;
  /** Paths that are there if the expression is true, and if it is false. */
  readonly whenTrue: ReadonlySet<string>;
  readonly whenFalse: ReadonlySet<string>;
}

const NOTHING: ReadonlySet<string> = new Set();
const judged = (type: Type, cost: number): Judgement => ({ type, cost, whenTrue: NOTHING, whenFalse: NOTHING });
/** Elements that the library compares in the time of one evaluated node. */
const COMPARED_IN_A_STEP = 10;
const BOOL: Type = { kind: 'bool' };
const INT: Type = { kind: 'int' };

/** Of what is not there at all: said once, and nothing more is said of what is done with it. */
const UNKNOWN: Type = { kind: 'dyn', cap: 0 };

class Checker {
  /** Written by `report` alone. */
  readonly problems: ExpressionProblem[] = [];
  /** Written by `noteConstant` alone. */
  readonly constants: ExpressionProblem[] = [];
  readonly #guardsAbsence: boolean;

  constructor(guardsAbsence: boolean) {
    this.#guardsAbsence = guardsAbsence;
  }

  report(at: Expression, message: string, remedy?: string): void {
    this.problems.push({ message, start: at.start, ...(remedy === undefined ? {} : { remedy }) });
  }

  check(expression: Expression, around: Surroundings): Judgement {
    switch (expression.kind) {
      case 'literal':
        return judged(literalType(expression.value), 1);
      case 'name':
        return judged(this.#variable(expression, expression.name, around.scope), 1);
      case 'select':
        return this.#select(expression, expression.of, expression.field, around);
      case 'index':
        return this.#index(expression, around);
      case 'has':
        return this.#has(expression, around);
      case 'list':
        return this.#list(expression, around);
      case 'not': {
        const of = this.#bool(expression.of, around);
        return { type: BOOL, cost: of.cost + 1, whenTrue: of.whenFalse, whenFalse: of.whenTrue };
      }
      case 'negate': {
        const of = this.check(expression.of, around);
        if (!['int', 'double', 'dyn'].includes(of.type.kind)) this.report(expression, `cannot negate ${describeType(of.type)}`);
        return judged(of.type, of.cost + 1);
      }
      case 'and':
      case 'or':
        return this.#connect(expression, around);
      case 'if':
        return this.#choose(expression, around);
      case 'binary':
        return this.#binary(expression, around);
      case 'macro':
        return this.#macro(expression, around);
      case 'call':
        return this.#call(expression, around);
    }
  }

  #bool(expression: Expression, around: Surroundings): Judgement {
    const judgement = this.check(expression, around);
    if (judgement.type.kind !== 'bool' && judgement.type.kind !== 'dyn')
      this.report(expression, `is ${describeType(judgement.type)}, not true or false`);
    return judgement;
  }

  #variable(at: Expression, name: string, scope: Scope): Type {
    const type = scope.get(name);
    if (type !== undefined) return type;
    this.report(at, `no variable ${quote(name)}`, didYouMean(name, scope.keys()) ?? `there are ${[...scope.keys()].join(', ')}`);
    return UNKNOWN;
  }

  #select(at: Expression, of: Expression, name: string, around: Surroundings): Judgement {
    const { type, cost } = this.check(of, around);
    if (type.kind === 'dyn') {
      if (type !== UNKNOWN && this.#guardsAbsence && !isPresent(at, around))
        this.report(at, `\`${shown(at)}\` may be absent`, `guard it: has(${shown(at)}) && …`);
      return judged(DYN, cost + 1);
    }
    if (type.kind !== 'record') {
      this.report(at, `${describeType(type)} has no field ${quote(name)}`);
      return judged(DYN, cost + 1);
    }
    const field = fieldOf(type, name);
    if (field === undefined) this.report(at, `no ${type.noun} ${quote(name)}`, remedyForName(name, type));
    else this.#presence(at, field, around);
    return judged(field?.type ?? UNKNOWN, cost + 1);
  }

  #presence(at: Expression, field: Field, around: Surroundings): void {
    if (field.presence === 'required' || isPresent(at, around)) return;
    const remedy = `guard it: has(${shown(at)}) && …`;
    if (field.presence === 'missing') this.report(at, `not every tool of this rule has \`${shown(at)}\``, remedy);
    else if (this.#guardsAbsence) this.report(at, `\`${shown(at)}\` may be absent, and this rule would then deny`, remedy);
  }

  #index(expression: Expression & { kind: 'index' }, around: Surroundings): Judgement {
    const { of, key } = expression;
    if (key.kind === 'literal' && typeof key.value === 'string') return this.#select(expression, of, key.value, around);
    const [list, position] = [this.check(of, around), this.check(key, around)];
    if (list.type.kind !== 'list' && list.type.kind !== 'dyn') this.report(expression, `cannot index ${describeType(list.type)}`);
    if (position.type.kind !== 'int') this.report(key, 'a position must be a whole number');
    return judged(list.type.kind === 'list' ? list.type.element : DYN, list.cost + position.cost + 1);
  }

  #has(expression: Expression & { kind: 'has' }, around: Surroundings): Judgement {
    const { of } = expression;
    const path = pathOf(of);
    if (of.kind !== 'select' || path === undefined) {
      this.report(expression, '`has` takes a field, such as has(args.note)');
      return judged(BOOL, 1);
    }
    const above = this.check(of.of, around);
    const field = above.type.kind === 'record' ? fieldOf(above.type, of.field) : undefined;
    if (above.type.kind === 'record' && field === undefined) {
      this.report(of, `no ${above.type.noun} ${quote(of.field)}`, remedyForName(of.field, above.type));
    } else if (above.type.kind !== 'record' && above.type.kind !== 'dyn') {
      this.report(of, `${describeType(above.type)} has no field ${quote(of.field)}`);
    }
    return { type: BOOL, cost: above.cost + 2, whenTrue: new Set([shown(of)]), whenFalse: NOTHING };
  }

  #list(expression: Expression & { kind: 'list' }, around: Surroundings): Judgement {
    const items = expression.items.map((item) => this.check(item, around));
    const element = items[0]?.type ?? DYN;
    for (const [index, item] of items.entries()) {
      if (item.type.kind !== element.kind)
        this.report(expression.items[index] ?? expression, `a list of ${describeType(element)} cannot hold ${describeType(item.type)}`);
    }
    const values = expression.items.map((item) => (item.kind === 'literal' && typeof item.value === 'string' ? item.value : undefined));
    const isClosed = element.kind === 'string' && values.every((value) => value !== undefined);
    const cost = items.reduce((sum, item) => sum + item.cost, 1);
    return judged({ kind: 'list', element: isClosed ? { kind: 'string', values } : element, cap: items.length }, cost);
  }

  #connect(expression: Expression & { kind: 'and' | 'or' }, around: Surroundings): Judgement {
    const isAnd = expression.kind === 'and';
    const left = this.#bool(expression.left, around);
    const known = isAnd ? left.whenTrue : left.whenFalse;
    const right = this.#bool(expression.right, { ...around, present: union(around.present, known) });
    const sure = union(known, isAnd ? right.whenTrue : right.whenFalse);
    return { type: BOOL, cost: left.cost + right.cost + 1, whenTrue: isAnd ? sure : NOTHING, whenFalse: isAnd ? NOTHING : sure };
  }

  #choose(expression: Expression & { kind: 'if' }, around: Surroundings): Judgement {
    const condition = this.#bool(expression.condition, around);
    const yes = this.check(expression.yes, { ...around, present: union(around.present, condition.whenTrue) });
    const no = this.check(expression.no, { ...around, present: union(around.present, condition.whenFalse) });
    const isOne = yes.type.kind === no.type.kind || yes.type.kind === 'dyn' || no.type.kind === 'dyn';
    if (!isOne)
      this.report(expression, `yields ${describeType(yes.type)} or ${describeType(no.type)}`, 'let both branches yield the same type');
    return judged(yes.type, condition.cost + Math.max(yes.cost, no.cost) + 1);
  }

  #macro(expression: Expression & { kind: 'macro' }, around: Surroundings): Judgement {
    const range = this.check(expression.range, around);
    const { variable, name } = expression;
    if (around.scope.has(variable)) this.report(expression, `${quote(variable)} already has a meaning here`, 'choose another name');
    const isList = range.type.kind === 'list';
    if (!isList && range.type.kind !== 'dyn') this.report(expression.range, `\`${name}\` walks lists, not ${describeType(range.type)}`);
    const [element, cap] = range.type.kind === 'list' ? [range.type.element, range.type.cap] : [DYN, capOf(range.type)];
    const inner = { scope: new Map([...around.scope, [variable, element]]), present: around.present };
    const body = name === 'map' ? this.check(expression.body, inner) : this.#bool(expression.body, inner);
    const cost = range.cost + 1 + cap * (body.cost + 1);
    if (name === 'filter') return judged({ kind: 'list', element, cap }, cost);
    return judged(name === 'map' ? { kind: 'list', element: body.type, cap } : BOOL, cost);
  }

  #binary(expression: Expression & { kind: 'binary' }, around: Surroundings): Judgement {
    const { operator, left: leftExpression, right: rightExpression } = expression;
    const [left, right] = [this.check(leftExpression, around), this.check(rightExpression, around)];
    const cost = left.cost + right.cost + 1;
    if (this.#isBentNumber(expression, left.type, right.type)) return judged(operator === '+' || operator === '-' ? left.type : BOOL, cost);
    const misfit = (remedy?: string): void =>
      this.report(expression, `cannot apply \`${operator}\` to ${describeType(left.type)} and ${describeType(right.type)}`, remedy);
    switch (operator) {
      case '==':
      case '!=':
        if (!isComparable(left.type, right.type)) misfit(remedyFor(left.type, right.type));
        else this.#noteConstant(expression, left.type, right.type);
        return judged(BOOL, cost + Math.ceil(Math.min(capOf(left.type), capOf(right.type)) / COMPARED_IN_A_STEP));
      case '<':
      case '<=':
      case '>':
      case '>=':
        if (!isOrdered(left.type, right.type)) misfit(remedyFor(left.type, right.type));
        return judged(BOOL, cost);
      case 'in':
        return judged(BOOL, cost + this.#membership(expression, left.type, right.type, misfit));
      case '+':
      case '-':
      case '*':
      case '/':
      case '%': {
        const type = arithmetic(operator, left.type, right.type);
        if (type === undefined) misfit(remedyFor(left.type, right.type));
        return judged(type ?? DYN, cost);
      }
    }
  }

  /** Judges `in`, and answers what the search costs. */
  #membership(expression: Expression & { kind: 'binary' }, value: Type, list: Type, misfit: (remedy: string) => void): number {
    // A list known only at run time is one of text: other elements would be unlike, and so never found.
    const element: Type = list.kind === 'list' ? list.element : { kind: 'string' };
    if (list.kind === 'list' && list.cap === 0) misfit('nothing is in an empty list');
    else if ((list.kind !== 'list' && list.kind !== 'dyn') || !isFindable(value, element))
      misfit(value.kind === 'dyn' && isAttribute(expression.left) ? ATTRIBUTE_REMEDY : 'compare one by one: list.exists(x, x == value)');
    else this.#noteConstant(expression, value, element);
    return Math.ceil(capOf(list) / COMPARED_IN_A_STEP);
  }

  /** A double literal beside a decimal: 0.1 as a double is not 0.1, and a limit must be what the author wrote. */
  #isBentNumber(expression: Expression & { kind: 'binary' }, left: Type, right: Type): boolean {
    for (const [literal, other] of [
      [expression.left, right],
      [expression.right, left],
    ] as const) {
      const beside = other.kind === 'list' ? other.element : other;
      if (literal.kind !== 'literal' || typeof literal.value !== 'number' || (beside.kind !== 'decimal' && beside.kind !== 'dyn')) continue;
      this.report(
        literal,
        `\`${literal.value}\` is a double, which cannot stand beside ${describeType(beside)}`,
        `write decimal("${literal.value}")`,
      );
      return true;
    }
    return false;
  }

  #noteConstant(expression: Expression, left: Type, right: Type): void {
    if (left.kind !== 'string' || right.kind !== 'string' || left.values === undefined || right.values === undefined) return;
    const [mine, theirs] = [left.values, right.values];
    if (mine.some((value) => theirs.includes(value))) return;
    const message = `${mine.map(quote).join(' or ')} is never ${theirs.map(quote).join(' or ')}`;
    this.constants.push({ message, start: expression.start, remedy: 'compare with a value that can occur' });
  }

  #call(expression: Expression & { kind: 'call' }, around: Surroundings): Judgement {
    const { name, receiver, args } = expression;
    const operands = [...(receiver === undefined ? [] : [receiver]), ...args];
    const judgements = operands.map((operand) => this.check(operand, around));
    const cost = judgements.reduce((sum, judgement) => sum + judgement.cost, 8);
    const known = FUNCTIONS[name];
    if (known === undefined || !Object.hasOwn(FUNCTIONS, name)) {
      this.report(
        expression,
        `no function ${quote(name)}`,
        didYouMean(name, [...Object.keys(FUNCTIONS), ...MACRO_NAMES]) ??
          `there are ${[...Object.keys(FUNCTIONS), ...MACRO_NAMES].join(', ')}`,
      );
      return judged(DYN, cost);
    }
    const isSpelledRight = known.isMethod === 'either' || known.isMethod === (receiver !== undefined);
    const fits =
      operands.length === known.operands.length &&
      judgements.every(({ type }, index) => type.kind === 'dyn' || known.operands[index]?.includes(type.kind));
    if (!isSpelledRight || !fits)
      this.report(
        expression,
        `\`${name}\` does not take ${judgements.map(({ type }) => describeType(type)).join(' and ') || 'nothing'}`,
        `write ${known.usage}`,
      );
    else this.#constantOperand(name, args.at(-1));
    return judged(known.result, cost + (name === 'matches' ? 1_000 : 0));
  }

  #constantOperand(name: string, operand: Expression | undefined): void {
    if (name !== 'matches' && name !== 'decimal') return;
    if (operand?.kind !== 'literal' || typeof operand.value !== 'string') {
      if (operand !== undefined) this.report(operand, `\`${name}\` takes a constant`, 'write the text itself, in quotes');
    } else if (name === 'decimal') {
      if (Decimal.parse(operand.value) === undefined)
        this.report(operand, `${quote(operand.value)} is not a decimal`, 'digits, at most one point, at most 38 digits');
    } else {
      const pattern = compilePattern(operand.value);
      if (!pattern.ok) this.report(operand, `${quote(operand.value)} is not a pattern: ${pattern.error.message}`, 'use what RE2 accepts');
    }
  }
}

function literalType(value: null | boolean | bigint | number | string): Type {
  if (typeof value === 'string') return { kind: 'string', values: [value] };
  if (typeof value === 'bigint') return INT;
  if (typeof value === 'number') return { kind: 'double' };
  return value === null ? { kind: 'null' } : BOOL;
}

function fieldOf(type: RecordType, name: string): Field | undefined {
  return type.fields.get(name) ?? (type.additional === undefined ? undefined : { type: type.additional, presence: 'optional' });
}

/** Where what may be declared is declared. */
const DECLARED_AT: Readonly<Record<string, string>> = {
  attribute: 'map a claim to it under `claims.attributes` of an Issuer',
  'environment value': 'declare it in a document of kind Environment',
  note: 'name it under `touches` or `remember` of a Tool',
};

function remedyForName(name: string, { noun, fields }: RecordType): string | undefined {
  const near = didYouMean(name, fields.keys());
  return near ?? ([orListed(name, fields.keys()), DECLARED_AT[noun]].filter((part) => part !== undefined).join('; ') || undefined);
}

const ATTRIBUTE_REMEDY = 'say its type where the claim is mapped: { claim: …, type: string }';

function isAttribute(at: Expression): boolean {
  const [first, second] = pathOf(at) ?? [];
  return first === 'principal' && second === 'attributes';
}

/** The path as guards know it: `args.note` and `args["note"]` are one. */
function shown(at: Expression): string {
  return (pathOf(at) ?? ['…']).join('.');
}

function isPresent(at: Expression, around: Surroundings): boolean {
  return pathOf(at) !== undefined && around.present.has(shown(at));
}

function union(a: ReadonlySet<string>, b: ReadonlySet<string>): ReadonlySet<string> {
  return b.size === 0 ? a : a.size === 0 ? b : new Set([...a, ...b]);
}
