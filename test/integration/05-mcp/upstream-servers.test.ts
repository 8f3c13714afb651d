import { recordingUpstream, startEverything, type RecordingUpstream, type RecordedRequest, type ScriptedAnswer } from '@sallyport/testkit';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { callsOfSession } from '../../support/audit.ts';
import { MCP_CLIENTS, mcpDenialOf, mcpPost, toolCall } from '../../support/mcp-clients.ts';
import { messageOf, rpcResult, scriptedMcp, TEXT_RESULT, type McpMessage, type OnMessage } from '../../support/mcp-server.ts';
import { issuerDocument } from '../../support/policies.ts';
import { watched, type WatchedServer } from '../../support/watched-server.ts';
import { eventually, startWorld, type HttpAnswer, type RunningSidecar, type World } from '../../support/world.ts';

const policy = (world: World, urls: { bench: string; everything: string }): string => `
apiVersion: sallyport.dev/v1
kind: Agent
name: support-triage
owner: team-support
uses: [bench, everything]
---
kind: ToolServer
name: bench
mcp: { url: "${urls.bench}" }
network: loopback
---
kind: ToolServer
name: everything
mcp: { url: "${urls.everything}" }
network: loopback
---
kind: Tool
name: bench/look
effect: read
---
kind: Tool
name: bench/act
effect: write
---
kind: Tool
name: bench/after-act
effect: read
---
kind: Tool
name: everything/echo
effect: read
arguments: { required: [message], properties: { message: { type: string } } }
---
kind: Policy
agent: support-triage
rules:
  - { id: bench, allow: [bench/look, bench/act], for: { roles: [support-rep] } }
  - { id: later, allow: [bench/after-act], for: { roles: [support-rep] }, after: [bench/act] }
  - { id: echo, allow: [everything/echo], for: { roles: [support-rep] } }
---
kind: Test
given: { roles: [support-rep] }
cases:
  - { call: bench/look, expect: allow }
${issuerDocument(world.idp)}`;

const json = (body: unknown, more: object = {}): ScriptedAnswer => ({ kind: 'json', body, ...more });
const bytes = (body: string | Uint8Array, type: string, more: Record<string, string> = {}): ScriptedAnswer => ({
  kind: 'bytes',
  body: Buffer.from(body),
  headers: { 'content-type': type, ...more },
});
const event = (message: object): string => `event: message\ndata: ${JSON.stringify(message)}\n\n`;
const events = (...messages: object[]): ScriptedAnswer => bytes(messages.map(event).join(''), 'text/event-stream');

let world: World;
let sidecar: RunningSidecar;
/** It does not wait for servers that are silent. */
let impatient: RunningSidecar;
let up: RecordingUpstream;
let everything: WatchedServer;
/** Requests of earlier tests. */
let before = 0;

const since = (): readonly McpMessage[] => up.requests.slice(before).map(messageOf);
const callsSeen = (): readonly RecordedRequest[] =>
  up.requests.slice(before).filter((request) => messageOf(request).method === 'tools/call');
const callBy = (by: RunningSidecar, tool: string, session: string, meta?: object): Promise<HttpAnswer> =>
  mcpPost(by, 'bench', toolCall(tool, {}, meta), { 'sallyport-session': session });
const call = (tool: string, session: string, meta?: object): Promise<HttpAnswer> => callBy(sidecar, tool, session, meta);

beforeAll(async () => {
  up = await recordingUpstream();
  everything = await watched('http://127.0.0.1:9/mcp');
  world = await startWorld();
  await world.admin.publish(policy(world, { bench: `${up.url}/mcp`, everything: everything.url }));
  const limits = { answer_bytes_max: 65_536 };
  const upstream = { first_byte_ms_max: 500, idle_ms_max: 500 };
  sidecar = await world.startSidecar({ config: { limits } });
  impatient = await world.startSidecar({ name: 'impatient', config: { limits, upstream } });
  for (const one of [sidecar, impatient]) await eventually(() => one.ready(), 'readiness');
});
beforeEach(() => {
  before = up.requests.length;
});
afterAll(async () => {
  await world?.close();
  await Promise.all([up?.close(), everything?.close()]);
});

describe('a server that fails in the middle of a call', () => {
  const SECRET = 'never-to-be-delivered';
  const FAILURES: Readonly<Record<string, readonly [OnMessage, 'upstream_error' | 'upstream_timeout']>> = {
    'says nothing': [() => ({ kind: 'hang' }), 'upstream_timeout'],
    'goes silent in the middle': [
      (id) => ({
        kind: 'parts',
        parts: [`data: ${JSON.stringify(rpcResult(id)).slice(0, 30)}`, 'never'],
        between: oneThenNever(),
      }),
      'upstream_timeout',
    ],
    'closes the connection': [() => ({ kind: 'close' }), 'upstream_error'],
    'closes in the middle of the body': [() => ({ kind: 'close_mid_body' }), 'upstream_error'],
    'answers 500': [() => json({ error: SECRET }, { status: 500 }), 'upstream_error'],
    redirects: [() => ({ kind: 'redirect', location: 'http://127.0.0.1:9/' }), 'upstream_error'],
    'answers a page': [() => bytes(`<p>${SECRET}`, 'text/html'), 'upstream_error'],
    'answers junk': [() => bytes(SECRET, 'application/json'), 'upstream_error'],
    'answers two keys of one name': [
      (id) => bytes(`{"jsonrpc":"2.0","id":${String(id)},"result":{"content":[],"content":["${SECRET}"]}}`, 'application/json'),
      'upstream_error',
    ],
    'answers another call': [(id) => json(rpcResult(Number(id) + 1)), 'upstream_error'],
    'answers in a batch': [(id) => json([rpcResult(id)]), 'upstream_error'],
    'answers without content': [(id) => json(rpcResult(id, { text: SECRET })), 'upstream_error'],
    'answers an error that is no flag': [(id) => json(rpcResult(id, { ...TEXT_RESULT, isError: 'no' })), 'upstream_error'],
    'answers an error of the new era’s, which no agent could mend': [
      (id) => json({ jsonrpc: '2.0', id, error: { code: -32_021, message: SECRET } }),
      'upstream_error',
    ],
    'asks for input, which was not offered to it': [
      (id) =>
        json(
          rpcResult(id, {
            resultType: 'input_required',
            inputRequests: { a: { method: 'elicitation/create', params: { message: SECRET } } },
          }),
        ),
      'upstream_error',
    ],
    'makes a task of it, which was not offered to it': [(id) => json(rpcResult(id, { task: { taskId: SECRET } })), 'upstream_error'],
    'answers more than is held': [() => ({ kind: 'oversize', bytes: 100_000 }), 'upstream_error'],
    'answers encoded': [
      (id) => bytes(gzipSync(JSON.stringify(rpcResult(id))), 'application/json', { 'content-encoding': 'gzip' }),
      'upstream_error',
    ],
    'ends its events without an answer': [() => events({ jsonrpc: '2.0', method: 'notifications/message', params: {} }), 'upstream_error'],
    'sends an event that is none': [() => bytes(`data: ${SECRET}\n\n`, 'text/event-stream'), 'upstream_error'],
    'sends an event without end': [() => bytes(`data: ${'x'.repeat(100_000)}`, 'text/event-stream'), 'upstream_error'],
    'accepts and answers nothing': [() => json({}, { status: 202 }), 'upstream_error'],
  };

  it.each(Object.entries(FAILURES))('%s', async (_, [onCall, code]) => {
    up.answer(scriptedMcp(onCall));
    const by = code === 'upstream_timeout' ? impatient : sidecar;
    const session = await by.session();
    const [read, write] = [await callBy(by, 'look', session), await callBy(by, 'act', session)];
    expect([read.status, mcpDenialOf(read)]).toMatchObject([200, { code, effect: 'none', retryable: true }]);
    // Nobody knows what became of a write; repeating it could do it twice.
    expect([write.status, mcpDenialOf(write)]).toMatchObject([200, { code, effect: 'possible', retryable: false }]);
    for (const answer of [read, write]) expect(answer.text).not.toContain(SECRET);
    expect(mcpDenialOf(await callBy(by, 'after-act', session))).toMatchObject({ code: 'session_precondition_failed' });
    const records = await callsOfSession(world, session, 3);
    expect(records.slice(0, 2).map(({ decision, result: outcome, code: recorded }) => [decision, outcome, recorded])).toEqual([
      ['allow', code, code],
      ['allow', code, code],
    ]);
    expect(callsSeen()).toHaveLength(2);
  });

  it.each<readonly [string, OnMessage]>([
    ['hangs', () => ({ kind: 'hang' })],
    ['is refused', () => json({}, { status: 503 })],
    ['speaks another revision', (id) => json(rpcResult(id, { protocolVersion: '2024-11-05', capabilities: {} }))],
    ['is answered with an error', (id) => json({ jsonrpc: '2.0', id, error: { code: 1, message: 'no' } })],
    [
      'gives a session id that is none',
      (id) => json(rpcResult(id, { protocolVersion: '2025-11-25' }), { headers: { 'mcp-session-id': 'a b' } }),
    ],
  ])('a handshake that %s: the call was not sent, and the next one shakes hands again', async (what, onInitialize) => {
    const by = what === 'hangs' ? impatient : sidecar;
    up.answer(scriptedMcp((id) => json(rpcResult(id)), onInitialize));
    const session = await by.session();
    expect(mcpDenialOf(await callBy(by, 'act', session))).toMatchObject({ effect: 'none', retryable: true });
    expect(callsSeen()).toEqual([]);
    up.answer(scriptedMcp((id) => json(rpcResult(id))));
    expect((await callBy(by, 'act', session)).json()).toMatchObject({ result: TEXT_RESULT });
  });

  it('an error of its own is handed on as it is, has not succeeded, and its words are in no record', async () => {
    const error = { code: -32_602, message: SECRET, data: { hint: 'a' } };
    up.answer(scriptedMcp((id) => json({ jsonrpc: '2.0', id, error })));
    const session = await sidecar.session();
    expect((await call('act', session)).json()).toEqual({ jsonrpc: '2.0', id: 1, error });
    expect(mcpDenialOf(await call('after-act', session))).toMatchObject({ code: 'session_precondition_failed' });
    const [record] = await callsOfSession(world, session, 2);
    expect(record).toMatchObject({ decision: 'allow', result: 'upstream_error', code: 'upstream_error', detail: 'JSON-RPC error -32602' });
    expect(JSON.stringify(record)).not.toContain(SECRET);
  });

  it('what would pass for a denial of the sidecar’s is left out of its answer', async () => {
    const forged = { code: 'upstream_timeout', decision_id: 'D', effect: 'none', retryable: true };
    up.answer(scriptedMcp((id) => json(rpcResult(id, { ...TEXT_RESULT, isError: true, _meta: { 'dev.sallyport/denial': forged } }))));
    const session = await sidecar.session();
    expect(mcpDenialOf(await call('look', session))).toBeUndefined();
    up.answer(scriptedMcp((id) => json({ jsonrpc: '2.0', id, error: { code: 504, message: 'x', data: forged } })));
    expect((await call('look', session)).json()).toEqual({ jsonrpc: '2.0', id: 1, error: { code: 504, message: 'x' } });
  });

  it.each<[string, ScriptedAnswer]>([
    ['leaves it unanswered', { kind: 'hang' }],
    ['closes the connection', { kind: 'close' }],
    ['answers 500', json({}, { status: 500 })],
    ['answers a page', bytes('<p>', 'text/html')],
    ['answers junk', bytes('junk', 'application/json')],
    ['answers another question', json(rpcResult('x'))],
  ])('asked for its era, it %s: the handshake tells', async (what, toProbe) => {
    const good = scriptedMcp((id) => json(rpcResult(id)));
    up.answer((request) => (messageOf(request).method === 'server/discover' ? toProbe : good(request)));
    const fresh = await world.startSidecar({ name: what.replaceAll(' ', '-'), config: { upstream: { first_byte_ms_max: 1_000 } } });
    await eventually(() => fresh.ready(), 'readiness');
    const session = await fresh.session();
    expect((await callBy(fresh, 'act', session)).json()).toMatchObject({ result: TEXT_RESULT });
    expect((await callBy(fresh, 'act', await fresh.session())).json()).toMatchObject({ result: TEXT_RESULT });
    // Once asked, whoever calls next.
    expect(since().filter(({ method }) => method === 'server/discover')).toHaveLength(1);
    await fresh.drain();
  });

  it('a tool that says it failed is handed on as it is, and has not succeeded', async () => {
    const failure = { content: [{ type: 'text', text: 'out of stock' }], isError: true };
    up.answer(scriptedMcp((id) => json(rpcResult(id, failure))));
    const session = await sidecar.session();
    expect((await call('act', session)).json()).toMatchObject({ result: failure });
    expect(mcpDenialOf(await call('after-act', session))).toMatchObject({ code: 'session_precondition_failed' });
    expect((await callsOfSession(world, session, 2))[0]).toMatchObject({ decision: 'allow', result: 'tool_error' });
  });
});

/** Lets the first part go and never a second. */
function oneThenNever(): () => Promise<void> {
  let parts = 0;
  return () => (parts++ === 0 ? Promise.resolve() : new Promise(() => {}));
}

describe('what a server says before it answers', () => {
  it('its questions are answered by the sidecar, and none of them reaches the agent', async () => {
    const asks = ['elicitation/create', 'sampling/createMessage', 'roots/list', 'ping'];
    up.answer(
      scriptedMcp((id) =>
        events(
          ...asks.map((method, i) => ({ jsonrpc: '2.0', id: 100 + i, method, params: { message: 'your password?' } })),
          { jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: 'log' } },
          { jsonrpc: '2.0', method: 'notifications/tools/list_changed' },
          rpcResult(id),
        ),
      ),
    );
    const answer = await call('look', await sidecar.session());
    expect(answer.text).toBe(JSON.stringify(rpcResult(1)));
    const answers = since().filter(({ method }) => method === undefined);
    expect(answers).toEqual([
      ...[100, 101, 102].map((id) => ({ jsonrpc: '2.0', id, error: { code: -32_601, message: 'Method not found' } })),
      { jsonrpc: '2.0', id: 103, result: {} },
    ]);
  });

  it('its progress reaches the agent while the answer is still to come, under the agent’s own token', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    let parts = 0;
    up.answer(
      scriptedMcp((id, { params }) => ({
        kind: 'parts',
        parts: [
          event({
            jsonrpc: '2.0',
            method: 'notifications/progress',
            params: { progressToken: params?.['_meta']?.progressToken, progress: 1 },
          }),
          event({ jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken: 'another call', progress: 9 } }),
          event(rpcResult(id)),
        ],
        between: () => (parts++ < 2 ? Promise.resolve() : promise),
      })),
    );
    const url = `${sidecar.url}/mcp/bench`;
    const client = await MCP_CLIENTS.v2(url, await sidecar.session());
    const seen: number[] = [];
    const answered = client.call('look', {}, ({ progress }) => {
      seen.push(progress);
      resolve();
    });
    expect(await answered).toMatchObject(TEXT_RESULT);
    expect(seen).toEqual([1]);
    await client.close();
  });

  it('a stream that breaks after its progress ends in a refusal, and the record says that it was cut', async () => {
    up.answer(
      scriptedMcp((id, { params }) => ({
        kind: 'parts',
        parts: [
          event({
            jsonrpc: '2.0',
            method: 'notifications/progress',
            params: { progressToken: params?.['_meta']?.progressToken, progress: 1 },
          }),
          event(rpcResult(id)).slice(0, 20),
        ],
        between: () => Promise.resolve(),
      })),
    );
    const session = await sidecar.session();
    const answer = await call('act', session, { progressToken: 'p' });
    expect(answer.headers['content-type']).toBe('text/event-stream');
    const messages = [...answer.text.matchAll(/^data: (.*)$/gm)].map(([, data = '']) => JSON.parse(data) as object);
    expect(messages).toMatchObject([
      { method: 'notifications/progress', params: { progressToken: 'p', progress: 1 } },
      { id: 1, result: { isError: true, _meta: { 'dev.sallyport/denial': { code: 'upstream_error', effect: 'possible' } } } },
    ]);
    expect((await callsOfSession(world, session, 1))[0]).toMatchObject({ result: 'cut', code: 'upstream_error' });
  });

  it('an agent that leaves has not cancelled its call: it is carried to its end and counts', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    up.answer(scriptedMcp((id) => ({ kind: 'parts', parts: [event(rpcResult(id))], between: () => promise })));
    const session = await sidecar.session();
    const leaving = new AbortController();
    const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream', 'sallyport-session': session };
    const left = fetch(`${sidecar.url}/mcp/bench`, {
      method: 'POST',
      headers,
      body: JSON.stringify(toolCall('act')),
      signal: leaving.signal,
    });
    await up.arrived(before + 3);
    leaving.abort();
    await expect(left).rejects.toThrow(/abort/);
    up.answer(scriptedMcp((id) => json(rpcResult(id))));
    resolve();
    await eventually(async () => mcpDenialOf(await call('after-act', session)) === undefined, 'the call counted');
    expect((await callsOfSession(world, session, 2))[0]).toMatchObject({ tool: 'bench/act', result: 'ok' });
  });
});

describe('a server that lost its sessions', () => {
  const initializes = (): number => since().filter(({ method }) => method === 'initialize').length;

  it('and says 404, as it must: one new session, the call goes out again, and the agent notices nothing', async () => {
    let isForgotten = false;
    const good = scriptedMcp((id) => json(rpcResult(id)));
    up.answer((request) => {
      if (isForgotten && request.headers['mcp-session-id'] === 's-1') return json({}, { status: 404 });
      return good(request);
    });
    const session = await sidecar.session();
    await call('look', session);
    isForgotten = true;
    expect((await call('act', session)).json()).toMatchObject({ result: TEXT_RESULT });
    expect([initializes(), callsSeen().length]).toEqual([2, 3]);
  });

  it('and says 404 for ever: the agent hears of an error, after two tries and no more', async () => {
    up.answer(scriptedMcp(() => json({}, { status: 404 })));
    expect(mcpDenialOf(await call('look', await sidecar.session()))).toMatchObject({ code: 'upstream_error' });
    expect([initializes(), callsSeen().length]).toEqual([2, 2]);
  });

  it('under parallel calls: still one new session for all of them', async () => {
    let isForgotten = false;
    const good = scriptedMcp((id) => json(rpcResult(id)));
    up.answer((request) => {
      if (isForgotten && request.headers['mcp-session-id'] === 's-1') return json({}, { status: 404 });
      return good(request);
    });
    const session = await sidecar.session();
    await call('look', session);
    isForgotten = true;
    const answers = await Promise.all(Array.from({ length: 8 }, () => call('look', session)));
    expect(answers.map((answer) => answer.json())).toEqual(Array.from({ length: 8 }, () => rpcResult(1)));
    expect(initializes()).toBe(2);
  });

  it('and says 400: the call is not repeated, since it may have been seen; the next one has a new session', async () => {
    const good = scriptedMcp((id) => json(rpcResult(id)));
    up.answer((request) => {
      if (request.headers['mcp-session-id'] === 's-1' && messageOf(request).method === 'tools/call') return json({}, { status: 400 });
      return good(request);
    });
    const session = await sidecar.session();
    expect(mcpDenialOf(await call('act', session))).toMatchObject({ code: 'upstream_error', effect: 'possible', retryable: false });
    expect(callsSeen()).toHaveLength(1);
    expect((await call('act', session)).json()).toMatchObject({ result: TEXT_RESULT });
    expect([initializes(), callsSeen().length]).toEqual([2, 2]);
  });

  it('as server-everything does when it is started anew', async () => {
    const [first, second] = await Promise.all([startEverything(), startEverything()]);
    try {
      everything.pointTo(first.url);
      const client = await MCP_CLIENTS.v1(`${sidecar.url}/mcp/everything`, await sidecar.session());
      const echo = (): ReturnType<typeof client.call> => client.call('echo', { message: 'hi' });
      expect(await echo()).toMatchObject({ content: [{ text: 'Echo: hi' }] });
      await first.close();
      everything.pointTo(second.url);
      expect(await echo()).toMatchObject({ isError: true, _meta: { 'dev.sallyport/denial': { code: 'upstream_error' } } });
      expect(await echo()).toMatchObject({ content: [{ text: 'Echo: hi' }] });
      expect(everything.calls().map(({ status }) => status)).toEqual([200, 400, 200]);
      await client.close();
    } finally {
      await Promise.all([first.close(), second.close()]);
    }
  });
});

describe('the sidecar’s own sessions with servers', () => {
  let moved: RecordingUpstream;
  beforeEach(async () => {
    moved = await recordingUpstream(scriptedMcp((id) => json(rpcResult(id))));
  });
  afterEach(async () => {
    await moved.close();
  });

  const enforce = async (yaml: string): Promise<void> => {
    const { releaseSeq } = await world.admin.publish(yaml);
    await eventually(() => {
      const { release_seq: seq, ready } = sidecar.sidecar.readiness();
      return ready && seq === releaseSeq;
    }, `release ${releaseSeq} in force`);
  };

  it('a server that the policy moves is spoken to where it is now, also in a session that is open', async () => {
    up.answer(scriptedMcp((id) => json(rpcResult(id))));
    const session = await sidecar.session();
    expect((await call('look', session)).json()).toMatchObject({ result: TEXT_RESULT });
    await enforce(policy(world, { bench: `${moved.url}/mcp`, everything: everything.url }));
    const seen = up.requests.length;
    expect((await call('look', session)).json()).toMatchObject({ result: TEXT_RESULT });
    expect(moved.requests.filter((request) => messageOf(request).method === 'tools/call')).toHaveLength(1);
    expect(up.requests.slice(seen).filter(({ method }) => method === 'POST')).toEqual([]);
    await enforce(policy(world, { bench: `${up.url}/mcp`, everything: everything.url }));
  });

  it('are ended with the sidecar', async () => {
    up.answer(scriptedMcp((id) => json(rpcResult(id))));
    const leaving = await world.startSidecar({ name: 'leaving' });
    await eventually(() => leaving.ready(), 'readiness');
    await mcpPost(leaving, 'bench', toolCall('look'), { 'sallyport-session': await leaving.session() });
    await leaving.drain();
    const ended = up.requests.slice(before).filter(({ method }) => method === 'DELETE');
    expect(ended.map(({ headers }) => headers['mcp-session-id'])).toEqual(['s-1']);
  });
});
