/**
 * What a session notes of a completed call: the values that its tool's `touches` and `remember` point at. Texts and
 * numbers alone, as text, each of bounded length; whatever else stands there is not noted. Spec: policy-v1 section 3.3.
 */

import { Decimal } from '@sallyport/model';
import type { NotedPath, Tool } from '@sallyport/model';
import { canonicalValue } from '@sallyport/strict';
import type { TypedArguments } from '@sallyport/strict';
import { isKey } from './limit.ts';

export interface CallNotes {
  readonly touched: Readonly<Record<string, readonly string[]>>;
  readonly remembered: Readonly<Record<string, readonly string[]>>;
  /** Values of the arguments that preconditions compare, in canonical form, by argument. */
  readonly compared: Readonly<Record<string, string>>;
}

/** Longer values are not noted: nothing equals them. */
const VALUE_CHARS_MAX = 256;
/** Values taken from one place of one call; beyond it the place counts as unknown, see `isWhole`. */
export const NOTES_MAX = 1_000;

/** A call that completed, as a session notes it. */
export interface CompletedCall {
  readonly tool: Tool;
  readonly args: TypedArguments;
  /** Its parsed JSON; `undefined` where it has none. */
  readonly result?: unknown;
  /** As the decision names them. */
  readonly comparedArguments: readonly string[];
}

/** What is noted of a call that completed. */
export function notesOf({ tool, args, result, comparedArguments }: CompletedCall): CallNotes {
  const compared: Record<string, string> = {};
  for (const name of comparedArguments) {
    const value = Object.hasOwn(args, name) ? args[name] : undefined;
    if (isKey(value)) compared[name] = canonicalValue(value);
  }
  return { touched: valuesAt(tool.touches, args), remembered: valuesAt(tool.remember, result), compared };
}

/** Whether a tool's notes need its result. */
export function remembersResult(tool: Tool): boolean {
  return tool.remember !== undefined;
}

function valuesAt(places: Tool['touches'], root: unknown): Readonly<Record<string, readonly string[]>> {
  return Object.fromEntries(Object.entries(places ?? {}).map(([name, path]) => [name, [...new Set(walk(root, path))]]));
}

function walk(value: unknown, [step, ...rest]: NotedPath): readonly string[] {
  if (step === undefined) {
    const text = textOf(value);
    return text === undefined ? [] : [text];
  }
  if (step === '[]') return Array.isArray(value) ? value.slice(0, NOTES_MAX + 1).flatMap((item: unknown) => walk(item, rest)) : [];
  const isRecord = typeof value === 'object' && value !== null && !Array.isArray(value) && Object.hasOwn(value, step);
  return isRecord ? walk((value as Readonly<Record<string, unknown>>)[step], rest) : [];
}

function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value.length <= VALUE_CHARS_MAX ? value : undefined;
  if (typeof value === 'bigint' || value instanceof Decimal) return value.toString();
  return Number.isSafeInteger(value) ? String(value) : undefined;
}
