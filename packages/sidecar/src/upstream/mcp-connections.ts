/**
 * How the sidecar speaks to MCP servers, for each pair of session and server: with a server of the legacy era in a
 * session of its own, so that no two people ever share one, opened on first use and kept until either is over; with one
 * of the modern era without any. docs/spec/mcp.md, section 6.
 */

import {
  readUpstreamInitialize,
  upstreamHeaders,
  upstreamInitialize,
  upstreamInitialized,
  type RpcId,
  type UpstreamSession,
} from '@sallyport/dialects';
import type { Destination, Fault, ServerName, SessionId, ToolServer } from '@sallyport/model';
import { UpstreamFault, type UpstreamAnswer } from '@sallyport/net';
import { deadline } from '@sallyport/runtime';
import type { McpBinding } from '../pipeline/ports.ts';
import { NOTHING_CARRIED, type Carried } from '../secrets/credentials.ts';
import { singleHeader } from './answer-body.ts';
import type { ForwardOptions } from './forward-options.ts';
import { mcpEras, probeEra, type McpEras } from './mcp-era.ts';
import { clientInfoOf, messagesOf, postMessage, type McpPeer } from './mcp-exchange.ts';

/** An open session with a server. */
export interface McpConnection extends McpPeer {
  readonly session: UpstreamSession;
  /** Ids count by session: a server does not learn how much others are asked. */
  nextId(): RpcId;
}

export interface McpConnections {
  /** The one for this pair, opened if there is none where the server is now. Rejects with an `UpstreamFault`, unsent. */
  of(
    session: SessionId,
    place: Pick<McpPeer, 'server' | 'destination' | 'carried'> & { readonly assertion: string; readonly signal: AbortSignal },
  ): Promise<McpConnection>;
  /** Notes that a call uses it; to be told when the call is over. */
  use(connection: McpConnection): () => void;
  /** Uses this one no more, and asks its server anew which era it speaks; another that has taken its place stays. */
  drop(connection: McpConnection): void;
  /** Lets go of the one for this pair, once no call uses it. */
  release(binding: McpBinding): void;
  /** Ends those that a session opened. */
  forgetSession(session: SessionId): void;
  /** Ends all of them. */
  close(): Promise<void>;
}

interface Entry {
  readonly key: string;
  readonly session: SessionId;
  readonly server: ServerName;
  /** Where the server was when this was opened: a call goes to where it is by the bundle that the call is judged by. */
  readonly place: string;
  readonly opening: Promise<McpConnection>;
  /** Ends the handshake, if it is still under way. */
  readonly abandoned: AbortController;
  /** Owner: `use`. Calls under way. */
  uses: number;
  /** Owner: `release`. To be ended after the last of them. */
  isReleased: boolean;
}

export function mcpConnections(options: ForwardOptions): McpConnections {
  const { mcpSessionsMax } = options.limits;
  // Owner: this object. By session and server; a failed opening is not kept.
  const entries = new Map<string, Entry>();
  // Owner: this object. Which entry a connection came from, for as long as anybody holds the connection.
  const entryOf = new WeakMap<McpConnection, Entry>();
  const eras = mcpEras();

  const forget = (entry: Entry): void => {
    if (entries.get(entry.key) === entry) entries.delete(entry.key);
  };
  const end = async ({ opening, abandoned }: Entry): Promise<void> => {
    abandoned.abort();
    try {
      await endConnection(await opening, options);
    } catch {
      // The server forgets the session by itself; ours is forgotten already.
    }
  };
  return {
    async of(session, { server, destination, carried, assertion, signal }) {
      const key = keyOf(session, server.name, carried);
      const place = placeOf(server, destination);
      const known = entries.get(key);
      if (known?.place === place) return untilAborted(known.opening, signal);
      if (known === undefined && entries.size >= mcpSessionsMax) {
        const message = `mcp_sessions_max (${mcpSessionsMax}) upstream sessions are open`;
        throw new UpstreamFault('upstream_unreachable', message, { wasSent: false });
      }
      // One that the policy has moved is left without a word: nothing is sent to where no destination is any more.
      const abandoned = new AbortController();
      const peer = { server, destination, carried, session: undefined };
      const opening = openConnection(peer, { options, eras, place, assertion, abandoned: abandoned.signal });
      const entry: Entry = { key, session, server: server.name, place, opening, abandoned, uses: 0, isReleased: false };
      entries.set(key, entry);
      opening.then(
        (connection) => entryOf.set(connection, entry),
        () => forget(entry),
      );
      return untilAborted(opening, signal);
    },
    use(connection) {
      const entry = entryOf.get(connection);
      if (entry === undefined) return () => {};
      entry.uses += 1;
      return () => {
        entry.uses -= 1;
        if (entry.isReleased && entry.uses === 0) void end(entry);
      };
    },
    drop(connection) {
      eras.forget(connection.server.name);
      const entry = entryOf.get(connection);
      if (entry !== undefined) forget(entry);
    },
    release({ session, server }) {
      for (const entry of entries.values()) {
        if (entry.session !== session || entry.server !== server) continue;
        forget(entry);
        entry.isReleased = true;
        if (entry.uses === 0) void end(entry);
      }
    },
    forgetSession(session) {
      for (const entry of entries.values()) {
        if (entry.session !== session) continue;
        forget(entry);
        void end(entry);
      }
    },
    async close() {
      const open = [...entries.values()];
      entries.clear();
      await Promise.all(open.map(end));
    },
  };
}

/** Calls that carry other credentials are others to the server: what was opened with one is not used with another. */
function keyOf(session: SessionId, server: ServerName, { key }: Carried): string {
  return `${session} ${server} ${key}`;
}

function placeOf({ url }: ToolServer, { scheme, host, port, network, tls }: Destination): string {
  const held = tls === undefined ? '' : ` ${JSON.stringify([tls.authorities ?? null, tls.identity ?? null, tls.client ?? null])}`;
  return `${scheme}://${host}:${port} ${network} ${new URL(url).pathname}${held}`;
}

/** Waits as long as one caller does for what others may wait for too. */
function untilAborted(opening: Promise<McpConnection>, signal: AbortSignal): Promise<McpConnection> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(new UpstreamFault('aborted', 'the call was ended in the mcp handshake', { wasSent: false }));
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
    void opening.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}

interface Opening {
  readonly options: ForwardOptions;
  readonly eras: McpEras;
  readonly place: string;
  /** Of the call that the handshake was begun for. */
  readonly assertion: string;
  readonly abandoned: AbortSignal;
}

/** The handshake, in its own time: all calls of the session wait for it, and it belongs to none of them. */
async function openConnection(peer: McpPeer, { options, eras, place, assertion, abandoned }: Opening): Promise<McpConnection> {
  const { clock, limits } = options;
  const fault = (): Fault => new UpstreamFault('upstream_timeout', 'the handshake took too long', { wasSent: false });
  const limit = deadline(clock, limits.handshakeMsMax, { fault, signal: abandoned });
  try {
    const { name } = peer.server;
    const era = eras.known(name, place) ?? (await probeEra(peer, { options, assertion, abandoned: limit.signal }));
    const connection = era === 'modern' ? withoutSession(peer) : await shakeHands(peer, { options, assertion, signal: limit.signal });
    // A handshake that worked is what proves the legacy era.
    eras.learn(name, { place, era });
    return connection;
  } catch (thrown) {
    if (!(thrown instanceof UpstreamFault)) throw thrown;
    // Whatever a handshake failed of, the call itself was not sent.
    const code = limit.signal.aborted && !abandoned.aborted ? 'upstream_timeout' : thrown.code;
    throw new UpstreamFault(code, `mcp handshake: ${thrown.message}`, { wasSent: false, cause: thrown });
  } finally {
    limit.clear();
  }
}

/** Nothing to open: each message says everything. Ids count as in a session. */
function withoutSession(peer: McpPeer): McpConnection {
  // Owner: `nextId`.
  let lastId = 0;
  return { ...peer, session: { era: 'modern' }, nextId: () => ++lastId };
}

/** `initialize`, its answer, and the notification that ends it. */
async function shakeHands(
  peer: McpPeer,
  post: { options: ForwardOptions; assertion: string; signal: AbortSignal },
): Promise<McpConnection> {
  // Owner: `nextId`.
  let lastId = 0;
  const nextId = (): RpcId => ++lastId;
  const { options } = post;
  const id = nextId();
  const initialize = (): Promise<UpstreamAnswer> => postMessage(peer, upstreamInitialize(id, clientInfoOf(options)), post);
  let answer = await initialize();
  // The key may have been replaced a moment ago; a handshake does nothing, and may go out again.
  if (answer.status === 401 && peer.carried !== NOTHING_CARRIED && (await peer.carried.isReplaced())) {
    answer.discard();
    answer = await initialize();
  }
  if (answer.status !== 200) {
    answer.discard();
    throw new UpstreamFault('upstream_protocol', `\`initialize\` was answered ${answer.status}`, { wasSent: false });
  }
  const sessionId = singleHeader(answer.rawHeaders, 'mcp-session-id');
  for await (const message of messagesOf(answer, id, options)) {
    if (message.kind === 'notification' || message.kind === 'request') continue;
    const session = readUpstreamInitialize(message, sessionId);
    if (!session.ok) throw new UpstreamFault('upstream_protocol', session.error.code, { wasSent: false });
    const connection = { ...peer, session: session.value, nextId };
    const accepted = await postMessage(connection, upstreamInitialized(), post);
    accepted.discard();
    return connection;
  }
  throw new UpstreamFault('upstream_protocol', '`initialize` was not answered', { wasSent: false });
}

const GOODBYE_MS_MAX = 2_000;

async function endConnection(
  { server, destination, session, carried }: McpConnection,
  { upstreams, clock }: ForwardOptions,
): Promise<void> {
  if (session.era === 'modern' || session.sessionId === undefined) return;
  const fault = (): Fault => new UpstreamFault('upstream_timeout', 'no answer to DELETE', { wasSent: true });
  const limit = deadline(clock, GOODBYE_MS_MAX, { fault });
  try {
    const own = Object.entries(upstreamHeaders(session)).filter(([name]) => name !== 'content-type');
    const headers = [...own, ...carried.headers(destination.server)];
    const path = new URL(server.url).pathname;
    const answer = await upstreams.request(destination, { method: 'DELETE', path, headers, signal: limit.signal, bodyBytesMax: 65_536 });
    answer.discard();
  } finally {
    limit.clear();
  }
}
