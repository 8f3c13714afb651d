/**
 * Patterns that match in linear time: the regular expressions that both RE2 and ECMA-262 (`u` flag) accept. The engine's
 * own RegExp backtracks, and `^(a+)+$` holds it for minutes on forty characters of an attacker's; this one walks a
 * machine whose states are made on demand and kept in a bounded table, so each character costs one look-up.
 */

import { fail, invariant, ok } from '@sallyport/model';
import type { Result } from '@sallyport/model';
import { compileProgram } from './pattern-program.ts';
import type { Program } from './pattern-program.ts';
import { parsePattern } from './pattern-syntax.ts';
import type { Assertion, PatternProblem } from './pattern-syntax.ts';

export interface Pattern {
  readonly source: string;
  /**
   * Whether it matches anywhere in `text` (anchors are the author's to write), in time linear in the text's length.
   * False as well where the work that is left does not suffice; `work` is then below zero.
   */
  test(text: string, work?: Work): boolean;
}

/** What matching may still cost: one for each 16 characters, and one for each instruction visited. Its owner is the caller. */
export interface Work {
  left: number;
}

const SOURCE_CHARACTERS_MAX = 1_024;
/** Less than a tenth of a second. */
const WORK_MAX = 1_000_000;

/** Compiles a pattern, or says what it may not use: look-around, back-references, flags, more than it may repeat. */
export function compilePattern(source: string): Result<Pattern, PatternProblem> {
  if (source.length > SOURCE_CHARACTERS_MAX) return fail({ message: `longer than ${SOURCE_CHARACTERS_MAX} characters`, offset: 0 });
  const parsed = parsePattern(source);
  if (!parsed.ok) return parsed;
  // Ours accepts a part of the standard's syntax; should it ever accept more, other readers of the schema would differ.
  if (!isStandard(source)) return fail({ message: 'not a regular expression of ECMA-262 with the `u` flag', offset: 0 });
  const program = compileProgram(parsed.value);
  if (program === undefined) return fail({ message: 'repeats so much that the pattern grows too large', offset: 0 });
  const matcher = new Matcher(program);
  return ok({ source, test: (text, work = { left: WORK_MAX }) => matcher.test(text, work) });
}

function isStandard(source: string): boolean {
  try {
    return new RegExp(source, 'u').unicode;
  } catch {
    // A syntax error; the caller says so with the pattern's place.
    return false;
  }
}

/** Cells of the transition table, that is states times classes: 64 KB for a pattern at most. */
const TABLE_CELLS_MAX = 16_384;
const UNKNOWN = -1;
const MATCHED = -2;
/** No character can lead from here to a match. */
const DEAD = -3;

/** Where the machine can be between two characters. */
interface State {
  /** Instructions reached, before assertions between them are judged. In order, so that equal states have equal names. */
  readonly pending: readonly number[];
  readonly isAtStart: boolean;
  readonly isAfterWord: boolean;
}

/** What lies around the place between two characters, for assertions. */
interface Surroundings {
  readonly isAtStart: boolean;
  readonly isAtEnd: boolean;
  readonly isAfterWord: boolean;
  readonly isBeforeWord: boolean;
}

class Matcher {
  readonly #program: Program;
  readonly #stateCountMax: number;
  /** The table and its index: written by `#step` and `#clear`, which starts them anew when they are full. */
  #states: State[] = [];
  #indexByName = new Map<string, number>();
  #table: Int32Array = new Int32Array();

  constructor(program: Program) {
    this.#program = program;
    this.#stateCountMax = Math.max(4, Math.floor(TABLE_CELLS_MAX / program.classes.count));
  }

  test(text: string, work: Work): boolean {
    const { classes } = this.#program;
    if (this.#states.length === 0) this.#clear();
    let state = 0;
    work.left -= text.length >> 4;
    for (let i = 0; i < text.length;) {
      const point = text.codePointAt(i) as number;
      i += point > 0xffff ? 2 : 1;
      const cell = state * classes.count + classes.of(point);
      let next = this.#table[cell] as number;
      // A pattern can be built so that each character leads to a new state: that is where the work is.
      if (next === UNKNOWN) next = this.#step(state, classes.of(point), cell, work);
      if (work.left < 0) return false;
      if (next === MATCHED) return true;
      if (next === DEAD) return false;
      state = next;
    }
    return work.left >= 0 && this.#matchesAtEnd(this.#stateAt(state));
  }

  #stateAt(index: number): State {
    const state = this.#states[index];
    invariant(state !== undefined, 'a state index comes from the table');
    return state;
  }

  /** Makes one transition and writes it down; answers the index of the state that it leads to. */
  #step(index: number, characterClass: number, cell: number, work: Work): number {
    const from = this.#stateAt(index);
    const { classes, instructions, members, isAnchored } = this.#program;
    const isBeforeWord = classes.words[characterClass] === 1;
    const reached = this.#close(from, { ...from, isAtEnd: false, isBeforeWord });
    if (reached === 'match') return this.#note(cell, MATCHED);
    work.left -= reached.size;
    const pending = new Set<number>();
    for (const at of reached) {
      const instruction = instructions[at];
      if (instruction?.op === 'character' && members[instruction.set]?.[characterClass] === 1) pending.add(instruction.next);
    }
    if (pending.size === 0 && isAnchored) return this.#note(cell, DEAD);
    const to: State = { pending: [...pending].toSorted((a, b) => a - b), isAtStart: false, isAfterWord: isBeforeWord };
    const known = this.#indexByName.get(nameOf(to));
    if (known !== undefined) return this.#note(cell, known);
    if (this.#states.length < this.#stateCountMax) return this.#note(cell, this.#add(to));
    // A table that is full is thrown away whole: the walk goes on from the one state that it needs.
    this.#clear();
    return this.#add(to);
  }

  #note(cell: number, target: number): number {
    this.#table[cell] = target;
    return target;
  }

  #matchesAtEnd(state: State): boolean {
    return this.#close(state, { ...state, isAtEnd: true, isBeforeWord: false }) === 'match';
  }

  /** Every instruction reachable without a character, or that a match is reached. */
  #close(state: State, around: Surroundings): ReadonlySet<number> | 'match' {
    const { instructions, start, isAnchored } = this.#program;
    const reached = new Set<number>();
    // A match may begin anywhere, so the start is always among the places to go on from.
    const open = isAnchored && !state.isAtStart ? [...state.pending] : [...state.pending, start];
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      if (reached.has(at)) continue;
      reached.add(at);
      const instruction = instructions[at];
      switch (instruction?.op) {
        case 'match':
          return 'match';
        case 'split':
          open.push(instruction.next, instruction.other);
          break;
        case 'assertion':
          if (holds(instruction.assertion, around)) open.push(instruction.next);
          break;
        case 'character':
        case undefined:
      }
    }
    return reached;
  }

  #clear(): void {
    this.#states = [];
    this.#indexByName = new Map();
    this.#table = new Int32Array(this.#stateCountMax * this.#program.classes.count).fill(UNKNOWN);
    this.#add({ pending: [], isAtStart: true, isAfterWord: false });
  }

  #add(state: State): number {
    const index = this.#states.push(state) - 1;
    this.#indexByName.set(nameOf(state), index);
    return index;
  }
}

function nameOf({ pending, isAtStart, isAfterWord }: State): string {
  return `${isAtStart ? '^' : ''}${isAfterWord ? 'w' : ''}${pending.join(',')}`;
}

function holds(assertion: Assertion, around: Surroundings): boolean {
  switch (assertion) {
    case 'start':
      return around.isAtStart;
    case 'end':
      return around.isAtEnd;
    case 'word_boundary':
      return around.isAfterWord !== around.isBeforeWord;
    case 'no_word_boundary':
      return around.isAfterWord === around.isBeforeWord;
  }
}
