/** What MCP clients are answered from here, without their server: the handshake, the ping, the listing, the acceptance of notifications. */

import { type Effect, type JsonObject, type Tool, localNameOf } from '@sallyport/model';
import { type WireAnswer, jsonBytes } from './ask.ts';
import { type RpcId, rpcResult } from './jsonrpc.ts';
import type { McpVersion } from './mcp.ts';

/** One JSON message with status 200. */
export function mcpMessage(body: Uint8Array): WireAnswer {
  return { status: 200, headers: { 'content-type': 'application/json', 'cache-control': 'no-store' }, body };
}

/** The answer to `initialize`. Tools are all that is offered, and their list does not change within a session's sight. */
export function initializeAnswer(id: RpcId, version: McpVersion, serverInfo: { name: string; version: string }): WireAnswer {
  return mcpMessage(rpcResult(id, jsonBytes({ protocolVersion: version, capabilities: { tools: {} }, serverInfo })));
}

/** The answer to `ping`. */
export function pingAnswer(id: RpcId): WireAnswer {
  return mcpMessage(rpcResult(id, jsonBytes({})));
}

/** The answer to `tools/list`: the tools given, in their order, as the bundle pins them and not as their vendor words them. */
export function listToolsAnswer(id: RpcId, tools: readonly Tool[]): WireAnswer {
  return mcpMessage(rpcResult(id, jsonBytes({ tools: tools.map(listed) })));
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
