/** What the owner of a tool needs to know who is really calling. docs/guides/verify-assertions.md. */

export type { AssertionFailure } from './failure.ts';
export { ASSERTION_FAILURES } from './failure.ts';
export type { Assertion, NotBelieved, ReplayMemory, Verification, VerifyOptions } from './verify-assertion.ts';
export { verifyAssertion } from './verify-assertion.ts';
export type { RequestFailure } from './request-failure.ts';
export { REQUEST_FAILURES } from './request-failure.ts';
export type { ReceivedRequest, RequestOptions, RequestVerification } from './verify-request.ts';
export { verifyRequest } from './verify-request.ts';
export { digestOfJsonArguments } from './json-arguments.ts';
export { replayMemory } from './replay-memory.ts';
export type { AssertionGuard, GuardOptions } from './assertion-guard.ts';
export { assertionGuard } from './assertion-guard.ts';
