/** A denial over plain HTTP: problem details (RFC 9457) with the members that every protocol's denial has. docs/spec/denials.md. */

import type { PublicDenial } from '@sallyport/model';
import { type WireAnswer, jsonBytes } from './ask.ts';

/** Prefix of `type`; the code follows. */
export const PROBLEM_TYPE = 'https://sallyport.dev/problems/';

/** The whole answer. Nothing is in it that is not public; there is no `detail`, because what could be said there is for the record. */
export function problemAnswer(denial: PublicDenial, allow = 'POST'): WireAnswer {
  const { title, status, ...members } = denial;
  return {
    status,
    headers: { 'content-type': 'application/problem+json', ...denialHeaders(denial, allow) },
    body: jsonBytes({
      type: PROBLEM_TYPE + denial.code,
      title,
      status,
      instance: `urn:sallyport:decision:${denial.decision_id}`,
      ...members,
    }),
  };
}

/**
 * The headers of a denial whatever its body: never stored; a 401 names a scheme (RFC 9110, section 15.5.2), a 405 the
 * methods that are served there (15.5.6), a wait its length in whole seconds (10.2.3).
 */
export function denialHeaders(denial: PublicDenial, allow = 'POST'): Record<string, string> {
  const headers: Record<string, string> = { 'cache-control': 'no-store' };
  if (denial.status === 401) headers['www-authenticate'] = challenge(denial);
  if (denial.status === 405) headers['allow'] = allow;
  if (denial.retry_after_ms !== undefined) headers['retry-after'] = String(Math.ceil(denial.retry_after_ms / 1000));
  return headers;
}

/** RFC 6750, section 3: a caller that presented nothing is told the scheme alone, without an error code. */
function challenge(denial: PublicDenial): string {
  const isNothingPresented = denial.code === 'unauthenticated' || denial.code === 'session_unknown';
  return isNothingPresented ? 'Bearer realm="sallyport"' : 'Bearer realm="sallyport", error="invalid_token"';
}
