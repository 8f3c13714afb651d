/**
 * The byte pass over a JSON source: what `JSON.parse` does not tell. Its counts mean something once `JSON.parse` has
 * accepted the same bytes; before that, depth and items are bounds that hold for any input. One look at each byte.
 */

import { hasExponent, isExactDouble } from './number-text.ts';

export interface Scan {
  /** Colons outside strings: the members that the source spells, duplicates included. */
  readonly members: number;
  /** Members and elements together; an empty array or object counts as one. */
  readonly items: number;
  /** Deepest nesting of arrays and objects. */
  readonly depth: number;
  /** Some number needs its source text: no double holds it, or it has an exponent. */
  readonly hasSpecialNumber: boolean;
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const MINUS = 0x2d;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
/** `[` and `{` differ in this bit alone, as do `]` and `}`, and `E` and `e`. */
const BIT_20 = 0x20;
const OPENING = 0x7b;
const CLOSING = 0x7d;
const EXPONENT = 0x65;
/** No number of up to 15 characters without an exponent has more than 15 digits, and every such one is exact. */
const EXACT_CHARACTERS_MAX = 15;

export function scanJson(source: Uint8Array): Scan {
  let [members, items, depth, deepest] = [0, 0, 0, 0];
  let hasSpecialNumber = false;
  // Lengths are read once and comparisons stand in the order of frequency: this is half as fast again as a switch.
  const end = source.length;
  for (let i = 0; i < end; i++) {
    const byte = source[i] as number;
    if (byte === QUOTE) {
      i = endOfString(source, i + 1);
    } else if (byte === COMMA) {
      items += 1;
    } else if (byte === COLON) {
      members += 1;
    } else if (byte === MINUS || isDigit(byte)) {
      const start = i;
      i = endOfNumber(source, i);
      hasSpecialNumber ||= isSpecialNumber(source, start, i + 1);
    } else if ((byte | BIT_20) === OPENING) {
      items += 1;
      depth += 1;
      if (depth > deepest) deepest = depth;
    } else if ((byte | BIT_20) === CLOSING) {
      depth -= 1;
    }
  }
  return { members, items, depth: deepest, hasSpecialNumber };
}

/** Whether a number's source text has to be kept beside its double. */
export function isSpecialText(text: string): boolean {
  return hasExponent(text) || (text.length > EXACT_CHARACTERS_MAX && !isExactDouble(text));
}

/** The place of the closing quote, or past the end of the source. */
function endOfString(source: Uint8Array, start: number): number {
  const end = source.length;
  let i = start;
  while (i < end && source[i] !== QUOTE) {
    if (source[i] === BACKSLASH) i += 1;
    i += 1;
  }
  return i;
}

/** The place of the last of the digits and `+ - . e E` from here. */
function endOfNumber(source: Uint8Array, start: number): number {
  const last = source.length - 1;
  let i = start;
  while (i < last && isNumberByte(source[i + 1] as number)) i += 1;
  return i;
}

const isDigit = (byte: number): boolean => byte >= 0x30 && byte <= 0x39;
const isNumberByte = (byte: number): boolean =>
  isDigit(byte) || byte === 0x2e || (byte | BIT_20) === EXPONENT || byte === 0x2b || byte === MINUS;

function isSpecialNumber(source: Uint8Array, start: number, end: number): boolean {
  if (end - start <= EXACT_CHARACTERS_MAX) {
    for (let i = start; i < end; i++) if (((source[i] as number) | BIT_20) === EXPONENT) return true;
    return false;
  }
  let text = '';
  for (let i = start; i < end; i++) text += String.fromCharCode(source[i] as number);
  return isSpecialText(text);
}
