/** What every way out shares: the dialler, the account of buffered bytes, and the bounds. */

import type { Clock } from '@sallyport/model';
import type { Upstreams } from '@sallyport/net';
import type { BytesAccount } from '@sallyport/runtime';
import type { Permitted } from '../pipeline/permit.ts';
import type { Carried, Credentials } from '../secrets/credentials.ts';

export interface ForwardOptions {
  readonly upstreams: Upstreams;
  readonly credentials: Credentials;
  readonly account: BytesAccount;
  readonly clock: Clock;
  readonly build: string;
  readonly limits: ForwardLimits;
}

/** A permitted call and what it carries. */
export interface Outgoing {
  readonly permitted: Permitted;
  readonly carried: Carried;
}

export interface ForwardLimits {
  /** Of one answer's body, or one message of it. */
  readonly answerBytesMax: number;
  /** Upstream MCP sessions kept at a time. */
  readonly mcpSessionsMax: number;
  /** For the whole handshake of one of them. */
  readonly handshakeMsMax: number;
}
