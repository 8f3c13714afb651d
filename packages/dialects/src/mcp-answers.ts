/** What MCP clients are answered from here, without their server: handshake, discovery, ping, listing, and what they hear of a change of it. */

import { type Effect, type JsonObject, type Tool, localNameOf } from '@sallyport/model';
import { type WireAnswer, jsonBytes } from './ask.ts';
import { type RpcId, rpcNotification, rpcResult } from './jsonrpc.ts';
import { MODERN_VERSION, type McpEra, type McpVersion } from './mcp-ask.ts';

/** One JSON message with status 200. */
export function mcpMessage(body: Uint8Array): WireAnswer {
  return { status: 200, headers: { 'content-type': 'application/json', 'cache-control': 'no-store' }, body };
}

/** Who answers; towards an agent always the sidecar, under the server's logical name. */
export interface ServerInfo {
  readonly name: string;
  readonly version: string;
}

/** How long a client of the modern era may go by a listing; calls are judged by what is in force, whatever it has seen. */
const LISTING_TTL_MS = 5_000;
/** What one caller may see is nobody else's, and no cache's (2026-07-28, caching). */
const CACHING = { ttlMs: LISTING_TTL_MS, cacheScope: 'private' } as const;

/** The answer to `initialize`, which opens a session of its own. Tools are all that is offered. */
export function initializeAnswer(
  id: RpcId,
  opened: { readonly version: McpVersion; readonly serverInfo: ServerInfo; readonly mcpSession: string },
): WireAnswer {
  const { version, serverInfo, mcpSession } = opened;
  const result = { protocolVersion: version, capabilities: { tools: { listChanged: true } }, serverInfo };
  const answer = mcpMessage(rpcResult(id, jsonBytes(result)));
  return { ...answer, headers: { ...answer.headers, 'mcp-session-id': mcpSession } };
}

/** The answer to `server/discover`. */
export function discoverAnswer(id: RpcId, serverInfo: ServerInfo): WireAnswer {
  const result = {
    resultType: 'complete',
    supportedVersions: [MODERN_VERSION],
    capabilities: { tools: {} },
    ...CACHING,
    _meta: { 'io.modelcontextprotocol/serverInfo': serverInfo },
  };
  return mcpMessage(rpcResult(id, jsonBytes(result)));
}

/** The answer to `ping`. */
export function pingAnswer(id: RpcId): WireAnswer {
  return mcpMessage(rpcResult(id, jsonBytes({})));
}

/** The answer to `tools/list`: the tools given, in their order, as the bundle pins them and not as their vendor words them. */
export function listToolsAnswer(id: RpcId, tools: readonly Tool[], era: McpEra): WireAnswer {
  const shown = tools.map(listed);
  const result = era === 'modern' ? { resultType: 'complete', tools: shown, ...CACHING } : { tools: shown };
  return mcpMessage(rpcResult(id, jsonBytes(result)));
}

/** The whole of a listing as one text: two that differ show a caller something else. */
export function listingText(tools: readonly Tool[]): string {
  return JSON.stringify(tools.map(listed));
}

/** To whoever listens: the listing is another one now. */
export function listChanged(): Uint8Array {
  return rpcNotification('notifications/tools/list_changed');
}

/** A session was ended by its client. */
export function endedAnswer(): WireAnswer {
  return { status: 204, headers: { 'cache-control': 'no-store' }, body: new Uint8Array() };
}

/** A notification was accepted; it has no answer (2025-11-25, transports: 202 without a body). */
export function acceptedAnswer(): WireAnswer {
  return { status: 202, headers: { 'cache-control': 'no-store' }, body: new Uint8Array() };
}

function listed(tool: Tool): object {
  return {
    name: localNameOf(tool.name),
    description: tool.description,
    inputSchema: inputSchema(tool.arguments),
    annotations: ANNOTATIONS[tool.effect],
  };
}

/** MCP wants the type said; that unknown arguments are refused is said too, so that a model need not find out. */
function inputSchema(schema: JsonObject): JsonObject {
  return { type: 'object', additionalProperties: false, ...schema };
}

/** Hints derived from the pinned effect (2025-11-25, ToolAnnotations). What we do not know keeps MCP's own pessimistic default. */
const ANNOTATIONS: Readonly<Record<Effect, object>> = {
  read: { readOnlyHint: true, destructiveHint: false, idempotentHint: true },
  write: { readOnlyHint: false, destructiveHint: false },
  side_effect: { readOnlyHint: false, destructiveHint: false, openWorldHint: true },
  destructive: { readOnlyHint: false, destructiveHint: true },
};
