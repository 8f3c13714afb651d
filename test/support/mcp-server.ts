/** An MCP server by script: a handshake that is right, and an answer to calls that may be anything. */

import type { RecordedRequest, ScriptedAnswer } from '@sallyport/testkit';

/** A JSON-RPC message as far as a script looks at it. */
export interface McpMessage {
  readonly id?: number;
  readonly method?: string;
  readonly params?: { readonly name: string; readonly _meta?: { readonly progressToken?: unknown } };
  readonly error?: unknown;
  readonly result?: unknown;
}

export const messageOf = (request: RecordedRequest): McpMessage => (request.body === '' ? {} : (JSON.parse(request.body) as McpMessage));

export const TEXT_RESULT = { content: [{ type: 'text', text: 'ok' }] };

export const rpcResult = (id: unknown, value: unknown = TEXT_RESULT): object => ({ jsonrpc: '2.0', id, result: value });

/** Answers a message; the id is the message's own. */
export type OnMessage = (id: unknown, message: McpMessage) => ScriptedAnswer;

/**
 * Each handshake opens a session of its own, `s-1`, `s-2` and so on; a call is answered by `onCall`, and `initialize` by
 * `onInitialize` where that is given.
 */
export function scriptedMcp(
  onCall: OnMessage = (id) => ({ kind: 'json', body: rpcResult(id) }),
  onInitialize?: OnMessage,
): (request: RecordedRequest) => ScriptedAnswer {
  let sessions = 0;
  return (request) => {
    if (request.method !== 'POST') return { kind: 'json', body: {} };
    const message = messageOf(request);
    if (message.method === 'initialize') {
      if (onInitialize !== undefined) return onInitialize(message.id, message);
      const info = { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: { name: 'bench', version: '1' } };
      return { kind: 'json', body: rpcResult(message.id, info), headers: { 'mcp-session-id': `s-${++sessions}` } };
    }
    return message.method === 'tools/call' ? onCall(message.id, message) : { kind: 'bytes', status: 202, body: new Uint8Array() };
  };
}
