/**
 * Calls to declared upstreams, and to nothing else: the name is resolved once per connection, every address is judged,
 * and the judged address is the one that is dialled. No redirect is followed, no proxy used, nothing decompressed.
 */

import { Bug, Fault } from '@sallyport/model';
import type { Clock, Destination, FaultCode } from '@sallyport/model';

/** A failed exchange with an upstream. `wasSent` false proves that the upstream has seen none of the request. */
export class UpstreamFault extends Fault {
  readonly wasSent: boolean;

  constructor(code: FaultCode, message: string, options: { readonly wasSent: boolean; readonly cause?: unknown }) {
    super(code, 'upstream', message, { cause: options.cause });
    this.wasSent = options.wasSent;
  }
}

/** Names to addresses. */
export type Resolve = (host: string) => Promise<readonly string[]>;

export interface UpstreamRequest {
  readonly method: string;
  /** Origin form, `/orders?limit=5`: it goes out as it stands. */
  readonly path: string;
  /** Without Host, framing and hop-by-hop headers, which are the dialler's own. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body?: Uint8Array;
  readonly signal: AbortSignal;
  /** The answer's body is a Fault `upstream_too_large` beyond this. */
  readonly bodyBytesMax: number;
  /** Overrides of the pool's own. A stream that may be silent for long asks for a longer `idleMsMax`. */
  readonly firstByteMsMax?: number;
  readonly idleMsMax?: number;
}

export interface UpstreamAnswer {
  readonly status: number;
  /** Names and values in turn, as they came. */
  readonly rawHeaders: readonly string[];
  /** The Content-Encoding, lower case, where the upstream encoded although asked not to. */
  readonly contentEncoding: string | undefined;
  /** To be read at most once; leaving early closes the connection. Rejects with an `UpstreamFault`. */
  readonly body: AsyncIterable<Uint8Array>;
  /** Lets go of an answer that nobody will read. */
  discard(): void;
}

export interface UpstreamLimits {
  readonly connectMsMax: number;
  readonly firstByteMsMax: number;
  readonly idleMsMax: number;
  readonly headBytesMax: number;
  readonly headersMax: number;
  /** Calls under way per destination; one more is refused, not queued. */
  readonly inFlightMax: number;
  /** Kept-alive connections per destination. */
  readonly idleConnectionsMax: number;
  readonly idleConnectionMsMax: number;
}

export const UPSTREAM_LIMITS: UpstreamLimits = {
  connectMsMax: 5_000,
  firstByteMsMax: 30_000,
  idleMsMax: 30_000,
  headBytesMax: 32_768,
  headersMax: 200,
  inFlightMax: 256,
  idleConnectionsMax: 32,
  idleConnectionMsMax: 15_000,
};

export interface Upstreams {
  /** One exchange. Rejects with an `UpstreamFault`; an answer of any status, a redirect too, is an answer. */
  request(destination: Destination, request: UpstreamRequest): Promise<UpstreamAnswer>;
  /** Closes idle connections, and the others with their exchange. */
  close(): void;
}

export function createUpstreams(options: {
  readonly clock: Clock;
  readonly limits?: Partial<UpstreamLimits>;
  /** The system's resolver unless given. */
  readonly resolve?: Resolve;
  /** PEM; certificates believed besides the platform's own. */
  readonly authorities?: readonly string[];
}): Upstreams {
  throw new Bug(`to come ${String(options.clock)}`);
}
