/** Who is who: claims to principals, session claims and ties, SPIFFE ids. Verifies no signature and reads no clock. */

export type { SpiffeId, Workload, WorkloadPurpose, Leg } from './spiffe.ts';
export { parseSpiffeId, formatSpiffeId, isSpiffeId, audienceOf } from './spiffe.ts';
export type { TokenTimes, TokenTimeLimits } from './token-times.ts';
export { readTokenTimes, judgeTokenTimes } from './token-times.ts';
export { judgeIssuerTerms } from './issuer-terms.ts';
export type { Purpose } from './principal.ts';
export { principalFromClaims, caseFromClaims, purposeFromClaims } from './principal.ts';
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
