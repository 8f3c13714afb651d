import { recordingUpstream, type RecordingUpstream, type ScriptedAnswer } from '@sallyport/testkit';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { callsOfSession, recordOf } from '../../support/audit.ts';
import { mcpDenialOf, mcpPost } from '../../support/mcp-clients.ts';
import { messageOf, rpcResult, TEXT_RESULT } from '../../support/mcp-server.ts';
import { issuerDocument } from '../../support/policies.ts';
import { eventually, startWorld, type HttpAnswer, type RunningSidecar, type World } from '../../support/world.ts';

const policy = (world: World, url: string): string => `
apiVersion: sallyport.dev/v1
kind: Agent
name: support-triage
owner: team-support
uses: [bench]
---
kind: ToolServer
name: bench
mcp: { url: "${url}" }
network: loopback
---
kind: Tool
name: bench/look
effect: read
arguments:
  properties:
    region: { type: string, x-mcp-header: Region }
    limit: { type: integer, x-mcp-header: Limit }
    query: { type: string }
---
kind: Tool
name: bench/act
effect: write
---
kind: Policy
agent: support-triage
rules:
  - { id: bench, allow: [bench/look, bench/act], for: { roles: [support-rep] } }
---
kind: Test
given: { roles: [support-rep] }
cases:
  - { call: bench/look, expect: allow }
${issuerDocument(world.idp)}`;

const META = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientCapabilities': {} };
const request = (method: string, params: object = {}, meta: object = META): object => ({
  jsonrpc: '2.0',
  id: 'a-1',
  method,
  params: { ...params, _meta: meta },
});
const look = (args: object = {}): object => request('tools/call', { name: 'look', arguments: args });
type Headers = Readonly<Record<string, string | undefined>>;
const LOOK: Headers = { 'mcp-method': 'tools/call', 'mcp-name': 'look' };

let world: World;
let sidecar: RunningSidecar;
let up: RecordingUpstream;
let session: string;
let before = 0;

/** A server of the modern era by script. */
const modern = (
  onCall: (id: unknown) => ScriptedAnswer = (id) => ({ kind: 'json', body: rpcResult(id, { resultType: 'complete', ...TEXT_RESULT }) }),
) =>
  up.answer((asked) => {
    const { id, method } = messageOf(asked);
    if (method === 'tools/call') return onCall(id);
    const discovered = {
      resultType: 'complete',
      supportedVersions: ['2026-07-28'],
      capabilities: { tools: {} },
      ttlMs: 0,
      cacheScope: 'public',
    };
    return method === 'server/discover' ? { kind: 'json', body: rpcResult(id, discovered) } : { kind: 'json', status: 400, body: {} };
  });
const events = (...messages: readonly object[]): ScriptedAnswer => ({
  kind: 'bytes',
  headers: { 'content-type': 'text/event-stream' },
  body: Buffer.from(messages.map((message) => `data: ${JSON.stringify(message)}\n\n`).join('')),
});

beforeAll(async () => {
  up = await recordingUpstream();
  world = await startWorld();
  await world.admin.publish(policy(world, `${up.url}/mcp`));
  sidecar = await world.startSidecar({ config: { limits: { answer_bytes_max: 65_536 } } });
  await eventually(() => sidecar.ready(), 'readiness');
  session = await sidecar.session();
});
afterAll(async () => {
  await world?.close();
  await up?.close();
});
beforeEach(() => {
  modern();
  before = up.requests.length;
});

const send = (message: unknown, headers: Headers = {}): Promise<HttpAnswer> =>
  mcpPost(sidecar, 'bench', message, { 'sallyport-session': session, 'mcp-protocol-version': '2026-07-28', ...headers });
const callsSeen = (): number => up.requests.slice(before).filter((asked) => messageOf(asked).method === 'tools/call').length;

interface Refusal {
  readonly status: number;
  readonly rpc: number | undefined;
}
async function expectRefused(answer: HttpAnswer, { status, rpc }: Refusal, code = 'malformed_request'): Promise<void> {
  const denial = mcpDenialOf(answer);
  expect([answer.status, (answer.json()['error'] as { code: number } | undefined)?.code, denial?.code]).toEqual([status, rpc, code]);
  const record = await recordOf(world, { ...answer, json: () => ({ ...denial }) });
  expect([record.decision, record.code]).toEqual(['deny', code]);
}

describe('what a modern client is answered', () => {
  it('discovery: the sidecar’s own, one revision, for this caller alone, and no session', async () => {
    const answer = await send(request('server/discover'), { 'mcp-method': 'server/discover' });
    expect(answer.json()).toMatchObject({
      result: {
        resultType: 'complete',
        supportedVersions: ['2026-07-28'],
        capabilities: { tools: {} },
        cacheScope: 'private',
        ttlMs: expect.any(Number) as number,
        _meta: { 'io.modelcontextprotocol/serverInfo': { name: 'bench' } },
      },
    });
    expect(answer.headers['mcp-session-id']).toBeUndefined();
  });

  it('the listing, with the headers that the pinned schema asks for', async () => {
    const answer = await send(request('tools/list'), { 'mcp-method': 'tools/list' });
    expect(answer.json()).toMatchObject({ result: { resultType: 'complete', cacheScope: 'private' } });
    expect(answer.text).toContain('"x-mcp-header":"Region"');
  });

  it('a call, with a session header that means nothing', async () => {
    const headers = { ...LOOK, 'mcp-param-region': 'eu', 'mcp-session-id': 'of-another-life' };
    expect((await send(look({ region: 'eu' }), headers)).json()).toEqual({
      jsonrpc: '2.0',
      id: 'a-1',
      result: { resultType: 'complete', ...TEXT_RESULT },
    });
    expect(up.requests.at(-1)?.headers).toMatchObject({ 'mcp-param-region': 'eu', 'mcp-name': 'look', 'mcp-method': 'tools/call' });
    expect(up.requests.at(-1)?.headers).not.toHaveProperty('mcp-session-id');
  });

  it('a refusal: a result of the kind that its era has', async () => {
    const answer = await send(look({ other: 1 }), LOOK);
    expect(answer.json()).toMatchObject({ result: { resultType: 'complete', isError: true } });
    expect(mcpDenialOf(answer)).toMatchObject({ code: 'field_not_allowed' });
  });

  it('an accepted notification: 202 and nothing else', async () => {
    const answer = await send({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1, _meta: META } });
    expect([answer.status, answer.text]).toEqual([202, '']);
  });

  it.each(['initialize', 'ping', 'logging/setLevel', 'subscriptions/listen', 'resources/read', 'tasks/get'])(
    '%s: not there',
    async (method) => {
      await expectRefused(await send(request(method), { 'mcp-method': method }), { status: 404, rpc: -32_601 }, 'method_not_allowed');
    },
  );
});

describe('a header that does not say what the body says', () => {
  const mismatch = { status: 400, rpc: -32_020 };
  it.each<[string, object, Headers]>([
    ['no Mcp-Method', look(), { 'mcp-name': 'look' }],
    ['another Mcp-Method', look(), { ...LOOK, 'mcp-method': 'tools/list' }],
    ['no Mcp-Name', look(), { 'mcp-method': 'tools/call' }],
    ['another Mcp-Name', look(), { ...LOOK, 'mcp-name': 'act' }],
    ['another Mcp-Name under its mark', look(), { ...LOOK, 'mcp-name': '=?base64?YWN0?=' }],
    ['a mark in another case', look(), { ...LOOK, 'mcp-name': '=?Base64?bG9vaw==?=' }],
    ['base64 that is not canonical', look(), { ...LOOK, 'mcp-name': '=?base64?bG9vax==?=' }],
    ['no Mcp-Param', look({ region: 'eu' }), LOOK],
    ['another Mcp-Param', look({ region: 'eu' }), { ...LOOK, 'mcp-param-region': 'us' }],
    ['an Mcp-Param without a value', look(), { ...LOOK, 'mcp-param-region': 'eu' }],
    ['an Mcp-Param in another case', look({ region: 'eu' }), { ...LOOK, 'mcp-param-region': 'EU' }],
    ['another number', look({ limit: 42 }), { ...LOOK, 'mcp-param-limit': '420e-1' }],
    ['no MCP-Protocol-Version', look(), { ...LOOK, 'mcp-protocol-version': undefined }],
    ['an older MCP-Protocol-Version', look(), { ...LOOK, 'mcp-protocol-version': '2025-11-25' }],
  ])('%s is refused, recorded, and reaches nobody', async (_, message, headers) => {
    await expectRefused(await send(message, headers), mismatch);
    expect(callsSeen()).toBe(0);
  });

  it('numbers are compared as numbers, text under its mark as text', async () => {
    const headers = { ...LOOK, 'mcp-name': '=?base64?bG9vaw==?=', 'mcp-param-limit': '42.0', 'mcp-param-region': '=?base64?w6k=?=' };
    expect((await send(look({ limit: 42, region: 'é' }), headers)).json()).toMatchObject({ result: TEXT_RESULT });
    expect(up.requests.at(-1)?.headers).toMatchObject({ 'mcp-param-limit': '42', 'mcp-param-region': '=?base64?w6k=?=' });
  });
});

describe('a message that mixes the eras', () => {
  it.each<[string, unknown, Headers, Refusal]>([
    [
      'the old handshake under the new header',
      { jsonrpc: '2.0', id: 1, method: 'initialize', params: { protocolVersion: '2025-11-25' } },
      {},
      { status: 400, rpc: -32_602 },
    ],
    [
      'an old call under the new header',
      { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'look' } },
      LOOK,
      { status: 400, rpc: -32_602 },
    ],
    ['the new envelope under an old header', look(), { ...LOOK, 'mcp-protocol-version': '2025-06-18' }, { status: 400, rpc: -32_020 }],
    [
      'no capabilities',
      request('tools/call', { name: 'look' }, { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' }),
      LOOK,
      { status: 400, rpc: -32_602 },
    ],
    ['a batch', [look()], LOOK, { status: 400, rpc: undefined }],
    [
      'a later revision',
      request('tools/call', { name: 'look' }, { ...META, 'io.modelcontextprotocol/protocolVersion': '2027-01-01' }),
      { ...LOOK, 'mcp-protocol-version': '2027-01-01' },
      { status: 400, rpc: -32_022 },
    ],
    [
      'an answer to a question that was not asked',
      request('tools/call', { name: 'look', inputResponses: {} }),
      LOOK,
      { status: 400, rpc: -32_600 },
    ],
  ])('%s is refused in the new era’s words', async (_, message, headers, refusal) => {
    await expectRefused(await send(message, headers), refusal);
    expect(callsSeen()).toBe(0);
  });

  it('a later revision is told which ones are served', async () => {
    const message = request('server/discover', {}, { ...META, 'io.modelcontextprotocol/protocolVersion': '2027-01-01' });
    const answer = await send(message, { 'mcp-method': 'server/discover', 'mcp-protocol-version': '2027-01-01' });
    expect(answer.json()).toMatchObject({
      id: 'a-1',
      error: { data: { supported: ['2026-07-28'], requested: '2027-01-01' } },
    });
  });
});

describe('a client that leaves', () => {
  it.each(['look', 'act'])('has cancelled its call of `%s`, and the server hears of it', async (tool) => {
    modern(() => ({ kind: 'hang' }));
    const leaving = new AbortController();
    const own = await sidecar.session();
    const headers = {
      ...LOOK,
      'mcp-name': tool,
      accept: 'application/json, text/event-stream',
      'content-type': 'application/json',
      'mcp-protocol-version': '2026-07-28',
    };
    const body = JSON.stringify(request('tools/call', { name: tool, arguments: {} }));
    const left = fetch(`${sidecar.url}/mcp/bench`, {
      method: 'POST',
      headers: { ...headers, 'sallyport-session': own } as Record<string, string>,
      body,
      signal: leaving.signal,
    });
    await eventually(() => callsSeen() === 1, 'the call is out');
    leaving.abort();
    await expect(left).rejects.toThrow(/abort/);
    const [record] = await callsOfSession(world, own, 1);
    expect(record).toMatchObject({ decision: 'allow', result: 'cut', detail: 'cancelled by its caller' });
  });
});

describe('a server of the modern era that misbehaves', () => {
  const failing: Readonly<Record<string, (id: unknown) => ScriptedAnswer>> = {
    'asks for input, which was not offered': (id) => ({
      kind: 'json',
      body: rpcResult(id, { resultType: 'input_required', inputRequests: {}, requestState: 's' }),
    }),
    'makes a task of it, which was not offered': (id) => ({ kind: 'json', body: rpcResult(id, { resultType: 'task', taskId: 't' }) }),
    'sends a request of its own': (id) => events({ jsonrpc: '2.0', id: 9, method: 'sampling/createMessage', params: {} }, rpcResult(id)),
    'wants other headers than the pinned schema names': (id) => ({
      kind: 'json',
      status: 400,
      body: { jsonrpc: '2.0', id, error: { code: -32_020, message: 'x' } },
    }),
    'wants a capability that was not offered': (id) => ({
      kind: 'json',
      status: 400,
      body: { jsonrpc: '2.0', id, error: { code: -32_021, message: 'x' } },
    }),
    'floods the call with notifications': (id) =>
      events(
        ...Array.from({ length: 2_000 }, (_, i) => ({ jsonrpc: '2.0', method: 'notifications/message', params: { data: `${i}` } })),
        rpcResult(id),
      ),
    'sends an event beyond the bound': (id) => events(rpcResult(id, { content: [{ type: 'text', text: 'x'.repeat(100_000) }] })),
  };
  it.each(Object.entries(failing))('%s: an upstream error, once, and nothing of it reaches the agent', async (_, onCall) => {
    modern(onCall);
    const answer = await send(look(), LOOK);
    expect(mcpDenialOf(answer)).toMatchObject({ code: 'upstream_error' });
    expect(answer.text).not.toMatch(/inputRequests|sampling|xxxx/);
    expect(callsSeen()).toBe(1);
  });

  it('an error of its own under 400 is an answer like any other; one for nobody is none', async () => {
    const error = { code: -32_602, message: 'no such region' };
    modern((id) => ({ kind: 'json', status: 400, body: { jsonrpc: '2.0', id, error } }));
    expect((await send(look(), LOOK)).json()).toEqual({ jsonrpc: '2.0', id: 'a-1', error });
    expect(callsSeen()).toBe(1);
    modern(() => ({ kind: 'json', status: 400, body: { jsonrpc: '2.0', id: null, error } }));
    expect(mcpDenialOf(await send(look(), LOOK))).toMatchObject({ code: 'upstream_error' });
  });

  it('a call that may have been seen is sent again if it reads, and a write never', async () => {
    modern(() => ({ kind: 'json', status: 404, body: {} }));
    expect(mcpDenialOf(await send(look(), LOOK))).toMatchObject({ code: 'upstream_error', effect: 'none' });
    expect(callsSeen()).toBe(2);
    const act = request('tools/call', { name: 'act' });
    expect(mcpDenialOf(await send(act, { ...LOOK, 'mcp-name': 'act' }))).toMatchObject({ code: 'upstream_error', effect: 'possible' });
    expect(callsSeen()).toBe(3);
  });

  it('never ends its stream: it is ended for it', async () => {
    modern(() => ({
      kind: 'parts',
      parts: Array.from({ length: 400 }, () => `:${'x'.repeat(1_000)}\n`),
      between: () => Promise.resolve(),
    }));
    expect(mcpDenialOf(await send(look(), LOOK))).toMatchObject({ code: 'upstream_error' });
  });

  it('says why in the record, and there alone', async () => {
    modern((id) => ({ kind: 'json', body: rpcResult(id, { resultType: 'input_required', inputRequests: {} }) }));
    const own = await sidecar.session();
    await mcpPost(sidecar, 'bench', look(), { 'sallyport-session': own, 'mcp-protocol-version': '2026-07-28', ...LOOK });
    expect((await callsOfSession(world, own, 1))[0]).toMatchObject({
      result: 'upstream_error',
      detail: expect.stringContaining('asked for input, which was not offered') as string,
    });
  });
});
