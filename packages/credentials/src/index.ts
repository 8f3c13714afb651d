/** Tokens in and out: operators' JWTs verified against pinned issuers, and the sidecar's own session tokens. jose lives here. */

export type { CallerContext, CallerMethod, CallerProof, CallerRequest, SecretOf } from './callers/caller-method.ts';
export type { CallerMethodPorts } from './callers/caller-methods.ts';
export { callerMethod } from './callers/caller-methods.ts';
export { chooseMethod } from './callers/choose-method.ts';
export type { ReplayMemory, ReplayMemoryOptions, Spendable } from './callers/replay-memory.ts';
export { replayMemory } from './callers/replay-memory.ts';
export type { IntrospectedIssuer, TokenIntrospection, TokenIntrospectionOptions } from './introspection.ts';
export { tokenIntrospection } from './introspection.ts';
export { operatorOfProof } from './callers/proven-operator.ts';
export { newApiKey } from './callers/api-key.ts';
export type { OperatorTokens, OperatorTokenContext, OperatorTokenLimits, OperatorTokenPorts, VerifiedOperator } from './operator-token.ts';
export type { DelegationAuthorities, HopSigner, VerifiedDelegation } from './delegation/hop-token.ts';
export { signHop, verifyDelegation } from './delegation/hop-token.ts';
export { verifyTrustStatement } from './delegation/trust-statement.ts';
export { OPERATOR_TOKEN_LIMITS, operatorTokens } from './operator-token.ts';
export type { SessionGrant, SessionTokens, SessionTokenOptions } from './session-token.ts';
export { sessionTokens } from './session-token.ts';
export type { FetchedIssuer, Found, KeySetLimits, KeySets, KeySetsOptions } from './key-sets.ts';
export { KEY_SET_LIMITS, keySets } from './key-sets.ts';
export type { AssertionMinter, AssertionMinterOptions } from './assertion-minter.ts';
export { assertionMinter } from './assertion-minter.ts';
export type { PublishedKey } from './assertion-key-set.ts';
export { assertionKeySet } from './assertion-key-set.ts';
export { sessionKeySet } from './session-key-set.ts';
export type { DpopLimits, DpopProofs, Possession } from './dpop.ts';
export { DPOP_LIMITS, dpopProofs } from './dpop.ts';
