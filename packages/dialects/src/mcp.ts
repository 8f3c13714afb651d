/**
 * MCP from the agent's side, streamable HTTP of the legacy era (revisions 2025-03-26 to 2025-11-25): one judged message
 * to one ask. Methods outside the list are refused, so a new one is a decision, not an accident. docs/spec/mcp.md.
 *
 * The era of 2026-07-28 will stand beside this file (`mcp-2026.ts`), chosen by `eraOf`; until then it is refused.
 */

import { type Denial, type Result, deny, fail, ok } from '@sallyport/model';
import type { HeaderLookup, JudgeOptions, Judged } from '@sallyport/strict';
import { accepts } from './accept.ts';
import { membersOf, noArguments } from './ask.ts';
import { type RpcId, type RpcMessage, peekId, readRpc } from './jsonrpc.ts';
import { type CallMeta, readMeta } from './mcp-meta.ts';

/** The revisions that are served, newest first. */
export const MCP_VERSIONS = ['2025-11-25', '2025-06-18', '2025-03-26'] as const;
export type McpVersion = (typeof MCP_VERSIONS)[number];

/** How the body of an MCP message is to be judged: no keys that differ by case alone, down to `_meta` and the arguments. */
export const MCP_JUDGE_OPTIONS: JudgeOptions = { caseDistinctDepth: 3 };

/** One message of an agent. `session` is the raw session token of `_meta`, unverified. */
export type McpAsk =
  | { readonly kind: 'initialize'; readonly id: RpcId; readonly version: McpVersion; readonly session: string | undefined }
  | { readonly kind: 'ping'; readonly id: RpcId; readonly session: string | undefined }
  | { readonly kind: 'list_tools'; readonly id: RpcId; readonly session: string | undefined }
  | {
      readonly kind: 'call_tool';
      readonly id: RpcId;
      /** As sent: the local name, perhaps of no tool. */
      readonly tool: string;
      readonly arguments: Judged;
      readonly meta: CallMeta;
      readonly session: string | undefined;
    }
  /** Accepted with 202 and not answered; `cancels` is the request that the agent no longer waits for. */
  | { readonly kind: 'notification'; readonly method: string; readonly cancels: RpcId | undefined; readonly session: string | undefined };

/** Whom a refusal must answer, read from whatever came, however wrong the rest of it is. */
export interface McpReplyTo {
  /** `undefined`: nothing to answer to, so the refusal is plain HTTP. */
  readonly id: RpcId | undefined;
  /** The tool's name as sent, where the message is a tool call. */
  readonly tool: string | undefined;
}

const ASSUMED_VERSION: McpVersion = '2025-03-26';
const NOTIFICATIONS = new Set(['notifications/initialized', 'notifications/cancelled', 'notifications/progress']);
const CALL_MEMBERS = new Set(['name', 'arguments', '_meta', 'task']);
const TOOL_NAME_CHARS_MAX = 256;

/** Reads one POSTed message. Refusals: `malformed_request`, `method_not_allowed`, `schema_violation` (a cursor). */
export function readMcp(headers: HeaderLookup, judged: Judged): Result<McpAsk, Denial> {
  const era = eraOf(headers.get('mcp-protocol-version'));
  if (!era.ok) return era;
  // The transport obliges clients to accept both forms, and which one an answer takes is not known yet.
  if (!accepts(headers.get('accept'), 'application/json') || !accepts(headers.get('accept'), 'text/event-stream'))
    return malformed('`Accept` must name application/json and text/event-stream');
  const message = readRpc(judged);
  if (!message.ok) return message;
  if (message.value.kind !== 'request' && message.value.kind !== 'notification')
    return malformed('nothing was asked of this client that it could answer');
  const mismatch = mirrorMismatch(headers, message.value);
  if (mismatch !== undefined) return malformed(mismatch);
  return message.value.kind === 'request' ? readRequest(message.value) : readNotification(message.value);
}

/** For refusals at any point after the body was parsed. Never fails. */
export function mcpReplyTo(judged: Judged): McpReplyTo {
  const isToolCall = membersOf(judged)?.['method'] === 'tools/call';
  const name = isToolCall ? membersOf(judged.at('params'))?.['name'] : undefined;
  return { id: peekId(judged), tool: typeof name === 'string' ? name.slice(0, TOOL_NAME_CHARS_MAX) : isToolCall ? '' : undefined };
}

/** Which revision a request speaks: an absent header means the one that did not have it yet (2025-11-25, transports). */
export function eraOf(header: string | undefined): Result<McpVersion, Denial> {
  if (header === undefined) return ok(ASSUMED_VERSION);
  return isServed(header) ? ok(header) : malformed(`protocol version \`${header.slice(0, 32)}\` is not served`);
}

/** The revision of a session: the one asked for if it is served, else our newest, which the client may decline. */
export function negotiateVersion(asked: string): McpVersion {
  return isServed(asked) ? asked : MCP_VERSIONS[0];
}

function isServed(version: string): version is McpVersion {
  return (MCP_VERSIONS as readonly string[]).includes(version);
}

function readRequest(message: Extract<RpcMessage, { kind: 'request' }>): Result<McpAsk, Denial> {
  const { id, params } = message;
  const meta = readMeta(params);
  if (!meta.ok) return meta;
  const { session } = meta.value;
  switch (message.method) {
    case 'initialize':
      return readInitialize(id, params, session);
    case 'ping':
      return ok({ kind: 'ping', id, session });
    case 'tools/list':
      // Listings are whole; a cursor can only come from somewhere else (2025-11-25, pagination: -32602).
      if (params?.at('cursor') !== undefined) return fail(deny('schema_violation', 'mcp: no cursor was given out', { fields: ['cursor'] }));
      return ok({ kind: 'list_tools', id, session });
    case 'tools/call':
      return readCall(id, params, meta.value);
    default:
      return fail(deny('method_not_allowed', `mcp: method \`${message.method}\` is not served`));
  }
}

function readInitialize(id: RpcId, params: Judged | undefined, session: string | undefined): Result<McpAsk, Denial> {
  const asked = membersOf(params)?.['protocolVersion'];
  if (typeof asked !== 'string') return malformed('`protocolVersion` is not text');
  return ok({ kind: 'initialize', id, version: negotiateVersion(asked), session });
}

function readCall(id: RpcId, params: Judged | undefined, meta: CallMeta & { session: string | undefined }): Result<McpAsk, Denial> {
  const members = membersOf(params) ?? {};
  const unknown = Object.keys(members).find((key) => !CALL_MEMBERS.has(key));
  if (unknown !== undefined) return malformed(`\`${unknown.slice(0, 64)}\` is not a member of a tool call`);
  const { name } = members;
  if (typeof name !== 'string' || name === '' || name.length > TOOL_NAME_CHARS_MAX) return malformed('`name` is not a tool name');
  const given = params?.at('arguments');
  if (given !== undefined && membersOf(given) === undefined) return malformed('`arguments` is not an object');
  // `task` is left behind: who declares no tasks treats the call as an ordinary one (2025-11-25, tasks).
  const { session, ...rest } = meta;
  return ok({ kind: 'call_tool', id, tool: name, arguments: given ?? noArguments(), meta: rest, session });
}

function readNotification(message: Extract<RpcMessage, { kind: 'notification' }>): Result<McpAsk, Denial> {
  if (!NOTIFICATIONS.has(message.method)) return fail(deny('method_not_allowed', `mcp: notification \`${message.method}\` is not served`));
  const meta = readMeta(message.params);
  if (!meta.ok) return meta;
  const requestId = message.method === 'notifications/cancelled' ? membersOf(message.params)?.['requestId'] : undefined;
  const cancels = typeof requestId === 'string' || Number.isSafeInteger(requestId) ? (requestId as RpcId) : undefined;
  return ok({ kind: 'notification', method: message.method, cancels, session: meta.value.session });
}

/** `Mcp-Method` and `Mcp-Name` may be absent here, but not lie: something before or behind us may route by them. */
function mirrorMismatch(headers: HeaderLookup, message: { method: string; params: Judged | undefined }): string | undefined {
  const method = headers.get('mcp-method');
  if (method !== undefined && method !== message.method) return '`Mcp-Method` differs from the body';
  const name = headers.get('mcp-name');
  if (name !== undefined && name !== membersOf(message.params)?.['name']) return '`Mcp-Name` differs from the body';
  return undefined;
}

function malformed(detail: string): { readonly ok: false; readonly error: Denial } {
  return fail(deny('malformed_request', `mcp: ${detail}`));
}
