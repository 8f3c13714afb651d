/**
 * A tool of an MCP server, called by its name over plain HTTP: the call that its server gets, and what of the server's
 * answer the caller gets. docs/spec/http-tools.md section 1.
 */

import type { ToolAsk } from './ask.ts';
import { memberBytes } from './json-member.ts';
import type { McpAsk } from './mcp-ask.ts';

/** The MCP call of a plain HTTP one. Nobody hears of progress, so none is asked for, and nothing but the arguments travels. */
export function mcpCallOf({ tool, arguments: args }: ToolAsk): Extract<McpAsk, { kind: 'call_tool' }> {
  const meta = { progressToken: undefined, forwarded: {} };
  return { kind: 'call_tool', id: 1, era: 'legacy', tool, arguments: args, meta, session: undefined, mcpSession: undefined };
}

/** The bytes of the result in a JSON-RPC answer; `undefined` of one that holds an error. */
export function resultBytesOf(answer: Uint8Array): Uint8Array | undefined {
  return memberBytes(answer, 'result');
}
