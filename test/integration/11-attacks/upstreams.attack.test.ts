import { LEASE_RECHECK_MS } from '../../../packages/sidecar/src/pipeline/leases.ts';
import { recordingUpstream, type RecordingUpstream, type Script, type ScriptedAnswer } from '@sallyport/testkit';
import { afterEach, describe, expect, it } from 'vitest';
import { mcpDenialOf, MCP_HEADERS, toolCall } from '../../support/mcp-clients.ts';
import { CALL_MS_MAX, pipelineHarness, type Harness, type HarnessOptions, type HttpAnswer } from '../../support/pipeline-harness.ts';
import { eventually } from '../../support/world.ts';

const policy = (url: string, allowed = 'desk/look, desk/act, shop/look, shop/act, shop/undo, shop/list'): string => `
apiVersion: sallyport.dev/v1
kind: Agent
name: support-triage
owner: team-support
uses: [desk, shop]
sessions: { roots: [operator], idle: 15m, max: 8h }
---
kind: ToolServer
name: desk
mcp: { url: "${url}/mcp" }
network: loopback
---
kind: ToolServer
name: shop
http: { url: "${url}" }
network: loopback
---
{ kind: Tool, name: desk/look, effect: read }
---
{ kind: Tool, name: desk/act, effect: write }
---
{ kind: Tool, name: shop/look, effect: read, route: { method: POST, path: /look } }
---
{ kind: Tool, name: shop/act, effect: write, route: { method: POST, path: /act } }
---
{ kind: Tool, name: shop/undo, effect: write, route: { method: GET, path: /undo } }
---
{ kind: Tool, name: shop/list, effect: read, route: { method: GET, path: /list } }
---
kind: Policy
agent: support-triage
rules:
  - { id: all, allow: [${allowed}], for: { roles: [support-rep] } }
`;

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

async function bench(script: Script, options: HarnessOptions = {}): Promise<{ gate: Harness; up: RecordingUpstream }> {
  const up = await recordingUpstream(script);
  const gate = await pipelineHarness(policy(up.url), { upstream: { firstByteMsMax: 60_000, idleMsMax: 60_000 }, ...options });
  closing.push(
    () => up.close(),
    () => gate.close(),
  );
  return { gate, up };
}

interface Message {
  readonly id?: number;
  readonly method?: string;
}

const json = (body: unknown): ScriptedAnswer => ({ kind: 'json', body });
const INFO = { protocolVersion: '2025-11-25', capabilities: {}, serverInfo: { name: 'desk', version: '1' } };
const TEXT = { content: [{ type: 'text', text: 'ok' }] };

/** An MCP server of which only the answer to calls, and that to `initialize`, are scripted; HTTP tools are answered by `onCall` too. */
const server =
  (
    onCall: (id: unknown) => ScriptedAnswer,
    onInitialize = (id: unknown): ScriptedAnswer => json({ jsonrpc: '2.0', id, result: INFO }),
  ): Script =>
  (request) => {
    if (request.method !== 'POST') return json({});
    if (request.target !== '/mcp') return onCall(undefined);
    const { id, method } = JSON.parse(request.body) as Message;
    if (id === undefined) return { kind: 'bytes', status: 202, body: new Uint8Array() };
    return method === 'initialize' ? onInitialize(id) : onCall(id);
  };

const desk = (gate: Harness, tool: string, session: string): Promise<HttpAnswer> =>
  gate.request('/mcp/desk', { body: JSON.stringify(toolCall(tool)), headers: { ...MCP_HEADERS, 'sallyport-session': session } });

/** Parts of an event stream without end: the first at once, then a byte of comment for as long as the test runs. */
function dripping(): ScriptedAnswer {
  return {
    kind: 'parts',
    parts: Array.from({ length: 100_000 }, () => ':\n'),
    between: () => new Promise((resolve) => setTimeout(resolve, 20)),
  };
}

describe('a server that never comes to an end', () => {
  it('in the handshake: the call ends in time, was not sent, and frees the place for the next', async () => {
    let isDripping = true;
    const { gate, up } = await bench(
      server(
        (id) => json({ jsonrpc: '2.0', id, result: TEXT }),
        (id) => (isDripping ? dripping() : json({ jsonrpc: '2.0', id, result: INFO })),
      ),
      { forward: { handshakeMsMax: 400, mcpSessionsMax: 1 } },
    );
    const session = await gate.session();
    expect(mcpDenialOf(await desk(gate, 'act', session))).toMatchObject({ code: 'upstream_timeout', effect: 'none' });
    expect(gate.outcomes.at(-1)).toMatchObject({ result: 'upstream_timeout' });
    expect(up.requests.filter(({ body }) => body.includes('tools/call'))).toEqual([]);
    isDripping = false;
    expect((await desk(gate, 'act', session)).json()).toMatchObject({ result: TEXT });
  });

  it.each(['look', 'act'])('in its answer to %s: the call ends after call_ms_max, whatever trickles in', async (tool) => {
    const { gate, up } = await bench(server(dripping));
    const session = await gate.session();
    const answer = desk(gate, tool, session);
    await up.arrived(3);
    await gate.clock.advance(CALL_MS_MAX);
    expect(mcpDenialOf(await answer)).toMatchObject({ code: 'upstream_timeout', effect: tool === 'look' ? 'none' : 'possible' });
    expect(gate.outcomes.at(-1)).toMatchObject({ result: 'upstream_timeout', code: 'upstream_timeout' });
    await eventually(() => gate.account.inFlight === 0, 'an empty account');
    expect(gate.ports.leases.size).toBe(0);
  });

  it('the handshake of one session holds up nobody else', async () => {
    let shaken = 0;
    const { gate } = await bench(
      server(
        (id) => json({ jsonrpc: '2.0', id, result: TEXT }),
        (id) => (++shaken === 1 ? dripping() : json({ jsonrpc: '2.0', id, result: INFO })),
      ),
      { forward: { handshakeMsMax: 60_000 } },
    );
    const [slow, quick] = [await gate.session(), await gate.session()];
    const stuck = desk(gate, 'look', slow);
    await eventually(() => shaken === 1, 'the first handshake');
    expect((await desk(gate, 'look', quick)).json()).toMatchObject({ result: TEXT });
    gate.ports.leases.cutAll();
    expect(mcpDenialOf(await stuck)).toMatchObject({ code: 'overloaded', effect: 'none' });
  });
});

describe('a release switches while a call is out', () => {
  const hang = server(() => ({ kind: 'hang' }));

  it.each(['desk', 'shop'] as const)('%s: a read that it forbids is cut, and its OUTCOME says so', async (name) => {
    const { gate, up } = await bench(hang);
    const session = await gate.session();
    const answer = name === 'desk' ? desk(gate, 'look', session) : gate.call('shop/look', {}, session);
    await up.arrived(name === 'desk' ? 3 : 1);
    gate.publish(policy(up.url, 'desk/act'));
    await gate.clock.advance(LEASE_RECHECK_MS);
    const denial = name === 'desk' ? (await answer).json() : (await answer).json();
    expect(JSON.stringify(denial)).toContain('tool_not_allowed');
    expect(gate.outcomes.at(-1)).toMatchObject({ result: 'cut', code: 'tool_not_allowed' });
  });

  it('a read that it still allows goes on', async () => {
    const go = Promise.withResolvers<void>();
    const { gate, up } = await bench(
      server((id) => ({
        kind: 'parts',
        parts: [`data: ${JSON.stringify({ jsonrpc: '2.0', id, result: TEXT })}\n\n`],
        between: () => go.promise,
      })),
    );
    const session = await gate.session();
    const answer = desk(gate, 'look', session);
    await up.arrived(3);
    gate.publish(policy(up.url));
    await gate.clock.advance(3 * LEASE_RECHECK_MS);
    go.resolve();
    expect((await answer).json()).toMatchObject({ result: TEXT });
  });

  it('a server that moved: a read that went to the old place is cut', async () => {
    const { gate, up } = await bench(hang);
    const elsewhere = await recordingUpstream();
    closing.push(() => elsewhere.close());
    const session = await gate.session();
    const answer = gate.call('shop/look', {}, session);
    await up.arrived(1);
    gate.publish(policy(elsewhere.url));
    await gate.clock.advance(LEASE_RECHECK_MS);
    expect((await answer).json()).toMatchObject({ code: 'egress_denied' });
  });

  it('the bundle turns stale: a read is cut, a write is heard to its end', async () => {
    const { gate, up } = await bench(hang);
    const session = await gate.session();
    const [read, write] = [gate.call('shop/look', {}, session), gate.call('shop/act', {}, session)];
    await up.arrived(2);
    gate.hold((held) => (held.state === 'absent' ? held : { ...held, state: 'stale', freshForMs: -1 }));
    await gate.clock.advance(LEASE_RECHECK_MS);
    expect([(await read).status, (await read).json()['code']]).toEqual([503, 'policy_stale']);
    expect(gate.ports.leases.size).toBe(1);
    await up.close();
    expect((await write).json()).toMatchObject({ code: 'upstream_error', effect: 'possible' });
  });

  it('the session’s token expires: a read is cut', async () => {
    const { gate, up } = await bench(hang, {
      ports: (ports) => ({ leases: { ...ports.leases } }),
    });
    const session = await gate.session();
    const answer = gate.call('shop/look', {}, session);
    await up.arrived(1);
    gate.clock.setWall((gate.clock.wall() + 16 * 60_000) as never);
    await gate.clock.advance(LEASE_RECHECK_MS);
    expect((await answer).json()).toMatchObject({ code: 'token_expired' });
  });
});

describe('a server that closes the connection under a call', () => {
  it.each([
    ['undo', 2, 502, 'possible'],
    ['list', 3, 200, undefined],
  ] as const)(
    'by GET: `%s` reaches it %i times in two calls, since a write is sent once whatever its method',
    async (tool, times, status, effect) => {
      const { gate, up } = await bench((_request, nth) => (nth === 2 ? { kind: 'close' } : json({ ok: true })));
      const session = await gate.session();
      expect((await gate.call(`shop/${tool}`, {}, session)).status).toBe(200);
      const second = await gate.call(`shop/${tool}`, {}, session);
      expect([second.status, second.json()['effect'], up.requests.length]).toEqual([status, effect, times]);
    },
  );
});

describe('what a server learns, and what is kept of its words', () => {
  it('ids count by session: one does not show how much others are asked', async () => {
    const { gate, up } = await bench(server((id) => json({ jsonrpc: '2.0', id, result: TEXT })));
    const ids: unknown[] = [];
    for (const session of [await gate.session(), await gate.session()]) {
      for (const _ of [1, 2]) await desk(gate, 'look', session);
      ids.push((up.requests as unknown[] as { body: string }[]).splice(0).flatMap(({ body }) => (JSON.parse(body) as Message).id ?? []));
    }
    // Which era it speaks is asked once, whoever calls first, under a name that counts nothing.
    expect(ids).toEqual([
      ['discover', 1, 2, 3],
      [1, 2, 3],
    ]);
  });

  it('an error’s text, which may repeat the arguments, is for its caller and in no record', async () => {
    const SECRET = 'card-4111-1111';
    const { gate } = await bench(server((id) => json({ jsonrpc: '2.0', id, error: { code: -32_000, message: `bad ${SECRET}` } })));
    const answer = await desk(gate, 'look', await gate.session());
    expect(answer.text).toContain(SECRET);
    expect(JSON.stringify([gate.decisions, gate.outcomes])).not.toContain(SECRET);
    expect(gate.outcomes.at(-1)).toMatchObject({ result: 'upstream_error', detail: expect.stringContaining('-32000') });
  });

  it.each(['text/html', 'application/json; charset=utf-16', 'text/plain; charset="utf-7"', 'multipart/mixed', ''])(
    'an answer of type %j does not reach the agent',
    async (type) => {
      const { gate } = await bench(
        server(() => ({ kind: 'bytes', body: Buffer.from('{}'), headers: type === '' ? {} : { 'content-type': type } })),
      );
      const answer = await gate.call('shop/look', {}, await gate.session());
      expect([answer.status, answer.json()['code']]).toEqual([502, 'upstream_error']);
    },
  );

  it.each([
    ['application/json;charset="UTF-8"; x=1', 'application/json'],
    ['text/plain', 'text/plain; charset=utf-8'],
  ])('of %j only the meaning travels', async (sent, told) => {
    const { gate } = await bench(
      server(() => ({ kind: 'bytes', body: Buffer.from('{}'), headers: { 'content-type': sent, 'set-cookie': 'a=b', 'x-own': '1' } })),
    );
    const answer = await gate.call('shop/look', {}, await gate.session());
    expect([answer.status, answer.headers['content-type']]).toEqual([200, told]);
    expect(Object.keys(answer.headers)).not.toEqual(expect.arrayContaining(['set-cookie', 'x-own']));
  });
});

describe('the account of buffered bytes', () => {
  it('is charged for an event that has not come to its end', async () => {
    const go = Promise.withResolvers<void>();
    let turn = 0;
    const { gate } = await bench(
      server((id) => ({
        kind: 'parts',
        parts: [`: ${'x'.repeat(50_000)}`, `\ndata: ${JSON.stringify({ jsonrpc: '2.0', id, result: TEXT })}\n\n`],
        between: () => (turn++ === 0 ? Promise.resolve() : go.promise),
      })),
    );
    const answer = desk(gate, 'look', await gate.session());
    await eventually(() => gate.account.inFlight >= 50_000, 'a charge');
    go.resolve();
    expect((await answer).json()).toMatchObject({ result: TEXT });
    await eventually(() => gate.account.inFlight === 0, 'an empty account');
  });
});
