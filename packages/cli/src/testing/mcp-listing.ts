/** An MCP server on loopback that answers `tools/list` as a script says: honest, broken or hostile. */

import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Received {
  readonly method: string;
  readonly headers: IncomingHttpHeaders;
  readonly message: { readonly id?: number; readonly method?: string; readonly params?: Record<string, unknown> };
}

/** Writes the whole answer; `undefined` leaves it to the honest server. */
export type Script = (received: Received, response: ServerResponse) => boolean | undefined;

export interface McpListing {
  readonly url: string;
  readonly received: readonly Received[];
  /** What it lists from now on. */
  tools: readonly unknown[];
  close(): Promise<void>;
}

/** `perPage` tools a page; `script` sees each request first. */
export async function startListing(
  tools: readonly unknown[],
  { script, perPage = 1_000 }: { readonly script?: Script; readonly perPage?: number } = {},
): Promise<McpListing> {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    void answer(request, response).catch(() => response.destroy());
  });
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    let body = '';
    for await (const chunk of request) body += String(chunk);
    const one: Received = {
      method: request.method ?? '',
      headers: request.headers,
      message: body === '' ? {} : (JSON.parse(body) as Received['message']),
    };
    received.push(one);
    if (script?.(one, response) === true) return;
    const { id, method, params } = one.message;
    if (method === 'initialize') {
      response.setHeader('mcp-session-id', 's-1');
      rpc(response, id, { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: { name: 'scripted', version: '1' } });
    } else if (method === 'tools/list') {
      const from = Number(params?.['cursor'] ?? 0);
      const next = from + perPage < listing.tools.length ? { nextCursor: String(from + perPage) } : {};
      rpc(response, id, { tools: listing.tools.slice(from, from + perPage), ...next });
    } else response.writeHead(202).end();
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const listing: McpListing = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`,
    received,
    tools,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return listing;
}

/** A result as one JSON message. */
export function rpc(response: ServerResponse, id: number | undefined, result: unknown): true {
  return raw(response, JSON.stringify({ jsonrpc: '2.0', id, result }));
}

export function raw(response: ServerResponse, body: string, type = 'application/json'): true {
  response.writeHead(200, { 'content-type': type }).end(body);
  return true;
}

/** An answer that is not 200. */
export function status(response: ServerResponse, code: number, body = '', headers: Readonly<Record<string, string>> = {}): true {
  response.writeHead(code, { 'content-type': 'application/json', ...headers }).end(body);
  return true;
}

/** A tool as servers list them. */
export function listedTool(name: string, more: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    name,
    description: `Does ${name}.`,
    inputSchema: { type: 'object', properties: { path: { type: 'string' } }, required: ['path'] },
    ...more,
  };
}
