/**
 * The slow second look at a source that `JSON.parse` has accepted, taken only where the byte pass found something:
 * which key stands twice, and how exactly the special numbers are spelled.
 */

import type { Json } from '@sallyport/model';
import { isSpecialText } from './json-scan.ts';
import type { Step } from './place.ts';

/** Source texts by the object or array that holds the number, and its key or index; under `ROOT` for a lone number. */
export type NumberTexts = ReadonlyMap<object, ReadonlyMap<Step, string>>;
export const ROOT: object = Object.freeze({});

interface Frame {
  /** Keys so far, in an object; `undefined` in an array. */
  readonly keys: Set<string> | undefined;
  /** The tree's own object or array at this place. */
  readonly holder: object | undefined;
  /** Where the next value stands. */
  step: Step;
}

/** The places of keys that stand twice in one object, at most `placesMax`. */
export function findDuplicateKeys(text: string, placesMax: number): Step[][] {
  const places: Step[][] = [];
  walk(text, undefined, {
    key: (frames, key, isRepeated) => {
      if (isRepeated && places.length < placesMax) places.push([...frames.slice(0, -1).map((frame) => frame.step), key]);
    },
  });
  return places;
}

/** The texts of special numbers. The tree must be what `JSON.parse` made of `text`, and have no duplicate keys. */
export function collectNumberTexts(text: string, tree: Json): NumberTexts {
  const texts = new Map<object, Map<Step, string>>();
  walk(text, tree, {
    number: (frame, token) => {
      if (!isSpecialText(token)) return;
      const holder = frame?.holder ?? ROOT;
      const ofHolder = texts.get(holder) ?? new Map<Step, string>();
      texts.set(holder, ofHolder.set(frame?.step ?? '', token));
    },
  });
  return texts;
}

interface Visitor {
  key?(frames: readonly Frame[], key: string, isRepeated: boolean): void;
  number?(frame: Frame | undefined, token: string): void;
}

function walk(text: string, tree: Json | undefined, visitor: Visitor): void {
  // Grows with the document's depth, which `judge` has bounded.
  const frames: Frame[] = [];
  let isKeyNext = false;
  for (let start = 0, end = 0; start < text.length; start = end) {
    end = endOfToken(text, start);
    const frame = frames.at(-1);
    const mark = text.charAt(start);
    if (mark === '{' || mark === '[') {
      isKeyNext = mark === '{';
      const holder = frame === undefined ? asObject(tree) : memberOf(frame.holder, frame.step);
      frames.push(isKeyNext ? { keys: new Set(), holder, step: '' } : { keys: undefined, holder, step: 0 });
    } else if (mark === '}' || mark === ']') {
      frames.pop();
    } else if (mark === ',') {
      isKeyNext = frame?.keys !== undefined;
      if (typeof frame?.step === 'number') frame.step += 1;
    } else if (mark === '"' && isKeyNext && frame?.keys !== undefined) {
      isKeyNext = false;
      // Decoded, because \u0061 and a are one key.
      frame.step = JSON.parse(text.slice(start, end)) as string;
      visitor.key?.(frames, frame.step, frame.keys.has(frame.step));
      frame.keys.add(frame.step);
    } else if (mark === '-' || (mark >= '0' && mark <= '9')) {
      visitor.number?.(frame, text.slice(start, end));
    }
  }
}

/** Where the token at `start` ends: a string, a number, or one character. No pattern does this: its stack would grow with the string. */
function endOfToken(text: string, start: number): number {
  const mark = text.charAt(start);
  let end = start + 1;
  if (mark === '"') {
    while (end < text.length && text.charAt(end) !== '"') end += text.charAt(end) === '\\' ? 2 : 1;
    return end + 1;
  }
  if (mark === '-' || (mark >= '0' && mark <= '9')) while (end < text.length && '0123456789+-.eE'.includes(text.charAt(end))) end += 1;
  return end;
}

function memberOf(holder: object | undefined, step: Step): object | undefined {
  return holder === undefined ? undefined : asObject((holder as Readonly<Record<Step, Json>>)[step]);
}

function asObject(value: Json | undefined): object | undefined {
  return typeof value === 'object' && value !== null ? value : undefined;
}
