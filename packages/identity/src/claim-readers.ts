/** What one claim of a verified token may hold: a name, a list of words. Own members alone; what does not fit is a problem. */

import type { Json, JsonObject, Problem } from '@sallyport/model';

export const TEXT_CHARS_MAX: number = 256;
export const LIST_ITEMS_MAX: number = 256;
/** Control characters, line separators and bidi overrides: nothing that could forge a line or a look in a record. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;

/** A printable text that is not empty; its absence is a problem as well. */
export function readName(claims: JsonObject, name: string, problems: Problem[]): string | undefined {
  const value = own(claims, name);
  if (value === undefined) {
    problems.push({ path: name, message: 'is missing' });
    return undefined;
  }
  // `-` is how a record writes "unknown": a subject of that name would be invisible in the log.
  if (isText(value) && value !== '' && value !== '-' && value === value.trim()) return value;
  problems.push({ path: name, message: `is not a printable text of 1 to ${TEXT_CHARS_MAX} characters` });
  return undefined;
}

/** RFC 6749, section 3.3 writes scopes with single spaces; issuers write roles and scopes either way. */
export function readWords(claims: JsonObject, name: string, problems: Problem[]): readonly string[] {
  const value = own(claims, name);
  if (value === undefined) return [];
  const words = typeof value === 'string' ? value.split(' ').filter((word) => word !== '') : value;
  if (isTextList(words) && words.every((word) => word !== '')) return [...new Set(words)];
  problems.push({ path: name, message: `is neither a list of texts nor space-separated text of at most ${LIST_ITEMS_MAX} items` });
  return [];
}

/** Own members only: a mapping to `constructor` must not find the prototype's. */
export function own(claims: JsonObject, name: string): Json | undefined {
  return Object.hasOwn(claims, name) ? claims[name] : undefined;
}

/** Whether it is a printable text of bounded length. */
export function isText(value: Json): value is string {
  return typeof value === 'string' && value.length <= TEXT_CHARS_MAX && !UNPRINTABLE.test(value);
}

/** Whether it is a bounded list of such texts. */
export function isTextList(value: Json): value is readonly string[] {
  return Array.isArray(value) && value.length <= LIST_ITEMS_MAX && value.every((item: Json) => isText(item));
}
