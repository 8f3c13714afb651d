/**
 * MCP from the sidecar's side: what it sends to a tool's server over streamable HTTP (legacy era), and how it reads what
 * comes back. Sends nothing itself. Ids and progress tokens are the sidecar's own: one upstream session may serve calls
 * of several clients, whose own ids may be equal. docs/spec/mcp.md, section 5.
 */

import { type Result, fail, ok } from '@sallyport/model';
import { type JudgeLimits, type Judged, type TypedArguments, judge, serializeArguments } from '@sallyport/strict';
import { mediaTypeOf } from './accept.ts';
import { jsonBytes, membersOf } from './ask.ts';
import { memberBytes } from './json-member.ts';
import { RPC_CODES, type RpcId, readRpc, rpcError, rpcNotification, rpcRequest, rpcResult } from './jsonrpc.ts';
import type { CallMeta } from './mcp-meta.ts';
import { MCP_VERSIONS, type McpVersion } from './mcp.ts';

/** An upstream MCP session, as its handshake left it. */
export interface UpstreamSession {
  readonly version: McpVersion;
  /** `Mcp-Session-Id` of the handshake's answer, where the server gave one. */
  readonly sessionId: string | undefined;
}

/** What an upstream said that it should not have. For the record and the log; the caller sees `upstream_error`. */
export interface UpstreamProblem {
  readonly code: 'unreadable' | 'not_a_tool_result' | 'foreign_id' | 'version_not_served' | 'session_id_invalid' | 'refused';
  readonly message: string;
}

/** One message of an upstream. */
export type UpstreamMessage =
  /** The answer to our request. `result` is the source's own bytes. */
  | { readonly kind: 'result'; readonly result: Uint8Array; readonly judged: Judged }
  | { readonly kind: 'error'; readonly code: number; readonly message: string }
  | { readonly kind: 'notification'; readonly method: string; readonly params: Judged | undefined }
  /** The server asks us something; `answer` is what to POST back. */
  | { readonly kind: 'request'; readonly method: string; readonly answer: Uint8Array };

/** What a tool call came to, once a message is its answer. */
export type ToolOutcome = 'ok' | 'tool_error' | 'upstream_error';

const SESSION_ID = /^[\x21-\x7e]{1,512}$/;

/** The headers of every POST to an upstream; before the handshake there is no session. */
export function upstreamHeaders(session: UpstreamSession | undefined): Record<string, string> {
  return {
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    ...(session === undefined ? {} : { 'mcp-protocol-version': session.version }),
    ...(session?.sessionId === undefined ? {} : { 'mcp-session-id': session.sessionId }),
  };
}

/** The first message of a session. No capability is declared, so that a server has nothing to ask of us. */
export function upstreamInitialize(id: RpcId, clientInfo: { name: string; version: string }): Uint8Array {
  return rpcRequest(id, 'initialize', jsonBytes({ protocolVersion: MCP_VERSIONS[0], capabilities: {}, clientInfo }));
}

/** Reads the answer to `upstreamInitialize`, with the `Mcp-Session-Id` header of its response. */
export function readUpstreamInitialize(message: UpstreamMessage, sessionId: string | undefined): Result<UpstreamSession, UpstreamProblem> {
  if (message.kind !== 'result') return problem('refused', `\`initialize\` was answered by ${describe(message)}`);
  const version = membersOf(message.judged)?.['protocolVersion'];
  const served = MCP_VERSIONS.find((known) => known === version);
  if (served === undefined) return problem('version_not_served', `the server speaks ${JSON.stringify(version ?? null).slice(0, 64)}`);
  if (sessionId !== undefined && !SESSION_ID.test(sessionId)) return problem('session_id_invalid', 'the session id is not visible ASCII');
  return ok({ version: served, sessionId });
}

/** The message that ends the handshake; it is answered by 202. */
export function upstreamInitialized(): Uint8Array {
  return rpcNotification('notifications/initialized');
}

/** The call itself: the judged arguments written anew, `_meta` as it came, and our own id and progress token. */
export function upstreamCall(id: RpcId, call: { tool: string; arguments: TypedArguments; meta: CallMeta }): Uint8Array {
  const { forwarded, progressToken } = call.meta;
  const meta = progressToken === undefined ? forwarded : { ...forwarded, progressToken: id };
  const hasMeta = Object.keys(meta).length > 0;
  const encoder = new TextEncoder();
  const head = encoder.encode(`{"name":${JSON.stringify(call.tool)},"arguments":`);
  const args = serializeArguments(call.arguments);
  const tail = encoder.encode(hasMeta ? `,"_meta":${JSON.stringify(meta)}}` : '}');
  const params = new Uint8Array(head.byteLength + args.byteLength + tail.byteLength);
  params.set(head, 0);
  params.set(args, head.byteLength);
  params.set(tail, head.byteLength + args.byteLength);
  return rpcRequest(id, 'tools/call', params);
}

/** The agent no longer waits. */
export function upstreamCancel(id: RpcId): Uint8Array {
  return rpcNotification('notifications/cancelled', jsonBytes({ requestId: id }));
}

/** What the body of an upstream's response to a POST is, by its head alone. A redirect is an error: it is never followed. */
export type UpstreamBody = 'json' | 'events' | 'accepted' | 'session_over' | 'error';

/** Reads the head of a response. `session_over`: the server forgot our session; a call it never saw may open another. */
export function upstreamBody(status: number, contentType: string | undefined, session: UpstreamSession | undefined): UpstreamBody {
  if (status === 202) return 'accepted';
  if (status === 404 && session?.sessionId !== undefined) return 'session_over';
  if (status !== 200) return 'error';
  const mediaType = mediaTypeOf(contentType);
  return mediaType === 'application/json' ? 'json' : mediaType === 'text/event-stream' ? 'events' : 'error';
}

/** Reads one message: a JSON body or one event's data. An answer to anything but `id` is a problem, and so is a batch. */
export function readUpstreamMessage(
  source: Uint8Array,
  id: RpcId,
  limits: Partial<JudgeLimits> = {},
): Result<UpstreamMessage, UpstreamProblem> {
  const judged = judge(source, { limits, caseDistinctDepth: 2 });
  if (!judged.ok) return problem('unreadable', judged.error.map(({ code, path }) => `${code} ${path}`.trim()).join(', '));
  const message = readRpc(judged.value);
  if (!message.ok) return problem('unreadable', message.error.detail);
  switch (message.value.kind) {
    case 'notification':
      return ok({ kind: 'notification', method: message.value.method, params: message.value.params });
    case 'request':
      return ok({ kind: 'request', method: message.value.method, answer: answerTo(message.value.id, message.value.method) });
    case 'error':
      if (message.value.id !== id && message.value.id !== null) return problem('foreign_id', 'an error for another request');
      return ok({ kind: 'error', code: message.value.code, message: message.value.message.slice(0, 512) });
    case 'result': {
      if (message.value.id !== id) return problem('foreign_id', 'a result for another request');
      const result = memberBytes(source, 'result');
      return result === undefined ? problem('unreadable', 'no result') : ok({ kind: 'result', result, judged: message.value.result });
    }
  }
}

/** Whether the answer to a tool call says that the tool did it. Anything that is not certainly a success is none. */
export function toolOutcome(message: UpstreamMessage): Result<ToolOutcome, UpstreamProblem> {
  if (message.kind === 'error') return ok('upstream_error');
  if (message.kind !== 'result') return problem('not_a_tool_result', `answered by ${describe(message)}`);
  const result = membersOf(message.judged) ?? {};
  const isError = Object.hasOwn(result, 'isError') ? result['isError'] : false;
  if (!Array.isArray(result['content']) || typeof isError !== 'boolean')
    return problem('not_a_tool_result', 'no content, or `isError` is no boolean');
  return ok(isError ? 'tool_error' : 'ok');
}

/** The upstream's result as the answer to the agent's request: same bytes, the agent's id. */
export function resultFor(id: RpcId, result: Uint8Array): Uint8Array {
  return rpcResult(id, result);
}

/**
 * What of a notification may reach the agent that made the call, as a message for it: progress it asked for. Other kinds
 * belong to capabilities that were never offered to it. `undefined`: nothing.
 */
export function notificationFor(message: UpstreamMessage, own: RpcId, meta: CallMeta): Uint8Array | undefined {
  if (message.kind !== 'notification' || message.method !== 'notifications/progress' || meta.progressToken === undefined) return undefined;
  const params = membersOf(message.params);
  if (params?.['progressToken'] !== own) return undefined;
  const { progress, total, message: text } = params;
  if (typeof progress !== 'number') return undefined;
  const passed = {
    progressToken: meta.progressToken,
    progress,
    ...(typeof total === 'number' ? { total } : {}),
    ...(typeof text === 'string' ? { message: text } : {}),
  };
  return rpcNotification('notifications/progress', jsonBytes(passed));
}

/** We declared no capability, so a ping is the one request that a server may make of us. */
function answerTo(id: RpcId, method: string): Uint8Array {
  return method === 'ping' ? rpcResult(id, jsonBytes({})) : rpcError(id, { code: RPC_CODES.methodNotFound, message: 'Method not found' });
}

function describe(message: UpstreamMessage): string {
  return message.kind === 'error' ? `error ${message.code}` : message.kind;
}

function problem(code: UpstreamProblem['code'], message: string): { readonly ok: false; readonly error: UpstreamProblem } {
  return fail({ code, message });
}
