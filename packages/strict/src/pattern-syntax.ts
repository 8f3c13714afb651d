/**
 * The syntax of patterns: what ECMA-262 (with the `u` flag) and RE2 both can read, as a tree. Look-around and
 * back-references are what makes matching exponential, and are refused by name. docs/spec/arguments-v1.md section 4.
 */

import { fail, ok } from '@sallyport/model';
import type { Result } from '@sallyport/model';
import { categorySet, complement, DIGITS, DOT, SPACES, union, WORDS } from './code-point-set.ts';
import type { CodePointSet } from './code-point-set.ts';

export type Expression =
  | { readonly kind: 'set'; readonly set: CodePointSet }
  | { readonly kind: 'sequence'; readonly parts: readonly Expression[] }
  | { readonly kind: 'choice'; readonly options: readonly Expression[] }
  | { readonly kind: 'repeat'; readonly part: Expression; readonly min: number; readonly max: number }
  | { readonly kind: 'assertion'; readonly assertion: Assertion };

export type Assertion = 'start' | 'end' | 'word_boundary' | 'no_word_boundary';

export interface PatternProblem {
  readonly message: string;
  /** In UTF-16 code units of the source. */
  readonly offset: number;
}

/** Both engines' bound on a counted repetition. */
const REPEAT_MAX = 1_000;
const NESTING_MAX = 100;

/** Parses a pattern that `new RegExp(source, 'u')` accepts; refuses with a problem what is outside the common syntax. */
export function parsePattern(source: string): Result<Expression, PatternProblem> {
  const parser = new Parser(source);
  try {
    return ok(parser.parse());
  } catch (error) {
    if (error instanceof Refusal) return fail({ message: error.message, offset: error.offset });
    throw error;
  }
}

/** Leaves the parser at the first problem; caught by `parsePattern` alone. */
class Refusal extends Error {
  readonly offset: number;

  constructor(message: string, offset: number) {
    super(message);
    this.offset = offset;
  }
}

class Parser {
  readonly #source: string;
  /** Where the next character stands. Only the methods of this parser move it. */
  #at = 0;
  /** How many groups are open. Only `#group` changes it. */
  #depth = 0;

  constructor(source: string) {
    this.#source = source;
  }

  parse(): Expression {
    const expression = this.#choice();
    if (this.#at < this.#source.length) this.#refuse('unmatched `)`');
    return expression;
  }

  #choice(): Expression {
    const options = [this.#sequence()];
    while (this.#take('|')) options.push(this.#sequence());
    const [only] = options;
    return options.length === 1 && only !== undefined ? only : { kind: 'choice', options };
  }

  #sequence(): Expression {
    const parts: Expression[] = [];
    while (this.#at < this.#source.length && !this.#sees('|') && !this.#sees(')')) parts.push(this.#term());
    return { kind: 'sequence', parts };
  }

  #term(): Expression {
    const start = this.#at;
    const assertion = this.#assertion();
    const part = assertion ?? this.#atom();
    const quantifier = this.#quantifier();
    if (quantifier === undefined) return part;
    if (assertion !== undefined) this.#refuse('an assertion cannot be repeated', start);
    if (this.#quantifier() !== undefined) this.#refuse('nothing to repeat');
    return { kind: 'repeat', part, ...quantifier };
  }

  #assertion(): Expression | undefined {
    const spellings = [
      ['^', 'start'],
      ['$', 'end'],
      ['\\b', 'word_boundary'],
      ['\\B', 'no_word_boundary'],
    ] as const;
    for (const [spelling, assertion] of spellings) if (this.#take(spelling)) return { kind: 'assertion', assertion };
    return undefined;
  }

  #atom(): Expression {
    if (this.#sees('(')) return this.#group();
    if (this.#take('[')) return { kind: 'set', set: this.#class() };
    if (this.#take('.')) return { kind: 'set', set: DOT };
    if (this.#sees('\\')) return { kind: 'set', set: this.#escape('outside') };
    if ('*+?{}]'.includes(this.#source.charAt(this.#at)))
      this.#refuse(`\`${this.#source.charAt(this.#at)}\` stands for itself only after a backslash`);
    return { kind: 'set', set: single(this.#codePoint()) };
  }

  #group(): Expression {
    const start = this.#at;
    if (['(?=', '(?!', '(?<=', '(?<!'].some((opening) => this.#sees(opening))) {
      this.#refuse('look-around cannot be matched in linear time');
    }
    this.#at += 1;
    if (this.#take('?')) {
      const opening = /^(?::|<[A-Za-z_$][A-Za-z0-9_$]*>)/.exec(this.#source.slice(this.#at));
      if (opening === null) this.#refuse('only plain, named and `(?:` groups are accepted', start);
      this.#at += opening[0].length;
    }
    this.#depth += 1;
    if (this.#depth > NESTING_MAX) this.#refuse(`groups are nested more than ${NESTING_MAX} deep`, start);
    const inner = this.#choice();
    this.#depth -= 1;
    if (!this.#take(')')) this.#refuse('the group does not end', start);
    return inner;
  }

  #quantifier(): { readonly min: number; readonly max: number } | undefined {
    const match = /^(?:[*+?]|\{([0-9]+)(,?)([0-9]*)\})\??/.exec(this.#source.slice(this.#at, this.#at + 32));
    if (match === null) return undefined;
    const start = this.#at;
    this.#at += match[0].length;
    const sign = match[0].charAt(0);
    if (sign !== '{') return { min: sign === '+' ? 1 : 0, max: sign === '?' ? 1 : Number.POSITIVE_INFINITY };
    const [, least = '', comma = '', most = ''] = match;
    const min = Number(least);
    const max = comma === '' ? min : most === '' ? Number.POSITIVE_INFINITY : Number(most);
    if (min > max) this.#refuse('the least repetition is above the most', start);
    if (min > REPEAT_MAX || (max > REPEAT_MAX && Number.isFinite(max))) this.#refuse(`more than ${REPEAT_MAX} repetitions`, start);
    return { min, max };
  }

  #class(): CodePointSet {
    const start = this.#at - 1;
    const isNegated = this.#take('^');
    let set: CodePointSet = [];
    while (!this.#take(']')) {
      if (this.#at >= this.#source.length) this.#refuse('the class does not end', start);
      const low = this.#classAtom();
      if (!this.#sees('-') || this.#source.charAt(this.#at + 1) === ']') {
        set = union(set, low);
        continue;
      }
      this.#at += 1;
      const [from, to] = [onlyOf(low), onlyOf(this.#classAtom())];
      if (from === undefined || to === undefined || from > to) this.#refuse('the range has no two ends in order');
      set = union(set, [[from, to]]);
    }
    return isNegated ? complement(set) : set;
  }

  #classAtom(): CodePointSet {
    return this.#sees('\\') ? this.#escape('class') : single(this.#codePoint());
  }

  #escape(place: 'class' | 'outside'): CodePointSet {
    const start = this.#at;
    this.#at += 1;
    const letter = this.#source.charAt(this.#at);
    if (letter === 'p' || letter === 'P') return this.#category(start);
    if (letter === 'u' || letter === 'x') return single(this.#hexadecimal(start));
    this.#at += 1;
    if (letter === '0' && !/[0-9]/.test(this.#source.charAt(this.#at))) return single(0);
    if (/[0-9k]/.test(letter)) this.#refuse('back-references cannot be matched in linear time', start);
    const known = CLASS_ESCAPES[letter] ?? (CONTROL_ESCAPES[letter] === undefined ? undefined : single(CONTROL_ESCAPES[letter]));
    if (known !== undefined) return known;
    if ('^$\\.*+?()[]{}|/'.includes(letter) && letter !== '') return single(letter.charCodeAt(0));
    if (letter === '-' && place === 'class') return single(0x2d);
    return this.#refuse(`\`\\${letter}\` is not a known escape`, start);
  }

  #category(start: number): CodePointSet {
    const match = /^([pP])\{([A-Z][a-z]?)\}/.exec(this.#source.slice(this.#at, this.#at + 8));
    const set = match?.[2] === undefined ? undefined : categorySet(match[2]);
    if (match === null || set === undefined) return this.#refuse('only general categories such as `\\p{L}` and `\\p{Nd}` are known', start);
    this.#at += match[0].length;
    return match[1] === 'P' ? complement(set) : set;
  }

  #hexadecimal(start: number): number {
    const rest = this.#source.slice(this.#at, this.#at + 16);
    const match =
      /^(?:x([0-9A-Fa-f]{2})|u\{0*([0-9A-Fa-f]{1,6})\}|u([dD][89abAB][0-9A-Fa-f]{2})\\u([dD][c-fC-F][0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4}))/.exec(
        rest,
      );
    if (match === null) return this.#refuse('not a hexadecimal escape', start);
    this.#at += match[0].length;
    const [, byte, point, high, low, unit] = match;
    if (high !== undefined && low !== undefined) {
      return 0x1_0000 + ((Number.parseInt(high, 16) & 0x3ff) << 10) + (Number.parseInt(low, 16) & 0x3ff);
    }
    return Number.parseInt(byte ?? point ?? unit ?? '', 16);
  }

  #codePoint(): number {
    const point = this.#source.codePointAt(this.#at) ?? this.#refuse('the pattern ends early');
    this.#at += point > 0xffff ? 2 : 1;
    return point;
  }

  #sees(text: string): boolean {
    return this.#source.startsWith(text, this.#at);
  }

  #take(text: string): boolean {
    const isThere = this.#sees(text);
    if (isThere) this.#at += text.length;
    return isThere;
  }

  #refuse(message: string, offset = this.#at): never {
    throw new Refusal(message, offset);
  }
}

const CLASS_ESCAPES: Readonly<Record<string, CodePointSet>> = {
  d: DIGITS,
  D: complement(DIGITS),
  w: WORDS,
  W: complement(WORDS),
  s: SPACES,
  S: complement(SPACES),
};
const CONTROL_ESCAPES: Readonly<Record<string, number>> = { t: 0x09, n: 0x0a, v: 0x0b, f: 0x0c, r: 0x0d };

const single = (point: number): CodePointSet => [[point, point]];

function onlyOf(set: CodePointSet): number | undefined {
  const [range, ...more] = set;
  return range !== undefined && more.length === 0 && range[0] === range[1] ? range[0] : undefined;
}
