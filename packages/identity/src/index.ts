/** Who is who: claims to principals, session claims and ties, SPIFFE ids. Verifies no signature and reads no clock. */

export type { SpiffeId, Workload, WorkloadPurpose, Leg } from './spiffe.ts';
export { parseSpiffeId, formatSpiffeId, isSpiffeId, audienceOf } from './spiffe.ts';
export type { TokenTimes, TokenTimeLimits } from './token-times.ts';
export { readTokenTimes, judgeTokenTimes } from './token-times.ts';
export { judgeIssuerTerms } from './issuer-terms.ts';
export type { Purpose } from './principal.ts';
export type { ClaimedOrigin } from './origin-claims.ts';
export { originFromClaims } from './origin-claims.ts';
export { principalFromClaims, caseFromClaims, purposeFromClaims } from './principal.ts';
export type { TieHandle } from './trace-tie.ts';
export { formatTieHandle, formatTraceTie, isTraceparent, readTraceTie, tiedTrace } from './trace-tie.ts';
export type { SessionClaims, SessionEpoch, SessionTies } from './session.ts';
export {
  CLIENT_SESSION_TOKEN_TYP,
  SESSION_TOKEN_TYP,
  SESSION_TOKEN_MS,
  isSessionEpoch,
  formatSessionId,
  epochOf,
  readSessionClaims,
  tieSession,
} from './session.ts';
export type { InnerList } from './http-message/structured-fields.ts';
export { isInnerList, parseDictionary, serializeInnerList } from './http-message/structured-fields.ts';
export { hasField, readField } from './http-message/head-fields.ts';
export type { FoundSignature } from './http-message/find-signature.ts';
export { findSignature } from './http-message/find-signature.ts';
export type { SignatureParameters } from './http-message/signature-parameters.ts';
export { readSignatureParameters } from './http-message/signature-parameters.ts';
export type { RequestSigning } from './http-message/request-signature.ts';
export {
  REQUEST_COMPONENTS,
  REQUEST_SIGNATURE_ALG,
  REQUEST_SIGNATURE_MS,
  REQUEST_SIGNATURE_TAG,
  coveredOf,
  requestToSign,
  signatureField,
} from './http-message/request-signature.ts';
export type { SignedRequest } from './http-message/signature-base.ts';
export { coveredNames, signatureBase } from './http-message/signature-base.ts';
export { contentDigestOf, isContentDigest } from './http-message/content-digest.ts';
export type { CompactJws } from './compact-jws.ts';
export { readCompactJws } from './compact-jws.ts';
export type { Asserted, AssertionClaims } from './assertion.ts';
export type { TrustStatement } from './trust-statement.ts';
export { TRUST_STATEMENT_BYTES_MAX, TRUST_STATEMENT_MS_MAX, TRUST_STATEMENT_TYP, readTrustStatement } from './trust-statement.ts';
export type { ActorHop } from './actor.ts';
export {
  ASSERTION_TYP,
  ASSERTION_MS,
  ASSERTION_BYTES_MAX,
  agentAudience,
  assertionClaims,
  defaultAudience,
  readAssertionClaims,
} from './assertion.ts';
export type { DelegationRootKind, Hop, HopAuthority, HopRoot } from './hop.ts';
export { HOP_TYP, hopClaims, readHop } from './hop.ts';
export type { Delegation, DelegationRules, DelegationStep, ProvenHop } from './delegation.ts';
export { HOPS_MAX, HOP_LIFETIME_MS_MAX, judgeDelegation } from './delegation.ts';
export type { HopGrant } from './next-hop.ts';
export { nextHop } from './next-hop.ts';
