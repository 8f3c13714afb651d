/** Which operations fit which types: the functions of the language, and the relations between kinds. */

import type { Type } from './types.ts';

const BOOL: Type = { kind: 'bool' };
const INT: Type = { kind: 'int' };

/** Written like functions, judged apart. */
export const MACRO_NAMES: readonly string[] = ['has', 'all', 'exists', 'exists_one', 'filter', 'map'];

export interface KnownFunction {
  readonly isMethod: boolean | 'either';
  readonly operands: readonly (readonly string[])[];
  readonly result: Type;
  readonly usage: string;
}

const TEXT_TEST = (name: string): KnownFunction => ({
  isMethod: true,
  operands: [['string'], ['string']],
  result: BOOL,
  usage: `text.${name}("…")`,
});

/** Every function of the language; the library knows more, none of which is reachable. */
export const FUNCTIONS: Readonly<Record<string, KnownFunction>> = {
  size: { isMethod: 'either', operands: [['string', 'list']], result: INT, usage: 'size(x) or x.size()' },
  startsWith: TEXT_TEST('startsWith'),
  endsWith: TEXT_TEST('endsWith'),
  contains: TEXT_TEST('contains'),
  matches: TEXT_TEST('matches'),
  decimal: { isMethod: false, operands: [['string']], result: { kind: 'decimal' }, usage: 'decimal("500.01")' },
  string: { isMethod: false, operands: [['int', 'string', 'bool']], result: { kind: 'string' }, usage: 'string(n)' },
};

const EXACT: ReadonlySet<string> = new Set(['int', 'decimal']);
const BINARY: ReadonlySet<string> = new Set(['int', 'double']);

/** Whole numbers go with either; a double never with a decimal. */
function isNumeric(a: Type, b: Type): boolean {
  return (EXACT.has(a.kind) && EXACT.has(b.kind)) || (BINARY.has(a.kind) && BINARY.has(b.kind));
}

export function isComparable(a: Type, b: Type): boolean {
  if (a.kind === 'dyn' || b.kind === 'dyn' || isNumeric(a, b)) return true;
  // Elements are compared one by one, without the rules for mixed numbers.
  if (a.kind === 'list' && b.kind === 'list') return a.element.kind === b.element.kind && ELEMENTS.has(a.element.kind);
  return a.kind === b.kind && a.kind !== 'record';
}

const ELEMENTS: ReadonlySet<string> = new Set(['string', 'bool', 'int', 'double', 'decimal']);

/**
 * Whether a value can be looked for in a list. The library compares members by its own rules, which know neither of
 * decimals beside whole numbers nor of unlike values, so that both kinds must be known and the same.
 */
export function isFindable(value: Type, element: Type): boolean {
  return value.kind === element.kind ? ELEMENTS.has(value.kind) : BINARY.has(value.kind) && BINARY.has(element.kind);
}

export function isOrdered(a: Type, b: Type): boolean {
  if (a.kind === 'dyn' || b.kind === 'dyn') return [a, b].every(({ kind }) => !['list', 'record', 'null', 'bool'].includes(kind));
  return isNumeric(a, b) || (a.kind === 'string' && b.kind === 'string');
}

/**
 * The type of a calculation. Doubles, and what is known only at run time, do not calculate: 0.0 / 0.0 is no number, every
 * comparison with it is false, and a denial that compares with it would never deny.
 */
export function arithmetic(operator: string, a: Type, b: Type): Type | undefined {
  if (operator === '+' && a.kind === 'string' && b.kind === 'string') return { kind: 'string' };
  if (a.kind === 'int' && b.kind === 'int') return INT;
  const isExact = EXACT.has(a.kind) && EXACT.has(b.kind);
  return isExact && (operator === '+' || operator === '-') ? { kind: 'decimal' } : undefined;
}

/** How many elements a value of the type can have. */
export function capOf(type: Type): number {
  return type.kind === 'list' || type.kind === 'dyn' ? type.cap : 0;
}

export function remedyFor(a: Type, b: Type): string | undefined {
  const kinds = new Set([a.kind, b.kind]);
  if (kinds.has('decimal') && kinds.has('double')) return 'declare the argument with `format: decimal`';
  if (kinds.has('string') && (kinds.has('int') || kinds.has('decimal') || kinds.has('double')))
    return 'a number and text never compare: mend the schema, or quote the number';
  return undefined;
}
