/** The kinds of signed object, and the one payload type of each. docs/spec/trust-v1.md section 2. */

import type { RejectCode } from './rejection.ts';

/** What every payload and every bundle part says first. Another value is another language. */
export const API_VERSION = 'sallyport.dev/v1';

/** Every kind of object that this package reads. Audit checkpoints are the audit package's. */
export const SIGNED_KINDS = [
  'Root',
  'AreaDelegation',
  'Bundle',
  'Release',
  'OnlineKeys',
  'Freshness',
  'LiveProof',
  'Extension',
  'Revocation',
  'RevocationSnapshot',
  'Directory',
] as const;
export type SignedKind = (typeof SIGNED_KINDS)[number];

/** `application/vnd.sallyport.area-delegation.v1+json`: one type per kind, so that no object passes for another. */
export function payloadTypeOf(kind: SignedKind): string {
  const kebab = kind.replace(/(?<=[a-z])(?=[A-Z])/g, '-').toLowerCase();
  return `application/vnd.sallyport.${kebab}.v1+json`;
}

/** The code for an object that does not read or verify: its own step of acceptance where it has one. */
export function refusalCodeOf(kind: SignedKind): RejectCode {
  if (kind === 'Root') return 'ROOT';
  return kind === 'AreaDelegation' ? 'DELEGATION' : 'SIGNATURE';
}
