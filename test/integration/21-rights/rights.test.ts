import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import type { AgentName } from '@sallyport/model';
import { recordingUpstream, type RecordingUpstream } from '@sallyport/testkit';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ordersPolicy } from '../../support/policies.ts';
import { eventually, startWorld, type HttpAnswer, type RunningSidecar, type World } from '../../support/world.ts';

const CLERK = 'clerk' as AgentName;
/** Well above what a revocation takes, and what the test asserts. */
const REVOKED_WITHIN_MS = 2_000;

const ATTRIBUTES =
  'customer_id: customer_id, region: region, run_id: run_id, run_tools: { claim: run_tools, type: strings }, device_managed: { claim: device_managed, type: boolean }';
const DOCUMENTS = `
kind: Agent
name: clerk
owner: team-support
uses: [orders]
sessions: { roots: [operator] }
---
kind: Tool
name: orders/get_order
effect: read
route: { method: POST, path: /get_order }
arguments:
  required: [order_id]
  properties: { order_id: { type: string }, customer_id: { type: string }, region: { type: string }, session_id: { type: string }, run_id: { type: string } }
---
kind: Tool
name: orders/create_ticket
effect: write
route: { method: POST, path: /create_ticket }
arguments: { required: [text], properties: { text: { type: string } } }
---
kind: Tool
name: orders/issue_credit
effect: write
classes: [money]
route: { method: POST, path: /issue_credit }
arguments: { required: [order_id], properties: { order_id: { type: string } } }
---
kind: Policy
agent: support-triage
rules:
  - id: read
    allow: [orders/get_order]
    for: { roles: [support-rep, read-only] }
    scopes: [read_orders]
  - id: own-customer
    require: [orders/get_order]
    when: has(args.customer_id)
    bind: [args.customer_id == principal.attributes.customer_id]
  - id: own-region
    require: [orders/get_order]
    when: has(args.region)
    bind: [args.region == principal.attributes.region]
  - id: own-session
    require: [orders/get_order]
    when: has(args.session_id)
    bind: [args.session_id == session.id]
  - id: own-run
    require: [orders/get_order]
    when: has(args.run_id)
    bind: [args.run_id == principal.attributes.run_id]
  - id: tools-of-the-run
    require: [orders/get_order, orders/create_ticket]
    when: has(principal.attributes.run_tools)
    bind: [tool.name in principal.attributes.run_tools]
  - id: managed-devices
    require: [orders/issue_credit]
    step_up: { acr: [managed-device], when: "!has(principal.attributes.device_managed) || !principal.attributes.device_managed" }
  - id: tickets
    allow: [orders/create_ticket]
    for: { roles: [support-rep] }
    scopes: [create_tickets]
  - id: credits
    allow: [orders/issue_credit]
    for: { roles: [support-rep] }
    scopes: [issue_credit]
---
kind: Policy
agent: clerk
rules:
  - { id: clerk-reads, allow: [orders/get_order], for: { roles: [support-rep] } }
`;

describe('what a verified token lets an agent do', () => {
  let world: World;
  let up: RecordingUpstream;
  let sidecar: RunningSidecar;

  beforeAll(async () => {
    up = await recordingUpstream();
    world = await startWorld();
    await world.admin.publish(ordersPolicy(up.url, DOCUMENTS, world.idp, ATTRIBUTES));
    sidecar = await world.startSidecar();
    await eventually(() => sidecar.ready(), 'readiness');
  });
  afterAll(async () => {
    await world?.close();
    await up?.close();
  });

  let before: number;
  beforeEach(() => (before = up.requests.length));

  const call = (session: string, tool: string, args: unknown = { order_id: 'O-1' }): Promise<HttpAnswer> =>
    sidecar.call(`orders/${tool}`, args, session);
  const codeOf = ({ status, text }: HttpAnswer): [number, string] => [status, (JSON.parse(text) as { code?: string }).code ?? ''];
  const record = (session: string): Promise<Record<string, unknown>> =>
    eventually(async () => {
      const lines = (await world.admin.tail()).map((line) => JSON.parse(line) as Record<string, unknown>);
      return lines.findLast((line) => line['kind'] === 'DECISION' && line['tool'] !== '-' && String(line['session_id']) === idOf(session));
    }, 'the decision in the log');

  it('[R1.04] who calls, of which tenant and in which roles are the token’s words, and rules go by them', async () => {
    const session = await sidecar.session({ sub: 'bob', tenant_id: 't1', roles: ['read-only'], scope: 'read_orders create_tickets' });
    expect((await call(session, 'get_order')).status).toBe(200);
    expect(await record(session)).toMatchObject({ user_id: 'bob', tenant_id: 't1', decision: 'allow' });
    // The same scopes, and a role that the rule for tickets is not for.
    expect((await call(session, 'create_ticket', { text: 'x' })).status).toBe(403);
    expect(up.requests).toHaveLength(before + 1);
  });

  it('[R2.03] a scope is asked for at every call: reading orders does not make tickets', async () => {
    const session = await sidecar.session({ scope: 'read_orders' });
    expect((await call(session, 'get_order')).status).toBe(200);
    expect(codeOf(await call(session, 'create_ticket', { text: 'x' }))).toEqual([403, 'insufficient_scope']);
    expect(up.requests).toHaveLength(before + 1);
  });

  it('[R2.09] a read scope implies no write', async () => {
    const session = await sidecar.session({ scope: 'read_orders read' });
    expect(codeOf(await call(session, 'create_ticket', { text: 'x' }))).toEqual([403, 'insufficient_scope']);
    expect(codeOf(await call(session, 'issue_credit'))).toEqual([403, 'insufficient_scope']);
    expect(up.requests).toHaveLength(before);
  });

  it('[R1.14] an agent that may issue credits does not for an operator who may not', async () => {
    expect((await call(await sidecar.session({ scope: 'issue_credit', device_managed: true }), 'issue_credit')).status).toBe(200);
    expect(codeOf(await call(await sidecar.session({ scope: 'read_orders' }), 'issue_credit'))).toEqual([403, 'insufficient_scope']);
    expect(up.requests).toHaveLength(before + 1);
  });

  it('[R2.08] an all-purpose scope grants nothing, and no bundle can hang anything on it', async () => {
    const session = await sidecar.session({ scope: 'api_access' });
    for (const tool of ['get_order', 'issue_credit']) expect((await call(session, tool)).status).toBe(403);
    expect((await call(session, 'create_ticket', { text: 'x' })).status).toBe(403);
    expect(up.requests).toHaveLength(before);
    const broad = DOCUMENTS.replace('scopes: [issue_credit]', 'scopes: [api_access]');
    await expect(world.admin.publish(ordersPolicy(up.url, broad, world.idp))).rejects.toThrow('names everything and so nothing');
  });

  it('[R2.04] a token for one customer and region reaches no other', async () => {
    const session = await sidecar.session({ scope: 'read_orders', customer_id: 'C1', region: 'eu' });
    expect((await call(session, 'get_order', { order_id: 'O-1', customer_id: 'C1', region: 'eu' })).status).toBe(200);
    for (const args of [{ customer_id: 'C2' }, { region: 'us' }, { customer_id: 'C1', region: 'us' }])
      expect(codeOf(await call(session, 'get_order', { order_id: 'O-1', ...args }))).toEqual([403, 'resource_binding_mismatch']);
    expect(up.requests).toHaveLength(before + 1);
  });

  it('[R2.06] a token for one run is no good in another, nor for a tool that the run does not have', async () => {
    const run = { roles: ['support-rep'], scope: 'read_orders create_tickets', run_id: 'R1', run_tools: ['orders/get_order'] };
    const session = await sidecar.session(run);
    expect((await call(session, 'get_order', { order_id: 'O-1', run_id: 'R1' })).status).toBe(200);
    expect(codeOf(await call(session, 'get_order', { order_id: 'O-1', run_id: 'R2' }))).toEqual([403, 'resource_binding_mismatch']);
    expect((await call(session, 'create_ticket', { text: 'x' })).status).toBe(403);
    expect(
      (await call(await sidecar.session({ ...run, run_tools: ['orders/create_ticket'] }), 'create_ticket', { text: 'x' })).status,
    ).toBe(200);
    expect(up.requests).toHaveLength(before + 2);
  });

  it('[R1.16] what the identity provider knows of the device counts: an unmanaged one has to step up', async () => {
    const claims = (managed?: boolean): Record<string, unknown> => ({
      scope: 'issue_credit',
      ...(managed === undefined ? {} : { device_managed: managed }),
    });
    // A device of which nothing is said is as good as an unmanaged one.
    for (const managed of [false, undefined])
      expect(codeOf(await call(await sidecar.session(claims(managed)), 'issue_credit'))).toEqual([403, 'step_up_required']);
    expect(up.requests).toHaveLength(before);
    expect((await call(await sidecar.session(claims(true)), 'issue_credit')).status).toBe(200);
    // Whoever is said to be managed by a header or an argument is not.
    const session = await sidecar.session(claims(false));
    const told = await sidecar.request('/tools/orders/issue_credit', {
      body: '{"order_id":"O-1"}',
      headers: { 'content-type': 'application/json', 'sallyport-session': session, 'x-device-managed': 'true' },
    });
    expect(codeOf(told)).toEqual([403, 'step_up_required']);
    expect(up.requests).toHaveLength(before + 1);
  });

  it('[R2.24] a session named in a body is a claim: another’s is refused', async () => {
    const [mine, other] = [await sidecar.session({ scope: 'read_orders' }), await sidecar.session({ sub: 'bob', scope: 'read_orders' })];
    expect((await call(mine, 'get_order', { order_id: 'O-1', session_id: idOf(mine) })).status).toBe(200);
    expect(codeOf(await call(mine, 'get_order', { order_id: 'O-1', session_id: idOf(other) }))).toEqual([403, 'resource_binding_mismatch']);
    expect(up.requests).toHaveLength(before + 1);
  });

  it('[R1.12] one operator through two agents has the rights of each, not of both', async () => {
    const clerk = await world.startSidecar({ name: 'clerk', agent: CLERK });
    await eventually(() => clerk.ready(), 'readiness');
    const claims = { scope: 'read_orders create_tickets issue_credit' };
    const [triage, other] = [await sidecar.session(claims), await clerk.session(claims)];
    expect((await call(triage, 'create_ticket', { text: 'x' })).status).toBe(200);
    expect((await clerk.call('orders/get_order', { order_id: 'O-1' }, other)).status).toBe(200);
    expect(codeOf(await clerk.call('orders/create_ticket', { text: 'x' }, other))).toEqual([403, 'tool_not_allowed']);
    // A session is its agent's: at the other's sidecar it proves nothing.
    expect((await clerk.call('orders/get_order', { order_id: 'O-1' }, triage)).status).toBe(401);
    expect(up.requests).toHaveLength(before + 2);
  });

  it('[R1.19] whoever is revoked between two calls of one connection is refused at the second', async () => {
    const agent = new HttpAgent({ keepAlive: true, maxSockets: 1 });
    try {
      const session = await sidecar.session({ sub: 'leaver', scope: 'read_orders' });
      const first = await over(agent, sidecar.port, session);
      expect(first.status).toBe(200);
      await world.admin.revoke('principal', 'leaver');
      const refused = await eventually(async () => {
        const next = await over(agent, sidecar.port, session);
        expect(next.localPort).toBe(first.localPort);
        return next.status === 401 ? next : undefined;
      }, 'the refusal');
      expect(JSON.parse(refused.text)).toMatchObject({ code: 'token_revoked' });
    } finally {
      agent.destroy();
    }
  });

  it('[R2.15] a token that is revoked by its id stops within two seconds, and others do not', async () => {
    const session = await sidecar.session({ jti: 'stolen-1', scope: 'read_orders' });
    const other = await sidecar.session({ jti: 'kept-1', scope: 'read_orders' });
    expect((await call(session, 'get_order')).status).toBe(200);
    const revokedAt = world.clock.boot();
    await world.admin.revoke('token', 'stolen-1');
    const refused = await eventually(async () => {
      const answer = await call(session, 'get_order');
      return answer.status === 200 ? undefined : { answer, afterMs: world.clock.boot() - revokedAt };
    }, 'the refusal');
    expect(codeOf(refused.answer)).toEqual([401, 'token_revoked']);
    expect(refused.afterMs).toBeLessThan(REVOKED_WITHIN_MS);
    expect((await call(other, 'get_order')).status).toBe(200);
    // Nor does it open another session.
    await expect(sidecar.session({ jti: 'stolen-1' })).rejects.toThrow('401');
  });

  it('[R2.17] neither the operator’s token nor a cookie nor a session’s token reaches a tool', async () => {
    const token = world.idp.mint(world.clock.wall(), { claims: { scope: 'read_orders' } });
    const opened = await sidecar.request('/session', { headers: { authorization: `Bearer ${token}` } });
    const session = opened.json()['token'] as string;
    const sent = await sidecar.request('/tools/orders/get_order', {
      body: '{"order_id":"O-1"}',
      headers: { 'content-type': 'application/json', 'sallyport-session': session, authorization: `Bearer ${token}`, cookie: 'sid=c00kie' },
    });
    expect(sent.status).toBe(200);
    const received = up.requests.at(-1);
    expect(up.requests).toHaveLength(before + 1);
    for (const secret of [token, session, 'c00kie']) expect(JSON.stringify(received)).not.toContain(secret);
  });
});

/** The id in a session's token. */
function idOf(token: string): string {
  return (JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { sid: string }).sid;
}

interface Over {
  readonly status: number;
  readonly text: string;
  readonly localPort: number | undefined;
}

function over(agent: HttpAgent, port: number, session: string): Promise<Over> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'sallyport-session': session };
    const sent = httpRequest({ agent, host: '127.0.0.1', port, path: '/tools/orders/get_order', method: 'POST', headers }, (answer) => {
      let text = '';
      const { localPort } = answer.socket;
      answer.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text, localPort }));
    });
    sent.on('error', reject);
    sent.end('{"order_id":"O-1"}');
  });
}
