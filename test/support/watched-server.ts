/**
 * Stands before a real server and changes nothing: every request goes on as it came, every answer comes back as it was,
 * and both are kept. "The server saw nothing" is `seen.length === 0` here, also for servers that count nothing.
 */

import { once } from 'node:events';
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface SeenExchange {
  readonly httpMethod: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
  /** Of a JSON-RPC message, else empty. */
  readonly rpcMethod: string;
  readonly status: number;
  readonly answer: string;
}

export interface WatchedServer {
  /** The path of the target, on an ephemeral port of 127.0.0.1. */
  readonly url: string;
  /** Exchanges in the order in which they began; added once their request was complete. */
  readonly seen: readonly SeenExchange[];
  /** `tools/call` messages seen so far. */
  calls(): readonly SeenExchange[];
  /** Distinct MCP sessions that were spoken in. */
  sessions(): ReadonlySet<string>;
  /** Sends what comes from now on somewhere else. */
  pointTo(target: string): void;
  close(): Promise<void>;
}

export async function watched(target: string): Promise<WatchedServer> {
  const seen: SeenExchange[] = [];
  let to = new URL(target);
  const server = createServer((request, response) => {
    pass(request, response, { to, seen }).catch(() => response.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${to.pathname}`,
    seen,
    calls: () => seen.filter(({ rpcMethod }) => rpcMethod === 'tools/call'),
    sessions: () => new Set(seen.map(({ headers }) => headers['mcp-session-id']).filter((id) => typeof id === 'string')),
    pointTo: (next) => {
      to = new URL(next);
    },
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function pass(request: IncomingMessage, response: ServerResponse, { to, seen }: { to: URL; seen: SeenExchange[] }): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks);
  const { method = '', headers } = request;
  const exchange = { httpMethod: method, headers, body: body.toString(), rpcMethod: rpcMethodOf(body), status: 0, answer: '' };
  seen.push(exchange);
  const sent = httpRequest({ host: to.hostname, port: to.port, path: to.pathname, method, headers: { ...headers, host: to.host } });
  sent.on('error', () => response.destroy());
  response.on('close', () => sent.destroy());
  sent.on('response', (answer) => {
    exchange.status = answer.statusCode ?? 0;
    response.writeHead(exchange.status, answer.rawHeaders);
    response.flushHeaders();
    answer.on('data', (chunk: Buffer) => {
      exchange.answer += chunk.toString();
      response.write(chunk);
    });
    answer.on('end', () => response.end());
    answer.on('error', () => response.destroy());
  });
  sent.end(body);
}

function rpcMethodOf(body: Buffer): string {
  try {
    return (JSON.parse(body.toString()) as { method?: string }).method ?? '';
  } catch {
    return '';
  }
}
