import { Decimal } from '@sallyport/model';
import type { TypedArguments } from '@sallyport/strict';
import { describe, expect, it } from 'vitest';
import type { CallMeta } from './mcp-meta.ts';
import { answerFor, toolOutcome } from './mcp-results.ts';
import {
  type UpstreamMessage,
  notificationFor,
  readUpstreamDiscover,
  readUpstreamInitialize,
  readUpstreamMessage,
  readUpstreamRefusal,
  upstreamBody,
  upstreamCall,
  upstreamCancel,
  upstreamDiscover,
  upstreamHeaders,
  upstreamInitialize,
  upstreamMirrors,
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
    const call = upstreamCall(
      7,
      { tool: 'refund', arguments: args, meta: { progressToken: 'agent’s', forwarded: { traceparent: '00' } } },
      undefined,
    );
    expect(decode(call)).toBe(
      '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"refund",' +
        '"arguments":{"amount":500.1,"count":9007199254740993,"text":"é\\""},"_meta":{"traceparent":"00","progressToken":7}}}',
    );
  });

  it('has no _meta where there is nothing to say', () => {
    const call = upstreamCall('a', { tool: 't', arguments: {} as TypedArguments, meta: META }, undefined);
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
    expect(upstreamHeaders({ era: 'legacy', version: '2025-06-18', sessionId: 's' })).toEqual({
      ...both,
      'mcp-protocol-version': '2025-06-18',
      'mcp-session-id': 's',
    });
    expect(upstreamHeaders({ era: 'legacy', version: '2025-11-25', sessionId: undefined })).not.toHaveProperty('mcp-session-id');
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
  const session = { era: 'legacy', version: '2025-11-25', sessionId: 's' } as const;
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
    expect(upstreamBody(404, undefined, { era: 'legacy', version: '2025-11-25', sessionId: undefined })).toBe('error');
    expect(upstreamBody(404, undefined, undefined)).toBe('error');
  });
});

describe('a message of a tool’s server', () => {
  it('that is our result keeps its bytes, under the agent’s id', () => {
    const source = '{"id":7, "result" : {"content":[],"n":1.50,"big":9007199254740993 } ,"jsonrpc":"2.0"}';
    const read = message(source) as Extract<UpstreamMessage, { kind: 'result' }>;
    expect(decode(answerFor({ id: 'agent-1', era: 'legacy' }, read))).toBe(
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

describe('a server of the modern era', () => {
  const info = { name: 'sallyport', version: '1' };
  const envelope = {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientInfo': info,
    'io.modelcontextprotocol/clientCapabilities': {},
  };

  it('is told with each message who asks, and that nothing is offered', () => {
    const call = upstreamCall(7, { tool: 't', arguments: {} as TypedArguments, meta: { ...META, progressToken: 'p' } }, info);
    expect(JSON.parse(decode(call))).toMatchObject({ params: { _meta: { progressToken: 7, ...envelope } } });
    expect(upstreamHeaders({ era: 'modern' })).toMatchObject({ 'mcp-protocol-version': '2026-07-28' });
    expect(upstreamMirrors('größe', { 'mcp-param-x': '1' })).toEqual({
      'mcp-method': 'tools/call',
      'mcp-name': '=?base64?Z3LDtsOfZQ==?=',
      'mcp-param-x': '1',
    });
    expect(JSON.parse(decode(upstreamDiscover('d', info)))).toMatchObject({ method: 'server/discover', params: { _meta: envelope } });
  });

  it.each<[string, object, string]>([
    ['one that serves the revision', result({ supportedVersions: ['2027-01-01', '2026-07-28'] }), 'modern'],
    ['one that serves others alone', result({ supportedVersions: ['2027-01-01'] }), 'legacy'],
    ['one that answers something else', result({ supportedVersions: '2026-07-28' }), 'legacy'],
    ['one that does not know the question', { jsonrpc: '2.0', id: 7, error: { code: -32_601, message: 'x' } }, 'legacy'],
  ])('is known by its answer: %s', (_, source, era) => {
    expect(readUpstreamDiscover(message(source))).toBe(era);
  });

  it.each<[string, string, number | undefined]>([
    ['an unsupported version', '{"jsonrpc":"2.0","id":null,"error":{"code":-32022,"message":"x"}}', -32_022],
    ['a mismatch', '{"jsonrpc":"2.0","id":1,"error":{"code":-32020,"message":"x"}}', -32_020],
    ['any other error', '{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"x"}}', undefined],
    ['a page', '<p>', undefined],
    ['nothing', '', undefined],
  ])('refuses by a code of its own before it runs anything: %s', (_, body, code) => {
    expect(readUpstreamRefusal(encode(body))).toBe(code);
  });
});

describe('an answer in the agent’s era', () => {
  const answered = (era: 'legacy' | 'modern', source: object | string): string =>
    decode(answerFor({ id: 1, era }, message(source) as Extract<UpstreamMessage, { kind: 'result' | 'error' }>));
  const ofResult = (value: string): string => `{"jsonrpc":"2.0","id":7,"result":${value}}`;

  it.each<[string, 'legacy' | 'modern', string, string]>([
    ['legacy to legacy: every byte', 'legacy', '{ "content": [ ] , "n":1.50}', '{ "content": [ ] , "n":1.50}'],
    ['legacy to modern: says what it is', 'modern', '{ "content":[]}', '{"resultType":"complete", "content":[]}'],
    ['modern to modern: every byte', 'modern', '{"content":[], "resultType" : "complete"}', '{"content":[], "resultType" : "complete"}'],
    ['modern to legacy: the kind is left out, first', 'legacy', '{ "resultType":"complete" ,"content":[]}', '{ "content":[]}'],
    ['modern to legacy: the kind is left out, last', 'legacy', '{"content":[] , "resultType":"complete" }', '{"content":[]  }'],
    [
      'modern to legacy: the server’s own name is left out',
      'legacy',
      '{"content":[],"_meta":{"a":1,"io.modelcontextprotocol/serverInfo":{"name":"x"}}}',
      '{"content":[],"_meta":{"a":1}}',
    ],
    [
      'modern to legacy: with all that `_meta` was',
      'legacy',
      '{"_meta":{"io.modelcontextprotocol/serverInfo":{}},"content":[]}',
      '{"content":[]}',
    ],
    [
      'structured content that is an object: every byte',
      'legacy',
      '{"content":[],"structuredContent":{ "a" : 1.0 }}',
      '{"content":[],"structuredContent":{ "a" : 1.0 }}',
    ],
    [
      'structured content that is a list, to modern: every byte',
      'modern',
      '{"resultType":"complete","content":[],"structuredContent":[ 1 ]}',
      '{"resultType":"complete","content":[],"structuredContent":[ 1 ]}',
    ],
    [
      'structured content that is a list, to legacy: wrapped',
      'legacy',
      '{"content":[],"structuredContent":[ 1.0 ]}',
      '{"content":[],"structuredContent":{"result":[ 1.0 ]}}',
    ],
    [
      'what would pass for a denial of ours is left out',
      'modern',
      '{"resultType":"complete","content":[],"_meta":{"Dev.Sallyport/denial":{"code":"x"},"b":2}}',
      '{"resultType":"complete","content":[],"_meta":{"b":2}}',
    ],
  ])('%s', (_, era, from, to) => {
    expect(answered(era, ofResult(from))).toBe(`{"jsonrpc":"2.0","id":1,"result":${to}}`);
  });

  it('an error has the server’s words, and no data that would pass for ours', () => {
    const error = (text: string): string => `{"jsonrpc":"2.0","id":7,"error":${text}}`;
    expect(answered('legacy', error('{"code":-32602,"message":"no","data":{"a": 1}}'))).toBe(
      '{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"no","data":{"a": 1}}}',
    );
    expect(answered('modern', error('{"code":1,"message":"no","data":{"decision_id":"x","retryable":true}}'))).toBe(
      '{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"no"}}',
    );
  });

  it.each<[string, object]>([
    ['asks for input', result({ resultType: 'input_required', inputRequests: {} })],
    ['makes a task of it', result({ resultType: 'task', task: { taskId: 'x' } })],
    ['makes a task of it, in the older era', result({ task: { taskId: 'x' } })],
  ])('there is none for a server that %s', (_, source) => {
    expect(toolOutcome(message(source))).toMatchObject({ error: { code: 'not_offered' } });
  });

  it.each([-32_020, -32_021, -32_022, -32_042])('there is none for the error %s, which no agent could mend', (code) => {
    expect(toolOutcome(message({ jsonrpc: '2.0', id: 7, error: { code, message: 'x' } }))).toMatchObject({ error: { code: 'refused' } });
  });
});
