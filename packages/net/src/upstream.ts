/**
 * Calls to declared upstreams, and to nothing else: the name is resolved once per connection, every address is judged,
 * and the judged address is the one that is dialled. No redirect is followed, no proxy used, nothing decompressed, and
 * nothing retried but a read whose kept-alive connection turned out to be dead.
 */

import { lookup } from 'node:dns/promises';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { invariant, isSameServerTls, type BootMs, type Clock, type Destination } from '@sallyport/model';
import { judgeAddress, unbracketed } from './address.ts';
import { exchange, type Lane } from './upstream-exchange.ts';
import { UpstreamFault } from './upstream-fault.ts';
import { demandedTls, platformTls, type TlsOf, type UpstreamTls } from './upstream-tls.ts';
import { createWatch } from './watch.ts';

/** Names to addresses. */
export type Resolve = (host: string) => Promise<readonly string[]>;

export interface UpstreamRequest {
  readonly method: string;
  /** Origin form, `/orders?limit=5`: it goes out as it stands. */
  readonly path: string;
  /** Without Host, framing and hop-by-hop headers, which are the dialler's own: one of those here is a Bug. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body?: Uint8Array;
  /**
   * What is asked changes nothing: a GET may be sent once more where the server closed the kept-alive connection under it.
   * Not for the method to say: there are APIs whose GET acts.
   */
  readonly onlyReads?: boolean;
  /**
   * More headers, for the very server at the other end: asked once the connection is secure, with the leaf that it showed (DER),
   * before anything is sent. Where it rejects, nothing is.
   */
  readonly headersFor?: (peerCertificate: Uint8Array) => Promise<readonly (readonly [name: string, value: string])[]>;
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
  /** Kept-alive connections per destination; with 0 each exchange has a connection of its own. */
  readonly idleConnectionsMax: number;
  /** Shorter than what servers commonly keep, so that it is we who close. */
  readonly idleConnectionMsMax: number;
}

export const UPSTREAM_LIMITS: UpstreamLimits = {
  connectMsMax: 5_000,
  firstByteMsMax: 30_000,
  idleMsMax: 30_000,
  headBytesMax: 32_768,
  headersMax: 200,
  inFlightMax: 256,
  idleConnectionsMax: 256,
  idleConnectionMsMax: 4_000,
};

export interface Upstreams {
  /** One exchange. Rejects with an `UpstreamFault`; an answer of any status, a redirect too, is an answer. */
  request(destination: Destination, request: UpstreamRequest): Promise<UpstreamAnswer>;
  /** Closes idle connections, and the others with their exchange. */
  close(): void;
}

export interface UpstreamOptions {
  readonly clock: Clock;
  readonly limits?: Partial<UpstreamLimits>;
  /** The system's resolver unless given. */
  readonly resolve?: Resolve;
  /** A Unix socket that is dialled for every destination, whatever its host. */
  readonly socketPath?: string;
  /** PEM; certificate authorities believed besides the platform's own. */
  readonly authorities?: readonly string[];
  /** Asked at each request to a destination that says something of its TLS; needed where there is one. */
  readonly tls?: TlsOf;
}

/** How late a deadline may be noticed. */
const SWEEP_MS = 100;
const ADDRESSES_MAX = 64;
/** Who was proven longer ago has to prove themselves again, however busy the connection is: certificates end. */
const PROVEN_MS_MAX = 600_000;

/** A dialler with a pool of kept-alive connections per destination. */
export function createUpstreams(options: UpstreamOptions): Upstreams {
  const limits = { ...UPSTREAM_LIMITS, ...options.limits };
  const resolve = options.resolve ?? systemResolve;
  const watch = createWatch(options.clock, SWEEP_MS);
  // Owner: this pool. One lane per server; a destination that a new bundle changed gets a new one.
  const lanes = new Map<string, Lane>();

  const laneOf = (destination: Destination, tls: UpstreamTls | undefined): Lane => {
    const held = lanes.get(destination.server);
    const now = options.clock.boot();
    if (held !== undefined && held.tls === tls && !isOld(held, now) && isSame(held.destination, destination)) return held;
    if (held !== undefined) closeIdle(held.agent);
    // A literal is dialled without a look-up, so it is judged here; a name at each look-up.
    const host = unbracketed(destination.host);
    if (isIP(host) !== 0) judged(destination, [host]);
    const agent = agentFor(destination, limits, { tls, authorities: options.authorities });
    const { socketPath } = options;
    const lane: Lane = { destination, agent, tls, madeAt: now, lookup: judgedLookup(destination, resolve), inFlight: 0, socketPath };
    lanes.set(destination.server, lane);
    return lane;
  };

  return {
    async request(destination, request) {
      const lane = laneOf(destination, destination.tls === undefined ? undefined : await demanded(destination, options.tls));
      if (lane.inFlight >= limits.inFlightMax) {
        const message = `\`${destination.server}\` has ${limits.inFlightMax} calls under way`;
        throw new UpstreamFault('upstream_unreachable', message, { wasSent: false });
      }
      return exchange(lane, request, { limits, watch });
    },
    close() {
      for (const lane of lanes.values()) lane.agent.destroy();
      lanes.clear();
      watch.close();
    },
  };
}

function isSame(a: Destination, b: Destination): boolean {
  if (a === b) return true;
  const isThere = a.scheme === b.scheme && a.host === b.host && a.port === b.port && a.network === b.network;
  return isThere && isSameServerTls(a.tls, b.tls);
}

function isOld({ tls, madeAt }: Lane, now: BootMs): boolean {
  return tls !== undefined && now - madeAt >= PROVEN_MS_MAX;
}

function demanded(destination: Destination, tls: TlsOf | undefined): ReturnType<TlsOf> {
  invariant(tls !== undefined && destination.scheme === 'https', 'what a destination demands of its TLS can be met here');
  return tls(destination);
}

/** Connections in use go on to their end, and then find that their agent keeps them for a few seconds only. */
function closeIdle(agent: HttpAgent): void {
  for (const sockets of Object.values(agent.freeSockets)) for (const socket of sockets ?? []) socket.destroy();
}

function agentFor(
  destination: Destination,
  limits: UpstreamLimits,
  { tls, authorities = [] }: { readonly tls: UpstreamTls | undefined; readonly authorities: readonly string[] | undefined },
): HttpAgent {
  const pool = {
    // With a bound of 0 Node would take its own.
    keepAlive: limits.idleConnectionsMax > 0,
    maxSockets: limits.inFlightMax,
    maxFreeSockets: limits.idleConnectionsMax,
    timeout: limits.idleConnectionMsMax,
  };
  if (destination.scheme === 'http') return new HttpAgent(pool);
  return new HttpsAgent({ ...pool, ...(tls === undefined ? platformTls(authorities) : demandedTls(destination, tls)) });
}

/** For `net.connect`: resolves once and hands back only what was judged, so that a second answer is never asked for (rebinding). */
function judgedLookup(destination: Destination, resolve: Resolve): LookupFunction {
  const answer = async (...[host, options, callback]: Parameters<LookupFunction>): Promise<void> => {
    let addresses: readonly string[];
    try {
      addresses = judged(destination, await resolved(destination, resolve, host));
    } catch (error) {
      callback(error as NodeJS.ErrnoException, []);
      return;
    }
    const list = addresses.map((address) => ({ address, family: isIP(address) }));
    const [first] = list;
    if (options.all === true || first === undefined) callback(null, list);
    else callback(null, first.address, first.family);
  };
  return (...asked) => void answer(...asked);
}

async function resolved(destination: Destination, resolve: Resolve, host: string): Promise<readonly string[]> {
  try {
    return await resolve(host);
  } catch (cause) {
    throw new UpstreamFault('upstream_unreachable', `\`${destination.host}\` does not resolve`, { wasSent: false, cause });
  }
}

/** All addresses, or a fault: one that is not acceptable among good ones is somebody's attempt, not bad luck. */
function judged(destination: Destination, addresses: readonly string[]): readonly string[] {
  const refuse = (code: 'upstream_unreachable' | 'upstream_untrusted', why: string): never => {
    throw new UpstreamFault(code, `\`${destination.host}\`: ${why}`, { wasSent: false });
  };
  if (addresses.length === 0 || addresses.length > ADDRESSES_MAX)
    refuse('upstream_unreachable', `resolves to ${addresses.length} addresses`);
  for (const address of addresses) {
    const { refusal } = judgeAddress(destination, address);
    if (refusal !== undefined) refuse('upstream_untrusted', refusal);
  }
  return addresses;
}

async function systemResolve(host: string): Promise<readonly string[]> {
  const addresses = await lookup(host, { all: true });
  return addresses.map(({ address }) => address);
}
