/**
 * MCP towards a tool's server: the sidecar's own client session for each (session, server), opened on first use, so that
 * no agent's session id, request id or capability ever reaches a server. docs/spec/mcp.md, section 5.
 */

import {
  mediaTypeOf,
  notificationFor,
  readUpstreamInitialize,
  readUpstreamMessage,
  resultFor,
  SseReader,
  toolOutcome,
  upstreamBody,
  upstreamCall,
  upstreamHeaders,
  upstreamInitialize,
  upstreamInitialized,
  type McpAsk,
  type UpstreamMessage,
  type UpstreamSession,
} from '@sallyport/dialects';
import { deny, localNameOf, type Destination, type SessionId, type ToolServer } from '@sallyport/model';
import { UpstreamFault, type UpstreamAnswer } from '@sallyport/net';
import type { Answer, AnswerUnit, Outcome } from '../pipeline/gate.ts';
import type { Permitted } from '../pipeline/permit.ts';
import type { ForwardContext, UpstreamFailure } from '../pipeline/ports.ts';
import { readAnswer, refuseEncoded, singleHeader } from './answer-body.ts';
import type { ForwardOptions } from './forward-options.ts';
import { traceHeaders } from './trace-headers.ts';

type CallTool = Extract<McpAsk, { kind: 'call_tool' }>;

export interface McpUpstream {
  forward(permitted: Permitted, context: ForwardContext, message: CallTool): Promise<Answer | UpstreamFailure>;
  forgetSession(session: SessionId): void;
  close(): Promise<void>;
}

interface Connection {
  readonly server: ToolServer;
  readonly destination: Destination;
  readonly session: UpstreamSession;
}

/** Owner of every upstream session. */
export function mcpUpstream(options: ForwardOptions): McpUpstream {
  const { limits } = options;
  // Owner: this object. Keyed by session and server; a failed opening is not kept.
  const connections = new Map<string, Promise<Connection>>();
  let lastId = 0;

  const connect = (key: string, permitted: Permitted, context: ForwardContext): Promise<Connection> => {
    const known = connections.get(key);
    if (known !== undefined) return known;
    if (connections.size >= limits.mcpSessionsMax) {
      throw new UpstreamFault('upstream_unreachable', `mcp_sessions_max (${limits.mcpSessionsMax}) upstream sessions are open`, {
        wasSent: false,
      });
    }
    const opening = openConnection(permitted.server, context.destination, { ...options, nextId: () => ++lastId }).catch(unsent);
    connections.set(key, opening);
    opening.catch(() => connections.delete(key));
    return opening;
  };

  const close = async (connection: Promise<Connection>): Promise<void> => {
    try {
      await endConnection(await connection, options);
    } catch {
      // The server forgets the session by itself; ours is forgotten already.
    }
  };

  return {
    async forward(permitted, context, message) {
      const key = `${context.session.id} ${permitted.server.name}`;
      // Once more for a server that forgot our session: it says so before it looks at the call (2025-11-25, sessions).
      for (const isLastTry of [false, true]) {
        const connection = await connect(key, permitted, context);
        const id = ++lastId;
        const body = upstreamCall(id, { tool: localNameOf(permitted.tool.name), arguments: permitted.arguments, meta: message.meta });
        const answer = await post(connection, body, { options, traceparent: context.traceparent });
        const kind = upstreamBody(answer.status, singleHeader(answer.rawHeaders, 'content-type'), connection.session);
        if (kind === 'json' || kind === 'events') return toolAnswer(answer, { id, message, connection, options });
        answer.discard();
        if (kind === 'session_over') connections.delete(key);
        if (kind === 'session_over' && !isLastTry) continue;
        const failure = deny('upstream_error', `${permitted.tool.name} answered ${answer.status} (${kind})`);
        return { failure, result: 'upstream_error', upstreamStatus: answer.status, wasSent: true };
      }
      throw new UpstreamFault('upstream_protocol', 'the server forgot two sessions in a row', { wasSent: true });
    },
    forgetSession(session) {
      for (const [key, connection] of connections) {
        if (!key.startsWith(`${session} `)) continue;
        connections.delete(key);
        void close(connection);
      }
    },
    async close() {
      const open = [...connections.values()];
      connections.clear();
      await Promise.all(open.map(close));
    },
  };
}

/** Whatever a handshake failed of, the call itself was not sent. */
function unsent(thrown: unknown): never {
  if (thrown instanceof UpstreamFault)
    throw new UpstreamFault(thrown.code, `mcp handshake: ${thrown.message}`, { wasSent: false, cause: thrown });
  throw thrown;
}

/** The handshake: initialize, its answer, and the notification that ends it. */
async function openConnection(
  server: ToolServer,
  destination: Destination,
  { nextId, ...options }: ForwardOptions & { nextId: () => number },
): Promise<Connection> {
  const id = nextId();
  const unopened = { server, destination, session: undefined };
  const answer = await post(unopened, upstreamInitialize(id, { name: 'sallyport', version: options.build }), {
    options,
    traceparent: undefined,
  });
  if (answer.status !== 200) {
    answer.discard();
    throw new UpstreamFault('upstream_protocol', `\`initialize\` was answered ${answer.status}`, { wasSent: false });
  }
  const sessionId = singleHeader(answer.rawHeaders, 'mcp-session-id');
  for await (const message of messages(answer, id, options)) {
    if (message.kind === 'notification' || message.kind === 'request') continue;
    const session = readUpstreamInitialize(message, sessionId);
    if (!session.ok) throw new UpstreamFault('upstream_protocol', session.error.message, { wasSent: false });
    const connection = { server, destination, session: session.value };
    const accepted = await post(connection, upstreamInitialized(), { options, traceparent: undefined });
    accepted.discard();
    return connection;
  }
  throw new UpstreamFault('upstream_protocol', '`initialize` was not answered', { wasSent: false });
}

async function endConnection({ server, destination, session }: Connection, { upstreams }: ForwardOptions): Promise<void> {
  if (session.sessionId === undefined) return;
  const headers = Object.entries(upstreamHeaders(session)).filter(([name]) => name !== 'content-type');
  const answer = await upstreams.request(destination, {
    method: 'DELETE',
    path: new URL(server.url).pathname,
    headers,
    signal: NEVER,
    bodyBytesMax: 65_536,
    firstByteMsMax: 2_000,
  });
  answer.discard();
}

/** One POST. The agent's leaving does not cancel it: in this era a disconnect is no cancellation. */
async function post(
  { server, destination, session }: { server: ToolServer; destination: Destination; session: UpstreamSession | undefined },
  body: Uint8Array,
  { options, traceparent }: { options: ForwardOptions; traceparent: string | undefined },
): Promise<UpstreamAnswer> {
  return options.upstreams.request(destination, {
    method: 'POST',
    path: new URL(server.url).pathname,
    headers: [...Object.entries(upstreamHeaders(session)), ...traceHeaders(traceparent)],
    body,
    signal: NEVER,
    bodyBytesMax: options.limits.answerBytesMax,
  });
}

const NEVER = new AbortController().signal;

function toolAnswer(
  answer: UpstreamAnswer,
  call: { id: number; message: CallTool; connection: Connection; options: ForwardOptions },
): Answer {
  // Owner: the units below; read when they are at their end.
  let outcome: Outcome = { result: 'cut', upstreamStatus: answer.status };
  return {
    status: 200,
    headers: { 'content-type': 'application/json', 'cache-control': 'no-store' },
    delivery: 'messages',
    units: (async function* units(): AsyncGenerator<AnswerUnit, void, void> {
      for await (const message of messages(answer, call.id, call.options)) {
        if (message.kind === 'notification') {
          const passed = notificationFor(message, call.id, call.message.meta);
          if (passed !== undefined) yield { bytes: passed, isLast: false };
          continue;
        }
        if (message.kind === 'request') {
          await answerRequest(call.connection, message.answer, call.options);
          continue;
        }
        const result = toolOutcome(message);
        if (!result.ok) throw new UpstreamFault('upstream_protocol', result.error.message, { wasSent: true });
        if (message.kind === 'error')
          throw new UpstreamFault('upstream_protocol', `JSON-RPC error ${message.code}: ${message.message}`, { wasSent: true });
        outcome = { result: result.value, upstreamStatus: answer.status };
        yield { bytes: resultFor(call.message.id, message.result), isLast: true };
        return;
      }
    })(),
    outcome: () => outcome,
  };
}

async function answerRequest(connection: Connection, body: Uint8Array, options: ForwardOptions): Promise<void> {
  const accepted = await post(connection, body, { options, traceparent: undefined });
  accepted.discard();
}

/** The messages of a response, whichever form it takes, until the one that answers `id`. Rejects with an `UpstreamFault`. */
async function* messages(
  answer: UpstreamAnswer,
  id: number,
  { account, limits }: ForwardOptions,
): AsyncGenerator<UpstreamMessage, void, void> {
  const read = (bytes: Uint8Array): UpstreamMessage => {
    const message = readUpstreamMessage(bytes, id, { bytesMax: limits.answerBytesMax });
    if (!message.ok) throw new UpstreamFault('upstream_protocol', `${message.error.code}: ${message.error.message}`, { wasSent: true });
    return message.value;
  };
  if (mediaTypeOf(singleHeader(answer.rawHeaders, 'content-type')) === 'application/json') {
    const held = await readAnswer(answer, account);
    try {
      yield read(held.bytes);
    } finally {
      held.release();
    }
    return;
  }
  refuseEncoded(answer);
  const reader = new SseReader({ eventBytesMax: limits.answerBytesMax });
  for await (const chunk of answer.body) {
    const items = reader.push(chunk);
    if (!items.ok) throw new UpstreamFault('upstream_protocol', `events: ${items.error.code}`, { wasSent: true });
    for (const item of items.value) {
      if (item.kind !== 'event' || item.data.byteLength === 0) continue;
      const message = read(item.data);
      yield message;
      if (message.kind === 'result' || message.kind === 'error') return;
    }
  }
}
