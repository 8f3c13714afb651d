/**
 * A tool server of the demo: a plain HTTP service on loopback that answers whoever asks, which is why somebody has to stand
 * before it. It keeps what it was sent, and that, not the sidecar's word, is what the demo counts.
 */

import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A request as it arrived. */
export interface Received {
  /** `POST /notifications`. */
  readonly line: string;
  /** Names and values, as they came. */
  readonly head: readonly string[];
  readonly body: string;
}

export interface ToolServer {
  /** `http://127.0.0.1:<port>`. */
  readonly url: string;
  /** Every request that asked a tool to do something, oldest first. */
  readonly calls: readonly Received[];
  close(): Promise<void>;
}

/** What a request is answered with; `isCall` is false for talk that asks no tool for anything. */
export interface Reply {
  readonly status: number;
  readonly json?: unknown;
  readonly isCall: boolean;
}

const BODY_BYTES_MAX = 1_048_576;

/** Listens on a free port of 127.0.0.1 until closed. */
export async function startToolServer(reply: (received: Received) => Reply): Promise<ToolServer> {
  // Owner: this server.
  const calls: Received[] = [];
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await bodyOf(request);
    const received = { line: `${request.method ?? ''} ${request.url ?? ''}`, head: request.rawHeaders, body };
    const { status, json, isCall } = reply(received);
    if (isCall) calls.push(received);
    response.writeHead(status, json === undefined ? {} : { 'content-type': 'application/json' });
    response.end(json === undefined ? undefined : JSON.stringify(json));
  };
  const server = createServer((request, response) => void answer(request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    async close() {
      server.close();
      server.closeAllConnections();
      if (server.listening) await once(server, 'close');
    },
  };
}

/** As much of it as there is; a request that breaks off is answered like one that ended there. */
async function bodyOf(request: IncomingMessage): Promise<string> {
  let body = '';
  try {
    for await (const chunk of request.setEncoding('utf8')) {
      body += String(chunk);
      if (body.length > BODY_BYTES_MAX) break;
    }
  } catch {
    // Whoever sent it has gone, and will not read the answer either.
  }
  return body;
}
