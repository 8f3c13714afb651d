/** What a caller's proof is to the rest of the pipeline: the same that a verified token is. */

import { digestOf, utf8 } from '@sallyport/crypto';
import type { Digest, Instant } from '@sallyport/model';
import type { VerifiedOperator } from '../operator-token.ts';
import type { CallerProof } from './caller-method.ts';

/** 9999-12-31T23:59:59Z, the last instant that a record can print: of a credential that has no end of its own. */
const NEVER = 253_402_300_799_000 as Instant;

/**
 * Whoever a method has proven, for a session as for one request. Neither a case nor a purpose is among what a method's
 * mapping says, so that such a session has none. A revocation names the credential as it would a token's `jti`.
 */
export function operatorOfProof({ kind, principal, credentialId, authenticatedAt, expiresAt }: CallerProof): VerifiedOperator {
  return {
    principal,
    case: null,
    purpose: {},
    tokenId: credentialId,
    tokenDigest: digestOf(utf8(JSON.stringify([credentialId, authenticatedAt]))) as Digest,
    times: { issuedAt: authenticatedAt, notBefore: authenticatedAt, expiresAt: expiresAt ?? NEVER },
    origin: { rootKind: principal.kind === 'person' ? 'human' : 'system', method: kind, hops: [] },
  };
}
