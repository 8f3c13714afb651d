/**
 * MCP from the agent's side, legacy era (revisions 2025-03-26 to 2025-11-25): a handshake, then messages that may name
 * the session it opened. Methods outside the list are refused, so a new one is a decision, not an accident.
 * docs/spec/mcp.md, section 2.
 */

import { type Denial, type Result, ok } from '@sallyport/model';
import type { HeaderLookup, Judged } from '@sallyport/strict';
import { accepts } from './accept.ts';
import { membersOf } from './ask.ts';
import { type RpcId, type RpcMessage, readRpc } from './jsonrpc.ts';
import {
  type Failed,
  MCP_VERSIONS,
  type McpAsk,
  type McpVersion,
  acceptProblem,
  cursorProblem,
  malformed,
  readNamed,
  unserved,
} from './mcp-ask.ts';
import { readMeta } from './mcp-meta.ts';

/** The revision of a request that names none: the one that did not have the header yet (2025-11-25, transports). */
const ASSUMED_VERSION: McpVersion = '2025-03-26';
const NOTIFICATIONS: ReadonlySet<string> = new Set(['notifications/initialized', 'notifications/cancelled', 'notifications/progress']);
/** `task` is left behind: who declares no tasks treats the call as an ordinary one (2025-11-25, tasks). */
const CALL_MEMBERS: ReadonlySet<string> = new Set(['name', 'arguments', '_meta', 'task']);

/** Reads one POSTed message. Refusals: `malformed_request`, `method_not_allowed`, `schema_violation` (a cursor). */
export function readLegacy(headers: HeaderLookup, judged: Judged): Result<McpAsk, Denial> {
  const problem = versionProblem(headers) ?? acceptProblem(headers);
  if (problem !== undefined) return problem;
  const message = readRpc(judged);
  if (!message.ok) return message;
  if (message.value.kind !== 'request' && message.value.kind !== 'notification')
    return malformed('nothing was asked of this client that it could answer');
  const mismatch = mirrorProblem(headers, message.value);
  if (mismatch !== undefined) return mismatch;
  const mcpSession = headers.get('mcp-session-id');
  return message.value.kind === 'request' ? readRequest(message.value, mcpSession) : readNotification(message.value, mcpSession);
}

/** Reads a GET or a DELETE, which have no message: what they ask of a session. */
export function readLegacyHead(method: string, headers: HeaderLookup): Result<McpAsk, Denial> {
  const problem = versionProblem(headers);
  if (problem !== undefined) return problem;
  const mcpSession = headers.get('mcp-session-id');
  if (method === 'GET' && !accepts(headers.get('accept'), 'text/event-stream')) return malformed('`Accept` must name text/event-stream');
  // There is a stream for a session, and nothing to end without one.
  if (mcpSession === undefined) return malformed(`${method} without \`Mcp-Session-Id\``);
  return ok({ kind: method === 'GET' ? 'open_stream' : 'end_session', session: undefined, mcpSession });
}

/** The revision of a session: the one asked for if it is served, else our newest, which the client may decline. */
export function negotiateVersion(asked: string): McpVersion {
  return MCP_VERSIONS.find((served) => served === asked) ?? MCP_VERSIONS[0];
}

function versionProblem(headers: HeaderLookup): Failed | undefined {
  const version = headers.get('mcp-protocol-version') ?? ASSUMED_VERSION;
  const isServed = MCP_VERSIONS.some((served) => served === version);
  return isServed ? undefined : malformed(`protocol version \`${version.slice(0, 32)}\` is not served`);
}

function readRequest(message: Extract<RpcMessage, { kind: 'request' }>, mcpSession: string | undefined): Result<McpAsk, Denial> {
  const { id, params } = message;
  const meta = readMeta(params);
  if (!meta.ok) return meta;
  const { session, ...rest } = meta.value;
  switch (message.method) {
    case 'initialize':
      return readInitialize(id, params, session);
    case 'ping':
      return ok({ kind: 'ping', id, session, mcpSession });
    case 'tools/list':
      return cursorProblem(params) ?? ok({ kind: 'list_tools', id, era: 'legacy', session, mcpSession });
    case 'tools/call': {
      const call = readNamed(params, CALL_MEMBERS);
      return call.ok ? ok({ kind: 'call_tool', id, era: 'legacy', ...call.value, meta: rest, session, mcpSession }) : call;
    }
    default:
      return unserved(message.method);
  }
}

/** A session id beside it means nothing: it begins a session of its own. */
function readInitialize(id: RpcId, params: Judged | undefined, session: string | undefined): Result<McpAsk, Denial> {
  const asked = membersOf(params)?.['protocolVersion'];
  if (typeof asked !== 'string') return malformed('`protocolVersion` is not text');
  return ok({ kind: 'initialize', id, version: negotiateVersion(asked), session, mcpSession: undefined });
}

function readNotification(message: Extract<RpcMessage, { kind: 'notification' }>, mcpSession: string | undefined): Result<McpAsk, Denial> {
  const { method, params } = message;
  if (!NOTIFICATIONS.has(method)) return unserved(method);
  const meta = readMeta(params);
  if (!meta.ok) return meta;
  const requestId = method === 'notifications/cancelled' ? membersOf(params)?.['requestId'] : undefined;
  const cancels = typeof requestId === 'string' || Number.isSafeInteger(requestId) ? (requestId as RpcId) : undefined;
  return ok({ kind: 'notification', method, cancels, session: meta.value.session, mcpSession });
}

/** `Mcp-Method` and `Mcp-Name` may be absent here, but not lie: something before or behind us may route by them. */
function mirrorProblem(headers: HeaderLookup, message: { method: string; params: Judged | undefined }): Failed | undefined {
  const method = headers.get('mcp-method');
  if (method !== undefined && method !== message.method) return malformed('`Mcp-Method` differs from the body');
  const name = headers.get('mcp-name');
  if (name !== undefined && name !== membersOf(message.params)?.['name']) return malformed('`Mcp-Name` differs from the body');
  return undefined;
}
