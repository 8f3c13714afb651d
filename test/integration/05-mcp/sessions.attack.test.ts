import { recordingUpstream, type RecordingUpstream } from '@sallyport/testkit';
import { request as httpRequest, type ClientRequest } from 'node:http';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { callsOfSession, sessionIdOf } from '../../support/audit.ts';
import { MCP_CLIENTS, mcpDenialOf, mcpPost, mcpSession, toolCall } from '../../support/mcp-clients.ts';
import { messageOf, rpcResult, scriptedMcp, TEXT_RESULT } from '../../support/mcp-server.ts';
import { issuerDocument } from '../../support/policies.ts';
import { eventually, startWorld, type HttpAnswer, type RunningSidecar, type World } from '../../support/world.ts';

const policy = (world: World, url: string, hidden = false): string => `
apiVersion: sallyport.dev/v1
kind: Agent
name: support-triage
owner: team-support
uses: [bench, other]
---
kind: ToolServer
name: bench
mcp: { url: "${url}" }
network: loopback
---
kind: ToolServer
name: other
mcp: { url: "${url}" }
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
name: other/look
effect: read
---
kind: Policy
agent: support-triage
rules:
  - { id: look, allow: [bench/look, other/look], for: { roles: [support-rep] } }
  - { id: act, allow: [bench/act], for: { roles: [${hidden ? 'nobody' : 'support-rep'}] } }
---
kind: Test
given: { roles: [support-rep] }
cases:
  - { call: bench/look, expect: allow }
${issuerDocument(world.idp)}`;

let world: World;
let sidecar: RunningSidecar;
let up: RecordingUpstream;
/** Requests of earlier tests. */
let before = 0;

beforeAll(async () => {
  up = await recordingUpstream();
  world = await startWorld();
  await world.admin.publish(policy(world, `${up.url}/mcp`));
  sidecar = await world.startSidecar();
  await eventually(() => sidecar.ready(), 'readiness');
});
afterAll(async () => {
  await world?.close();
  await up?.close();
});
beforeEach(() => {
  up.answer(scriptedMcp());
  before = up.requests.length;
});

type Headers = Readonly<Record<string, string | undefined>>;
const ends = (id: string, headers: Headers, server = 'bench'): Promise<HttpAnswer> => byMethod('DELETE', id, { headers, server });

function byMethod(
  method: string,
  id: string | undefined,
  { headers = {}, server = 'bench' }: { headers?: Headers; server?: string },
): Promise<HttpAnswer> {
  const all = { accept: 'text/event-stream', 'mcp-session-id': id, ...headers };
  const given = Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return sidecar.request(`/mcp/${server}`, { method, headers: Object.fromEntries(given) });
}

/** What reached the server since the test began, by method. */
const reached = (): readonly (string | undefined)[] =>
  up.requests.slice(before).map((request) => messageOf(request).method ?? request.method);

interface OpenStream {
  readonly status: number;
  text(): string;
  /** Resolves when the sidecar has ended it. */
  readonly ended: Promise<void>;
  leave(): void;
}

const streams: OpenStream[] = [];
afterEach(() => streams.splice(0).forEach((stream) => stream.leave()));

function openStream(id: string, session: string): Promise<OpenStream> {
  return new Promise((resolve, reject) => {
    const headers = {
      accept: 'text/event-stream',
      'mcp-session-id': id,
      'mcp-protocol-version': '2025-11-25',
      'sallyport-session': session,
    };
    const sent: ClientRequest = httpRequest({
      host: '127.0.0.1',
      port: sidecar.port,
      path: '/mcp/bench',
      method: 'GET',
      headers,
      agent: false,
    });
    sent.on('response', (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      const ended = new Promise<void>((over) => response.once('close', over));
      const stream: OpenStream = { status: response.statusCode ?? 0, text: () => text, ended, leave: () => sent.destroy() };
      streams.push(stream);
      resolve(stream);
    });
    sent.on('error', reject);
    sent.end();
  });
}

describe('an MCP session id', () => {
  const unknown = (answer: HttpAnswer): void => expect([answer.status, mcpDenialOf(answer)?.code]).toEqual([404, 'session_expired']);

  it('is no credential: by itself it opens nothing', async () => {
    const id = await mcpSession(sidecar, 'bench', await sidecar.session());
    for (const method of ['GET', 'DELETE']) expect((await byMethod(method, id, {})).status).toBe(401);
    expect((await mcpPost(sidecar, 'bench', toolCall('look'), { 'mcp-session-id': id })).status).toBe(401);
    expect(reached()).toEqual([]);
  });

  it('of another server: as if there were none', async () => {
    const alice = await sidecar.session();
    const id = await mcpSession(sidecar, 'bench', alice);
    const call = (server: string): Promise<HttpAnswer> =>
      mcpPost(sidecar, server, toolCall('look'), { 'sallyport-session': alice, 'mcp-session-id': id });
    unknown(await call('other'));
    expect((await call('other')).json()).toMatchObject({ id: 1, error: { code: 404, message: 'Session not found' } });
    expect(reached()).toEqual([]);
    expect((await call('bench')).json()).toMatchObject({ result: TEXT_RESULT });
  });

  it('that one person opened carries another’s calls as that other’s, and none without a token', async () => {
    const [alice, bob] = [await sidecar.session(), await sidecar.session({ sub: 'bob@company.com' })];
    const id = await mcpSession(sidecar, 'bench', alice);
    const call = (headers: Record<string, string>): Promise<HttpAnswer> =>
      mcpPost(sidecar, 'bench', toolCall('look'), { ...headers, 'mcp-session-id': id });
    expect((await call({ 'sallyport-session': bob })).json()).toMatchObject({ result: TEXT_RESULT });
    expect((await callsOfSession(world, bob, 1)).map(({ operator }) => operator)).toEqual(['bob@company.com']);
    expect((await call({})).status).toBe(401);
  });

  it.each(['0'.repeat(32), 'guess', 'constructor', '__proto__', 'a'.repeat(200)])('that was guessed: %s', async (id) => {
    const headers = { 'sallyport-session': await sidecar.session() };
    unknown(await mcpPost(sidecar, 'bench', toolCall('look'), { ...headers, 'mcp-session-id': id }));
    for (const method of ['GET', 'DELETE']) unknown(await byMethod(method, id, { headers }));
    expect(reached()).toEqual([]);
  });

  it('of an earlier start: as if there were none, and a new handshake opens another', async () => {
    const first = await world.startSidecar({ name: 'restarted' });
    await eventually(() => first.ready(), 'readiness');
    const id = await mcpSession(first, 'bench', await first.session());
    await first.drain();
    const second = await world.startSidecar({ name: 'restarted', withToken: false });
    await eventually(() => second.ready(), 'readiness');
    const session = await second.session();
    const headers = { 'sallyport-session': session, 'mcp-session-id': id };
    unknown(await mcpPost(second, 'bench', toolCall('look'), headers));
    expect(await mcpSession(second, 'bench', session)).not.toBe(id);
  });

  it('is over once its client has ended it, and what the sidecar had opened behind it has nobody left to serve', async () => {
    const alice = await sidecar.session();
    const id = await mcpSession(sidecar, 'bench', alice);
    const call = (): Promise<HttpAnswer> =>
      mcpPost(sidecar, 'bench', toolCall('look'), { 'sallyport-session': alice, 'mcp-session-id': id });
    expect((await call()).json()).toMatchObject({ result: TEXT_RESULT });
    expect((await ends(id, { 'sallyport-session': alice })).status).toBe(204);
    await eventually(() => reached().includes('DELETE'), 'the server was told');
    unknown(await call());
    unknown(await ends(id, { 'sallyport-session': alice }));
  });

  it('that is ended leaves what another of the same caller still uses', async () => {
    const session = await sidecar.session();
    const headers = { 'sallyport-session': session };
    const [one, two] = [await mcpSession(sidecar, 'bench', session), await mcpSession(sidecar, 'bench', session)];
    await mcpPost(sidecar, 'bench', toolCall('look'), { ...headers, 'mcp-session-id': one });
    await ends(one, headers);
    await mcpPost(sidecar, 'bench', toolCall('look'), { ...headers, 'mcp-session-id': two });
    expect(reached().filter((method) => method === 'initialize' || method === 'DELETE')).toEqual(['initialize']);
  });

  it('that is ended while a call is under way lets the call come back first', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const parts = (id: unknown): string[] => [`data: ${JSON.stringify(rpcResult(id))}\n\n`];
    up.answer(scriptedMcp((id) => ({ kind: 'parts', parts: parts(id), between: () => promise })));
    const session = await sidecar.session();
    const headers = { 'sallyport-session': session };
    const mcp = await mcpSession(sidecar, 'bench', session);
    const call = mcpPost(sidecar, 'bench', toolCall('act'), { ...headers, 'mcp-session-id': mcp });
    await eventually(() => reached().includes('tools/call'), 'the call is out');
    expect((await ends(mcp, headers)).status).toBe(204);
    expect(reached()).not.toContain('DELETE');
    resolve();
    expect((await call).json()).toMatchObject({ result: TEXT_RESULT });
    await eventually(() => reached().includes('DELETE'), 'the server was told');
  });

  it('is not needed: the session under which calls are judged is another', async () => {
    const answer = await mcpPost(sidecar, 'bench', toolCall('look'), { 'sallyport-session': await sidecar.session() });
    expect(answer.json()).toMatchObject({ result: TEXT_RESULT });
  });

  it.each(['GET', 'DELETE'])('%s without one, and in the era that has none', async (method) => {
    const headers = { 'sallyport-session': await sidecar.session() };
    expect((await byMethod(method, undefined, { headers })).status).toBe(400);
    const modern = await byMethod(method, 'x', { headers: { ...headers, 'mcp-protocol-version': '2026-07-28' } });
    expect([modern.status, modern.headers['allow']]).toEqual([405, 'POST']);
  });

  it('standing twice is refused: one reader would take the first and another the last', async () => {
    const session = await sidecar.session();
    const id = await mcpSession(sidecar, 'bench', session);
    for (const name of ['Mcp-Session-Id', 'Mcp-Method', 'Mcp-Name', 'MCP-Protocol-Version', 'Mcp-Param-Region', 'Sallyport-Session']) {
      const value = name === 'Sallyport-Session' ? session : name === 'Mcp-Session-Id' ? id : 'x';
      const answer = await sidecar.request('/mcp/bench', {
        headers: { 'content-type': 'application/json', 'sallyport-session': session, [name.toLowerCase()]: [value, value] },
        body: JSON.stringify(toolCall('look')),
      });
      expect([name, answer.status]).toEqual([name, 400]);
    }
    expect(reached()).toEqual([]);
  });
});

describe('a call that its client no longer wants', () => {
  /** Lets calls hang until the server is told otherwise, and says when one has come. */
  const hanging = async (): Promise<void> =>
    eventually(() => reached().includes('tools/call') || undefined, 'the call arrived').then(() => undefined);
  const cancel = (session: string, mcp: string | undefined, { server = 'bench', id = 1 as number | string } = {}): Promise<HttpAnswer> =>
    mcpPost(
      sidecar,
      server,
      { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: id } },
      { 'sallyport-session': session, 'mcp-session-id': mcp },
    );
  const wasTold = (): boolean => reached().includes('notifications/cancelled');

  it('is cancelled at the server by its own client, has no answer, and its record says so', async () => {
    up.answer(scriptedMcp(() => ({ kind: 'hang' })));
    const session = await sidecar.session();
    const mcp = await mcpSession(sidecar, 'bench', session);
    const call = mcpPost(sidecar, 'bench', toolCall('act'), { 'sallyport-session': session, 'mcp-session-id': mcp });
    await hanging();
    expect((await cancel(session, mcp)).status).toBe(202);
    const answer = await call;
    expect([answer.status, answer.headers['content-type'], answer.text]).toEqual([200, 'text/event-stream', '']);
    await eventually(wasTold, 'the server was told');
    const told = up.requests.slice(before).map(messageOf);
    const sent = told.find(({ method }) => method === 'tools/call');
    expect(told.find(({ method }) => method === 'notifications/cancelled')).toMatchObject({ params: { requestId: sent?.id } });
    const record = (await callsOfSession(world, session, 3)).find(({ tool }) => tool === 'bench/act');
    expect(record).toMatchObject({ decision: 'allow', result: 'cut', detail: 'cancelled by its caller' });
  });

  it('is cancelled by nobody else, and by no other name', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const parts = (id: unknown): string[] => [`data: ${JSON.stringify(rpcResult(id))}\n\n`];
    up.answer(scriptedMcp((id) => ({ kind: 'parts', parts: parts(id), between: () => promise })));
    const [alice, again, bob] = [await sidecar.session(), await sidecar.session(), await sidecar.session({ sub: 'bob@company.com' })];
    const [mcp, second] = [await mcpSession(sidecar, 'bench', alice), await mcpSession(sidecar, 'bench', alice)];
    const call = mcpPost(sidecar, 'bench', toolCall('look'), { 'sallyport-session': alice, 'mcp-session-id': mcp });
    await hanging();
    const tries = [
      await cancel(bob, await mcpSession(sidecar, 'bench', bob)),
      await cancel(bob, undefined),
      await cancel(again, undefined),
      await cancel(alice, second),
      await cancel(alice, undefined),
      await cancel(alice, await mcpSession(sidecar, 'other', alice), { server: 'other' }),
      await cancel(alice, mcp, { id: '1' }),
      await cancel(alice, mcp, { id: 2 }),
      await cancel(bob, mcp),
    ];
    expect(tries.map(({ status }) => status)).toEqual(tries.map(() => 202));
    resolve();
    expect((await call).json()).toMatchObject({ result: TEXT_RESULT });
    expect(wasTold()).toBe(false);
  });

  it('over before the cancelling: nothing happens', async () => {
    const session = await sidecar.session();
    await mcpPost(sidecar, 'bench', toolCall('look'), { 'sallyport-session': session });
    expect((await cancel(session, undefined)).status).toBe(202);
    expect(wasTold()).toBe(false);
  });
});

/** A stream that is open has no outcome yet, and is no event of the view of calls. */
const isOpening = (line: string, session: string): boolean =>
  line.includes('"action":"stream/open"') && line.includes(sessionIdOf(session));

describe('a stream that a client holds open', () => {
  const opened = async (claims?: Record<string, unknown>): Promise<{ stream: OpenStream; session: string; mcp: string }> => {
    const session = await sidecar.session(claims);
    const mcp = await mcpSession(sidecar, 'bench', session);
    return { session, mcp, stream: await openStream(mcp, session) };
  };
  const streamRecord = async (session: string): Promise<unknown> =>
    eventually(
      async () => (await callsOfSession(world, session, 1)).find(({ action, result }) => action === 'stream/open' && result !== null),
      'the record of a stream that is over',
    );

  it('tells its caller of a release that changes what it may use, and of no other', async () => {
    const { stream } = await opened();
    expect(stream.status).toBe(200);
    await world.admin.publish(policy(world, `${up.url}/mcp`, true));
    await eventually(() => stream.text().includes('notifications/tools/list_changed'), 'the caller was told');
    await world.admin.publish(policy(world, `${up.url}/mcp`));
    await eventually(() => stream.text().split('list_changed').length === 3, 'the caller was told again');
  });

  it('the official client asks for the listing again', async () => {
    const session = await sidecar.session();
    const { promise, resolve } = Promise.withResolvers<void>();
    const client = await MCP_CLIENTS.v1(`${sidecar.url}/mcp/bench`, session, { onListChanged: resolve });
    await eventually(async () => (await world.admin.tail('records')).some((line) => isOpening(line, session)), 'its stream');
    await world.admin.publish(policy(world, `${up.url}/mcp`, true));
    await promise;
    expect((await client.listTools()).map(({ name }) => name)).toEqual(['look']);
    await client.close();
    await world.admin.publish(policy(world, `${up.url}/mcp`));
    await eventually(async () => {
      const listed = await mcpPost(sidecar, 'bench', { jsonrpc: '2.0', id: 1, method: 'tools/list' }, { 'sallyport-session': session });
      return listed.text.includes('"act"');
    }, 'all is as it was');
  });

  it('is decided and recorded like a call: who, when, and how it ended', async () => {
    const { stream, session } = await opened();
    stream.leave();
    expect(await streamRecord(session)).toMatchObject({ decision: 'allow', dialect: 'mcp', result: 'local' });
  });

  it('ends with its MCP session, and a second one ends the first', async () => {
    const { stream, session, mcp } = await opened();
    const next = await openStream(mcp, session);
    await stream.ended;
    await ends(mcp, { 'sallyport-session': session });
    await next.ended;
    expect((await openStream(mcp, session)).status).toBe(404);
  });

  it('ends when its person is revoked', async () => {
    const { stream, session } = await opened({ sub: 'carol@company.com' });
    await world.admin.revoke('principal', 'carol@company.com');
    await stream.ended;
    expect(await streamRecord(session)).toMatchObject({ result: 'cut', code: 'token_revoked' });
  });

  it('ends when the sidecar leaves, which has its outcome on record before it is gone', async () => {
    const leaving = await world.startSidecar({ name: 'left' });
    await eventually(() => leaving.ready(), 'readiness');
    const session = await leaving.session();
    const client = await MCP_CLIENTS.v2(`${leaving.url}/mcp/bench`, session);
    await eventually(async () => (await world.admin.tail('records')).some((line) => isOpening(line, session)), 'its stream');
    await leaving.drain();
    await client.close();
    expect(await streamRecord(session)).toMatchObject({ result: 'local' });
  });
});
