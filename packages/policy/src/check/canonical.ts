/** One spelling of a JSON value: keys by code unit, no white space. The bytes that parts consist of. */

import type { Json, JsonObject } from '@sallyport/model';

/** Numbers are those that documents admit: every double whose shortest text is the author's. */
export function canonicalJson(value: Json): string {
  if (Array.isArray(value)) return `[${(value as readonly Json[]).map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const object = value as JsonObject;
  const members = Object.keys(object).toSorted();
  return `{${members.map((key) => `${JSON.stringify(key)}:${canonicalJson(object[key] ?? null)}`).join(',')}}`;
}
