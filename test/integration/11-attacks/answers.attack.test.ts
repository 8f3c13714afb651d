import { Fault, type Instant } from '@sallyport/model';
import { recordingMcpUpstream, recordingUpstream, type RecordingUpstream, type Script } from '@sallyport/testkit';
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { MCP_HEADERS, toolCall } from '../../support/mcp-clients.ts';
import { pipelineHarness, type Harness, type HarnessOptions } from '../../support/pipeline-harness.ts';
import { eventually } from '../../support/world.ts';

/** One HTTP server and one MCP server, a read and a write on each; writes once per order and session. */
const POLICY = (http: string, mcp: string): string => `
apiVersion: sallyport.dev/v1
kind: Agent
name: support-triage
owner: team-support
uses: [orders, desk]
sessions: { roots: [operator], idle: 15m, max: 8h }
---
kind: ToolServer
name: orders
http: { url: "${http}" }
network: loopback
---
kind: ToolServer
name: desk
mcp: { url: "${mcp}" }
network: loopback
---
kind: Tool
name: orders/get_order
effect: read
route: { method: POST, path: /get_order }
arguments: { required: [order_id], properties: { order_id: { type: string } } }
---
kind: Tool
name: orders/refund
effect: write
route: { method: POST, path: /refund }
arguments: { required: [order_id], properties: { order_id: { type: string } } }
---
kind: Tool
name: desk/search
effect: read
---
kind: Tool
name: desk/reply
effect: write
---
kind: Policy
agent: support-triage
rules:
  - { id: read-orders, allow: [orders/get_order, desk/search], for: { roles: [support-rep] } }
  - { id: refund-once, allow: [orders/refund], for: { roles: [support-rep] }, once: { per: args.order_id, within: 30d } }
  - { id: reply, allow: [desk/reply], for: { roles: [support-rep] } }
`;

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

async function bench(options: HarnessOptions & { http?: Script; mcp?: Script } = {}): Promise<{
  gate: Harness;
  http: RecordingUpstream;
  mcp: RecordingUpstream;
}> {
  const http = await recordingUpstream(options.http);
  const mcp = options.mcp === undefined ? await recordingMcpUpstream() : await recordingUpstream(options.mcp);
  const gate = await pipelineHarness(POLICY(http.url, `${mcp.url}/mcp`), options);
  closing.push(
    () => http.close(),
    () => mcp.close(),
    () => gate.close(),
  );
  return { gate, http, mcp };
}

/** An MCP server that answers a tool call with these events, the connection held open until `release`. */
function mcpEvents(events: (call: { id: unknown; progressToken: unknown }) => readonly object[]): {
  script: Script;
  release: () => void;
  isHeld: () => boolean;
} {
  const held = Promise.withResolvers<void>();
  let isHeld = false;
  const script: Script = (request) => {
    if (request.method !== 'POST') return { kind: 'json', body: {} };
    const { id, method, params } = JSON.parse(request.body) as {
      id?: unknown;
      method: string;
      params?: { _meta?: { progressToken?: unknown } };
    };
    if (id === undefined) return { kind: 'bytes', status: 202, body: new Uint8Array() };
    const handshake = { protocolVersion: '2025-11-25', capabilities: {}, serverInfo: { name: 'x', version: '1' } };
    if (method === 'initialize') return { kind: 'json', body: { jsonrpc: '2.0', id, result: handshake } };
    const parts = events({ id, progressToken: params?.['_meta']?.progressToken }).map((event) => `data: ${JSON.stringify(event)}\n\n`);
    let turn = 0;
    const between = async (): Promise<void> => {
      // The head and the first event at once; what comes after the last is the end, which is held back.
      if (turn++ < parts.length) return;
      isHeld = true;
      await held.promise;
    };
    return { kind: 'parts', parts: [...parts, ''], between };
  };
  closing.push(async () => held.resolve());
  return { script, release: () => held.resolve(), isHeld: () => isHeld };
}

/** The journal takes no OUTCOME until it is mended. */
function withoutOutcomes({ ports: { recorder } }: Harness): () => void {
  const outcome = recorder.outcome.bind(recorder);
  const failing = { outcome: () => Promise.reject(new Fault('journal_failed', 'internal', 'full')) };
  Object.assign(recorder, failing);
  return () => Object.assign(recorder, { outcome });
}

const progress = (progressToken: unknown): object => ({
  jsonrpc: '2.0',
  method: 'notifications/progress',
  params: { progressToken, progress: 1 },
});
const result = (id: unknown): object => ({ jsonrpc: '2.0', id, result: { content: [{ type: 'text', text: 'found' }] } });

it('a session that is ended while the DECISION of a write is on its way to the disk: nothing goes out in it any more', async () => {
  let isOnDisk = async (): Promise<void> => {};
  const { gate, http } = await bench({
    ports: ({ recorder }) => ({
      recorder: {
        ...recorder,
        decision: async (body, how) => {
          await recorder.decision(body, how);
          if (body.decision === 'allow' && body.tool === 'orders/refund') await isOnDisk();
        },
      },
    }),
  });
  const session = await gate.session();
  let ended = 0;
  isOnDisk = async () => {
    ended = (await gate.request('/session', { method: 'DELETE', headers: { 'sallyport-session': session } })).status;
  };
  const refused = await gate.call('orders/refund', { order_id: 'O-1' }, session);
  expect([ended, refused.status, refused.json()['code'], refused.json()['effect']]).toEqual([204, 401, 'session_expired', 'none']);
  expect(gate.outcomes.at(-1)).toMatchObject({ result: 'not_forwarded', code: 'session_expired' });
  expect(http.requests).toHaveLength(0);
});

describe('the bundle turns stale while the DECISION is on its way to the disk', () => {
  it('nothing goes out, the OUTCOME says so, and the use that was taken is given back', async () => {
    let isOnDisk = (): void => {};
    const { gate, http } = await bench({
      ports: ({ recorder }) => ({
        recorder: {
          ...recorder,
          decision: async (body, how) => {
            await recorder.decision(body, how);
            if (body.decision === 'allow' && body.tool === 'orders/refund') isOnDisk();
          },
        },
      }),
    });
    const session = await gate.session();
    isOnDisk = () => gate.hold((held) => (held.state === 'absent' ? held : { ...held, state: 'stale', freshForMs: -1 }));
    const refused = await gate.call('orders/refund', { order_id: 'O-1' }, session);
    expect([refused.status, refused.json()['code'], refused.json()['effect']]).toEqual([503, 'policy_stale', 'none']);
    expect(gate.outcomes.at(-1)).toMatchObject({ result: 'not_forwarded', code: 'policy_stale' });
    expect(http.requests).toHaveLength(0);

    isOnDisk = () => {};
    gate.hold((held) => (held.state === 'absent' ? held : { ...held, state: 'fresh', freshForMs: 60_000 }));
    expect((await gate.call('orders/refund', { order_id: 'O-1' }, session)).status).toBe(200);
  });

  it('and the journal then fails too: still an answer, not a broken connection', async () => {
    let isOnDisk = (): void => {};
    const { gate, http } = await bench({
      ports: ({ recorder }) => ({
        recorder: {
          ...recorder,
          decision: async (body, how) => {
            await recorder.decision(body, how);
            if (body.tool === 'orders/get_order') isOnDisk();
          },
        },
      }),
    });
    const session = await gate.session();
    isOnDisk = () => {
      gate.hold((held) => (held.state === 'absent' ? held : { ...held, state: 'stale', freshForMs: -1 }));
      gate.breakJournal(new Fault('journal_failed', 'internal', 'gone'));
    };
    const refused = await gate.call('orders/get_order', { order_id: 'O-1' }, session);
    expect([refused.status, refused.json()['code']]).toEqual([503, 'policy_stale']);
    expect(http.requests).toHaveLength(0);
  });
});

describe('an answer that is withheld', () => {
  it('because its OUTCOME cannot be kept: its bytes go back to the account', async () => {
    const { gate } = await bench();
    const session = await gate.session();
    const mend = withoutOutcomes(gate);
    for (const tool of ['orders/get_order', 'orders/refund']) {
      const withheld = await gate.call(tool, { order_id: 'O-1' }, session);
      expect([withheld.status, withheld.json()['code']]).toEqual([503, 'audit_unavailable']);
    }
    mend();
    await eventually(() => gate.account.inFlight === 0, 'an empty account');
  });

  it('because its OUTCOME cannot be kept: the upstream is let go of', async () => {
    const events = mcpEvents(({ id }) => [result(id)]);
    const { gate } = await bench({ mcp: events.script, upstream: { inFlightMax: 2, idleMsMax: 60_000 } });
    const session = await gate.session();
    const mend = withoutOutcomes(gate);
    const call = () =>
      gate.request('/mcp/desk', { body: JSON.stringify(toolCall('search')), headers: { ...MCP_HEADERS, 'sallyport-session': session } });
    for (const _ of [1, 2, 3]) expect((await call()).text).toContain('audit_unavailable');
    mend();
    expect((await call()).text).toContain('found');
  });
});

describe('a tool’s server that keeps its event stream open after the result', () => {
  it('does not keep its place: the next call goes out', async () => {
    const events = mcpEvents(({ id, progressToken }) => [progress(progressToken), result(id)]);
    const { gate } = await bench({ mcp: events.script, upstream: { inFlightMax: 2, idleMsMax: 60_000 } });
    const session = await gate.session();
    const call = () =>
      gate.request('/mcp/desk', {
        body: JSON.stringify(toolCall('search', {}, { progressToken: 'p' })),
        headers: { ...MCP_HEADERS, 'sallyport-session': session },
      });
    for (const _ of [1, 2, 3, 4]) {
      const answer = await call();
      expect([answer.headers['content-type'], answer.text]).toEqual(['text/event-stream', expect.stringContaining('found')]);
    }
  });
});

describe('an agent that leaves', () => {
  /** Sends a call over a bare socket, and cuts it when told. */
  async function callAndCut(gate: Harness, session: string, when: () => Promise<unknown>): Promise<void> {
    const body = JSON.stringify(toolCall('reply', {}, { progressToken: 'p' }));
    const headers = { ...MCP_HEADERS, 'sallyport-session': session, host: '127.0.0.1', 'content-length': String(body.length) };
    const socket = connect(gate.port, '127.0.0.1');
    await once(socket, 'connect');
    const head = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.write(`POST /mcp/desk HTTP/1.1\r\n${head.join('')}\r\n${body}`);
    await when();
    socket.destroy();
    await once(socket, 'close');
  }

  it('before the first event of its answer: the call is still settled, and has its OUTCOME', async () => {
    const begun = Promise.withResolvers<void>();
    const mayAnswer = Promise.withResolvers<void>();
    const events = mcpEvents(({ id, progressToken }) => [progress(progressToken), result(id)]);
    const { gate, mcp } = await bench({
      mcp: (request, nth) => {
        const answer = events.script(request, nth);
        if (answer.kind !== 'parts') return answer;
        return {
          ...answer,
          between: async () => {
            begun.resolve();
            await mayAnswer.promise;
            await answer.between();
          },
        };
      },
      upstream: { idleMsMax: 60_000, firstByteMsMax: 60_000 },
    });
    const session = await gate.session();
    await callAndCut(gate, session, () => begun.promise);
    // The listener has noticed before the first event comes.
    await gate.request('/mcp/desk', { headers: { ...MCP_HEADERS } });
    mayAnswer.resolve();
    const outcome = await eventually(() => gate.outcomes.find(({ result: what }) => what !== 'local'), 'an OUTCOME');
    expect(outcome).toMatchObject({ result: 'ok' });
    expect(mcp.requests.filter(({ body }) => body.includes('tools/call'))).toHaveLength(1);
    await eventually(() => gate.account.inFlight === 0, 'an empty account');
  });

  it('between two events: the same', async () => {
    const second = Promise.withResolvers<void>();
    const events = mcpEvents(({ id, progressToken }) => [progress(progressToken), result(id)]);
    let turns = 0;
    const { gate } = await bench({
      mcp: (request, nth) => {
        const answer = events.script(request, nth);
        if (answer.kind !== 'parts') return answer;
        return { ...answer, between: async () => (++turns === 2 ? second.promise : answer.between()) };
      },
      upstream: { idleMsMax: 60_000 },
    });
    const session = await gate.session();
    await callAndCut(gate, session, () => eventually(() => turns === 2, 'the first event'));
    second.resolve();
    await eventually(() => gate.outcomes.some(({ result: what }) => what === 'ok'), 'an OUTCOME');
  });
});

describe('sessions beyond sessions_max, asked for at once', () => {
  it('are refused as overload, and every DECISION that allowed has its OUTCOME', async () => {
    const all = Promise.withResolvers<void>();
    let asked = 0;
    const { gate } = await bench({
      sessionsMax: 3,
      ports: ({ recorder }) => ({
        // Nobody's DECISION is kept before everybody has been judged.
        recorder: {
          ...recorder,
          decision: async (...args) => (++asked === 8 && all.resolve(), all.promise.then(() => recorder.decision(...args))),
        },
      }),
    });
    const open = () => gate.request('/session', { headers: { authorization: `Bearer ${gate.idp.mint(gate.clock.wall() as Instant)}` } });
    const answers = await Promise.all(Array.from({ length: 8 }, open));
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([201, 201, 201, 503, 503, 503, 503, 503]);
    for (const refused of answers.filter(({ status }) => status === 503)) expect(refused.json()['code']).toBe('overloaded');
    expect(gate.bugs()).toBe(0);
    const allowed = gate.decisions.filter(({ decision }) => decision === 'allow').map(({ decision_id: id }) => id);
    expect(gate.outcomes.map(({ decision_id: id }) => id).toSorted()).toEqual(allowed.toSorted());
  });
});
