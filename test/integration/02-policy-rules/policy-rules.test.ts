import { recordingUpstream, type RecordingUpstream } from '@sallyport/testkit';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { callsOfSession, recordOf } from '../../support/audit.ts';
import { ordersPolicy } from '../../support/policies.ts';
import { eventually, startWorld, type HttpAnswer, type RunningSidecar, type World } from '../../support/world.ts';

const DOCUMENTS = `
kind: Tool
name: orders/list_orders
effect: read
route: { method: POST, path: /list_orders }
---
kind: Tool
name: orders/get_order
effect: read
route: { method: POST, path: /get_order }
arguments:
  required: [order_id]
  properties:
    order_id: { type: string, pattern: "^O-[0-9]{6}$" }
    verbose: { type: boolean }
---
kind: Tool
name: orders/create_order
effect: write
route: { method: POST, path: /create_order }
---
kind: Tool
name: orders/read_order_status
effect: read
route: { method: POST, path: /read_order_status }
---
kind: Tool
name: orders/update_refund
effect: write
classes: [money]
route: { method: POST, path: /update_refund }
---
kind: Tool
name: orders/refund
effect: write
classes: [money]
route: { method: POST, path: /refund }
arguments:
  required: [amount]
  properties:
    amount: { type: number, format: decimal, minimum: 0 }
---
kind: Tool
name: orders/small_refund
effect: write
classes: [money]
route: { method: POST, path: /small_refund }
arguments:
  required: [amount]
  properties:
    amount: { type: number, format: decimal, minimum: 0 }
---
kind: Tool
name: orders/get_account
effect: read
classes: [pii]
route: { method: POST, path: /get_account }
arguments:
  required: [account_id]
  properties:
    account_id: { type: string, pattern: "^[A-Z][A-Z0-9]{0,15}$" }
---
kind: Tool
name: orders/get_profile
effect: read
classes: [pii]
route: { method: POST, path: /get_profile }
arguments:
  required: [user]
  properties:
    user: { type: string, format: email }
---
kind: Policy
agent: support-triage
rules:
  - { id: list, allow: [orders/list_orders], for: { roles: [support-rep] } }
  - { id: read-one, allow: [orders/get_order], for: { roles: [support-rep] } }
  - { id: create, allow: [orders/create_order], for: { roles: [support-lead] } }
  - { id: status, allow: [orders/read_order_status], for: { roles: [support-rep] }, scopes: ["orders:read"] }
  - { id: change-refund, allow: [orders/update_refund], for: { roles: [support-rep] }, scopes: ["refunds:write"] }
  - { id: refund, allow: [orders/refund], for: { roles: [support-rep] }, when: args.amount <= 500 }
  - { id: small-refund, allow: [orders/small_refund], for: { roles: [support-rep] }, when: args.amount <= principal.attributes.limit }
  - { id: own-account, allow: [orders/get_account], for: { roles: [support-rep] }, bind: [args.account_id == session.case] }
  - { id: own-profile, allow: [orders/get_profile], for: { roles: [support-rep] }, bind: [args.user == principal.id] }
---
kind: Test
given: { roles: [support-rep] }
cases:
  - { call: orders/list_orders, expect: allow }
  - { call: orders/create_order, expect: tool_not_allowed }
`;

describe('rules, from the agent to the tool and to the log', () => {
  let world: World;
  let up: RecordingUpstream;
  let sidecar: RunningSidecar;
  /** Requests of earlier tests. */
  let before = 0;
  const forwarded = (): readonly string[] => up.requests.slice(before).map(({ target, body }) => `${target} ${body}`);
  const codeOf = (answer: HttpAnswer): readonly [number, unknown] => [answer.status, answer.json()['code']];

  beforeAll(async () => {
    up = await recordingUpstream();
    world = await startWorld();
    await world.admin.publish(ordersPolicy(up.url, DOCUMENTS, world.idp));
    sidecar = await world.startSidecar();
    await eventually(() => sidecar.ready(), 'readiness');
  });
  beforeEach(() => {
    before = up.requests.length;
    up.answer({ kind: 'json', body: { ok: true } });
  });
  afterAll(async () => {
    await world?.close();
    await up?.close();
  });

  it('[R3.01] five calls of one session are five decisions, a repetition included', async () => {
    const session = await sidecar.session();
    const order = { order_id: 'O-000123' };
    const answers = [
      await sidecar.call('orders/get_order', order, session),
      await sidecar.call('orders/get_order', order, session),
      await sidecar.call('orders/list_orders', {}, session),
      await sidecar.call('orders/update_refund', {}, session),
      await sidecar.call('orders/refund', { amount: 501 }, session),
    ];
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 403, 403]);
    const calls = await callsOfSession(world, session, 5);
    expect(calls.map(({ tool, decision, rule_id, code }) => [tool, decision, rule_id, code])).toEqual([
      ['orders/get_order', 'allow', 'read-one', '-'],
      ['orders/get_order', 'allow', 'read-one', '-'],
      ['orders/list_orders', 'allow', 'list', '-'],
      ['orders/update_refund', 'deny', 'change-refund', 'insufficient_scope'],
      ['orders/refund', 'deny', 'refund', 'no_matching_policy'],
    ]);
    expect(new Set(calls.map(({ decision_id: id }) => id)).size).toBe(5);
  });

  it('[R3.02 R12.10] who is bound to nothing is refused by default', async () => {
    const session = await sidecar.session({ roles: ['visitor'] });
    const answer = await sidecar.call('orders/get_order', { order_id: 'O-000123' }, session);
    expect(answer.status).toBe(403);
    expect(await recordOf(world, answer)).toMatchObject({ decision: 'deny', rule_id: 'default-deny', operator: 'alice@company.com' });
    expect(forwarded()).toEqual([]);
  });

  it('tells nobody that a tool exists which they may not use', async () => {
    const session = await sidecar.session();
    const [forbidden, missing] = [
      await sidecar.call('orders/create_order', {}, session),
      await sidecar.call('orders/no_such_tool', {}, session),
    ];
    const shape = (answer: HttpAnswer): string => answer.text.replaceAll(String(answer.json()['decision_id']), '<id>');
    expect([forbidden.status, shape(forbidden)]).toEqual([missing.status, shape(missing)]);
    expect(forwarded()).toEqual([]);
  });

  it('[R3.10] a retry with other arguments is decided afresh', async () => {
    const session = await sidecar.session();
    expect((await sidecar.call('orders/refund', { amount: 100 }, session)).status).toBe(200);
    expect((await sidecar.call('orders/refund', { amount: 900 }, session)).status).toBe(403);
    expect(forwarded()).toEqual(['/refund {"amount":100}']);
  });

  it('[R3.13] one endpoint, several tools: the tool in the body decides', async () => {
    const session = await sidecar.session();
    const invoke = (tool: string): Promise<HttpAnswer> =>
      sidecar.request('/tools/orders/invoke', {
        body: JSON.stringify({ tool }),
        headers: { 'content-type': 'application/json', 'sallyport-session': session },
      });
    expect((await invoke('list_orders')).status).toBe(200);
    expect((await invoke('create_order')).status).toBe(403);
    expect(forwarded()).toEqual(['/list_orders {}']);
  });

  it('[R3.15] a tool that is not in the inventory', async () => {
    const answer = await sidecar.call('orders/mystery_tool', {}, await sidecar.session());
    expect(codeOf(answer)).toEqual([403, 'tool_not_allowed']);
    expect(await recordOf(world, answer)).toMatchObject({ gate: 'tool', code: 'tool_not_allowed', tool: 'orders/mystery_tool' });
    expect(forwarded()).toEqual([]);
  });

  it('[R3.25] amounts are compared as numbers, to the last cent, with a constant', async () => {
    const session = await sidecar.session();
    expect((await sidecar.call('orders/refund', { amount: 500 }, session)).status).toBe(200);
    expect((await sidecar.call('orders/refund', { amount: 500.01 }, session)).status).toBe(403);
    expect(codeOf(await sidecar.call('orders/refund', { amount: '500' }, session))).toEqual([422, 'schema_violation']);
    expect(forwarded()).toEqual(['/refund {"amount":500}']);
  });

  it('[R3.25] and with a claim of the token; without the claim nothing is allowed', async () => {
    const [with50, without] = [await sidecar.session({ refund_limit: 50 }), await sidecar.session()];
    expect((await sidecar.call('orders/small_refund', { amount: 50 }, with50)).status).toBe(200);
    expect((await sidecar.call('orders/small_refund', { amount: 50.01 }, with50)).status).toBe(403);
    expect((await sidecar.call('orders/small_refund', { amount: 1 }, without)).status).toBe(403);
    expect(forwarded()).toEqual(['/small_refund {"amount":50}']);
  });

  it('[R3.25 R3.32 R12.03] and with an attribute of the session: the bound account and no other', async () => {
    const session = await sidecar.session({ ticket_id: 'A' });
    const look = (account: string): Promise<HttpAnswer> => sidecar.call('orders/get_account', { account_id: account }, session);
    expect((await look('A')).status).toBe(200);
    expect(codeOf(await look('B'))).toEqual([403, 'resource_binding_mismatch']);
    for (const crooked of ['../A', 'A,B', 'A/../B', 'A\n', ' A', 'a', 'А']) {
      expect([crooked, ...codeOf(await look(crooked))]).toEqual([crooked, 422, 'schema_violation']);
    }
    expect(forwarded()).toEqual(['/get_account {"account_id":"A"}']);
  });

  it('[R3.33] an agent sees the data of the person who launched it', async () => {
    const alice = await sidecar.session({ sub: 'alice@company.com' });
    const look = (user: string): Promise<HttpAnswer> => sidecar.call('orders/get_profile', { user }, alice);
    expect(codeOf(await look('bob@company.com'))).toEqual([403, 'resource_binding_mismatch']);
    expect((await look('alice@company.com')).status).toBe(200);
    expect(forwarded()).toEqual(['/get_profile {"user":"alice@company.com"}']);
  });

  it('[R2.09 R12.02] the right to read is no right to write', async () => {
    const session = await sidecar.session({ scope: 'orders:read' });
    expect((await sidecar.call('orders/read_order_status', {}, session)).status).toBe(200);
    expect(codeOf(await sidecar.call('orders/update_refund', {}, session))).toEqual([403, 'insufficient_scope']);
    expect(forwarded()).toEqual(['/read_order_status {}']);
  });

  it.each<readonly [string, object, string]>([
    ['a missing field', {}, 'order_id'],
    ['a field of another type', { order_id: 123 }, 'order_id'],
    ['null for a text', { order_id: null }, 'order_id'],
    ['a text for a flag', { order_id: 'O-000123', verbose: 'true' }, 'verbose'],
  ])('[R5.05] %s is named and refused', async (_, args, field) => {
    const answer = await sidecar.call('orders/get_order', args, await sidecar.session());
    expect(answer.json()).toMatchObject({ status: 422, code: 'schema_violation', fields: [field] });
    expect(forwarded()).toEqual([]);
  });

  it('[R1.01 R12.09] without a credential nothing is looked at', async () => {
    const answer = await sidecar.request('/tools/orders/list_orders', { body: '{}', headers: { 'content-type': 'application/json' } });
    expect(codeOf(answer)).toEqual([401, 'unauthenticated']);
    expect(await recordOf(world, answer)).toMatchObject({ decision: 'deny', code: 'unauthenticated', gate: 'authentication' });
    expect(forwarded()).toEqual([]);
  });

  it('[R3.67] the same request a thousand times is one decision by one rule, allowed or refused', async () => {
    const session = await sidecar.session();
    const amounts = [499.99, 500.01];
    for (let i = 0; i < 100; i++) {
      await Promise.all(
        Array.from({ length: 10 }, () => amounts.map((amount) => sidecar.call('orders/refund', { amount }, session))).flat(),
      );
    }
    const calls = await callsOfSession(world, session, 2_000);
    const kinds = new Map<string, number>();
    for (const { decision, code, rule_id: rule } of calls) {
      const kind = `${decision} ${code} ${rule}`;
      kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    }
    expect(Object.fromEntries(kinds)).toEqual({ 'allow - refund': 1_000, 'deny no_matching_policy refund': 1_000 });
    expect(forwarded()).toHaveLength(1_000);
  });

  it.each([
    ['answers 500', { kind: 'json', status: 500, body: { message: 'denied by policy' } }, 502, 'upstream_error'],
    ['hangs', { kind: 'hang' }, 504, 'upstream_timeout'],
  ] as const)('[R12.15] a tool that %s is not mistaken for a refusal', async (how, script, status, code) => {
    const upstream = code === 'upstream_timeout' ? { first_byte_ms_max: 200 } : {};
    const own = await world.startSidecar({ name: `before one that ${how}`.replaceAll(' ', '-'), config: { upstream } });
    await eventually(() => own.ready(), 'readiness');
    const session = await own.session();
    up.answer(script);
    const failed = await own.call('orders/list_orders', {}, session);
    expect(failed.json()).toMatchObject({ status, code, next_action: 'wait', retryable: true });
    expect([failed.status, failed.text.includes('denied by policy')]).toEqual([status, false]);
    expect((await own.call('orders/update_refund', {}, session)).status).toBe(403);
    await own.drain();
    const [call, refusal] = await callsOfSession(world, session, 2);
    // The call was allowed, and its record says so; what became of it is another matter.
    expect(call).toMatchObject({ decision: 'allow', rule_id: 'list', result: code, code });
    expect(refusal).toMatchObject({ decision: 'deny', result: 'denied', code: 'insufficient_scope' });
    expect(forwarded()).toEqual(['/list_orders {}']);
  });

  it('[R8.09] a stub agent that knows nothing of a gate is gated by its base URL alone', async () => {
    const agent = stubAgent({ baseUrl: `${sidecar.url}/tools/orders`, headers: { 'sallyport-session': await sidecar.session() } });
    expect(await agent('list_orders', {})).toEqual([200, { ok: true }]);
    expect(await agent('create_order', {})).toMatchObject([403, { code: 'tool_not_allowed' }]);
    expect(forwarded()).toEqual(['/list_orders {}']);
    // The same agent, pointed at the tools themselves: what the gate refused was a call that works.
    const ungated = stubAgent({ baseUrl: up.url, headers: {} });
    expect(await ungated('create_order', {})).toEqual([200, { ok: true }]);
  });
});

/** A tool-calling agent as anybody writes it: a base URL and headers from its settings, `fetch`, and nothing else. */
function stubAgent(settings: {
  baseUrl: string;
  headers: Record<string, string>;
}): (tool: string, args: object) => Promise<[number, unknown]> {
  return async (tool, args) => {
    const headers = { 'content-type': 'application/json', ...settings.headers };
    const response = await fetch(`${settings.baseUrl}/${tool}`, { method: 'POST', headers, body: JSON.stringify(args) });
    return [response.status, await response.json()];
  };
}
