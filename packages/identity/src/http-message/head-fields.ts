/** Single header fields of a request as it came. */

import { type Result, fail, ok } from '@sallyport/model';

/**
 * The value of a field that a credential stands in, `undefined` where it is absent; fails where it stands twice, because
 * of two values one reader would take the first and another the last. `name` is lower case.
 */
export function readField(rawHeaders: readonly string[], name: string): Result<string | undefined, string> {
  let found: string | undefined;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const rawName = rawHeaders[i] as string;
    if (rawName.length !== name.length || rawName.toLowerCase() !== name) continue;
    if (found !== undefined) return fail(`\`${name}\` stands twice`);
    found = rawHeaders[i + 1] as string;
  }
  return ok(found);
}

/** Whether the field is there at all. */
export function hasField(rawHeaders: readonly string[], name: string): boolean {
  const read = readField(rawHeaders, name);
  return !read.ok || read.value !== undefined;
}
