/** What every way out shares: the dialler, the account of buffered bytes, and the bounds. */

import type { SessionTokens } from '@sallyport/credentials';
import type { Clock, Destination } from '@sallyport/model';
import type { Upstreams } from '@sallyport/net';
import type { BytesAccount } from '@sallyport/runtime';
import type { DelegationRoom } from '../delegation/delegations.ts';
import type { Permitted } from '../pipeline/permit.ts';
import type { Carried, Credentials } from '../secrets/credentials.ts';
import type { ServerTlsRoom } from '../secrets/server-tls.ts';
import type { Assertions } from './assertions.ts';
import type { RequestSigners, SignRequest } from './request-signing.ts';

export interface ForwardOptions {
  readonly upstreams: Upstreams;
  readonly credentials: Credentials;
  readonly assertions: Assertions;
  readonly signers: RequestSigners;
  readonly delegations: Pick<DelegationRoom, 'handOn'>;
  readonly serverTls: Pick<ServerTlsRoom, 'ready'>;
  readonly account: BytesAccount;
  readonly clock: Clock;
  readonly build: string;
  readonly limits: ForwardLimits;
  /** Where there is an inbound leg. */
  readonly agent?: AgentSide;
}

/** The agent as its own callers reach it. */
export interface AgentSide {
  /** Dials the agent and nothing else. */
  readonly upstreams: Upstreams;
  readonly destination: Destination;
  /** Before every path that it is asked for; empty or `/…` without a slash at its end. */
  readonly basePath: string;
  /** Headers of callers that reach it beside the usual ones. */
  readonly headers: readonly string[];
  /** The two tokens of a session: what the agent calls out with, and what its client comes back with. */
  readonly tokens: { readonly agent: SessionTokens; readonly client: SessionTokens };
}

/** A permitted call, what it carries, and what is said of it. */
export interface Outgoing {
  readonly permitted: Permitted;
  readonly carried: Carried;
  readonly assertion: string;
  /** Where the tool wants its calls signed. */
  readonly sign: SignRequest | undefined;
}

/** Who acts for whom, for the tool to verify; the caller's own field of this name goes nowhere. */
export const ASSERTION_HEADER = 'sallyport-assertion';

export interface ForwardLimits {
  /** Of one answer's body, or one message of it. */
  readonly answerBytesMax: number;
  /** Upstream MCP sessions kept at a time. */
  readonly mcpSessionsMax: number;
  /** For the whole handshake of one of them. */
  readonly handshakeMsMax: number;
}
