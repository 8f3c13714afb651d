/**
 * Arguments as a tool takes them: those that it does not know taken out where it says so, dates that lie too far apart
 * refused or narrowed. What was changed is told, for the record and the caller; from here on nothing reads what was sent.
 * Spec: policy-v1 section 3.3.
 */

import { fail, ok } from '@sallyport/model';
import type { DateRange, FieldLimit, JsonObject, Problem, Result, Tool } from '@sallyport/model';
import { withoutMembers } from '@sallyport/strict';
import type { ArgumentSchema, Judged, TypedArguments, Violation } from '@sallyport/strict';
import { formatSpan } from '../reader/read.ts';

export interface ShapedArguments {
  readonly args: TypedArguments;
  /** In words, for the record. */
  readonly changes: readonly string[];
  /** Arguments of the schema's own whose values were changed. */
  readonly narrowed: readonly string[];
}

/** Typed arguments after everything that the tool's own declaration says of them, or every violation. */
export function shapeArguments(
  { tool, schema }: { readonly tool: Tool; readonly schema: ArgumentSchema },
  judged: Judged,
): Result<ShapedArguments, readonly Violation[]> {
  const unknown = tool.unknownArguments === 'strip' ? unknownMembers(schema, judged) : [];
  const typed = schema.validate(unknown.length === 0 ? judged : withoutMembers(judged, new Set(unknown)));
  if (!typed.ok) return typed;
  const changes = unknown.slice(0, NAMES_MAX).map((name) => `took out the unknown argument \`${name.slice(0, NAME_CHARS_MAX)}\``);
  if (unknown.length > NAMES_MAX) changes.push(`and ${unknown.length - NAMES_MAX} more`);
  if (tool.ranges === undefined) return ok({ args: typed.value, changes, narrowed: [] });
  return withRanges(typed.value, tool.ranges, changes);
}

const NAME_CHARS_MAX = 64;
/** Named of those that were taken out; the record has room for few, and for what else was changed. */
const NAMES_MAX = 8;

function unknownMembers({ type }: ArgumentSchema, { tree }: Judged): readonly string[] {
  if (typeof tree !== 'object' || tree === null || Array.isArray(tree)) return [];
  // Where the schema takes any name, none is unknown.
  return type.additional === undefined ? Object.keys(tree).filter((name) => !type.properties.has(name)) : [];
}

function withRanges(
  args: TypedArguments,
  ranges: readonly DateRange[],
  before: readonly string[],
): Result<ShapedArguments, readonly Violation[]> {
  const violations: Violation[] = [];
  // Read by every range: one that is looked at later sees what an earlier one has moved.
  const moved = new Map<string, string>();
  for (const range of ranges) {
    const found = judgeRange(range, (name) => moved.get(name) ?? args[name]);
    if ('violation' in found) violations.push(found.violation);
    else if (found.narrowed !== undefined) moved.set(range.from, found.narrowed);
  }
  // And what was moved last may be the end of a range that was looked at first, which is then as long as it may not be.
  for (const range of moved.size > 0 && violations.length === 0 ? ranges : []) {
    const found = judgeRange({ ...range, over: 'reject' }, (name) => moved.get(name) ?? args[name]);
    if ('violation' in found) violations.push(found.violation);
  }
  if (violations.length > 0) return fail(violations);
  const narrowed = [...moved].map(([name, to]) => `narrowed \`${name}\` from ${args[name] as string} to ${to}`);
  // What was narrowed comes first: names that a caller invents cannot push it out of the record.
  return ok({ args: moved.size === 0 ? args : replaced(args, moved), changes: [...narrowed, ...before], narrowed: [...moved.keys()] });
}

/** What a range makes of its two ends: nothing, a later beginning, or a violation. */
function judgeRange(
  { from: name, to, maxMs, over }: DateRange,
  valueOf: (name: string) => unknown,
): { readonly violation: Violation } | { readonly narrowed: string | undefined } {
  const violation = (message: string, limit?: FieldLimit): { readonly violation: Violation } => ({
    violation: { code: 'schema_violation', path: name, message, ...(limit === undefined ? {} : { limit }) },
  });
  const from = valueOf(name);
  const [start, end] = [instantOf(from), instantOf(valueOf(to))];
  if (typeof from !== 'string' || start === undefined || end === undefined) return violation(`must be given, and so must ${to}`);
  if (start > end) return violation(`must not be after ${to}`);
  if (end - start <= maxMs) return { narrowed: undefined };
  const narrowed = over === 'narrow' ? formatLike(from, end - maxMs) : undefined;
  if (narrowed !== undefined) return { narrowed };
  const max = formatSpan(maxMs);
  return violation(`must lie at most ${max} before ${to}`, { field: name, max, before: to });
}

function replaced(args: TypedArguments, moved: ReadonlyMap<string, string>): TypedArguments {
  const entries = Object.entries(args).map(([name, value]) => [name, moved.get(name) ?? value]);
  // A selection of typed values is typed; without a prototype, as the validator makes them.
  return Object.assign(Object.create(null) as object, Object.fromEntries(entries)) as TypedArguments;
}

/** Of `date` and `date-time` texts, which the schema has checked: milliseconds since 1970, a date being its midnight in UTC. */
function instantOf(value: unknown): number | undefined {
  const ms = typeof value === 'string' ? Date.parse(value) : Number.NaN;
  return Number.isFinite(ms) ? ms : undefined;
}

/** `undefined` outside of the years that RFC 3339 can spell, where an offset may lead. */
function formatLike(written: string, ms: number): string | undefined {
  const text = new Date(ms).toISOString();
  if (/^[+-]/.test(text)) return undefined;
  return written.includes('T') ? text : text.slice(0, 10);
}

/** Ranges over what is no pair of required dates of one kind: they could not hold. */
export function unfitRanges(tool: Tool): readonly Problem[] {
  const required = tool.arguments['required'];
  return (tool.ranges ?? []).flatMap(({ from, to }, index): Problem[] => {
    const path = `ranges[${index}]`;
    const formats = [from, to].map((name) => formatOf(tool.arguments, name));
    if (from === to || formats[0] === undefined || formats[0] !== formats[1])
      return [
        {
          path,
          message: `\`${from}\` and \`${to}\` are not two dates of one kind`,
          remedy: 'give both format: date, or both format: date-time',
        },
      ];
    const isRequired = Array.isArray(required) && [from, to].every((name) => required.includes(name));
    return isRequired
      ? []
      : [
          {
            path,
            message: `\`${from}\` and \`${to}\` are not both required`,
            remedy: 'a range with an end that may be left out has no length',
          },
        ];
  });
}

function formatOf(schema: JsonObject, name: string): 'date' | 'date-time' | undefined {
  const properties = schema['properties'];
  const isMap = typeof properties === 'object' && properties !== null && !Array.isArray(properties) && Object.hasOwn(properties, name);
  const property = isMap ? (properties as JsonObject)[name] : undefined;
  const format =
    typeof property === 'object' && property !== null && !Array.isArray(property) ? (property as JsonObject)['format'] : undefined;
  return format === 'date' || format === 'date-time' ? format : undefined;
}
