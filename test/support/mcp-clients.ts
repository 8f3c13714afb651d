/** The official MCP clients, unmodified, as an agent holds them: an address, and the session token among its headers. */

import { Client as ClientV2, StreamableHTTPClientTransport as TransportV2 } from '@modelcontextprotocol/client';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ToolListChangedNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import type { HttpAnswer, RunningSidecar } from './world.ts';

export interface ToolResult {
  readonly content?: readonly { readonly type: string; readonly text?: string }[];
  readonly structuredContent?: unknown;
  readonly isError?: boolean;
  readonly _meta?: Readonly<Record<string, unknown>>;
}

export interface ListedTool {
  readonly name: string;
  readonly description?: string | undefined;
  readonly inputSchema: unknown;
  readonly annotations?: unknown;
}

export interface Progress {
  readonly progress: number;
  readonly total?: number | undefined;
}

export interface McpClient {
  listTools(): Promise<readonly ListedTool[]>;
  call(name: string, args?: Record<string, unknown>, onprogress?: (progress: Progress) => void, signal?: AbortSignal): Promise<ToolResult>;
  ping(): Promise<unknown>;
  serverName(): string | undefined;
  /** Which era it came to speak. */
  era(): 'legacy' | 'modern';
  close(): Promise<void>;
}

interface ClientOptions {
  /** Of the stream that a legacy client holds open; v1 alone. */
  readonly onListChanged?: () => void;
}

const INFO = { name: 'agent', version: '1' };

/** Connecting is the handshake: `initialize`, `notifications/initialized`. */
export const MCP_CLIENTS: Readonly<
  Record<'v1' | 'v2' | 'v2 told to negotiate', (url: string, session: string, options?: ClientOptions) => Promise<McpClient>>
> = {
  v1: async (url, session, { onListChanged } = {}) => {
    const client = new ClientV1(INFO);
    if (onListChanged !== undefined) client.setNotificationHandler(ToolListChangedNotificationSchema, onListChanged);
    await client.connect(new TransportV1(new URL(url), { requestInit: { headers: { 'sallyport-session': session } } }));
    return {
      listTools: async () => (await client.listTools()).tools,
      call: async (name, args = {}, onprogress, signal) =>
        (await client.callTool({ name, arguments: args }, undefined, optionsOf(onprogress, signal))) as ToolResult,
      ping: async () => client.ping(),
      serverName: () => client.getServerVersion()?.name,
      era: () => 'legacy',
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
    call: async (name, args = {}, onprogress, signal) =>
      (await client.callTool({ name, arguments: args }, optionsOf(onprogress, signal))) as ToolResult,
    ping: async () => client.ping(),
    serverName: () => client.getServerVersion()?.name,
    era: () => (client.getNegotiatedProtocolVersion() === '2026-07-28' ? 'modern' : 'legacy'),
    close: async () => client.close(),
  };
}

/** Listening for progress is what makes a client ask for it. */
function optionsOf(
  onprogress: ((progress: Progress) => void) | undefined,
  signal: AbortSignal | undefined,
): { onprogress?: (progress: Progress) => void; signal?: AbortSignal } {
  return { ...(onprogress === undefined ? {} : { onprogress }), ...(signal === undefined ? {} : { signal }) };
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

/** Opens an MCP session by hand, as a legacy client does; gives its id. */
export async function mcpSession(sidecar: Pick<RunningSidecar, 'request'>, server: string, session: string): Promise<string> {
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'agent', version: '1' } };
  const opened = await mcpPost(
    sidecar,
    server,
    { jsonrpc: '2.0', id: 0, method: 'initialize', params },
    { 'sallyport-session': session, 'mcp-protocol-version': undefined },
  );
  const id = opened.headers['mcp-session-id'];
  if (typeof id !== 'string') throw new Error(`no MCP session: ${opened.status} ${opened.text}`);
  return id;
}

/** A denial's public members. */
export interface McpDenial {
  readonly code: string;
  readonly decision_id: string;
  readonly effect: string;
  readonly retryable: boolean;
}

/** The denial in an answer, wherever its form puts it: a tool result, a JSON-RPC error, a problem; `undefined` in a result. */
export function mcpDenialOf(answer: HttpAnswer): McpDenial | undefined {
  const body = answer.json() as { code?: string; error?: { data: McpDenial }; result?: ToolResult };
  return body.error?.data ?? denialIn(body.result) ?? (body.code === undefined ? undefined : (body as McpDenial));
}

/** The denial that a model reads about, for the machine. */
export function denialIn(result: ToolResult | undefined): McpDenial | undefined {
  return result?.['_meta']?.['dev.sallyport/denial'] as McpDenial | undefined;
}

/** A `tools/call` as a message. */
export function toolCall(name: string, args: unknown = {}, meta?: unknown): object {
  return { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: args, ...(meta === undefined ? {} : { _meta: meta }) } };
}
