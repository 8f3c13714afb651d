/**
 * A pattern as a machine without memory: instructions over classes of characters (Thompson's construction). The number
 * of instructions is bounded, and with it the work for each character.
 */

import { CODE_POINT_MAX, WORDS } from './code-point-set.ts';
import type { CodePointSet } from './code-point-set.ts';
import type { Assertion, Expression } from './pattern-syntax.ts';

export type Instruction =
  /** Goes on at `next` after a character of one of the set's classes. */
  | { readonly op: 'character'; readonly set: number; next: number }
  /** Goes on at both. */
  | { readonly op: 'split'; next: number; other: number }
  /** Goes on at `next` where the assertion holds. */
  | { readonly op: 'assertion'; readonly assertion: Assertion; next: number }
  | { readonly op: 'match' };

export interface Program {
  readonly instructions: readonly Instruction[];
  readonly start: number;
  /** Every match begins at the start of the text. */
  readonly isAnchored: boolean;
  readonly classes: Classes;
  /** For each set of the program: whether it holds a class. */
  readonly members: readonly Uint8Array[];
}

/** Code points that no set of the program tells apart are one class. */
export interface Classes {
  readonly count: number;
  /** Whether a class consists of word characters. */
  readonly words: Uint8Array;
  of(point: number): number;
}

const INSTRUCTIONS_MAX = 4_096;
/** Repetitions of nothing make no instruction, but nested they would be built for ever. */
const BUILD_STEPS_MAX = 16_384;

/** The program of an expression, or `undefined` where it would be too large. */
export function compileProgram(expression: Expression): Program | undefined {
  const instructions: Instruction[] = [];
  const sets: CodePointSet[] = [];
  const emit = (instruction: Instruction): number => {
    if (instructions.length >= INSTRUCTIONS_MAX) throw new TooLarge();
    return instructions.push(instruction) - 1;
  };
  // Built from the end: each part is told where to go on.
  let steps = 0;
  const build = (part: Expression, next: number): number => {
    steps += 1;
    if (steps > BUILD_STEPS_MAX) throw new TooLarge();
    switch (part.kind) {
      case 'set':
        return emit({ op: 'character', set: indexOf(sets, part.set), next });
      case 'assertion':
        return emit({ op: 'assertion', assertion: part.assertion, next });
      case 'sequence':
        return part.parts.reduceRight((after, inner) => build(inner, after), next);
      case 'choice':
        return part.options.map((option) => build(option, next)).reduceRight((other, first) => emit({ op: 'split', next: first, other }));
      case 'repeat':
        return buildRepeat(part, next);
    }
  };
  const buildRepeat = ({ part, min, max }: Expression & { kind: 'repeat' }, next: number): number => {
    let entry = next;
    if (max === Number.POSITIVE_INFINITY) {
      const loop: Instruction = { op: 'split', next: 0, other: next };
      entry = emit(loop);
      loop.next = build(part, entry);
    } else {
      for (let i = min; i < max; i++) entry = emit({ op: 'split', next: build(part, entry), other: next });
    }
    for (let i = 0; i < min; i++) entry = build(part, entry);
    return entry;
  };

  try {
    const start = build(expression, emit({ op: 'match' }));
    return { instructions, start, isAnchored: beginsAtStart(expression), ...classify(sets) };
  } catch (error) {
    if (error instanceof TooLarge) return undefined;
    throw error;
  }
}

/** Leaves the construction of a program that grows too large; caught by `compileProgram` alone. */
class TooLarge extends Error {}

function indexOf(sets: CodePointSet[], set: CodePointSet): number {
  const known = sets.indexOf(set);
  return known === -1 ? sets.push(set) - 1 : known;
}

function beginsAtStart(expression: Expression): boolean {
  switch (expression.kind) {
    case 'assertion':
      return expression.assertion === 'start';
    case 'sequence': {
      const [first] = expression.parts;
      return first !== undefined && beginsAtStart(first);
    }
    case 'choice':
      return expression.options.every(beginsAtStart);
    case 'repeat':
      return expression.min > 0 && beginsAtStart(expression.part);
    case 'set':
      return false;
  }
}

/** Cuts the code points at the borders of all sets, and makes one class of the stretches that lie in the same sets. */
function classify(sets: readonly CodePointSet[]): Pick<Program, 'classes' | 'members'> {
  const all = [WORDS, ...sets];
  const cuts = new Set([0, ...all.flatMap((set) => set.flatMap(([from, to]) => [from, to + 1]))]);
  const borders = [...cuts].filter((border) => border <= CODE_POINT_MAX).toSorted((a, b) => a - b);
  const inside = all.map((set) => membership(set, borders));
  // By equal membership, so that a category of 600 ranges adds one class and not 600.
  const classOfMembership = new Map<string, number>();
  const firstStretch: number[] = [];
  const classOfStretch = borders.map((_, stretch) => {
    const name = inside.map((set) => set[stretch]).join('');
    const known = classOfMembership.get(name);
    if (known !== undefined) return known;
    classOfMembership.set(name, firstStretch.length);
    return firstStretch.push(stretch) - 1;
  });
  const [words = new Uint8Array(), ...members] = inside.map((set) => Uint8Array.from(firstStretch, (stretch) => set[stretch] as number));
  const search = (point: number): number => classOfStretch[lastAtMost(borders, point)] as number;
  const ascii = Uint16Array.from({ length: 128 }, (_, point) => search(point));
  const of = (point: number): number => (point < 128 ? (ascii[point] as number) : search(point));
  return { classes: { count: firstStretch.length, words, of }, members };
}

/** For each stretch that begins at a border: 1 where it lies in the set, else 0. */
function membership(set: CodePointSet, borders: readonly number[]): Uint8Array {
  let range = 0;
  return Uint8Array.from(borders, (border) => {
    while (range < set.length && (set[range]?.[1] as number) < border) range += 1;
    return range < set.length && (set[range]?.[0] as number) <= border ? 1 : 0;
  });
}

/** The index of the last border that is not above `point`; the first border is 0. */
function lastAtMost(borders: readonly number[], point: number): number {
  let [low, high] = [0, borders.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((borders[middle] as number) <= point) low = middle;
    else high = middle - 1;
  }
  return low;
}
