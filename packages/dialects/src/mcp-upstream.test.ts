import { Decimal } from '@sallyport/model';
import type { TypedArguments } from '@sallyport/strict';
import { describe, expect, it } from 'vitest';
import type { CallMeta } from './mcp-meta.ts';
import {
  type UpstreamMessage,
  notificationFor,
  readUpstreamInitialize,
  readUpstreamMessage,
  resultFor,
  toolOutcome,
  upstreamBody,
  upstreamCall,
  upstreamCancel,
  upstreamHeaders,
  upstreamInitialize,
} from './mcp-upstream.ts';

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes);
const META: CallMeta = { progressToken: undefined, forwarded: {} };

function message(source: string | object, id: string | number = 7): UpstreamMessage {
  const read = readUpstreamMessage(encode(typeof source === 'string' ? source : JSON.stringify(source)), id);
  if (!read.ok) throw new Error(`${read.error.code}: ${read.error.message}`);
  return read.value;
}
const result = (value: unknown): object => ({ jsonrpc: '2.0', id: 7, result: value });

describe('what a tool’s server is sent', () => {
  it('is the judged arguments, the agent’s _meta, and our own id and progress token', () => {
    const args = { amount: Decimal.parse('500.10'), count: 9007199254740993n, text: 'é"' } as unknown as TypedArguments;
    const call = upstreamCall(7, { tool: 'refund', arguments: args, meta: { progressToken: 'agent’s', forwarded: { traceparent: '00' } } });
    expect(decode(call)).toBe(
      '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"refund",' +
        '"arguments":{"amount":500.1,"count":9007199254740993,"text":"é\\""},"_meta":{"traceparent":"00","progressToken":7}}}',
    );
  });

  it('has no _meta where there is nothing to say', () => {
    const call = upstreamCall('a', { tool: 't', arguments: {} as TypedArguments, meta: META });
    expect(decode(call)).toBe('{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"t","arguments":{}}}');
  });

  it('begins with a handshake that offers nothing', () => {
    expect(JSON.parse(decode(upstreamInitialize(1, { name: 'sallyport', version: '1' })))).toMatchObject({
      method: 'initialize',
      params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'sallyport' } },
    });
    expect(decode(upstreamCancel(7))).toBe('{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}');
  });

  it('names the session that the handshake gave, and none before', () => {
    const both = { accept: 'application/json, text/event-stream', 'content-type': 'application/json' };
    expect(upstreamHeaders(undefined)).toEqual(both);
    expect(upstreamHeaders({ version: '2025-06-18', sessionId: 's' })).toEqual({
      ...both,
      'mcp-protocol-version': '2025-06-18',
      'mcp-session-id': 's',
    });
    expect(upstreamHeaders({ version: '2025-11-25', sessionId: undefined })).not.toHaveProperty('mcp-session-id');
  });
});

describe('the handshake’s answer', () => {
  it.each<[string, object, string | undefined, string]>([
    ['a served version', result({ protocolVersion: '2025-06-18' }), 'abc', 'ok'],
    ['without a session id', result({ protocolVersion: '2025-11-25' }), undefined, 'ok'],
    ['a version of another era', result({ protocolVersion: '2026-07-28' }), undefined, 'version_not_served'],
    ['no version', result({}), undefined, 'version_not_served'],
    ['an error', { jsonrpc: '2.0', id: 7, error: { code: -1, message: 'no' } }, undefined, 'refused'],
    ['a session id with a line feed', result({ protocolVersion: '2025-11-25' }), 'a\nb', 'session_id_invalid'],
    ['an empty session id', result({ protocolVersion: '2025-11-25' }), '', 'session_id_invalid'],
    ['a session id with white space', result({ protocolVersion: '2025-11-25' }), 'a b', 'session_id_invalid'],
  ])('%s', (_, source, sessionId, expected) => {
    const session = readUpstreamInitialize(message(source), sessionId);
    expect(session.ok ? 'ok' : session.error.code).toBe(expected);
  });
});

describe('the head of a response', () => {
  const session = { version: '2025-11-25', sessionId: 's' } as const;
  it.each([
    [200, 'application/json; charset=utf-8', 'json'],
    [200, 'text/event-stream', 'events'],
    [202, undefined, 'accepted'],
    [404, 'application/json', 'session_over'],
    [200, 'text/html', 'error'],
    [200, undefined, 'error'],
    [201, 'application/json', 'error'],
    [302, 'application/json', 'error'],
    [400, 'application/json', 'error'],
    [500, 'text/event-stream', 'error'],
  ] as const)('%s %s is %s', (status, contentType, expected) => {
    expect(upstreamBody(status, contentType, session)).toBe(expected);
  });

  it('without a session of ours, 404 is an error like any other', () => {
    expect(upstreamBody(404, undefined, { version: '2025-11-25', sessionId: undefined })).toBe('error');
    expect(upstreamBody(404, undefined, undefined)).toBe('error');
  });
});

describe('a message of a tool’s server', () => {
  it('that is our result keeps its bytes, under the agent’s id', () => {
    const source = '{"id":7, "result" : {"content":[],"n":1.50,"big":9007199254740993 } ,"jsonrpc":"2.0"}';
    const read = message(source) as Extract<UpstreamMessage, { kind: 'result' }>;
    expect(decode(resultFor('agent-1', read.result))).toBe(
      '{"jsonrpc":"2.0","id":"agent-1","result":{"content":[],"n":1.50,"big":9007199254740993 }}',
    );
  });

  it('that asks something of us is declined, except a ping', () => {
    const asked = message({ jsonrpc: '2.0', id: 'x', method: 'sampling/createMessage', params: {} });
    expect(asked).toMatchObject({ kind: 'request' });
    expect(asked.kind === 'request' && decode(asked.answer)).toBe(
      '{"jsonrpc":"2.0","id":"x","error":{"code":-32601,"message":"Method not found"}}',
    );
    const pinged = message({ jsonrpc: '2.0', id: 'x', method: 'ping' });
    expect(pinged.kind === 'request' && decode(pinged.answer)).toBe('{"jsonrpc":"2.0","id":"x","result":{}}');
  });

  it.each<[string, string, string]>([
    ['a result for another request', '{"jsonrpc":"2.0","id":8,"result":{}}', 'foreign_id'],
    ['a result for the same digits as text', '{"jsonrpc":"2.0","id":"7","result":{}}', 'foreign_id'],
    ['an error for another request', '{"jsonrpc":"2.0","id":8,"error":{"code":1,"message":""}}', 'foreign_id'],
    ['a batch', '[{"jsonrpc":"2.0","id":7,"result":{}}]', 'unreadable'],
    ['two results', '{"jsonrpc":"2.0","id":7,"result":{"content":[]},"result":{}}', 'unreadable'],
    ['a result twice by case', '{"jsonrpc":"2.0","id":7,"result":{},"Result":{}}', 'unreadable'],
    ['contents that differ by case', '{"jsonrpc":"2.0","id":7,"result":{"content":[],"Content":[]}}', 'unreadable'],
    ['no JSON', '<html>', 'unreadable'],
    ['nothing', '', 'unreadable'],
    ['two documents', '{"jsonrpc":"2.0","id":7,"result":{}}{}', 'unreadable'],
  ])('that is %s is a problem', (_, source, code) => {
    const read = readUpstreamMessage(encode(source), 7);
    expect(read.ok ? 'ok' : read.error.code).toBe(code);
  });

  it('is bounded', () => {
    const read = readUpstreamMessage(encode(JSON.stringify(result({ content: ['x'.repeat(100)] }))), 7, { bytesMax: 50 });
    expect(read).toMatchObject({ error: { code: 'unreadable' } });
  });
});

describe('what a call came to', () => {
  it.each<[string, object, string]>([
    ['a success', result({ content: [] }), 'ok'],
    ['a success that says so', result({ content: [], isError: false }), 'ok'],
    ['a failure of the tool', result({ content: [], isError: true }), 'tool_error'],
    ['an error of the server', { jsonrpc: '2.0', id: 7, error: { code: -32_602, message: 'Tool x not found' } }, 'upstream_error'],
    ['an error that could not read our id', { jsonrpc: '2.0', id: null, error: { code: -32_700, message: '' } }, 'upstream_error'],
    ['a result without content', result({ structuredContent: {} }), 'not_a_tool_result'],
    ['content that is no list', result({ content: {} }), 'not_a_tool_result'],
    ['an isError that is text', result({ content: [], isError: 'false' }), 'not_a_tool_result'],
    ['an isError that is null', result({ content: [], isError: null }), 'not_a_tool_result'],
    ['a notification', { jsonrpc: '2.0', method: 'notifications/message' }, 'not_a_tool_result'],
  ])('%s is %s', (_, source, expected) => {
    const outcome = toolOutcome(message(source));
    expect(outcome.ok ? outcome.value : outcome.error.code).toBe(expected);
  });
});

describe('a notification for the agent', () => {
  const meta: CallMeta = { progressToken: 'agent’s', forwarded: {} };
  const progress = (params: object): UpstreamMessage => message({ jsonrpc: '2.0', method: 'notifications/progress', params });

  it('is progress that it asked for, under its own token, and nothing else that came with it', () => {
    const passed = notificationFor(progress({ progressToken: 7, progress: 1, total: 2, message: 'm', _meta: { x: 1 }, evil: 1 }), 7, meta);
    expect(decode(passed)).toBe(
      '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"agent’s","progress":1,"total":2,"message":"m"}}',
    );
  });

  it.each<[string, UpstreamMessage, CallMeta]>([
    ['progress of another call', progress({ progressToken: 8, progress: 1 }), meta],
    ['progress under the agent’s token', progress({ progressToken: 'agent’s', progress: 1 }), meta],
    ['progress nobody asked for', progress({ progressToken: 7, progress: 1 }), META],
    ['progress without a number', progress({ progressToken: 7, progress: 'x' }), meta],
    ['a log line', message({ jsonrpc: '2.0', method: 'notifications/message', params: { data: 'x' } }), meta],
    ['a change of the list', message({ jsonrpc: '2.0', method: 'notifications/tools/list_changed' }), meta],
    ['a result', message(result({ content: [] })), meta],
  ])('is not %s', (_, from, asked) => {
    expect(notificationFor(from, 7, asked)).toBeUndefined();
  });
});
