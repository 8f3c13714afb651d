/** The official MCP clients, unmodified, as an agent holds them: an address, and the session token among its headers. */

import { Client as ClientV2, StreamableHTTPClientTransport as TransportV2 } from '@modelcontextprotocol/client';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { HttpAnswer, RunningSidecar } from './world.ts';

export interface ToolResult {
  readonly content?: readonly { readonly type: string; readonly text?: string }[];
  readonly structuredContent?: unknown;
  readonly isError?: boolean;
  readonly _meta?: Readonly<Record<string, unknown>>;
}

export interface ListedTool {
  readonly name: string;
  readonly description?: string;
  readonly inputSchema: unknown;
  readonly annotations?: unknown;
}

export interface Progress {
  readonly progress: number;
  readonly total?: number;
}

export interface McpClient {
  listTools(): Promise<readonly ListedTool[]>;
  call(name: string, args?: Record<string, unknown>, onprogress?: (progress: Progress) => void): Promise<ToolResult>;
  ping(): Promise<unknown>;
  serverName(): string | undefined;
  close(): Promise<void>;
}

const INFO = { name: 'agent', version: '1' };

/** Connecting is the handshake: `initialize`, `notifications/initialized`. */
export const MCP_CLIENTS: Readonly<Record<'v1' | 'v2' | 'v2 told to negotiate', (url: string, session: string) => Promise<McpClient>>> = {
  v1: async (url, session) => {
    const client = new ClientV1(INFO);
    await client.connect(new TransportV1(new URL(url), { requestInit: { headers: { 'sallyport-session': session } } }));
    return {
      listTools: async () => (await client.listTools()).tools,
      call: async (name, args = {}, onprogress = undefined) =>
        (await client.callTool({ name, arguments: args }, undefined, onprogress && { onprogress })) as ToolResult,
      ping: async () => client.ping(),
      serverName: () => client.getServerVersion()?.name,
      close: async () => client.close(),
    };
  },
  v2: (url, session) => connectV2(url, session, {}),
  'v2 told to negotiate': (url, session) => connectV2(url, session, { versionNegotiation: { mode: 'auto' } }),
};

async function connectV2(url: string, session: string, options: ConstructorParameters<typeof ClientV2>[1]): Promise<McpClient> {
  const client = new ClientV2(INFO, options);
  await client.connect(new TransportV2(new URL(url), { requestInit: { headers: { 'sallyport-session': session } } }));
  return {
    listTools: async () => (await client.listTools()).tools,
    call: async (name, args = {}, onprogress = undefined) =>
      (await client.callTool({ name, arguments: args }, onprogress && { onprogress })) as ToolResult,
    ping: async () => client.ping(),
    serverName: () => client.getServerVersion()?.name,
    close: async () => client.close(),
  };
}

/** Everything a well-behaved client sends with a message, and nothing else. */
export const MCP_HEADERS: Readonly<Record<string, string>> = {
  'content-type': 'application/json',
  accept: 'application/json, text/event-stream',
  'mcp-protocol-version': '2025-11-25',
};

/** One message by hand; `message` is sent as it is where it is text. A header given as `undefined` is left out. */
export function mcpPost(
  sidecar: Pick<RunningSidecar, 'request'>,
  server: string,
  message: unknown,
  headers: Readonly<Record<string, string | string[] | undefined>>,
): Promise<HttpAnswer> {
  const all = Object.entries({ ...MCP_HEADERS, ...headers }).filter(
    (entry): entry is [string, string | string[]] => entry[1] !== undefined,
  );
  const body = typeof message === 'string' ? message : JSON.stringify(message);
  return sidecar.request(`/mcp/${server}`, { body, headers: Object.fromEntries(all) });
}

/** A `tools/call` as a message. */
export function toolCall(name: string, args: unknown = {}, meta?: unknown): object {
  return { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: args, ...(meta === undefined ? {} : { _meta: meta }) } };
}
