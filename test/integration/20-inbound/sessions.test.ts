import type { FakeClock } from '@sallyport/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { allCalls, recordOf } from '../../support/audit.ts';
import { codeOf, startInbound, type InboundSide } from '../../support/inbound.ts';
import { eventually, pass, testClock } from '../../support/world.ts';

const INVOKE = '/agents/support-triage/invoke';
const REQUEST = { request: 'Where is order O-000123?' };

/** A session with both its tokens: the client's, and what the agent was given. */
interface Opened {
  readonly id: string;
  readonly client: string;
  readonly agent: string;
}
async function opened(side: InboundSide, claims: Record<string, unknown> = {}): Promise<Opened> {
  const answer = await side.ask(INVOKE, { json: REQUEST, headers: { authorization: `Bearer ${side.token(claims)}` } });
  if (answer.status !== 200) throw new Error(`no session: ${answer.status} ${answer.text}`);
  const { session_id: id, session_token: client } = answer.json();
  return { id: String(id), client: String(client), agent: side.agent.requests.at(-1)?.headers['sallyport-session'] as string };
}
const resume = (side: InboundSide, client: string, claims: Record<string, unknown> = {}): ReturnType<InboundSide['ask']> =>
  side.ask(INVOKE, { json: REQUEST, headers: { authorization: `Bearer ${side.token(claims)}`, 'sallyport-session': client } });
const callOut = async (side: InboundSide, token: string): Promise<string> => {
  const answer = await side.sidecar.call('orders/get_order', { order_id: 'O-000123' }, token);
  return answer.status === 200 ? '200' : String(answer.json()['code']);
};

describe('a session is one principal’s', () => {
  let side: InboundSide;
  beforeAll(async () => {
    side = await startInbound();
  });
  afterAll(async () => side?.close());

  it('[R4.11] bob with alice’s session, and another agent’s session, are refused on record, and reach nobody', async () => {
    const alice = await opened(side);
    const before = side.agent.requests.length;
    const answer = await resume(side, alice.client, { sub: 'bob@company.com' });
    expect([answer.status, codeOf(answer)]).toEqual([401, 'session_binding_mismatch']);
    expect(await recordOf(side.world, answer)).toMatchObject({ user_id: 'bob@company.com', decision: 'deny' });
    // The agent beside another sidecar, with a session of this one.
    const other = await side.world.startSidecar({ name: 'two' });
    await eventually(() => other.ready(), 'the other sidecar');
    const tool = side.tool.requests.length;
    const across = await other.call('orders/get_order', { order_id: 'O-000123' }, alice.agent);
    expect([across.status, across.json()['code']]).toEqual([401, 'session_expired']);
    expect([side.agent.requests.length, side.tool.requests.length]).toEqual([before, tool]);
  });

  it.each<[string, Record<string, unknown>, string]>([
    ['the same person in another tenant', { tenant_id: 'evil' }, 'session_binding_mismatch'],
    ['the same person for another case', { ticket_id: 'T-8' }, 'session_binding_mismatch'],
    ['the same person with a newer token', { jti: 'another' }, '200'],
    ['the same person, who has lost the role', { roles: ['finance'] }, 'no_matching_policy'],
    ['the same person, with a role more', { roles: ['support-rep', 'lead'] }, '200'],
    ['the same person, with a token for less', { scope: '' }, 'session_binding_mismatch'],
    ['the same person, with a token for other scopes', { scope: 'orders:write' }, 'session_binding_mismatch'],
  ])('%s: %s', async (_name, claims, code) => {
    const alice = await opened(side, { ticket_id: 'T-7' });
    expect(codeOf(await resume(side, alice.client, claims))).toBe(code);
  });

  it('a role that was taken away does not live on in a session that had it', async () => {
    const lead = await opened(side, { roles: ['support-rep', 'lead'] });
    expect(codeOf(await resume(side, lead.client))).toBe('session_binding_mismatch');
    expect(codeOf(await resume(side, lead.client, { roles: ['support-rep', 'lead'] }))).toBe('200');
  });

  it('the client’s token opens nothing on the agent’s port, and the agent’s nothing on this one', async () => {
    const { client, agent } = await opened(side);
    expect(await callOut(side, client)).toBe('unauthenticated');
    expect(codeOf(await resume(side, agent))).toBe('unauthenticated');
    expect(await callOut(side, agent)).toBe('200');
    expect(codeOf(await resume(side, client))).toBe('200');
  });

  it('a session that its client ends is over for client and agent at once', async () => {
    const { id, client, agent } = await opened(side);
    const closed = await side.ask('/session', { method: 'DELETE', headers: { 'sallyport-session': client } });
    expect([closed.status, closed.text]).toEqual([204, '']);
    expect([codeOf(await resume(side, client)), await callOut(side, agent)]).toEqual(['session_expired', 'session_expired']);
    await eventually(
      async () =>
        (await allCalls(side.world)).some(
          (call) => call.action === 'session/close' && call.leg === 'inbound' && call.rule_id === 'local:session-end',
        ),
      `the end of ${id} on record`,
    );
  });

  it('and so is one that its agent ends', async () => {
    const { client, agent } = await opened(side);
    const closed = await side.sidecar.request('/session', { method: 'DELETE', headers: { 'sallyport-session': agent } });
    expect(closed.status).toBe(204);
    expect([codeOf(await resume(side, client)), await callOut(side, agent)]).toEqual(['session_expired', 'session_expired']);
  });

  it.each<[string, (held: Opened) => Record<string, string | undefined>, string]>([
    ['nobody', ({ client }) => ({ authorization: undefined, 'sallyport-session': client }), 'unauthenticated'],
    [
      'somebody else',
      ({ client }) => ({ authorization: `Bearer ${side.token({ sub: 'bob@company.com' })}`, 'sallyport-session': client }),
      'session_binding_mismatch',
    ],
    ['its own client, by no token', () => ({}), 'session_unknown'],
    ['its own client, by the agent’s token', ({ agent }) => ({ 'sallyport-session': agent }), 'unauthenticated'],
  ])('it is not ended by %s', async (_name, headersOf, code) => {
    const held = await opened(side);
    const answer = await side.ask('/session', { method: 'DELETE', headers: headersOf(held) });
    expect(codeOf(answer)).toBe(code);
    expect(await callOut(side, held.agent)).toBe('200');
  });

  it('[R5.13] what a client says in the gateway’s own header does not reach the agent: it sees the gateway’s alone', async () => {
    const { client } = await opened(side);
    const forged = { 'sallyport-agent': 'x', 'sallyport-assertion': 'x', 'sallyport-approval': 'x', 'sallyport-session-id': 'x' };
    const headers = { 'sallyport-session': client, ...forged };
    expect((await side.ask(INVOKE, { json: REQUEST, headers })).status).toBe(200);
    const seen = side.agent.requests.at(-1)?.headers ?? {};
    expect(Object.keys(seen).filter((name) => name.startsWith('sallyport-'))).toEqual(['sallyport-session', 'sallyport-assertion']);
    expect(seen['sallyport-session']).not.toBe(client);
    expect(seen['sallyport-assertion']).not.toBe('x');
    expect(await callOut(side, String(seen['sallyport-session']))).toBe('200');
  });
});

describe('a session ends by itself', () => {
  let side: InboundSide;
  let clock: FakeClock;
  beforeAll(async () => {
    clock = testClock();
    side = await startInbound({ clock, sessions: 'sessions: { roots: [operator], idle: 5m, max: 12m }' });
  });
  afterAll(async () => side?.close());

  it('[R4.12] after expiry, and after its end, calls are refused with session_expired on both legs', async () => {
    const idle = await opened(side);
    await pass(clock, 301_000, 1_000);
    expect([codeOf(await resume(side, idle.client)), await callOut(side, idle.agent)]).toEqual(['session_expired', 'session_expired']);
    const closed = await opened(side);
    expect((await side.ask('/session', { method: 'DELETE', headers: { 'sallyport-session': closed.client } })).status).toBe(204);
    const refused = await resume(side, closed.client);
    expect([refused.status, codeOf(refused), await callOut(side, closed.agent)]).toEqual([401, 'session_expired', 'session_expired']);
  });

  it('use keeps it from idling out, and nothing keeps it past its longest life', async () => {
    const { client, id } = await opened(side);
    const seen: string[] = [];
    for (let minutes = 4; minutes <= 12; minutes += 4) {
      await pass(clock, 240_000, 1_000);
      const answer = await resume(side, client);
      seen.push(codeOf(answer));
      if (minutes === 8) expect([answer.json()['session_id'], typeof answer.json()['session_token']]).toEqual([id, 'string']);
    }
    expect(seen).toEqual(['200', '200', 'session_expired']);
  });
});
