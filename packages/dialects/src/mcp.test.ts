import { type HeaderLookup, judge } from '@sallyport/strict';
import { describe, expect, it } from 'vitest';
import { negotiateVersion } from './mcp-2025.ts';
import type { McpAsk } from './mcp-ask.ts';
import { MCP_JUDGE_OPTIONS, mcpReplyTo, readMcp, readMcpHead } from './mcp.ts';

const BOTH = 'application/json, text/event-stream';

function lookup(headers: Readonly<Record<string, string>>): HeaderLookup {
  const map = new Map(Object.entries(headers));
  return { get: (name) => map.get(name), has: (name) => map.has(name), entries: () => map.entries() };
}

function read(message: unknown, headers: Readonly<Record<string, string>> = {}): ReturnType<typeof readMcp> {
  const source = typeof message === 'string' ? message : JSON.stringify(message);
  const judged = judge(new TextEncoder().encode(source), MCP_JUDGE_OPTIONS);
  if (!judged.ok) throw new Error(`not judged: ${source}`);
  return readMcp(lookup({ accept: BOTH, ...headers }), judged.value);
}

const request = (method: string, params?: object): object => ({
  jsonrpc: '2.0',
  id: 1,
  method,
  ...(params === undefined ? {} : { params }),
});
const call = (params: object): object => request('tools/call', { name: 'echo', ...params });

function ask(message: unknown, headers?: Readonly<Record<string, string>>): McpAsk {
  const result = read(message, headers);
  if (!result.ok) throw new Error(result.error.detail);
  return result.value;
}

describe('an MCP message', () => {
  it('that calls a tool gives its name, its arguments’ place and what must go on', () => {
    const meta = { progressToken: 4, traceparent: '00-x', 'dev.sallyport/session': 'token', 'Dev.Sallyport/Other': 1 };
    const { arguments: args, ...rest } = ask(call({ arguments: { a: 1 }, _meta: meta })) as Extract<McpAsk, { kind: 'call_tool' }>;
    expect(rest).toEqual({
      kind: 'call_tool',
      id: 1,
      tool: 'echo',
      era: 'legacy',
      meta: { progressToken: 4, forwarded: { traceparent: '00-x' } },
      session: 'token',
      mcpSession: undefined,
    });
    expect(args.tree).toEqual({ a: 1 });
  });

  it('without arguments has none, and a task that nobody declared is ignored', () => {
    const bare = ask(call({ task: { ttl: 1 } })) as Extract<McpAsk, { kind: 'call_tool' }>;
    expect(bare.arguments.tree).toEqual({});
    expect(bare.meta).toEqual({ progressToken: undefined, forwarded: {} });
  });

  it.each<[string, unknown, object]>([
    [
      'initialize',
      request('initialize', { protocolVersion: '2025-06-18', capabilities: {} }),
      { kind: 'initialize', version: '2025-06-18' },
    ],
    ['ping', request('ping'), { kind: 'ping', id: 1 }],
    ['tools/list', request('tools/list'), { kind: 'list_tools' }],
    ['tools/list with params', request('tools/list', { _meta: { 'dev.sallyport/session': 't' } }), { kind: 'list_tools', session: 't' }],
    ['initialized', { jsonrpc: '2.0', method: 'notifications/initialized' }, { kind: 'notification', cancels: undefined }],
    [
      'cancelled',
      { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 'x' } },
      { kind: 'notification', cancels: 'x' },
    ],
    ['progress', { jsonrpc: '2.0', method: 'notifications/progress', params: {} }, { kind: 'notification' }],
  ])('that is %s is served', (_, message, expected) => {
    expect(ask(message)).toMatchObject(expected);
  });

  it.each([
    'resources/list',
    'resources/read',
    'prompts/get',
    'completion/complete',
    'logging/setLevel',
    'tasks/get',
    'server/discover',
    'Tools/call',
    'tools/call/',
    'constructor',
  ])('that is %s is refused', (method) => {
    expect(read(request(method))).toMatchObject({ error: { code: 'method_not_allowed' } });
    expect(read({ jsonrpc: '2.0', method })).toMatchObject({ error: { code: 'method_not_allowed' } });
  });

  it.each<[string, unknown]>([
    ['a batch', [request('ping')]],
    ['a response', { jsonrpc: '2.0', id: 1, result: {} }],
    ['an error', { jsonrpc: '2.0', id: 1, error: { code: 1, message: 'm' } }],
    ['initialize without a version', request('initialize', {})],
    ['a tool that is no text', request('tools/call', { name: 1 })],
    ['a tool without a name', request('tools/call', {})],
    ['an empty tool name', request('tools/call', { name: '' })],
    ['a tool name of 257 characters', request('tools/call', { name: 'x'.repeat(257) })],
    ['arguments that are a list', call({ arguments: [] })],
    ['arguments that are null', call({ arguments: null })],
    ['a member beside the arguments', call({ argument: {} })],
    ['_meta that is a list', call({ _meta: [] })],
    ['a session that is no text', call({ _meta: { 'dev.sallyport/session': {} } })],
    ['a session of 8193 characters', call({ _meta: { 'dev.sallyport/session': 'x'.repeat(8193) } })],
    ['a session in another case', call({ _meta: { 'dev.sallyport/Session': 'x' } })],
    ['a progress token in another case', call({ _meta: { ProgressToken: 1 } })],
    ['a progress token with a long s', call({ _meta: { 'progre\u017FsToken': 1 } })],
    ['a progress token that is a fraction', call({ _meta: { progressToken: 1.5 } })],
    ['a progress token of 257 characters', call({ _meta: { progressToken: 'x'.repeat(257) } })],
    ['_meta above its bound', call({ _meta: { x: 'x'.repeat(16_385) } })],
    [
      'a number in _meta that no double is',
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","_meta":{"a":[{"b":9007199254740993}]}}}',
    ],
  ])('is refused with %s', (_, message) => {
    expect(read(message)).toMatchObject({ error: { code: 'malformed_request' } });
  });

  it('is refused with a cursor, which nobody gave out', () => {
    expect(read(request('tools/list', { cursor: 'x' }))).toMatchObject({ error: { code: 'schema_violation', fields: ['cursor'] } });
    expect(read(request('tools/list', { cursor: null }))).toMatchObject({ error: { code: 'schema_violation' } });
  });

  it('does not carry a prototype on to the tool’s server', () => {
    const source = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","_meta":{"__proto__":{"polluted":1}}}}';
    const { meta } = ask(source) as Extract<McpAsk, { kind: 'call_tool' }>;
    expect(Object.getPrototypeOf(meta.forwarded)).toBe(Object.prototype);
    expect(JSON.stringify(meta.forwarded)).toBe('{"__proto__":{"polluted":1}}');
  });
});

describe('the headers of an MCP message', () => {
  it.each([
    ['2025-11-25', true],
    ['2025-06-18', true],
    ['2025-03-26', true],
    ['2026-07-28', false],
    ['2024-11-05', false],
    ['', false],
    ['2025-11-25, 2025-11-25', false],
  ])('MCP-Protocol-Version %j: served %s', (version, isServed) => {
    expect(read(request('ping'), { 'mcp-protocol-version': version }).ok).toBe(isServed);
  });

  it.each([
    ['application/json, text/event-stream', true],
    ['text/event-stream;q=0.5,application/json', true],
    ['*/*', true],
    ['application/*, text/*', true],
    ['Application/JSON, Text/Event-Stream', true],
    ['application/json', false],
    ['text/event-stream', false],
    ['application/json, text/event-stream;q=0', false],
    ['application/json, text/event-stream; q=0.000', false],
    ['application/jsonx, text/event-stream', false],
    ['', false],
  ])('Accept %j: enough %s', (accept, isEnough) => {
    expect(read(request('ping'), { accept }).ok).toBe(isEnough);
  });

  it.each([
    [{ 'mcp-method': 'tools/call', 'mcp-name': 'echo' }, true],
    [{ 'mcp-method': 'tools/list' }, false],
    [{ 'mcp-name': 'delete_everything' }, false],
    [{ 'mcp-name': '' }, false],
    [{ 'mcp-method': 'Tools/Call' }, false],
  ])('%j beside a call of `echo`: accepted %s', (headers, isAccepted) => {
    expect(read(call({}), headers).ok).toBe(isAccepted);
  });
});

it('the version of a session is the one asked for, or our newest', () => {
  expect(['2025-06-18', '2024-11-05', '2026-07-28', 'x'].map(negotiateVersion)).toEqual([
    '2025-06-18',
    '2025-11-25',
    '2025-11-25',
    '2025-11-25',
  ]);
});

it.each<[unknown, object]>([
  [call({}), { id: 1, tool: 'echo', era: 'legacy' }],
  [call({ _meta: { 'io.modelcontextprotocol/protocolVersion': 7 } }), { id: 1, tool: 'echo', era: 'modern' }],
  [request('tools/call', { name: 7 }), { id: 1, tool: '', era: 'legacy' }],
  [request('ping', { name: 'echo' }), { id: 1, tool: undefined, era: 'legacy' }],
  [
    { nonsense: true, id: 'a' },
    { id: 'a', tool: undefined, era: 'legacy' },
  ],
  [[call({})], { id: undefined, tool: undefined, era: 'legacy' }],
])('whom to answer is read from whatever came: %j', (message, expected) => {
  const judged = judge(new TextEncoder().encode(JSON.stringify(message)));
  expect(judged.ok && mcpReplyTo(lookup({}), judged.value)).toEqual(expected);
});

describe('what a client asks of its session by the method alone', () => {
  const head = (method: string, headers: Readonly<Record<string, string>>): unknown => readMcpHead(method, lookup(headers));
  it('is a stream, or an end', () => {
    const named = { 'mcp-session-id': 's', accept: 'text/event-stream' };
    expect(head('GET', named)).toMatchObject({ value: { kind: 'open_stream', mcpSession: 's' } });
    expect(head('DELETE', named)).toMatchObject({ value: { kind: 'end_session', mcpSession: 's' } });
  });

  it.each<[string, string, Readonly<Record<string, string>>, string]>([
    ['without a session', 'GET', { accept: 'text/event-stream' }, 'malformed_request'],
    ['without a session to end', 'DELETE', {}, 'malformed_request'],
    ['a stream that it could not read', 'GET', { 'mcp-session-id': 's', accept: 'application/json' }, 'malformed_request'],
    ['under a revision that is not served', 'GET', { 'mcp-session-id': 's', 'mcp-protocol-version': '2024-11-05' }, 'malformed_request'],
    ['in the era without either', 'GET', { 'mcp-session-id': 's', 'mcp-protocol-version': '2026-07-28' }, 'method_not_allowed'],
    ['an end in that era', 'DELETE', { 'mcp-session-id': 's', 'mcp-protocol-version': '2026-07-28' }, 'method_not_allowed'],
  ])('%s is refused', (_, method, headers, code) => {
    expect(head(method, headers)).toMatchObject({ error: { code } });
  });
});
