/** The query of a target as names and texts: one reading, or a refusal. docs/spec/http-tools.md section 2. */

import { deny, fail, ok } from '@sallyport/model';
import type { Denial, Result } from '@sallyport/model';

export type QueryPair = readonly [name: string, text: string];

/**
 * Reads `a=1&b=x%20y`, decoded once, in the order in which it stands; `undefined` has none. `+` is a space, as forms
 * write it (WHATWG URL, section 5). Refused as `malformed_request`: a part without `=` or without a name, an empty part,
 * bytes that are not UTF-8.
 */
export function readQuery(query: string | undefined): Result<readonly QueryPair[], Denial> {
  const pairs: QueryPair[] = [];
  for (const part of query === undefined ? [] : query.split('&')) {
    const equals = part.indexOf('=');
    const [name, text] = [decode(part.slice(0, Math.max(equals, 0))), decode(part.slice(equals + 1))];
    // A name without `=` is the empty text to one reader and `true` to another.
    if (equals < 1 || name === undefined || text === undefined)
      return fail(deny('malformed_request', 'a part of the query has no name, no `=`, or is not UTF-8'));
    pairs.push([name, text]);
  }
  return ok(pairs);
}

/** The canonical target has seen that every percent sign begins an escape. */
function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return undefined;
  }
}
