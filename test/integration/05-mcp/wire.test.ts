import { recordingMcpUpstream, type RecordingMcpUpstream } from '@sallyport/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { recordOf } from '../../support/audit.ts';
import { MCP_HEADERS, mcpDenialOf, mcpPost, toolCall } from '../../support/mcp-clients.ts';
import { issuerDocument } from '../../support/policies.ts';
import { eventually, startWorld, type HttpAnswer, type RunningSidecar, type World } from '../../support/world.ts';

const policy = (world: World, url: string): string => `
apiVersion: sallyport.dev/v1
kind: Agent
name: support-triage
owner: team-support
uses: [bench, closed]
---
kind: ToolServer
name: bench
mcp: { url: "${url}" }
network: loopback
---
kind: ToolServer
name: closed
mcp: { url: "${url}" }
network: loopback
---
kind: Tool
name: bench/look
effect: read
arguments: { properties: { at: { type: string }, limit: { type: integer }, amount: { type: number, format: decimal } } }
---
kind: Tool
name: closed/look
effect: read
---
kind: Policy
agent: support-triage
rules:
  - { id: look, allow: [bench/look], for: { roles: [support-rep] } }
  - { id: closed, allow: [closed/look], for: { roles: [nobody] } }
---
kind: Test
given: { roles: [support-rep] }
cases:
  - { call: bench/look, expect: allow }
${issuerDocument(world.idp)}`;

let world: World;
let sidecar: RunningSidecar;
let up: RecordingMcpUpstream;
let session: string;

beforeAll(async () => {
  up = await recordingMcpUpstream({ sessionId: 's-1' });
  world = await startWorld();
  await world.admin.publish(policy(world, up.mcpUrl));
  sidecar = await world.startSidecar();
  await eventually(() => sidecar.ready(), 'readiness');
  session = await sidecar.session();
});
afterAll(async () => {
  await world?.close();
  await up?.close();
});

const send = (message: unknown, headers: Record<string, string | undefined> = {}, server = 'bench'): Promise<HttpAnswer> =>
  mcpPost(sidecar, server, message, { 'sallyport-session': session, ...headers });
const rpc = (method: string, params?: object): object => ({
  jsonrpc: '2.0',
  id: 'a-1',
  method,
  ...(params === undefined ? {} : { params }),
});

interface Refusal {
  readonly code: string;
  readonly status: number;
  /** The code of the JSON-RPC error; absent where there was no id to answer to. */
  readonly rpc?: number;
}

async function expectRefused(answer: HttpAnswer, { code, status, rpc: rpcCode }: Refusal): Promise<void> {
  const denial = mcpDenialOf(answer);
  expect([answer.status, denial?.code, (answer.json()['error'] as { code: number } | undefined)?.code]).toEqual([status, code, rpcCode]);
  const record = await recordOf(world, { ...answer, json: () => ({ ...denial }) });
  expect([record.decision, record.code]).toEqual(['deny', code]);
}

describe('a message that has no one meaning', () => {
  const call = toolCall('look');
  const malformed = { code: 'malformed_request', status: 400 };
  const CASES: Readonly<Record<string, readonly [() => Promise<HttpAnswer>, Refusal]>> = {
    'a name in the header that the body does not have': [() => send(call, { 'mcp-name': 'other' }), { ...malformed, rpc: -32_600 }],
    'a method in the header that the body does not have': [
      () => send(call, { 'mcp-method': 'tools/list' }),
      { ...malformed, rpc: -32_600 },
    ],
    'no Accept': [() => send(call, { accept: undefined }), { ...malformed, rpc: -32_600 }],
    'Accept without events': [() => send(call, { accept: 'application/json' }), { ...malformed, rpc: -32_600 }],
    'Accept without JSON': [() => send(call, { accept: 'text/event-stream' }), { ...malformed, rpc: -32_600 }],
    'Accept that weighs JSON at nothing': [
      () => send(call, { accept: 'application/json;q=0, text/event-stream' }),
      { ...malformed, rpc: -32_600 },
    ],
    'a revision that is not served': [() => send(call, { 'mcp-protocol-version': '2024-11-05' }), { ...malformed, rpc: -32_600 }],
    'a revision of the new era, and nothing of it in the body': [
      () => send(call, { 'mcp-protocol-version': '2026-07-28' }),
      { ...malformed, rpc: -32_602 },
    ],
    'a batch': [() => send([call, call]), malformed],
    'an empty batch': [() => send([]), malformed],
    'a response': [() => send({ jsonrpc: '2.0', id: 1, result: {} }), { ...malformed, rpc: -32_600 }],
    'an error': [() => send({ jsonrpc: '2.0', id: 1, error: { code: 1, message: 'x' } }), { ...malformed, rpc: -32_600 }],
    'another version of JSON-RPC': [() => send({ ...call, jsonrpc: '1.0' }), { ...malformed, rpc: -32_600 }],
    'a null id': [() => send({ ...call, id: null }), malformed],
    'an id that is a fraction': [() => send({ ...call, id: 1.5 }), malformed],
    'an id with an exponent': [() => send(JSON.stringify(call).replace('"id":1', '"id":1e0')), malformed],
    'a member beside the envelope': [() => send({ ...call, Method: 'tools/list' }), malformed],
    'a member beside name and arguments': [
      () => send(rpc('tools/call', { name: 'look', arguments: {}, server: 'closed' })),
      { ...malformed, rpc: -32_600 },
    ],
    'params that are a list': [
      () => send({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: ['look'] }),
      { ...malformed, rpc: -32_600 },
    ],
    'arguments that are a list': [() => send(toolCall('look', [])), { ...malformed, rpc: -32_600 }],
    'two names': [() => send('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"look","name":"erase"}}'), malformed],
    'two names that differ by an escape': [
      () => send(String.raw`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"look","n\u0061me":"erase"}}`),
      malformed,
    ],
    'two names that differ by case': [
      () => send('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"look","NAME":"erase"}}'),
      malformed,
    ],
    'arguments that differ by case': [
      () => send('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"look","arguments":{"at":"a","AT":"b"}}}'),
      malformed,
    ],
    'no JSON': [() => send('{"jsonrpc":"2.0",'), malformed],
    nothing: [() => send(''), malformed],
    'a cut-off surrogate': [() => send(JSON.stringify(call).replace('look', String.raw`\ud800`)), malformed],
    'a query': [
      () =>
        sidecar.request('/mcp/bench?tool=look', { body: JSON.stringify(call), headers: { ...MCP_HEADERS, 'sallyport-session': session } }),
      { ...malformed, rpc: -32_600 },
    ],
    'another content type': [
      () => send(call, { 'content-type': 'text/plain' }),
      { code: 'unsupported_content_type', status: 415, rpc: 415 },
    ],
    'a token in the body that is not the header’s': [
      () => send(toolCall('look', {}, { 'dev.sallyport/session': `${session}x` })),
      { code: 'session_binding_mismatch', status: 401, rpc: 401 },
    ],
  };

  it.each(Object.entries(CASES))('%s is refused, recorded, and reaches nobody', async (_, [ask, refusal]) => {
    const before = up.requests.length;
    await expectRefused(await ask(), refusal);
    expect(up.requests).toHaveLength(before);
  });
});

describe('a message that is not served', () => {
  it.each(['PUT', 'HEAD', 'PATCH'])('%s means nothing here', async (method) => {
    const answer = await sidecar.request('/mcp/bench', { method, headers: { accept: 'text/event-stream', 'sallyport-session': session } });
    expect([answer.status, answer.headers['allow']]).toEqual([405, 'POST']);
    if (method !== 'HEAD') await expectRefused(answer, { code: 'method_not_allowed', status: 405 });
  });

  it.each(['resources/list', 'prompts/get', 'completion/complete', 'logging/setLevel', 'server/discover', 'tools/CALL'])(
    '%s is answered as an unknown method',
    async (method) => {
      const before = up.requests.length;
      const answer = await send(rpc(method));
      expect(answer.json()).toMatchObject({ jsonrpc: '2.0', id: 'a-1' });
      await expectRefused(answer, { code: 'method_not_allowed', status: 200, rpc: -32_601 });
      expect(up.requests).toHaveLength(before);
    },
  );

  it('a notification that means nothing here has no answer but its status', async () => {
    await expectRefused(await send({ jsonrpc: '2.0', method: 'notifications/roots/list_changed' }), {
      code: 'method_not_allowed',
      status: 405,
    });
  });

  it('a page of a listing that has one page', async () => {
    await expectRefused(await send(rpc('tools/list', { cursor: 'x' })), { code: 'schema_violation', status: 200, rpc: -32_602 });
  });

  it('anything at all of a server that shows the caller nothing, or that does not exist', async () => {
    for (const server of ['closed', 'no-such-server']) {
      await expectRefused(await send(rpc('initialize', { protocolVersion: '2025-11-25' }), {}, server), {
        code: 'egress_denied',
        status: 200,
        rpc: 403,
      });
      await expectRefused(await send(toolCall('look'), {}, server), { code: 'tool_not_allowed', status: 200, rpc: -32_602 });
    }
  });

  it('anything without a session: plain HTTP, since no byte of the body was read', async () => {
    const answer = await send(toolCall('look'), { 'sallyport-session': undefined });
    expect([answer.status, answer.headers['content-type']]).toEqual([401, 'application/problem+json']);
    await expectRefused(answer, { code: 'unauthenticated', status: 401 });
  });
});

describe('what is answered here', () => {
  it('ping, with the id as it came', async () => {
    for (const id of [0, 7, 'text', 9_007_199_254_740_991]) {
      expect((await send({ jsonrpc: '2.0', id, method: 'ping' })).json()).toEqual({ jsonrpc: '2.0', id, result: {} });
    }
  });

  it('initialize: the revision asked for if it is served, and a session of its own', async () => {
    const ids = new Set<unknown>();
    for (const [asked, given] of [
      ['2025-06-18', '2025-06-18'],
      ['2024-11-05', '2025-11-25'],
    ]) {
      const answer = await send(rpc('initialize', { protocolVersion: asked, capabilities: {}, clientInfo: { name: 'a', version: '1' } }), {
        'mcp-protocol-version': undefined,
      });
      expect(answer.json()).toMatchObject({
        result: { protocolVersion: given, capabilities: { tools: { listChanged: true } }, serverInfo: { name: 'bench' } },
      });
      ids.add(answer.headers['mcp-session-id']);
    }
    expect([...ids]).toEqual([expect.stringMatching(/^[0-9a-f]{32}$/), expect.stringMatching(/^[0-9a-f]{32}$/)]);
  });

  it('the notifications of a client: 202 and nothing else', async () => {
    for (const method of ['notifications/initialized', 'notifications/cancelled', 'notifications/progress']) {
      const answer = await send({ jsonrpc: '2.0', method, params: {} });
      expect([answer.status, answer.text]).toEqual([202, '']);
    }
  });
});

describe('what is forwarded is what was judged', () => {
  it('numbers keep their digits, and nothing of the source’s spelling is left', async () => {
    const before = up.calls.length;
    const source =
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"arguments":{ "limit" : 9007199254740993 , "amount":0.10000000000000000001,"at":"\\u0061" },"name":"look"}}';
    expect((await send(source)).json()).toMatchObject({ result: { content: [{ text: 'ok' }] } });
    expect(up.calls.slice(before).map((call) => /"params":(.*)}$/.exec(call.source)?.[1])).toEqual([
      '{"name":"look","arguments":{"limit":9007199254740993,"amount":0.10000000000000000001,"at":"a"}}',
    ]);
  });

  it('a header that repeats the body truly is no obstacle', async () => {
    expect((await send(toolCall('look'), { 'mcp-name': 'look', 'mcp-method': 'tools/call' })).json()).toMatchObject({
      result: { content: [{ text: 'ok' }] },
    });
  });
});
