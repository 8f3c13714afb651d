/**
 * What a session notes of a completed call: the values that its tool's `touches` and `remember` point at. Texts and
 * numbers alone, as text, each of bounded length; whatever else stands there is not noted. Spec: policy-v1 section 3.3.
 */

import { Decimal } from '@sallyport/model';
import type { NotedPath, Tool } from '@sallyport/model';
import type { Judged, TypedArguments } from '@sallyport/strict';
import { comparedForm, isKey } from '../demand/limit.ts';

export interface CallNotes {
  readonly touched: Readonly<Record<string, readonly string[]>>;
  readonly remembered: Readonly<Record<string, readonly string[]>>;
  /** Values of the arguments that preconditions compare, in the form of `comparedForm`, by argument. */
  readonly compared: Readonly<Record<string, string>>;
  /** Words of `remember` under which nobody can say what stood in the result. */
  readonly unknown?: readonly string[];
}

/** Longer values are not noted: nothing equals them. */
const VALUE_CHARS_MAX = 256;
/** Values of one word that a session notes; with one more, the word is unknown. */
export const NOTES_MAX = 1_000;

/** A call that completed, as a session notes it. */
export interface CompletedCall {
  readonly tool: Tool;
  readonly args: TypedArguments;
  /** Its JSON; `undefined` where it has none, `unreadable` where it is not known what it says. */
  readonly result?: Judged | 'unreadable' | undefined;
  /** As the decision names them. */
  readonly comparedArguments: readonly string[];
}

/** What is noted of a call that completed. */
export function notesOf({ tool, args, result, comparedArguments }: CompletedCall): CallNotes {
  const compared: Record<string, string> = {};
  for (const name of comparedArguments) {
    const value = Object.hasOwn(args, name) ? args[name] : undefined;
    if (isKey(value)) compared[name] = comparedForm(value);
  }
  const touched = valuesAt(tool.touches, args);
  if (result === 'unreadable') return { touched, remembered: {}, compared, unknown: Object.keys(tool.remember ?? {}) };
  const written: Written = (holder, key, value) => result?.numberText(holder, key) ?? String(value);
  return { touched, remembered: valuesAt(tool.remember, result?.tree, written), compared };
}

/** Whether a tool's notes need its result. */
export function remembersResult(tool: Tool): boolean {
  return tool.remember !== undefined;
}

/** A number of a result as its source spells it; arguments have their types instead. */
type Written = (holder: object, key: string | number, value: number) => string;

function valuesAt(places: Tool['touches'], root: unknown, written?: Written): Readonly<Record<string, readonly string[]>> {
  return Object.fromEntries(Object.entries(places ?? {}).map(([name, path]) => [name, [...new Set(walk(root, path, written))]]));
}

function walk(value: unknown, [step, ...rest]: NotedPath, written: Written | undefined): readonly string[] {
  if (step === undefined) {
    const text = textOf(value);
    return text === undefined ? [] : [text];
  }
  if (typeof value !== 'object' || value === null) return [];
  const into = (item: unknown, key: string | number): readonly string[] =>
    walk(typeof item === 'number' && written !== undefined ? numberOf(written(value, key, item)) : item, rest, written);
  if (step === '[]') return Array.isArray(value) ? value.flatMap(into) : [];
  const isMember = !Array.isArray(value) && Object.hasOwn(value, step);
  return isMember ? into((value as Readonly<Record<string, unknown>>)[step], step) : [];
}

/** Exactly as it is spelled: two records whose long numbers one double stands for are two. */
function numberOf(written: string): unknown {
  if (written.length > VALUE_CHARS_MAX) return undefined;
  return /^-?[0-9]+$/.test(written) ? BigInt(written) : (Decimal.parse(written) ?? Number(written));
}

function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value.length <= VALUE_CHARS_MAX ? value : undefined;
  if (typeof value === 'bigint' || value instanceof Decimal) return value.toString();
  return Number.isSafeInteger(value) ? String(value) : undefined;
}
