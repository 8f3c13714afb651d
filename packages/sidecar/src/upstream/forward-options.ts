/** What every way out shares: the dialler, the account of buffered bytes, and the bounds. */

import type { Clock } from '@sallyport/model';
import type { Upstreams } from '@sallyport/net';
import type { BytesAccount } from '@sallyport/runtime';
import type { Permitted } from '../pipeline/permit.ts';
import type { Carried, Credentials } from '../secrets/credentials.ts';
import type { Assertions } from './assertions.ts';

export interface ForwardOptions {
  readonly upstreams: Upstreams;
  readonly credentials: Credentials;
  readonly assertions: Assertions;
  readonly account: BytesAccount;
  readonly clock: Clock;
  readonly build: string;
  readonly limits: ForwardLimits;
}

/** A permitted call, what it carries, and what is said of it. */
export interface Outgoing {
  readonly permitted: Permitted;
  readonly carried: Carried;
  readonly assertion: string;
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
