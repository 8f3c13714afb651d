/** Tokens in and out: operators' JWTs verified against pinned issuers, and the sidecar's own session tokens. jose lives here. */

export type { OperatorTokens, OperatorTokenContext, OperatorTokenLimits, VerifiedOperator } from './operator-token.ts';
export { operatorTokens } from './operator-token.ts';
export type { SessionGrant, SessionKey, SessionTokens, SessionTokenOptions } from './session-token.ts';
export { sessionTokens } from './session-token.ts';
