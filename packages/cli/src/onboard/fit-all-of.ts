/** `allOf` as one schema, where that can be said: no two of its schemas speak of the same thing, unless they say the same. */

import { isDeepStrictEqual } from 'node:util';
import type { Json, JsonObject } from '@sallyport/model';
import { isList, isObject, listOf } from './json-shape.ts';

/** The merged schema without `allOf`; `undefined` where two schemas would have to hold at once. */
export function mergeAllOf(schema: JsonObject): JsonObject | undefined {
  const { allOf, ...own } = schema;
  const parts = listOf(allOf);
  let merged: JsonObject | undefined = own;
  for (const part of parts) merged = merged === undefined || !isObject(part) ? undefined : joined(merged, part);
  return merged;
}

function joined(a: JsonObject, b: JsonObject): JsonObject | undefined {
  const result: Record<string, Json> = { ...a };
  for (const [key, value] of Object.entries(b)) {
    const held = result[key];
    if (held === undefined || isDeepStrictEqual(held, value)) result[key] = value;
    else if (WORDS.has(key)) continue;
    else if (key === 'required' && isList(held) && isList(value)) result[key] = [...new Set([...held, ...value])];
    else if (key === 'properties' && isObject(held) && isObject(value) && !Object.keys(value).some((name) => Object.hasOwn(held, name)))
      result[key] = { ...held, ...value };
    else return undefined;
  }
  const isReference = result['$ref'] !== undefined && Object.keys(result).some((key) => key !== '$ref' && !WORDS.has(key));
  return isReference ? undefined : result;
}

/** The outer schema's own words come first. */
const WORDS: ReadonlySet<string> = new Set(['title', 'description', 'default', 'examples', '$comment']);
