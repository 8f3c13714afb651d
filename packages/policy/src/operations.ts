/** Which operations fit which types: the functions of the language, and the relations between kinds. */

import type { Type } from './types.ts';

const BOOL: Type = { kind: 'bool' };
const INT: Type = { kind: 'int' };
const DYN: Type = { kind: 'dyn' };

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
  if (a.kind === 'list' && b.kind === 'list') return isComparable(a.element, b.element);
  return a.kind === b.kind && a.kind !== 'record';
}

export function isOrdered(a: Type, b: Type): boolean {
  if (a.kind === 'dyn' || b.kind === 'dyn') return [a, b].every(({ kind }) => !['list', 'record', 'null', 'bool'].includes(kind));
  return isNumeric(a, b) || (a.kind === 'string' && b.kind === 'string');
}

export function arithmetic(operator: string, a: Type, b: Type): Type | undefined {
  if (a.kind === 'dyn' || b.kind === 'dyn') return DYN;
  if (operator === '+' && a.kind === 'string' && b.kind === 'string') return { kind: 'string' };
  if (a.kind === 'int' && b.kind === 'int') return INT;
  if (isNumeric(a, b) && (operator === '+' || operator === '-') && (a.kind === 'decimal' || b.kind === 'decimal'))
    return { kind: 'decimal' };
  return a.kind === 'double' && b.kind === 'double' && operator !== '%' ? a : undefined;
}

export function capOf(type: Type): number {
  return type.kind === 'list' ? type.cap : 0;
}

export function remedyFor(a: Type, b: Type): string | undefined {
  const kinds = new Set([a.kind, b.kind]);
  if (kinds.has('decimal') && kinds.has('double')) return 'declare the argument with `format: decimal`';
  if (kinds.has('string') && (kinds.has('int') || kinds.has('decimal') || kinds.has('double')))
    return 'a number and text never compare: mend the schema, or quote the number';
  return undefined;
}
