import { type HeaderLookup, judge } from '@sallyport/strict';
import { describe, expect, it } from 'vitest';
import { MCP_JUDGE_OPTIONS, readMcp } from './mcp.ts';

const VERSION = 'io.modelcontextprotocol/protocolVersion';
const CAPABILITIES = 'io.modelcontextprotocol/clientCapabilities';
const META = { [VERSION]: '2026-07-28', [CAPABILITIES]: {}, 'io.modelcontextprotocol/clientInfo': { name: 'a', version: '1' } };
const HEADERS = { accept: 'application/json, text/event-stream', 'mcp-protocol-version': '2026-07-28' };

function lookup(headers: Readonly<Record<string, string | undefined>>): HeaderLookup {
  const map = new Map(Object.entries(headers).filter((entry): entry is [string, string] => entry[1] !== undefined));
  return { get: (name) => map.get(name), has: (name) => map.has(name), entries: () => map.entries() };
}

function read(message: object, headers: Readonly<Record<string, string | undefined>> = {}): ReturnType<typeof readMcp> {
  const judged = judge(new TextEncoder().encode(JSON.stringify(message)), MCP_JUDGE_OPTIONS);
  if (!judged.ok) throw new Error('not judged');
  return readMcp(lookup({ ...HEADERS, ...headers }), judged.value);
}

const request = (method: string, params: object = {}, meta: object = META): object => ({
  jsonrpc: '2.0',
  id: 1,
  method,
  params: { ...params, _meta: meta },
});
const call = (params: object = {}, meta?: object): object => request('tools/call', { name: 'echo', ...params }, meta);
const CALL = { 'mcp-method': 'tools/call', 'mcp-name': 'echo' };

describe('a message of the modern era', () => {
  it('that calls a tool gives its name and arguments, and nothing of the envelope goes on', () => {
    expect(
      read(call({ arguments: { a: 1 } }, { ...META, progressToken: 'p', traceparent: '00-x', 'dev.sallyport/session': 't' }), CALL),
    ).toMatchObject({
      value: {
        kind: 'call_tool',
        era: 'modern',
        tool: 'echo',
        meta: { progressToken: 'p', forwarded: { traceparent: '00-x' } },
        session: 't',
      },
    });
  });

  it.each<[string, object]>([
    ['server/discover', { kind: 'discover' }],
    ['tools/list', { kind: 'list_tools', era: 'modern' }],
  ])('%s is served', (method, expected) => {
    expect(read(request(method), { 'mcp-method': method })).toMatchObject({ ok: true, value: expected });
  });

  it('belongs to no session, whatever header it brings', () => {
    expect(read(call(), { ...CALL, 'mcp-session-id': 's', 'last-event-id': '1' })).toMatchObject({ value: { mcpSession: undefined } });
  });

  it.each(['initialize', 'ping', 'logging/setLevel', 'subscriptions/listen', 'resources/list', 'tools/Call', 'constructor'])(
    '%s is not there',
    (method) => {
      expect(read(request(method), { 'mcp-method': method })).toMatchObject({ error: { code: 'method_not_allowed' } });
    },
  );

  it('a cancelling is accepted and cancels nothing: leaving does', () => {
    expect(read({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1, _meta: META } })).toMatchObject({
      value: { kind: 'notification', cancels: undefined },
    });
    expect(read({ jsonrpc: '2.0', method: 'notifications/initialized' })).toMatchObject({ error: { code: 'method_not_allowed' } });
  });

  it.each<[string, object]>([
    ['the answer to a question that was not asked', call({ inputResponses: {} })],
    ['the state of a round that was not begun', call({ requestState: 'x' })],
    ['a response', { jsonrpc: '2.0', id: 1, result: {} }],
  ])('%s is refused', (_, message) => {
    expect(read(message, CALL)).toMatchObject({ error: { code: 'malformed_request' } });
  });
});

describe('what a header says otherwise than the body', () => {
  const mismatch = { ok: false, error: { code: 'malformed_request', rpc: { status: 400, code: -32_020 } } };
  it.each<[string, object, Readonly<Record<string, string | undefined>>]>([
    ['no version', call(), { ...CALL, 'mcp-protocol-version': undefined }],
    ['a version of the older era', call(), { ...CALL, 'mcp-protocol-version': '2025-11-25' }],
    ['a later version', call(), { ...CALL, 'mcp-protocol-version': '2027-01-01' }],
    ['no method', call(), { 'mcp-name': 'echo' }],
    ['another method', call(), { ...CALL, 'mcp-method': 'tools/list' }],
    ['a method in another case', call(), { ...CALL, 'mcp-method': 'Tools/Call' }],
    ['no name', call(), { 'mcp-method': 'tools/call' }],
    ['another name', call(), { ...CALL, 'mcp-name': 'erase' }],
    ['a name in another case', call(), { ...CALL, 'mcp-name': 'Echo' }],
    ['another name under its mark', call(), { ...CALL, 'mcp-name': '=?base64?ZXJhc2U=?=' }],
    ['a mark in another case', call(), { ...CALL, 'mcp-name': '=?BASE64?ZWNobw==?=' }],
    ['a mark around no base64', call(), { ...CALL, 'mcp-name': '=?base64?ZWNob?=' }],
    ['a name where the body has none', request('tools/list'), { 'mcp-method': 'tools/list', 'mcp-name': 'echo' }],
    ['a method of a notification', { jsonrpc: '2.0', method: 'notifications/cancelled' }, { 'mcp-method': 'tools/call' }],
  ])('%s', (_, message, headers) => {
    expect(read(message, headers)).toMatchObject(mismatch);
  });

  it('a name under its mark is the name', () => {
    expect(read(call(), { ...CALL, 'mcp-name': '=?base64?ZWNobw==?=' })).toMatchObject({ ok: true, value: { tool: 'echo' } });
  });
});

describe('which era a message speaks', () => {
  const legacyCall = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'echo' } };
  it.each<[string, object, string | undefined, object]>([
    ['no header, no claim: legacy', legacyCall, undefined, { ok: true, value: { era: 'legacy' } }],
    ['a header of the older era: legacy', legacyCall, '2025-06-18', { ok: true, value: { era: 'legacy' } }],
    ['a header of the new era and no claim: what is missing', legacyCall, '2026-07-28', { error: { rpc: { status: 400, code: -32_602 } } }],
    [
      'the older era’s handshake under a header of the new one: what is missing, and what may be spoken',
      { jsonrpc: '2.0', id: 1, method: 'initialize', params: { protocolVersion: '2025-11-25' } },
      '2026-07-28',
      { error: { rpc: { code: -32_602, data: { supported: ['2026-07-28', '2025-11-25', '2025-06-18', '2025-03-26'] } } } },
    ],
    [
      'a later revision, by both',
      call({}, { ...META, [VERSION]: '2027-01-01' }),
      '2027-01-01',
      { error: { rpc: { status: 400, code: -32_022 } } },
    ],
    [
      'an older revision, by both: it has no envelope',
      call({}, { ...META, [VERSION]: '2025-11-25' }),
      '2025-11-25',
      { error: { rpc: { code: -32_022 } } },
    ],
    ['a claim that is no text', call({}, { ...META, [VERSION]: 20260728 }), '2026-07-28', { error: { rpc: { code: -32_602 } } }],
    ['no capabilities', call({}, { [VERSION]: '2026-07-28' }), '2026-07-28', { error: { rpc: { status: 400, code: -32_602 } } }],
    ['capabilities that are a list', call({}, { ...META, [CAPABILITIES]: [] }), '2026-07-28', { error: { rpc: { code: -32_602 } } }],
    ['a batch', [call()], '2026-07-28', { error: { code: 'malformed_request' } }],
    [
      'a claim in another case',
      call({}, { 'IO.modelcontextprotocol/protocolVersion': '2026-07-28' }),
      '2025-11-25',
      { error: { code: 'malformed_request' } },
    ],
  ])('%s', (_, message, version, expected) => {
    expect(read(message, { ...CALL, 'mcp-protocol-version': version })).toMatchObject(expected);
  });

  it.each(['yesterday', '2024-11-05', ''])('a legacy message under the header %j is told so in the older era’s words', (version) => {
    const refused = read(legacyCall, { ...CALL, 'mcp-protocol-version': version });
    expect(refused).toMatchObject({ error: { code: 'malformed_request' } });
    expect(refused.ok ? undefined : refused.error.rpc).toBeUndefined();
  });

  it('names what was asked for and what is served', () => {
    expect(read(call({}, { ...META, [VERSION]: '2027-01-01' }), { ...CALL, 'mcp-protocol-version': '2027-01-01' })).toMatchObject({
      error: { rpc: { data: { requested: '2027-01-01', supported: ['2026-07-28'] } } },
    });
  });

  it('asks for both forms of an answer in either era', () => {
    expect(read(call(), { ...CALL, accept: 'application/json' })).toMatchObject({ error: { code: 'malformed_request' } });
  });
});
