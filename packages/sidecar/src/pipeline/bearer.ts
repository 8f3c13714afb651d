/** The operator's token as `POST /session` carries it. */

import { deny, fail, ok, type Denial, type Result } from '@sallyport/model';

/** RFC 6750 section 2.1: exactly `Bearer` and one token. */
export function bearerOf(header: string | undefined): Result<string, Denial> {
  if (header === undefined) return fail(deny('unauthenticated', 'no Authorization header'));
  const match = /^Bearer ([A-Za-z0-9\-._~+/]+=*)$/i.exec(header);
  return match?.[1] === undefined ? fail(deny('unauthenticated', 'Authorization is not one bearer token')) : ok(match[1]);
}
