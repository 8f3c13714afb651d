import { Agent } from 'node:https';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { callsOfSession, recordOf, sessionIdOf } from '../../support/audit.ts';
import { ALICE_ALONE, codeOf, inboundPolicy, startInbound, type InboundSide } from '../../support/inbound.ts';
import { eventually, type HttpAnswer } from '../../support/world.ts';

const INVOKE = '/agents/support-triage/invoke';
const REQUEST = { request: 'Where is order O-000123?' };

let side: InboundSide;
/** How many requests had reached the agent before this test. */
let before = 0;
const reached = (): number => side.agent.requests.length - before;
beforeAll(async () => {
  side = await startInbound();
});
afterAll(async () => side?.close());
afterEach(() => {
  before = side.agent.requests.length;
  side.agent.answer({ kind: 'json', body: { ok: true } });
});

describe('an invocation', () => {
  let first: HttpAnswer;

  it('[R4.01] opens a session, reaches the agent, and names the session with a token for 15 minutes', async () => {
    first = await side.ask(INVOKE, { json: REQUEST });
    expect(first.status).toBe(200);
    const { session_id: id, session_token: token, expires_in: expiresIn, result } = first.json();
    expect([result, expiresIn]).toEqual([{ ok: true }, 900]);
    expect(first.headers).toMatchObject({ 'sallyport-session-id': id, 'sallyport-session': token, 'cache-control': 'no-store' });
    const claims = claimsOf(String(token));
    expect([claims.sid, claims.sub, claims.agent, claims.exp - claims.iat]).toEqual([id, 'alice@company.com', 'support-triage', 900]);
    const [record] = await callsOfSession(side.world, String(token), 1);
    expect(record).toMatchObject({
      leg: 'inbound',
      dialect: 'agent',
      action: 'agent/invoke',
      tool: 'agents/support-triage',
      agent_id: 'support-triage',
      operator: 'alice@company.com',
      session_id: id,
      rule_id: 'caller:1',
      decision: 'allow',
      result: 'ok',
      policy_digest: expect.stringMatching(/^sha256:/),
      release_seq: expect.any(Number),
      at: expect.stringMatching(/^20/),
    });
  });

  it('gives the agent the session’s own token, with which its calls are this operator’s', async () => {
    const answer = await side.ask(INVOKE, { json: REQUEST });
    const given = side.agent.requests.at(-1)?.headers['sallyport-session'] as string;
    expect(sessionIdOf(given)).toBe(answer.json()['session_id']);
    const call = await side.sidecar.call('orders/get_order', { order_id: 'O-000123' }, given);
    expect(call.status).toBe(200);
    const calls = await callsOfSession(side.world, given, 2);
    expect(calls.map(({ leg, operator }) => [leg, operator])).toEqual([
      ['inbound', 'alice@company.com'],
      ['outbound', 'alice@company.com'],
    ]);
  });

  it('goes on in its session where the client brings its token back', async () => {
    const opened = await side.ask(INVOKE, { json: REQUEST });
    const again = await side.ask(INVOKE, { json: REQUEST, headers: { 'sallyport-session': String(opened.json()['session_token']) } });
    expect(again.json()['session_id']).toBe(opened.json()['session_id']);
    // The token is still young.
    expect(again.json()['session_token']).toBeUndefined();
  });
});

describe('nothing that is not authenticated reaches the agent', () => {
  it('[R1.01] a request without a credential, from loopback, is 401 and on record as a denial', async () => {
    const answer = await side.ask(INVOKE, { json: REQUEST, headers: { authorization: undefined } });
    expect([answer.status, codeOf(answer), reached()]).toEqual([401, 'unauthenticated', 0]);
    expect(answer.headers['www-authenticate']).toBe('Bearer realm="sallyport"');
    expect(await recordOf(side.world, answer)).toMatchObject({
      decision: 'deny',
      code: 'unauthenticated',
      gate: 'authentication',
      leg: 'inbound',
    });
  });

  it.each<[string, Record<string, string | string[] | undefined>, string]>([
    ['a token of nobody known', { authorization: 'Bearer abc.def.ghi' }, 'unauthenticated'],
    ['a password', { authorization: 'Basic YWxpY2U6eA==' }, 'unauthenticated'],
    ['a name in a header alone', { authorization: undefined, 'x-user-id': 'alice@company.com' }, 'unauthenticated'],
    ['a forwarded user alone', { authorization: undefined, 'x-forwarded-user': 'alice@company.com' }, 'unauthenticated'],
    ['a cookie alone', { authorization: undefined, cookie: 'session=alice' }, 'unauthenticated'],
    ['two Authorization headers', { authorization: ['Bearer a', 'Bearer b'] }, 'malformed_request'],
  ])('%s', async (_name, headers, code) => {
    const answer = await side.ask(INVOKE, { json: REQUEST, headers });
    expect([codeOf(answer), reached()]).toEqual([code, 0]);
  });

  it('a token in the query', async () => {
    const answer = await side.ask(`${INVOKE}?access_token=${side.token()}`, { json: REQUEST, headers: { authorization: undefined } });
    expect([codeOf(answer), reached()]).toEqual(['unauthenticated', 0]);
  });

  it('the session’s token without the person’s', async () => {
    const opened = await side.ask(INVOKE, { json: REQUEST });
    const token = String(opened.json()['session_token']);
    const answer = await side.ask(INVOKE, { json: REQUEST, headers: { authorization: undefined, 'sallyport-session': token } });
    expect(codeOf(answer)).toBe('unauthenticated');
    expect(codeOf(await side.ask(INVOKE, { json: REQUEST, headers: { authorization: `Bearer ${token}` } }))).toBe('unauthenticated');
    expect(reached()).toBe(1);
  });
});

describe('who calls is what the credential says', () => {
  it('[R1.02] whatever headers and body say, it is alice; and none of it reaches the agent', async () => {
    const claimed = {
      'x-user-id': 'bob@company.com',
      'x-forwarded-user': 'bob@company.com',
      'x-forwarded-for': '10.0.0.1',
      'x-forwarded-host': 'evil.example',
      forwarded: 'for=10.0.0.1',
      'x-real-ip': '10.0.0.1',
      'x-tenant-id': 'evil',
      'x-anything-nobody-thought-of': 'bob@company.com',
      cookie: 'user=bob',
    };
    const answer = await side.ask(INVOKE, {
      json: { ...REQUEST, user_id: 'bob@company.com' },
      headers: { ...claimed, accept: 'application/json' },
    });
    expect(answer.status).toBe(200);
    const [record] = await callsOfSession(side.world, String(answer.json()['session_token']), 1);
    expect(record).toMatchObject({ user_id: 'alice@company.com', tenant_id: 'acme' });
    const seen = side.agent.requests.at(-1)?.headers ?? {};
    expect(Object.keys(claimed).filter((name) => name in seen)).toEqual([]);
    expect(Object.keys(seen).toSorted()).toEqual([
      'accept',
      'accept-encoding',
      'connection',
      'content-digest',
      'content-length',
      'content-type',
      'host',
      'sallyport-assertion',
      'sallyport-session',
      'signature',
      'signature-input',
    ]);
    expect(JSON.stringify(seen)).not.toContain('Bearer');
  });

  it.each<[string, object, string]>([
    ['another operator', { human_operator: 'bob@company.com' }, 'resource_binding_mismatch'],
    ['the operator as it is', { human_operator: 'alice@company.com' }, '200'],
    ['another agent', { agent_id: 'reporting' }, 'resource_binding_mismatch'],
    ['a version of the agent', { agent_id: 'support-triage-v1' }, '200'],
    ['an address in place of the agent', { agent_id: '10.0.0.5:8080' }, 'direct_address_rejected'],
    ['an operator that is no text', { human_operator: ['alice@company.com'] }, 'resource_binding_mismatch'],
  ])('a body that states %s', async (_name, stated, code) => {
    const answer = await side.ask(INVOKE, { json: { ...REQUEST, ...stated } });
    expect([codeOf(answer), reached()]).toEqual([code, code === '200' ? 1 : 0]);
  });
});

describe('an agent is named, never addressed', () => {
  it.each<[string, string, string]>([
    ['an address', '/agents/10.0.0.5:8080/invoke', 'direct_address_rejected'],
    ['an address without a port', '/agents/10.0.0.5/invoke', 'direct_address_rejected'],
    ['a host name', '/agents/agent.internal/invoke', 'direct_address_rejected'],
    ['an address of IPv6', '/agents/%5B::1%5D/invoke', 'direct_address_rejected'],
    ['another agent', '/agents/reporting/invoke', 'agent_not_registered'],
    ['no agent', '/', 'agent_not_registered'],
    ['a tool', '/tools/orders/get_order', 'agent_not_registered'],
    ['the opening of a session', '/session', 'agent_not_registered'],
    ['a climbing path', '/agents/support-triage/../reporting/invoke', 'malformed_request'],
    ['a climbing path, encoded', '/agents/support-triage/%2e%2e/reporting', 'malformed_request'],
    ['an encoded slash', '/agents/support-triage%2Finvoke', 'malformed_request'],
    ['a double slash', '/agents//support-triage/invoke', 'malformed_request'],
    ['an authority in front', '//evil.example/agents/support-triage/invoke', 'malformed_request'],
    ['a parameter in the path', '/agents/support-triage/a;b=c', 'malformed_request'],
    ['a parameter behind the name', '/agents/support-triage;x=1/invoke', 'agent_not_registered'],
  ])('%s: %s', async (_name, path, code) => {
    const answer = await side.ask(path, { json: REQUEST });
    expect([codeOf(answer), reached()]).toEqual([code, 0]);
  });

  it('[R3.06] by its name it is reached, and a target that is an address is 400', async () => {
    expect((await side.ask(INVOKE, { json: REQUEST })).status).toBe(200);
    const atAddress = await side.ask('/agents/10.0.0.5:8080/invoke', { json: REQUEST });
    const atUrl = await side.ask(`http://127.0.0.1:${side.port}${INVOKE}`, { json: REQUEST });
    expect([atAddress, atUrl].map((answer) => [answer.status, codeOf(answer)])).toEqual([
      [400, 'direct_address_rejected'],
      [400, 'direct_address_rejected'],
    ]);
    expect(reached()).toBe(1);
  });
});

describe('verification on every request', () => {
  it('[R1.19] revoked between two calls of one connection, the second is refused', async () => {
    let connections = 0;
    class Counting extends Agent {
      override createConnection(...asked: Parameters<Agent['createConnection']>): ReturnType<Agent['createConnection']> {
        connections += 1;
        return super.createConnection(...asked);
      }
    }
    const agent = new Counting({ keepAlive: true, maxSockets: 1 });
    const headers = { authorization: `Bearer ${side.token({ sub: 'carol@company.com' })}` };
    try {
      const first = await side.ask(INVOKE, { json: REQUEST, headers, connection: { agent } });
      expect(first.status).toBe(200);
      await side.world.admin.revoke('principal', 'carol@company.com');
      await eventually(async () => (await side.ask(INVOKE, { json: REQUEST, headers })).status !== 200, 'the revocation');
      const sent = reached();
      const second = await side.ask(INVOKE, { json: REQUEST, headers, connection: { agent } });
      expect([second.status, codeOf(second), reached() - sent, connections]).toEqual([401, 'token_revoked', 0, 1]);
    } finally {
      agent.destroy();
    }
  });
});

describe('whom the agent acts for', () => {
  it('[R1.15] alice has a session; somebody whom no grant names is refused, on both legs, and hears of none', async () => {
    expect((await side.ask(INVOKE, { json: REQUEST })).json()['session_id']).toBeTypeOf('string');
    const sent = reached();
    const headers = { authorization: `Bearer ${side.token({ sub: 'dave@company.com', roles: ['finance'] })}` };
    const answer = await side.ask(INVOKE, { json: REQUEST, headers });
    expect([answer.status, codeOf(answer), reached() - sent]).toEqual([403, 'no_matching_policy', 0]);
    expect(JSON.stringify([answer.headers, answer.text])).not.toMatch(/session_id|sallyport-session/);
    const opening = await side.sidecar.request('/session', { headers });
    expect([opening.status, opening.json()['code']]).toEqual([403, 'no_matching_policy']);
  });

  it('a grant that is taken away closes what it had opened', async () => {
    const opened = await side.ask(INVOKE, { json: REQUEST });
    const headers = { 'sallyport-session': String(opened.json()['session_token']) };
    await side.world.admin.publish(inboundPolicy(side, 'callers: []'));
    const refused = await eventually(async () => {
      const next = await side.ask(INVOKE, { json: REQUEST, headers });
      return next.status === 200 ? undefined : next;
    }, 'the new policy');
    expect(codeOf(refused)).toBe('no_matching_policy');
    await side.world.admin.publish(inboundPolicy(side, ALICE_ALONE));
    await eventually(async () => (await side.ask(INVOKE, { json: REQUEST, headers })).status === 200, 'the old policy');
  });
});

interface Claims {
  readonly sid: string;
  readonly sub: string;
  readonly agent: string;
  readonly iat: number;
  readonly exp: number;
}
function claimsOf(token: string): Claims {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Claims;
}
