/**
 * Small strict readers over located nodes. Each reads one shape, reports what is wrong with its place and remedy, and
 * answers `undefined` when there is nothing to go on with. Nothing here coerces, defaults or guesses.
 */

import { nearest } from '@sallyport/model';
import { LIMITS } from './limits.ts';
import type { MapNode, Node, Place, Problems } from './node.ts';
import { didYouMean, quote } from './node.ts';

/** Reads one value; reports and answers `undefined` where it does not fit. */
export type Reader<T> = (node: Node, problems: Problems) => T | undefined;

/** A map whose keys were checked: every one known, every required one there. */
export interface Fields {
  readonly place: Place;
  /** Known keys that unknown ones, which were reported, seem to mean. */
  readonly meant: ReadonlySet<string>;
  has(key: string): boolean;
  /** The node at a key, or `undefined` where the key is absent. */
  node(key: string): Node | undefined;
  /** Reads the key; `undefined` where it is absent, or where a problem was reported, so that reading may go on without it. */
  get<T>(key: string, reader: Reader<T>): T | undefined;
}

const NOTHING_MEANT: ReadonlySet<string> = new Set();
/** Longer keys are near nothing. */
const KEY_CHARS_MAX = 200;

/** Checks a map's keys against the known ones; a key that ends in `!` must be there. */
export function fields(node: Node, problems: Problems, what: string, keys: readonly string[]): Fields | undefined {
  if (node.kind !== 'map') return problems.add(node.place, `${what} must be a map`, { remedy: writtenAs(what, keys) });
  const known = keys.map((key) => (key.endsWith('!') ? key.slice(0, -1) : key));
  const meant = new Set<string>();
  for (const [key, entry] of node.entries) {
    if (known.includes(key)) continue;
    const near = key.length > KEY_CHARS_MAX ? undefined : nearest(key, known);
    if (near !== undefined) meant.add(near);
    const remedy = near === undefined ? `known are ${known.join(', ')}` : `did you mean ${quote(near)}`;
    problems.add(entry.key, `${quote(key)} is not a field of ${what}`, { remedy });
  }
  const lacking = keys
    .filter((key) => key.endsWith('!'))
    .map((key) => key.slice(0, -1))
    .filter((key) => !node.entries.has(key));
  // One that is only misspelled is said to be so already.
  for (const key of lacking) if (!meant.has(key)) problems.add(node.place, `${what} lacks ${quote(key)}`);
  return lacking.length === 0 ? fieldsOf(node, problems, meant) : undefined;
}

/** A map as it would be written: what it must have, or else the first of what it may; `what` is the field, in backticks. */
function writtenAs(what: string, keys: readonly string[]): string {
  const needed = keys.filter((key) => key.endsWith('!')).map((key) => key.slice(0, -1));
  const shown = (needed.length > 0 ? needed : keys.slice(0, 1)).slice(0, KEYS_SHOWN).map((key) => `${key}: …`);
  const field = /^`([a-z_]+)`$/.exec(what)?.[1];
  return `write ${field === undefined ? '' : `${field}: `}{ ${shown.join(', ')} }`;
}

const KEYS_SHOWN = 4;

/** The fields of a map without looking at which there are. */
export function fieldsOf(node: MapNode, problems: Problems, meant: ReadonlySet<string> = NOTHING_MEANT): Fields {
  return {
    place: node.place,
    meant,
    has: (key) => node.entries.has(key),
    node: (key) => node.entries.get(key)?.value,
    get: (key, reader) => {
      const entry = node.entries.get(key);
      if (entry === undefined) return undefined;
      const before = problems.count;
      const value = reader(entry.value, problems);
      // What was written and is not there must never pass in silence: it could be what forbids a call.
      if (value === undefined && problems.count === before) problems.add(entry.value.place, `${quote(key)} cannot be read`);
      return value;
    },
  };
}

/** Text of at least one character; `form` is what it must look like, in words, with the test for it. */
export function text(
  what: string,
  form?: { test: (text: string) => boolean; words: string },
  charsMax: number = LIMITS.textCharsMax,
): Reader<string> {
  return (node, problems) => {
    if (node.kind !== 'scalar' || typeof node.value !== 'string') {
      const isBare = node.kind === 'scalar' && node.value !== null;
      return problems.add(node.place, `${what} must be text`, { remedy: isBare ? `quote it: "${node.text.slice(0, 40)}"` : undefined });
    }
    if (node.value === '') return problems.add(node.place, `${what} must not be empty`);
    if (node.value.length > charsMax) return problems.add(node.place, `${what} is longer than ${charsMax} characters`);
    if (!node.value.isWellFormed()) return problems.add(node.place, `${what} holds half a surrogate pair`);
    if (form !== undefined && !form.test(node.value)) return problems.add(node.place, `${quote(node.value)} is not ${form.words}`);
    return node.value;
  };
}

/** One of a closed set of words. */
export function oneOf<const T extends string>(what: string, words: readonly T[]): Reader<T> {
  return (node, problems) => {
    const found = node.kind === 'scalar' ? words.find((word) => word === node.value) : undefined;
    if (found !== undefined) return found;
    const given = node.kind === 'scalar' ? node.text : '';
    const article = /^[aeiou]/.test(what) ? 'an' : 'a';
    return problems.add(node.place, `${quote(given)} is not ${article} ${what}`, {
      remedy: didYouMean(given, words) ?? `one of ${words.join(', ')}`,
    });
  };
}

/** `true` or `false`. */
export const bool: Reader<boolean> = (node, problems) =>
  node.kind === 'scalar' && typeof node.value === 'boolean' ? node.value : problems.add(node.place, 'must be `true` or `false`');

const UNITS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A span such as `90s`, `15m`, `8h`, `30d`, in milliseconds; at least one second and at most `maxMs`. */
export function duration(what: string, maxMs: number): Reader<number> {
  return (node, problems) => {
    const match = node.kind === 'scalar' ? /^([1-9][0-9]{0,9})([smhd])$/.exec(node.text) : null;
    if (match === null) return problems.add(node.place, `${what} must be a span of time`, { remedy: 'such as 90s, 15m, 8h or 30d' });
    const ms = Number(match[1]) * (UNITS[match[2] ?? ''] ?? Number.NaN);
    if (ms <= maxMs) return ms;
    return problems.add(node.place, `${what} is longer than ${formatSpan(maxMs)}`);
  };
}

/** Milliseconds as the author writes them: the largest unit that divides them. */
export function formatSpan(ms: number): string {
  for (const unit of ['d', 'h', 'm', 's']) {
    const size = UNITS[unit] ?? 1;
    if (ms % size === 0) return `${ms / size}${unit}`;
  }
  return `${ms}ms`;
}

/** A list; members that do not fit are reported and left out. */
export function list<T>(
  what: string,
  member: Reader<T>,
  bounds: { min?: number; max?: number; key?: (item: T) => string } = {},
): Reader<readonly T[]> {
  const { min = 0, max = LIMITS.listMax, key } = bounds;
  return (node, problems) => {
    if (node.kind !== 'list') {
      const [first] = node.kind === 'map' ? node.entries.keys() : [];
      const item = node.kind === 'scalar' ? node.text.slice(0, 40) : `{ ${first ?? ''}: … }`;
      return problems.add(node.place, `${what} must be a list`, { remedy: item === '' ? undefined : `write [${item}]` });
    }
    if (node.items.length > max) return problems.add(node.place, `${what} has more than ${max} entries`);
    if (node.items.length < min) return problems.add(node.place, `${what} must not be empty`);
    const seen = new Set<string>();
    const items: T[] = [];
    for (const item of node.items) {
      const value = member(item, problems);
      if (value === undefined) continue;
      const name = key?.(value);
      if (name !== undefined && seen.has(name)) {
        problems.add(item.place, `${quote(name)} stands in ${what} twice`);
        continue;
      }
      if (name !== undefined) seen.add(name);
      items.push(value);
    }
    return items;
  };
}

/** A map from names to values; members that do not fit are reported and left out. */
export function record<T>(
  what: string,
  member: Reader<T>,
  form: { test: (text: string) => boolean; words: string },
  max: number = LIMITS.listMax,
): Reader<Record<string, T>> {
  return (node, problems) => {
    if (node.kind !== 'map') return problems.add(node.place, `${what} must be a map`, { remedy: 'write { name: … }' });
    if (node.entries.size > max) return problems.add(node.place, `${what} has more than ${max} entries`);
    const values: Record<string, T> = Object.create(null) as Record<string, T>;
    for (const [name, entry] of node.entries) {
      if (!form.test(name)) {
        problems.add(entry.key, `${quote(name)} is not ${form.words}`);
        continue;
      }
      const value = member(entry.value, problems);
      if (value !== undefined) values[name] = value;
    }
    return values;
  };
}
