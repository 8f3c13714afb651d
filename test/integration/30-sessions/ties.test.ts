/** Calls that name their session by what the agent's tracing library carries along, where the bundle says so. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { recordOf, sessionIdOf } from '../../support/audit.ts';
import { ALICE_ALONE, codeOf, inboundPolicy, startInbound, type InboundSide } from '../../support/inbound.ts';
import { eventually, type HttpAnswer } from '../../support/world.ts';

const KEY = 'k'.repeat(40);
const INVOKE = '/agents/support-triage/invoke';
const TRACE = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
const TIED = 'sessions: { roots: [operator], tie: tracestate }';

let side: InboundSide;
let dir: string;
let before: number;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'sallyport-ties-'));
  writeFileSync(join(dir, 'key'), `${KEY}\n`, { mode: 0o600 });
  side = await startInbound({ sessions: TIED, sidecar: { config: { outbound: { agent_credential_file: join(dir, 'key') } } } });
});
afterAll(async () => {
  await side?.close();
  rmSync(dir, { recursive: true, force: true });
});
beforeEach(() => (before = side.tool.requests.length));

interface Given {
  readonly token: string;
  readonly tracestate: string;
  readonly traceparent: string;
}

/** What the agent is given with a request of somebody's. */
async function invoked(claims: Record<string, unknown> = {}, headers: Record<string, string> = {}): Promise<Given> {
  const answer = await side.ask(INVOKE, { json: { request: 'x' }, headers: { authorization: `Bearer ${side.token(claims)}`, ...headers } });
  expect(answer.status).toBe(200);
  const seen = side.agent.requests.at(-1)?.headers ?? {};
  const [token, tracestate, traceparent] = ['sallyport-session', 'tracestate', 'traceparent'].map((name) => String(seen[name]));
  return { token: token ?? '', tracestate: tracestate ?? '', traceparent: traceparent ?? '' };
}
const call = (headers: Record<string, string | string[]>): Promise<HttpAnswer> =>
  side.sidecar.request('/tools/orders/get_order', {
    body: '{"order_id":"O-000123"}',
    headers: { 'content-type': 'application/json', 'sallyport-agent': KEY, ...headers },
  });
const operatorOf = (): unknown => {
  const [, claims = ''] = String(side.tool.requests.at(-1)?.headers['sallyport-assertion']).split('.');
  return (JSON.parse(Buffer.from(claims, 'base64url').toString()) as { readonly sub: unknown }).sub;
};

describe('a call that carries the trace of its request', () => {
  it('is of that session, among the members of others, and none of the state goes further', async () => {
    const alice = await invoked({}, { traceparent: TRACE, tracestate: 'vendor=1,sallyport=AAAAAAAAAAAAAAAAAAAAAA' });
    // What the caller sent under our name, or another, is not what the agent gets.
    expect([alice.traceparent, alice.tracestate]).toEqual([TRACE, expect.stringMatching(/^sallyport=[A-Za-z0-9_-]{22}$/)]);
    expect(alice.tracestate).not.toContain('AAAAAAAAAAAAAAAAAAAAAA');
    const answer = await call({ traceparent: alice.traceparent, tracestate: `vendor=2,${alice.tracestate}` });
    expect([answer.status, operatorOf()]).toEqual([200, 'alice@company.com']);
    const sent = side.tool.requests.at(-1)?.headers ?? {};
    expect([sent['traceparent'], sent['tracestate']]).toEqual([TRACE, undefined]);
    expect(JSON.stringify(sent)).not.toContain(alice.tracestate.slice('sallyport='.length));
  });

  it('has a trace to ride in where the caller sent none', async () => {
    const alice = await invoked();
    expect(alice.traceparent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
    expect((await call({ tracestate: alice.tracestate })).status).toBe(200);
  });

  it('is whose it is, of two people whom the agent serves at once', async () => {
    const [alice, bob] = [await invoked(), await invoked({ sub: 'bob@company.com' })];
    expect(alice.tracestate).not.toBe(bob.tracestate);
    const seen: unknown[] = [];
    for (const { tracestate } of [alice, bob, alice]) seen.push([(await call({ tracestate })).status, operatorOf()]);
    expect(seen).toEqual([
      [200, 'alice@company.com'],
      [200, 'bob@company.com'],
      [200, 'alice@company.com'],
    ]);
  });

  it('may show the session’s token besides, if they agree', async () => {
    const alice = await invoked();
    expect((await call({ tracestate: alice.tracestate, 'sallyport-session': alice.token })).status).toBe(200);
  });
});

describe('nothing else ties a call', () => {
  it.each<[string, (alice: Given, bob: Given) => Record<string, string | string[]>, string]>([
    ['the id of its trace, which its caller chose', ({ traceparent }) => ({ traceparent }), 'unauthenticated'],
    ['the state of others', ({ traceparent }) => ({ traceparent, tracestate: 'vendor=1' }), 'unauthenticated'],
    ['a handle that was guessed', () => ({ tracestate: 'sallyport=AAAAAAAAAAAAAAAAAAAAAA' }), 'session_unknown'],
    ['what is no handle', () => ({ tracestate: 'sallyport=x' }), 'session_binding_mismatch'],
    ['two handles', (alice, bob) => ({ tracestate: `${alice.tracestate},${bob.tracestate}` }), 'session_binding_mismatch'],
    ['two lines of state', (alice, bob) => ({ tracestate: [alice.tracestate, bob.tracestate] }), 'session_binding_mismatch'],
    [
      'a token and a handle of two sessions',
      (alice, bob) => ({ tracestate: alice.tracestate, 'sallyport-session': bob.token }),
      'session_binding_mismatch',
    ],
    [
      'a token and a handle that names nothing',
      (alice) => ({ tracestate: 'sallyport=AAAAAAAAAAAAAAAAAAAAAA', 'sallyport-session': alice.token }),
      'session_binding_mismatch',
    ],
    ['the handle as a token', ({ tracestate }) => ({ 'sallyport-session': tracestate.slice('sallyport='.length) }), 'unauthenticated'],
    ['the handle, from a neighbour', ({ tracestate }) => ({ tracestate, 'sallyport-agent': 'n'.repeat(40) }), 'unauthenticated'],
  ])('%s', async (_, headers, code) => {
    const answer = await call(headers(await invoked(), await invoked({ sub: 'bob@company.com' })));
    expect([codeOf(answer), side.tool.requests.length]).toEqual([code, before]);
  });

  it('two ties that disagree in an MCP message', async () => {
    const [alice, bob] = [await invoked(), await invoked({ sub: 'bob@company.com' })];
    const ask = (meta: string): Promise<HttpAnswer> =>
      side.sidecar.request('/mcp/orders', {
        body: JSON.stringify({
          jsonrpc: '2.0',
          id: 1,
          method: 'initialize',
          params: {
            protocolVersion: '2025-11-25',
            capabilities: {},
            clientInfo: { name: 'a', version: '1' },
            _meta: { 'dev.sallyport/session': meta },
          },
        }),
        headers: {
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
          'sallyport-agent': KEY,
          tracestate: alice.tracestate,
        },
      });
    const refused = await ask(bob.token);
    expect([refused.status, refused.text]).toEqual([401, expect.stringContaining('session_binding_mismatch')]);
    expect((await ask('no token')).text).toContain('session_binding_mismatch');
    expect((await ask(alice.token)).text).not.toContain('session_binding_mismatch');
  });

  it('says on record what was looked for', async () => {
    const refused = await call({ traceparent: TRACE });
    const record = await recordOf(side.world, refused);
    expect(record.detail).toBe('neither Sallyport-Session nor a member `sallyport` of tracestate');
  });

  it('nor is a session ended by its trace', async () => {
    const alice = await invoked();
    const answer = await side.sidecar.request('/session', {
      method: 'DELETE',
      headers: { 'sallyport-agent': KEY, tracestate: alice.tracestate },
    });
    expect(codeOf(answer)).toBe('unauthenticated');
    expect((await call({ tracestate: alice.tracestate })).status).toBe(200);
  });
});

it('a tie is gone with its session', async () => {
  const alice = await invoked();
  const headers = { 'sallyport-agent': KEY, 'sallyport-session': alice.token };
  expect((await side.sidecar.request('/session', { method: 'DELETE', headers })).status).toBe(204);
  expect(codeOf(await call({ tracestate: alice.tracestate }))).toBe('session_unknown');
});

it('an agent that echoes its state does not hand the tie to its caller', async () => {
  side.agent.answer((request) => ({ kind: 'json', body: {}, headers: { tracestate: String(request.headers['tracestate']) } }));
  const answer = await side.ask(INVOKE, { json: { request: 'x' } });
  side.agent.answer({ kind: 'json', body: { ok: true } });
  expect([answer.status, answer.headers['tracestate']]).toEqual([200, undefined]);
});

it('neither record nor log holds a handle', async () => {
  const { tracestate, token } = await invoked();
  expect((await call({ tracestate })).status).toBe(200);
  const handle = tracestate.slice('sallyport='.length);
  const written = await eventually(async () => {
    const lines = (await side.world.admin.tail()).filter((line) => line.includes(sessionIdOf(token)));
    return lines.length >= 2 ? [...lines, ...side.world.log].join('\n') : undefined;
  }, 'the records of the session');
  expect(written.includes(handle)).toBe(false);
});

it('where whoever reaches the port is taken for the agent there is no tie, whatever the bundle says', async () => {
  const open = await startInbound({ sessions: TIED });
  try {
    expect((await open.ask(INVOKE, { json: { request: 'x' }, headers: { traceparent: TRACE } })).status).toBe(200);
    const seen = open.agent.requests.at(-1)?.headers ?? {};
    expect([seen['tracestate'], seen['traceparent']]).toEqual([undefined, TRACE]);
    const refused = await open.sidecar.request('/tools/orders/get_order', {
      body: '{"order_id":"O-000123"}',
      headers: { 'content-type': 'application/json', tracestate: 'sallyport=AAAAAAAAAAAAAAAAAAAAAA' },
    });
    expect(codeOf(refused)).toBe('unauthenticated');
  } finally {
    await open.close();
  }
});

it('where the bundle says nothing of it, the agent gets no tie, and one that it kept means nothing', async () => {
  const alice = await invoked();
  const { releaseSeq } = await side.world.admin.publish(inboundPolicy(side, ALICE_ALONE));
  await eventually(() => side.sidecar.sidecar.readiness().release_seq === releaseSeq, 'the release');
  expect(codeOf(await call({ tracestate: alice.tracestate }))).toBe('unauthenticated');
  const bob = await invoked({ sub: 'bob@company.com' });
  expect([bob.tracestate, bob.traceparent]).toEqual(['undefined', 'undefined']);
  // Nor does it get in the way of the token.
  expect((await call({ tracestate: alice.tracestate, 'sallyport-session': bob.token })).status).toBe(200);
});
