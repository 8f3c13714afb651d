/**
 * JSON as block YAML that means the same to every reader: keys are plain only where nothing else could be meant, every
 * text stands in JSON's double quotes, so that no text of a stranger can begin a field, a document or a comment.
 */

import type { Json } from '@sallyport/model';
import { isList, isObject } from './json-shape.ts';

const PLAIN_KEY = /^[A-Za-z_$][A-Za-z0-9_$-]{0,62}$/;
/** Words that some reader takes for something else than text. */
const AMBIGUOUS = /^(?:y|n|yes|no|on|off|true|false|null|nan|inf)$/i;

/** Lines of a value below a key at `depth` levels of two spaces. */
export function yamlLines(value: Json, depth: number): readonly string[] {
  const pad = '  '.repeat(depth);
  if (isList(value)) return value.flatMap((item) => itemLines(item, depth));
  if (isObject(value))
    return Object.entries(value).flatMap(([key, one]) => {
      const inline = inlineOf(one);
      return inline === undefined ? [`${pad}${yamlKey(key)}:`, ...yamlLines(one, depth + 1)] : [`${pad}${yamlKey(key)}: ${inline}`];
    });
  return [`${pad}${JSON.stringify(value)}`];
}

function itemLines(item: Json, depth: number): readonly string[] {
  const pad = '  '.repeat(depth);
  const inline = inlineOf(item);
  if (inline !== undefined) return [`${pad}- ${inline}`];
  const [first = '', ...rest] = yamlLines(item, depth + 1);
  return [`${pad}- ${first.trimStart()}`, ...rest];
}

/** What fits on the line of its key: scalars, lists of scalars, and what is empty. */
function inlineOf(value: Json): string | undefined {
  if (isList(value))
    return value.every((item) => typeof item !== 'object' || item === null)
      ? `[${value.map((item) => JSON.stringify(item)).join(', ')}]`
      : undefined;
  if (isObject(value)) return Object.keys(value).length === 0 ? '{}' : undefined;
  return JSON.stringify(value);
}

/** A value on one line, as people write it by hand: `{ path: "x", depth: 1 }`. */
export function yamlFlow(value: Json): string {
  if (isList(value)) return `[${value.map(yamlFlow).join(', ')}]`;
  if (!isObject(value)) return JSON.stringify(value);
  const members = Object.entries(value).map(([key, one]) => `${yamlKey(key)}: ${yamlFlow(one)}`);
  return members.length === 0 ? '{}' : `{ ${members.join(', ')} }`;
}

/** A key, quoted wherever it could be anything but this text. */
export function yamlKey(key: string): string {
  return PLAIN_KEY.test(key) && !AMBIGUOUS.test(key) ? key : JSON.stringify(key);
}

/** The same value with the keys of all objects in the order of their UTF-16 units: one text for one value. */
export function sorted(value: Json): Json {
  if (isList(value)) return value.map(sorted);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
      .map(([key, one]) => [key, sorted(one)]),
  );
}
