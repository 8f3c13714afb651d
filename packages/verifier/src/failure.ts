/** Why an assertion is not believed: a closed list, so that a tool can count and branch on it. docs/spec/assertions-v1.md, section 4. */

/** In the order in which they are looked for; the first that applies is told. */
export const ASSERTION_FAILURES = [
  'assertion_missing',
  'too_large',
  'malformed',
  'wrong_type',
  'algorithm_refused',
  'header_refused',
  'claims_invalid',
  'certificate_untrusted',
  'certificate_usage',
  'key_mismatch',
  'signature_invalid',
  'issuer_mismatch',
  'actor_mismatch',
  'lifetime_exceeded',
  'not_yet_valid',
  'expired',
  'audience_mismatch',
  'tool_mismatch',
  'delegation_refused',
  'arguments_mismatch',
  'replayed',
] as const;
export type AssertionFailure = (typeof ASSERTION_FAILURES)[number];

/** 401: present a good one. 403: this one is good, and for another tool, or came through agents that this tool does not serve. */
export function statusOf(code: AssertionFailure): 401 | 403 {
  return code === 'tool_mismatch' || code === 'delegation_refused' ? 403 : 401;
}

/** What a caller is told: the code says enough to mend it, and nothing of what was compared. */
export const TITLES: Readonly<Record<AssertionFailure, string>> = {
  assertion_missing: 'this tool answers only calls that carry one Sallyport-Assertion',
  too_large: 'the assertion is too long',
  malformed: 'the assertion is not a compact JWS of JSON',
  wrong_type: 'the token is no assertion',
  algorithm_refused: 'assertions are signed with ES256',
  header_refused: 'the header holds something else than alg, kid, typ and x5c',
  claims_invalid: 'a claim is missing or not what belongs there',
  certificate_untrusted: 'the certificate was not issued by an authority of this trust domain, or not valid then',
  certificate_usage: 'the certificate is not for assertions',
  key_mismatch: 'kid is not the key of the certificate',
  signature_invalid: 'the signature does not fit',
  issuer_mismatch: 'the certificate is another workload’s than the issuer',
  actor_mismatch: 'the signing sidecar stands beside another agent than the actor',
  lifetime_exceeded: 'the assertion lives too long',
  not_yet_valid: 'the assertion is from the future',
  expired: 'the assertion has expired',
  audience_mismatch: 'the assertion is for another service',
  tool_mismatch: 'the assertion is for another tool',
  delegation_refused: 'the call came through more agents than this tool serves',
  arguments_mismatch: 'the assertion is for other arguments',
  replayed: 'the assertion was used before',
};
