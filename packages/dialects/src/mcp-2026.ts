/**
 * MCP from the agent's side, modern era (revision 2026-07-28): no handshake and no session; each message carries its
 * revision and the client's capabilities, and the headers repeat what something on the way may route by. A header that
 * says otherwise than the body is refused before anything is decided. docs/spec/mcp.md, section 3.
 */

import { type Denial, type JsonObject, type Result, deny, fail, ok } from '@sallyport/model';
import type { HeaderLookup, Judged } from '@sallyport/strict';
import { membersOf } from './ask.ts';
import { RPC_CODES, type RpcMessage, readRpc } from './jsonrpc.ts';
import {
  type Failed,
  MCP_VERSIONS,
  MODERN_CODES,
  MODERN_VERSION,
  type McpAsk,
  acceptProblem,
  cursorProblem,
  malformed,
  readNamed,
  unserved,
} from './mcp-ask.ts';
import { decodeMirror, headerMismatch } from './mcp-mirrors.ts';
import { CAPABILITIES_META_KEY, VERSION_META_KEY, readMeta } from './mcp-meta.ts';

const CALL_MEMBERS: ReadonlySet<string> = new Set(['name', 'arguments', '_meta']);
const MODERN_REVISION = /^\d{4}-\d{2}-\d{2}$/;

/** The revision that a message claims in its own `_meta`: what makes it a modern one. `undefined` where it claims none. */
export function claimedVersion(judged: Judged): unknown {
  const meta = membersOf(judged.at('params', '_meta'));
  return meta !== undefined && Object.hasOwn(meta, VERSION_META_KEY) ? meta[VERSION_META_KEY] : undefined;
}

/** Whether a header names a revision of this era, also one that is not known yet. No legacy client sends one. */
export function isModernVersion(header: string | undefined): boolean {
  return header !== undefined && MODERN_REVISION.test(header) && header >= MODERN_VERSION;
}

/** Reads one POSTed message. Refusals: `malformed_request` under the revision's own codes, `method_not_allowed`, `schema_violation`. */
export function readModern(headers: HeaderLookup, judged: Judged): Result<McpAsk, Denial> {
  const message = readRpc(judged);
  if (!message.ok) return message;
  if (message.value.kind === 'notification') return readNotification(headers, message.value);
  if (message.value.kind !== 'request') return malformed('a response answers nothing here');
  const problem = envelopeProblem(headers, judged, message.value.params) ?? acceptProblem(headers) ?? mirrorProblem(headers, message.value);
  return problem ?? readRequest(message.value);
}

function readRequest({ id, method, params }: Extract<RpcMessage, { kind: 'request' }>): Result<McpAsk, Denial> {
  const meta = readMeta(params);
  if (!meta.ok) return meta;
  const { session, ...rest } = meta.value;
  const carried = { id, session, mcpSession: undefined };
  switch (method) {
    case 'server/discover':
      return ok({ kind: 'discover', ...carried });
    case 'tools/list':
      return cursorProblem(params) ?? ok({ kind: 'list_tools', era: 'modern', ...carried });
    case 'tools/call': {
      const call = readNamed(params, CALL_MEMBERS);
      return call.ok ? ok({ kind: 'call_tool', era: 'modern', ...call.value, meta: rest, ...carried }) : call;
    }
    default:
      return unserved(method);
  }
}

/**
 * A client of this era cancels by leaving, so that a notification of it changes nothing here; one is accepted, because
 * a client that serves other transports may send it.
 */
function readNotification(
  headers: HeaderLookup,
  { method, params }: Extract<RpcMessage, { kind: 'notification' }>,
): Result<McpAsk, Denial> {
  const mirrored = headers.get('mcp-method');
  if (mirrored !== undefined && mirrored !== method) return headerMismatch('`Mcp-Method` differs from the body');
  if (method !== 'notifications/cancelled') return unserved(method);
  const meta = readMeta(params);
  if (!meta.ok) return meta;
  return ok({ kind: 'notification', method, cancels: undefined, session: meta.value.session, mcpSession: undefined });
}

/** The version by header and body, that it is served, and the capabilities; in this order, as the revision names them. */
function envelopeProblem(headers: HeaderLookup, judged: Judged, params: Judged | undefined): Failed | undefined {
  const claimed = claimedVersion(judged);
  const header = headers.get('mcp-protocol-version');
  if (typeof claimed !== 'string') return missing(VERSION_META_KEY);
  if (header !== claimed) return headerMismatch('`MCP-Protocol-Version` is not the protocol version of `_meta`');
  if (claimed !== MODERN_VERSION) return unsupported(claimed);
  if (membersOf(params?.at('_meta', CAPABILITIES_META_KEY)) === undefined) return missing(CAPABILITIES_META_KEY);
  return undefined;
}

/** `Mcp-Method` of every request, `Mcp-Name` of every call of something by name. */
function mirrorProblem(headers: HeaderLookup, { method, params }: Extract<RpcMessage, { kind: 'request' }>): Failed | undefined {
  if (headers.get('mcp-method') !== method) return headerMismatch('`Mcp-Method` is missing or differs from the body');
  const mirrored = headers.get('mcp-name');
  if (method !== 'tools/call' && mirrored === undefined) return undefined;
  if (mirrored === undefined) return headerMismatch('`Mcp-Name` is missing');
  const name = membersOf(params)?.['name'];
  return decodeMirror(mirrored) === name ? undefined : headerMismatch('`Mcp-Name` differs from the body');
}

function missing(key: string): Failed {
  const message = `Invalid params: \`_meta\` lacks a valid \`${key}\``;
  // Whoever opens a handshake under a header of this era learns what it may speak (`basic/versioning`).
  return refused(message, { code: RPC_CODES.invalidParams, data: { supported: [MODERN_VERSION, ...MCP_VERSIONS] } });
}

function unsupported(requested: string): Failed {
  // The same list as discovery's: what an envelope may name. The older revisions have none.
  const data = { supported: [MODERN_VERSION], requested: requested.slice(0, 32) };
  return refused('Unsupported protocol version', { code: MODERN_CODES.unsupportedVersion, data });
}

function refused(message: string, { code, data }: { code: number; data: JsonObject }): Failed {
  return fail(deny('malformed_request', `mcp: ${message}`, { rpc: { status: 400, code, message, data } }));
}
