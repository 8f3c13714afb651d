/**
 * MCP from the agent's side over streamable HTTP: one judged message to one ask, in the era that the message itself
 * speaks. docs/spec/mcp.md.
 */

import type { Denial, Result } from '@sallyport/model';
import { deny, fail } from '@sallyport/model';
import type { HeaderLookup, JudgeOptions, Judged } from '@sallyport/strict';
import { membersOf } from './ask.ts';
import { peekId } from './jsonrpc.ts';
import { readLegacy, readLegacyHead } from './mcp-2025.ts';
import { claimedVersion, isModernVersion, readModern } from './mcp-2026.ts';
import { type McpAsk, type McpEra, type McpReplyTo, TOOL_NAME_CHARS_MAX } from './mcp-ask.ts';

/** How the body of an MCP message is to be judged: no keys that differ by case alone, down to `_meta` and the arguments. */
export const MCP_JUDGE_OPTIONS: JudgeOptions = { caseDistinctDepth: 3 };

/**
 * Which era a message speaks. The body's own claim decides, since it is what a modern client cannot leave out; a header
 * of that era without one makes the message a broken modern one, never a legacy one, because no legacy client sends it.
 */
export function eraOf(headers: HeaderLookup, judged?: Judged): McpEra {
  if (judged !== undefined && claimedVersion(judged) !== undefined) return 'modern';
  return isModernVersion(headers.get('mcp-protocol-version')) ? 'modern' : 'legacy';
}

/** Reads one POSTed message. Refusals: `malformed_request`, `method_not_allowed`, `schema_violation` (a cursor). */
export function readMcp(headers: HeaderLookup, judged: Judged): Result<McpAsk, Denial> {
  return eraOf(headers, judged) === 'modern' ? readModern(headers, judged) : readLegacy(headers, judged);
}

/** Reads a GET or a DELETE, which the modern era does not have. Refusals: `method_not_allowed`, `malformed_request`. */
export function readMcpHead(method: string, headers: HeaderLookup): Result<McpAsk, Denial> {
  if (eraOf(headers) === 'modern') return fail(deny('method_not_allowed', `mcp: ${method} in the era without sessions`));
  return readLegacyHead(method, headers);
}

/** For refusals at any point after the head was read; `judged` where the body could be. Never fails. */
export function mcpReplyTo(headers: HeaderLookup, judged: Judged | undefined): McpReplyTo {
  const era = eraOf(headers, judged);
  if (judged === undefined) return { id: undefined, tool: undefined, era };
  const isToolCall = membersOf(judged)?.['method'] === 'tools/call';
  const name = isToolCall ? membersOf(judged.at('params'))?.['name'] : undefined;
  return { id: peekId(judged), tool: typeof name === 'string' ? name.slice(0, TOOL_NAME_CHARS_MAX) : isToolCall ? '' : undefined, era };
}
