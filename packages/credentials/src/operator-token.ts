/**
 * An operator's JWT, verified against the keys that the active bundle pins. No discovery, no network, no clock of its
 * own. docs/spec/sessions.md, section 2.
 */

import type { TokenTimes } from '@sallyport/identity';
import { Bug, type Denial, type Digest, type Instant, type Issuer, type Principal, type Result } from '@sallyport/model';

/** What a verified token proves. */
export interface VerifiedOperator {
  readonly principal: Principal;
  /** Ties the session to one case; `null` where the token names none. */
  readonly case: string | null;
  /** `jti`, or `null`; a revocation may name it. */
  readonly tokenId: string | null;
  /** SHA-256 of the token's bytes as they came; a revocation may name it, and a record may hold it. */
  readonly tokenDigest: Digest;
  readonly times: TokenTimes;
}

/** What a token is judged by: the snapshot of the call that carries it. */
export interface OperatorTokenContext {
  /** The issuers of the active release. */
  readonly issuers: readonly Issuer[];
  /** Names those issuers: a token proven under one bundle is proven anew under the next. */
  readonly bundle: Digest;
  readonly now: Instant;
}

export interface OperatorTokenLimits {
  /** A longer token is refused unread. */
  readonly tokenBytesMax: number;
  /** How far an issuer's clock may run ahead; never extends an expiry. */
  readonly clockSkewMsMax: number;
  /** Proven tokens kept by hash. */
  readonly cacheEntriesMax: number;
}

export interface OperatorTokens {
  /** Never rejects: every failure is a denial, its detail for the record alone. Times are judged on every call, cached or not. */
  verify(token: string, context: OperatorTokenContext): Promise<Result<VerifiedOperator, Denial>>;
}

/** A verifier with its own cache; one per sidecar. */
export function operatorTokens(_limits: Partial<OperatorTokenLimits> = {}): OperatorTokens {
  throw new Bug('to come');
}
