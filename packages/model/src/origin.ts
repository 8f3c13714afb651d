/**
 * How a session began, beside whose it is: what the credential that opened it said, and what the gateway itself saw. It goes
 * with the session, so that rules can ask for it and every record repeats it.
 */

import type { AgentName } from './ids.ts';

/** With whose authority it began: a person's, a job's that the bundle allows, another trusted system's, or an outsider's. */
export type RootKind = 'human' | 'schedule' | 'event' | 'system' | 'external';

/** One delegation on the way here, outermost caller first. */
export interface OriginHop {
  /** The agent that called on. */
  readonly agent: AgentName;
  /** SPIFFE id of its sidecar, which signed. */
  readonly sidecar: string;
  readonly authority: 'transferred' | 'retained';
}

/** Texts are printable and of 1 to 256 characters; absent is what nobody said. */
export interface SessionOrigin {
  readonly rootKind: RootKind;
  /**
   * How the caller proved itself: `access_token`, or the kind of a caller method; after it what the issuer said of its own
   * proof, as `access_token acr=gold amr=mfa,pwd`.
   */
  readonly method: string;
  readonly purpose?: string;
  /** The end customer whom it is about; not the one who acts. */
  readonly customerId?: string;
  readonly workflowId?: string;
  readonly workflowStep?: string;
  readonly conversationId?: string;
  readonly runId?: string;
  readonly traceId?: string;
  readonly environment?: string;
  /** Version of the list of scopes that the issuer gave out. */
  readonly scopeVersion?: string;
  /** Empty where the caller came by itself. */
  readonly hops: readonly OriginHop[];
}
