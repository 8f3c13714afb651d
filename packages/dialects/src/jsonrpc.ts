/**
 * JSON-RPC 2.0 envelopes, read so that every peer reads the same: no batches, no null ids, no unknown members, `params`
 * an object. Knows nothing of MCP. Writing keeps the bytes of what it wraps.
 */

import { type Denial, type Result, deny, fail, ok } from '@sallyport/model';
import type { Judged } from '@sallyport/strict';
import { jsonBytes, membersOf } from './ask.ts';

/** Text, or an integer that a double holds exactly. A null id is refused: nothing could be answered to it. */
export type RpcId = string | number;

export type RpcMessage =
  | { readonly kind: 'request'; readonly id: RpcId; readonly method: string; readonly params: Judged | undefined }
  | { readonly kind: 'notification'; readonly method: string; readonly params: Judged | undefined }
  | { readonly kind: 'result'; readonly id: RpcId; readonly result: Judged }
  /** `id` is `null` where the peer could not read ours. */
  | { readonly kind: 'error'; readonly id: RpcId | null; readonly code: number; readonly message: string };

/** The predefined codes (JSON-RPC 2.0, section 5.1) that are used here. */
export const RPC_CODES = { invalidRequest: -32_600, methodNotFound: -32_601, invalidParams: -32_602, internalError: -32_603 } as const;

const ID_CHARS_MAX = 256;
const METHOD = /^[A-Za-z0-9_./-]{1,128}$/;
const REQUEST_MEMBERS = new Set(['jsonrpc', 'id', 'method', 'params']);
const RESULT_MEMBERS = new Set(['jsonrpc', 'id', 'result']);
const ERROR_MEMBERS = new Set(['jsonrpc', 'id', 'error']);

/** Reads one message. A member outside the envelope is refused, and with it every spelling that only a lax reader takes for one. */
export function readRpc(judged: Judged): Result<RpcMessage, Denial> {
  if (Array.isArray(judged.tree)) return malformed('a batch is not one call');
  const members = membersOf(judged);
  if (members === undefined) return malformed('a message is an object');
  if (members['jsonrpc'] !== '2.0') return malformed('`jsonrpc` is not `2.0`');
  if (Object.hasOwn(members, 'method')) return readCall(judged, members);
  if (Object.hasOwn(members, 'result')) return readResult(judged, members);
  if (Object.hasOwn(members, 'error')) return readError(judged, members);
  return malformed('neither `method`, `result` nor `error`');
}

/** The id of whatever this is, if it has one that can be answered; for refusing what could not be read any further. */
export function peekId(judged: Judged): RpcId | undefined {
  const members = membersOf(judged);
  return members === undefined ? undefined : readId(judged, members);
}

/** A success: the result's bytes stand in the message as they are. */
export function rpcResult(id: RpcId, result: Uint8Array): Uint8Array {
  return envelope(`{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":`, result, '}');
}

/** A failure. */
export function rpcError(id: RpcId | null, error: { code: number; message: string; data?: unknown }): Uint8Array {
  return jsonBytes({ jsonrpc: '2.0', id, error });
}

/** A failure: the error's bytes stand in the message as they are. */
export function rpcErrorBytes(id: RpcId, error: Uint8Array): Uint8Array {
  return envelope(`{"jsonrpc":"2.0","id":${JSON.stringify(id)},"error":`, error, '}');
}

/** A request; `params` is a whole JSON object. */
export function rpcRequest(id: RpcId, method: string, params: Uint8Array): Uint8Array {
  return envelope(`{"jsonrpc":"2.0","id":${JSON.stringify(id)},"method":${JSON.stringify(method)},"params":`, params, '}');
}

/** A notification, with `params` a whole JSON object where given. */
export function rpcNotification(method: string, params?: Uint8Array): Uint8Array {
  const head = `{"jsonrpc":"2.0","method":${JSON.stringify(method)}`;
  return params === undefined ? envelope(head, new Uint8Array(), '}') : envelope(`${head},"params":`, params, '}');
}

function readCall(judged: Judged, members: Readonly<Record<string, unknown>>): Result<RpcMessage, Denial> {
  const unknown = unknownMember(members, REQUEST_MEMBERS);
  if (unknown !== undefined) return unknown;
  const { method } = members;
  if (typeof method !== 'string' || !METHOD.test(method)) return malformed('`method` is not a method name');
  const params = judged.at('params');
  if (params !== undefined && membersOf(params) === undefined) return malformed('`params` is not an object');
  if (!Object.hasOwn(members, 'id')) return ok({ kind: 'notification', method, params });
  const id = readId(judged, members);
  return id === undefined ? malformed('`id` is neither text nor a safe integer') : ok({ kind: 'request', id, method, params });
}

function readResult(judged: Judged, members: Readonly<Record<string, unknown>>): Result<RpcMessage, Denial> {
  const unknown = unknownMember(members, RESULT_MEMBERS);
  if (unknown !== undefined) return unknown;
  const id = readId(judged, members);
  const result = judged.at('result');
  if (id === undefined || result === undefined || membersOf(result) === undefined)
    return malformed('not a result with an id and an object');
  return ok({ kind: 'result', id, result });
}

function readError(judged: Judged, members: Readonly<Record<string, unknown>>): Result<RpcMessage, Denial> {
  const unknown = unknownMember(members, ERROR_MEMBERS);
  if (unknown !== undefined) return unknown;
  const error = membersOf(judged.at('error'));
  const id = members['id'] === null ? null : readId(judged, members);
  const code = error?.['code'];
  const message = error?.['message'];
  if (id === undefined || typeof code !== 'number' || !Number.isSafeInteger(code) || typeof message !== 'string')
    return malformed('not an error with an id, a code and a message');
  return ok({ kind: 'error', id, code, message });
}

function readId(judged: Judged, members: Readonly<Record<string, unknown>>): RpcId | undefined {
  const id = Object.hasOwn(members, 'id') ? members['id'] : undefined;
  if (typeof id === 'string') return id.length <= ID_CHARS_MAX ? id : undefined;
  if (typeof id !== 'number' || !Number.isSafeInteger(id) || Object.is(id, -0)) return undefined;
  // `1e0` would come back as `1`, and a peer that compares texts would not know its own id.
  return judged.numberText(members, 'id') === undefined ? id : undefined;
}

function unknownMember(members: Readonly<Record<string, unknown>>, known: ReadonlySet<string>): { ok: false; error: Denial } | undefined {
  const name = Object.keys(members).find((key) => !known.has(key));
  return name === undefined ? undefined : malformed(`\`${name.slice(0, 64)}\` is not a member of a message`);
}

function malformed(detail: string): { readonly ok: false; readonly error: Denial } {
  return fail(deny('malformed_request', `json-rpc: ${detail}`));
}

function envelope(before: string, middle: Uint8Array, after: string): Uint8Array {
  const encoder = new TextEncoder();
  const [head, tail] = [encoder.encode(before), encoder.encode(after)];
  const message = new Uint8Array(head.byteLength + middle.byteLength + tail.byteLength);
  message.set(head, 0);
  message.set(middle, head.byteLength);
  message.set(tail, head.byteLength + middle.byteLength);
  return message;
}
