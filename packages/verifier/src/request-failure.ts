/** Why a signed request is not believed although its assertion is: a closed list. docs/spec/request-signatures-v1.md, section 3. */

/** In the order in which they are looked for; the first that applies is told. */
export const REQUEST_FAILURES = [
  'request_unsigned',
  'request_signature_malformed',
  'request_key_mismatch',
  'request_not_covered',
  'request_signature_invalid',
  'request_digest_mismatch',
  'request_untimely',
  'request_replayed',
] as const;
export type RequestFailure = (typeof REQUEST_FAILURES)[number];
