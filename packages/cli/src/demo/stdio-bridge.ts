/**
 * Serves a stdio MCP server over streamable HTTP on loopback: raw messages both ways, nothing read or changed, one child
 * process per MCP session. Both ends are the official SDK's transports, so what a client meets is a real server.
 */

/* oxlint-disable unicorn/prefer-add-event-listener -- the SDK's transports are no event targets; `onmessage` is their API. */

import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import { type AddressInfo } from 'node:net';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import type { JSONRPCMessage, RequestId } from '@modelcontextprotocol/sdk/types.js';

/** The command of a stdio MCP server. */
export interface StdioServer {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd?: string;
  /** Concurrent sessions, and so child processes; more are answered 503. */
  readonly sessionsMax?: number;
}

const SESSIONS_MAX = 64;

/** An MCP server that listens on loopback. */
export interface RunningMcpServer {
  /** `http://127.0.0.1:<port>/mcp`. */
  readonly url: string;
  /** The processes that serve it at this moment. */
  readonly pids: () => readonly number[];
  /** Ends every child by its pid and closes the port; resolves when both are gone. */
  readonly close: () => Promise<void>;
}

interface Session {
  readonly http: StreamableHTTPServerTransport;
  readonly stdio: StdioClientTransport;
  readonly pid: number;
  /** Resolves when the child has ended. */
  readonly gone: Promise<void>;
}

/** Every session whose child runs; one is added when its child starts and dropped when it ends, whoever ends it. */
type Sessions = Set<Session>;

/** Listens on an ephemeral port of 127.0.0.1 until closed. */
export async function serveStdio(server: StdioServer): Promise<RunningMcpServer> {
  const sessions: Sessions = new Set();
  const listener = createServer((request, response) => {
    route(server, sessions, request, response).catch(() => {
      if (!response.headersSent) response.writeHead(500);
      response.end();
    });
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  return {
    url: `http://127.0.0.1:${(listener.address() as AddressInfo).port}/mcp`,
    pids: () => [...sessions].map(({ pid }) => pid),
    close: async () => {
      listener.close();
      await Promise.all(
        [...sessions].map(async ({ http, gone }) => {
          await http.close();
          await gone;
        }),
      );
      listener.closeAllConnections();
      if (listener.listening) await once(listener, 'close');
    },
  };
}

async function route(server: StdioServer, sessions: Sessions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.url !== '/mcp') return void response.writeHead(404).end();
  const id = request.headers['mcp-session-id'];
  const known = id === undefined ? undefined : [...sessions].find(({ http }) => http.sessionId === id);
  if (id !== undefined && known === undefined) return void response.writeHead(404).end();
  if (known === undefined && sessions.size >= (server.sessionsMax ?? SESSIONS_MAX)) return void response.writeHead(503).end();
  const session = known ?? (await openSession(server, sessions));
  await session.http.handleRequest(request, response);
  // Anything but `initialize` without a session id is refused by the transport, and its child has nothing to do.
  if (session.http.sessionId === undefined) await session.http.close();
}

/** Starts a child and couples its messages with an HTTP transport; either end's close closes the other. */
async function openSession(server: StdioServer, sessions: Sessions): Promise<Session> {
  const stdio = new StdioClientTransport({
    command: server.command,
    args: [...server.args],
    stderr: 'ignore',
    ...(server.cwd === undefined ? {} : { cwd: server.cwd }),
  });
  const http = new StreamableHTTPServerTransport({ sessionIdGenerator: randomUUID });
  couple(http, stdio);
  const gone = new Promise<void>((resolve) => {
    stdio.onclose = resolve;
  });
  await stdio.start();
  await http.start();
  const session: Session = { http, stdio, pid: stdio.pid ?? 0, gone };
  sessions.add(session);
  // Closing is idempotent at both ends, so whichever closes first takes the other with it.
  http.onclose = () => void stdio.close();
  void gone.then(() => {
    sessions.delete(session);
    return http.close();
  });
  return session;
}

/** A notification of progress must ride on the stream of the request that asked for it; other requests use the standing GET stream. */
function couple(http: StreamableHTTPServerTransport, stdio: StdioClientTransport): void {
  /** Progress token to request id; written per request, dropped with its answer. */
  const progress = new Map<string | number, RequestId>();
  http.onmessage = (message) => {
    const token = 'params' in message ? message.params?.['_meta']?.progressToken : undefined;
    if (token !== undefined && 'id' in message && message.id !== undefined) progress.set(token, message.id);
    stdio.send(message).catch(() => void http.close());
  };
  stdio.onmessage = (message) => {
    const related = relatedRequest(message, progress);
    for (const [token, id] of progress) if ('id' in message && !('method' in message) && id === message.id) progress.delete(token);
    http.send(message, related === undefined ? {} : { relatedRequestId: related }).catch(() => undefined);
  };
}

function relatedRequest(message: JSONRPCMessage, progress: ReadonlyMap<string | number, RequestId>): RequestId | undefined {
  if (!('method' in message) || message.method !== 'notifications/progress') return undefined;
  const token = message.params?.['progressToken'];
  return typeof token === 'string' || typeof token === 'number' ? progress.get(token) : undefined;
}
