/**
 * MCP from the sidecar's side: what it sends to a tool's server over streamable HTTP, in the era of that server, and how
 * it reads what comes back. Sends nothing itself. Ids and progress tokens are the sidecar's own: one upstream session may
 * serve calls of several clients, whose own ids may be equal. docs/spec/mcp.md, section 6.
 */

import { type JsonObject, type Result, fail, ok } from '@sallyport/model';
import { type JudgeLimits, type Judged, type TypedArguments, judge, serializeArguments } from '@sallyport/strict';
import { mediaTypeOf } from './accept.ts';
import { jsonBytes, membersOf } from './ask.ts';
import { memberBytes } from './json-member.ts';
import { RPC_CODES, type RpcId, readRpc, rpcError, rpcNotification, rpcRequest, rpcResult } from './jsonrpc.ts';
import { MCP_VERSIONS, MODERN_CODES, MODERN_VERSION, type McpEra, type McpVersion } from './mcp-ask.ts';
import { CAPABILITIES_META_KEY, CLIENT_META_KEY, type CallMeta, VERSION_META_KEY } from './mcp-meta.ts';
import { encodeMirror } from './mcp-mirrors.ts';

/** How a server is spoken to: in a session that a handshake opened, or with everything in each message. */
export type UpstreamSession =
  | {
      readonly era: 'legacy';
      readonly version: McpVersion;
      /** `Mcp-Session-Id` of the handshake's answer, where the server gave one. */
      readonly sessionId: string | undefined;
    }
  | { readonly era: 'modern' };

/** Who we say we are; a server may show it, and nothing follows from it. */
export interface ClientInfo {
  readonly name: string;
  readonly version: string;
}

/** What an upstream said that it should not have. For the record and the log; the caller sees `upstream_error`. */
export interface UpstreamProblem {
  readonly code:
    | 'unreadable'
    | 'not_a_tool_result'
    | 'not_offered'
    | 'foreign_id'
    | 'version_not_served'
    | 'session_id_invalid'
    | 'refused';
  readonly message: string;
}

/** One message of an upstream. */
export type UpstreamMessage =
  /** The answer to our request. `result` is the source's own bytes. */
  | { readonly kind: 'result'; readonly result: Uint8Array; readonly judged: Judged }
  | { readonly kind: 'error'; readonly code: number; readonly message: string; readonly error: Uint8Array; readonly judged: Judged }
  | { readonly kind: 'notification'; readonly method: string; readonly params: Judged | undefined }
  /** The server asks us something; `answer` is what to POST back. */
  | { readonly kind: 'request'; readonly method: string; readonly answer: Uint8Array };

const SESSION_ID = /^[\x21-\x7e]{1,512}$/;

/** The headers of every message to an upstream; before the handshake there is no session. */
export function upstreamHeaders(session: UpstreamSession | undefined): Record<string, string> {
  const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
  if (session === undefined) return headers;
  if (session.era === 'modern') return { ...headers, 'mcp-protocol-version': MODERN_VERSION };
  const { version, sessionId } = session;
  return { ...headers, 'mcp-protocol-version': version, ...(sessionId === undefined ? {} : { 'mcp-session-id': sessionId }) };
}

/** What a server of the modern era wants repeated in headers, of a call of this tool. */
export function upstreamMirrors(tool: string, mirrored: Readonly<Record<string, string>>): Record<string, string> {
  return { 'mcp-method': 'tools/call', 'mcp-name': encodeMirror(tool), ...mirrored };
}

/** The question that only a server of the modern era answers; with `upstreamHeaders({ era: 'modern' })` and `DISCOVER_HEADERS`. */
export function upstreamDiscover(id: RpcId, clientInfo: ClientInfo): Uint8Array {
  return rpcRequest(id, 'server/discover', jsonBytes({ _meta: envelope(clientInfo) }));
}

export const DISCOVER_HEADERS: Readonly<Record<string, string>> = { 'mcp-method': 'server/discover' };

/** What the answer to `upstreamDiscover` says of its server: whatever is no proof of the modern era leaves the handshake to try. */
export function readUpstreamDiscover(message: UpstreamMessage): McpEra {
  const served = message.kind === 'result' ? membersOf(message.judged)?.['supportedVersions'] : undefined;
  return Array.isArray(served) && served.includes(MODERN_VERSION) ? 'modern' : 'legacy';
}

/**
 * The code of the JSON-RPC error in the body of a refusal by status (400, 404), if it is one of those that a server of
 * the modern era gives before it runs anything: then the call was not seen. `undefined`: nothing can be said.
 */
export function readUpstreamRefusal(source: Uint8Array): number | undefined {
  const judged = judge(source, { limits: { bytesMax: REFUSAL_BYTES_MAX }, caseDistinctDepth: 2 });
  const code = judged.ok ? membersOf(judged.value.at('error'))?.['code'] : undefined;
  return typeof code === 'number' && BEFORE_METHODS.has(code) ? code : undefined;
}

/** A body that says more than an error says nothing that we would act on. */
export const REFUSAL_BYTES_MAX = 65_536;
/** Nothing was run when a server of the modern era answers with one of these. */
export const BEFORE_METHODS: ReadonlySet<number> = new Set(Object.values(MODERN_CODES));

/** The first message of a session. No capability is declared, so that a server has nothing to ask of us. */
export function upstreamInitialize(id: RpcId, clientInfo: ClientInfo): Uint8Array {
  return rpcRequest(id, 'initialize', jsonBytes({ protocolVersion: MCP_VERSIONS[0], capabilities: {}, clientInfo }));
}

/** Reads the answer to `upstreamInitialize`, with the `Mcp-Session-Id` header of its response. */
export function readUpstreamInitialize(message: UpstreamMessage, sessionId: string | undefined): Result<UpstreamSession, UpstreamProblem> {
  if (message.kind !== 'result') return problem('refused', `\`initialize\` was answered by ${describe(message)}`);
  const version = membersOf(message.judged)?.['protocolVersion'];
  const served = MCP_VERSIONS.find((known) => known === version);
  if (served === undefined) return problem('version_not_served', `the server speaks ${JSON.stringify(version ?? null).slice(0, 64)}`);
  if (sessionId !== undefined && !SESSION_ID.test(sessionId)) return problem('session_id_invalid', 'the session id is not visible ASCII');
  return ok({ era: 'legacy', version: served, sessionId });
}

/** The message that ends the handshake; it is answered by 202. */
export function upstreamInitialized(): Uint8Array {
  return rpcNotification('notifications/initialized');
}

/**
 * The call itself: the judged arguments written anew, `_meta` as it came, and our own id and progress token. `as` is who
 * says so to a server of the modern era, which is told with each message.
 */
export function upstreamCall(
  id: RpcId,
  call: { tool: string; arguments: TypedArguments; meta: CallMeta },
  as: ClientInfo | undefined,
): Uint8Array {
  const { forwarded, progressToken } = call.meta;
  const asked = progressToken === undefined ? forwarded : { ...forwarded, progressToken: id };
  const meta = as === undefined ? asked : { ...asked, ...envelope(as) };
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

/** A session id that the server gave. */
function sessionIdOf(session: UpstreamSession | undefined): string | undefined {
  return session?.era === 'legacy' ? session.sessionId : undefined;
}

/** Reads the head of a response. `session_over`: the server forgot our session; a call it never saw may open another. */
export function upstreamBody(status: number, contentType: string | undefined, session: UpstreamSession | undefined): UpstreamBody {
  if (status === 202) return 'accepted';
  if (status === 404 && sessionIdOf(session) !== undefined) return 'session_over';
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
      return readError(source, judged.value, message.value);
    case 'result': {
      if (message.value.id !== id) return problem('foreign_id', 'a result for another request');
      const result = memberBytes(source, 'result');
      return result === undefined ? problem('unreadable', 'no result') : ok({ kind: 'result', result, judged: message.value.result });
    }
  }
}

function readError(
  source: Uint8Array,
  judged: Judged,
  { code, message }: { code: number; message: string },
): Result<UpstreamMessage, UpstreamProblem> {
  const error = memberBytes(source, 'error');
  const part = judged.at('error');
  if (error === undefined || part === undefined) return problem('unreadable', 'no error');
  return ok({ kind: 'error', code, message: message.slice(0, 512), error, judged: part });
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

/** What a message is, for a problem's own words. */
export function describe(message: UpstreamMessage): string {
  return message.kind === 'error' ? `error ${message.code}` : message.kind;
}

export function problem(code: UpstreamProblem['code'], message: string): { readonly ok: false; readonly error: UpstreamProblem } {
  return fail({ code, message });
}

/** What a message of the modern era says of its sender. No capability: a server has nothing to ask of us. */
function envelope(clientInfo: ClientInfo): JsonObject {
  return { [VERSION_META_KEY]: MODERN_VERSION, [CLIENT_META_KEY]: { ...clientInfo }, [CAPABILITIES_META_KEY]: {} };
}
