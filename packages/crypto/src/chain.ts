/** Certificate chains: from a leaf to a CA that the caller trusts, at an instant the caller names. */

import type { Certificate } from './certificate.ts';

/** Why a chain does not hold; for the log, never for a peer. */
export type ChainProblem =
  | 'empty'
  | 'too_long'
  | 'unreadable'
  | 'unsupported_algorithm'
  | 'critical_extension_unknown'
  | 'leaf_is_ca'
  | 'not_a_ca'
  | 'path_too_long'
  | 'not_yet_valid'
  | 'expired'
  | 'signature_invalid'
  | 'untrusted';

export type ChainResult = { readonly ok: true; readonly leaf: Certificate } | { readonly ok: false; readonly reason: ChainProblem };

/**
 * Verifies DER certificates, leaf first, against DER CA certificates, at `atMs` (milliseconds since 1970). At most 4
 * certificates. The trusted CA itself may be left out of the chain. What the leaf may be used for is the caller's to
 * judge, by `leaf.usage` and `leaf.spiffeId`.
 */
export function verifyChain(_chain: readonly Uint8Array[], _trustedCas: readonly Uint8Array[], _atMs: number): ChainResult {
  throw new Error('to come');
}
