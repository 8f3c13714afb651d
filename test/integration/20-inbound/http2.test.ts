/** Callers that choose HTTP/2 are judged as everybody is: the same sessions, refusals and records. */

import { once } from 'node:events';
import { connect, type ClientHttp2Session, type OutgoingHttpHeaders } from 'node:http2';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { allCalls } from '../../support/audit.ts';
import { startInbound, type InboundSide } from '../../support/inbound.ts';
import { eventually } from '../../support/world.ts';

const INVOKE = '/agents/support-triage/invoke';

let side: InboundSide;
const sessions: ClientHttp2Session[] = [];
beforeAll(async () => {
  side = await startInbound();
});
afterEach(() => {
  for (const session of sessions.splice(0)) session.destroy();
});
afterAll(async () => side?.close());

async function connection(): Promise<ClientHttp2Session> {
  const session = connect(`https://localhost:${side.port}`, { ca: side.ca });
  sessions.push(session);
  session.on('error', () => undefined);
  await once(session, 'connect');
  return session;
}

interface Answer {
  readonly status: unknown;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
  readonly code: number;
}

function ask(session: ClientHttp2Session, json: unknown, headers: OutgoingHttpHeaders = {}): Promise<Answer> {
  const stream = session.request({
    ':method': 'POST',
    ':path': INVOKE,
    authorization: `Bearer ${side.token()}`,
    'content-type': 'application/json',
    ...headers,
  });
  stream.end(JSON.stringify(json));
  return new Promise((resolve) => {
    let [given, text]: [Record<string, unknown>, string] = [{}, ''];
    stream.on('response', (head) => (given = head));
    stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
    stream.on('error', () => undefined);
    stream.on('close', () => resolve({ status: given[':status'], headers: given, text, code: stream.rstCode ?? 0 }));
  });
}

describe('a caller over HTTP/2', () => {
  it('opens a session and goes on in it, as over HTTP/1.1', async () => {
    const session = await connection();
    const first = await ask(session, { request: 'one' });
    expect(first).toMatchObject({ status: 200, code: 0 });
    const { session_id: id, session_token: token } = JSON.parse(first.text) as Record<string, string>;
    const second = await ask(session, { request: 'two' }, { 'sallyport-session': token });
    expect(second).toMatchObject({ status: 200, headers: { 'sallyport-session-id': id } });
    const told = side.agent.requests.slice(-2).map(({ headers, body }) => [headers['authorization'], JSON.parse(body) as unknown]);
    expect(told).toEqual([
      [undefined, { request: 'one' }],
      [undefined, { request: 'two' }],
    ]);
  });

  it('with others on one connection is each answered by itself', async () => {
    const session = await connection();
    const said = Array.from({ length: 8 }, (_, i) => `request ${i}`);
    const before = side.agent.requests.length;
    const answers = await Promise.all(said.map((request) => ask(session, { request })));
    expect(answers.map(({ status }) => status)).toEqual(said.map(() => 200));
    expect(new Set(answers.map(({ text }) => (JSON.parse(text) as { session_id: string }).session_id)).size).toBe(said.length);
    expect(side.agent.requests.length - before).toBe(said.length);
  });

  it.each<[string, OutgoingHttpHeaders, number, string]>([
    ['without a credential', { authorization: undefined }, 401, 'unauthenticated'],
    ['with a token of nobody', { authorization: 'Bearer abc' }, 401, 'unauthenticated'],
    ['of a page in a browser', { origin: 'https://evil.example' }, 400, 'malformed_request'],
    ['for another agent', { ':path': '/agents/billing/invoke' }, 403, 'agent_not_registered'],
    ['for an address', { ':path': '/agents/10.0.0.7/invoke' }, 400, 'direct_address_rejected'],
    ['with dot segments', { ':path': '/agents/support-triage/../admin' }, 400, 'malformed_request'],
  ])('%s is refused, and the agent hears nothing', async (_, headers, status, code) => {
    const before = side.agent.requests.length;
    const answer = await ask(await connection(), { request: 'x' }, headers);
    expect([answer.status, (JSON.parse(answer.text) as { code: string }).code]).toEqual([status, code]);
    expect(side.agent.requests.length).toBe(before);
  });

  it('who speaks of another scheme than the connection’s is refused by the listener, recorded, and reaches nobody', async () => {
    const before = side.agent.requests.length;
    const answer = await ask(await connection(), { request: 'x' }, { ':scheme': 'http' });
    expect(answer.status).toBe(400);
    expect(side.agent.requests.length).toBe(before);
    // It answers by itself, and is recorded beside that.
    await eventually(async () => (await allCalls(side.world)).at(-1)?.code === 'malformed_request', 'the refusal on record');
    expect((await allCalls(side.world)).at(-1)).toMatchObject({ leg: 'inbound', decision: 'deny' });
  });
});
