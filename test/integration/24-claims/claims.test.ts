/** What a credential says of a session beside who it is for: rules go by it, records repeat it, and an issuer may ask for it. */

import { recordingUpstream, type RecordingUpstream } from '@sallyport/testkit';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ordersPolicy } from '../../support/policies.ts';
import { eventually, startWorld, type HttpAnswer, type RunningSidecar, type World } from '../../support/world.ts';

const DOCUMENTS = `
kind: Tool
name: orders/get_order
effect: read
route: { method: POST, path: /get_order }
arguments: { required: [order_id], properties: { order_id: { type: string } } }
---
kind: Tool
name: orders/get_address
effect: read
classes: [pii]
route: { method: POST, path: /get_address }
arguments: { required: [order_id], properties: { order_id: { type: string } } }
---
kind: Policy
agent: support-triage
rules:
  - id: reads
    allow: [orders/get_order]
    for: { roles: [support-rep] }
  - id: addresses
    allow: [orders/get_address]
    for: { roles: [support-rep] }
  - id: why
    require: [{ class: pii }]
    require_purpose: true
  - id: frozen-customer
    deny: [orders/get_order]
    when: has(session.customer_id) && session.customer_id == "C-frozen"
  - id: suspended-operator
    deny: [orders/get_order]
    when: principal.id == "mallory@company.com"
  - id: withdrawn-workflow
    deny: [orders/get_order]
    when: has(session.workflow_id) && session.workflow_id == "refunds-v1"
  - id: not-by-this-agent
    deny: [orders/get_order]
    when: agent.name == "support-triage" && args.order_id == "O-legal"
`;

const ORIGIN = [
  'customer_id: customer',
  'workflow_id: workflow',
  'run_id: run',
  'purpose: why',
  'trace_id: { claim: trace, member: id }',
  'conversation_id: { claim: trace, member: conversation }',
  'workflow_step: { claim: trace, member: step }',
].join(', ');

const FULL = {
  customer: 'C-17',
  workflow: 'refunds-v3',
  run: 'R-9',
  why: 'refund of a lost parcel',
  trace: { id: '4bf92f3577b34da6a3ce929d0e0e4736', conversation: 'V-1', step: 'check-order' },
  env: 'production',
  scope: 'orders:read refunds:read',
  scope_version: 7,
  tool_step: 'orders/get_order',
  amr: ['pwd', 'mfa'],
};

let world: World;
let up: RecordingUpstream;
let sidecar: RunningSidecar;
let before: number;

/** The test provider with this mapping, and what it asks of its tokens. */
function policy(asks = ''): string {
  const text = ordersPolicy(up.url, DOCUMENTS, world.idp);
  return text.replace(
    'max_lifetime: 1h\nclaims: { ',
    `max_lifetime: 1h\n${asks}claims: { ${ORIGIN}, environment: env, scope_version: scope_version, `,
  );
}
const publish = async (asks?: string): Promise<void> => {
  const { releaseSeq } = await world.admin.publish(policy(asks));
  await eventually(() => sidecar.sidecar.readiness().release_seq === releaseSeq, 'the release');
};
const call = (session: string, tool = 'get_order', order = 'O-1'): Promise<HttpAnswer> =>
  sidecar.call(`orders/${tool}`, { order_id: order }, session);
const verdictOf = ({ status, text }: HttpAnswer): readonly [number, unknown] => [
  status,
  status === 200 || status === 201 ? undefined : (JSON.parse(text) as { readonly code: unknown }).code,
];
const open = (claims: Record<string, unknown>): Promise<HttpAnswer> =>
  sidecar.request('/session', { headers: { authorization: `Bearer ${world.idp.mint(world.clock.wall(), { claims })}` } });
/** The last decision about a session's call of a tool. */
const recordOf = (session: string): Promise<Record<string, unknown>> => {
  const { sid } = JSON.parse(Buffer.from(session.split('.')[1] ?? '', 'base64url').toString()) as { readonly sid: string };
  return eventually(async () => {
    const lines = (await world.admin.tail()).map((line) => JSON.parse(line) as Record<string, unknown>);
    return lines.findLast((line) => line['kind'] === 'DECISION' && line['tool'] !== '-' && line['session_id'] === sid);
  }, 'the decision in the log');
};

beforeAll(async () => {
  up = await recordingUpstream();
  world = await startWorld();
  await world.admin.publish(policy());
  sidecar = await world.startSidecar();
  await eventually(() => sidecar.ready(), 'readiness');
});
afterAll(async () => {
  await world?.close();
  await up?.close();
});
beforeEach(() => (before = up.requests.length));

describe('customer, operator and agent are judged together', () => {
  it('[R1.13] a call by a rep for a customer is recorded with all three, and a rule about any one of them refuses it', async () => {
    const good = await sidecar.session(FULL);
    expect(verdictOf(await call(good))).toEqual([200, undefined]);
    expect(await recordOf(good)).toMatchObject({
      decision: 'allow',
      customer_id: 'C-17',
      operator: 'alice@company.com',
      agent_id: 'support-triage',
      workflow_id: 'refunds-v3',
    });
    const refusals: readonly (readonly [Record<string, unknown>, string])[] = [
      [{ customer: 'C-frozen' }, 'frozen-customer'],
      [{ sub: 'mallory@company.com' }, 'suspended-operator'],
      [{ workflow: 'refunds-v1' }, 'withdrawn-workflow'],
    ];
    for (const [over, rule] of refusals) {
      const session = await sidecar.session({ ...FULL, ...over });
      expect(verdictOf(await call(session))).toEqual([403, 'no_matching_policy']);
      expect(await recordOf(session)).toMatchObject({ decision: 'deny', rule_id: rule });
    }
    const same = await sidecar.session(FULL);
    expect(verdictOf(await call(same, 'get_order', 'O-legal'))).toEqual([403, 'no_matching_policy']);
    expect(await recordOf(same)).toMatchObject({ decision: 'deny', rule_id: 'not-by-this-agent' });
    expect(up.requests.length).toBe(before + 1);
  });

  it('a customer is what the credential says: neither a header, nor a query, nor a body names one', async () => {
    const session = await sidecar.session({ ...FULL, customer: 'C-frozen' });
    const answer = await sidecar.request('/tools/orders/get_order', {
      body: JSON.stringify({ order_id: 'O-1' }),
      headers: { 'content-type': 'application/json', 'sallyport-session': session, 'x-customer-id': 'C-17', 'customer-id': 'C-17' },
    });
    expect(verdictOf(answer)).toEqual([403, 'no_matching_policy']);
    expect(await recordOf(session)).toMatchObject({ customer_id: 'C-frozen' });
  });
});

describe('a tool that has to know why', () => {
  it('[R2.25] is refused to a session without a purpose, and with one the record says which', async () => {
    const { why: _, ...silent } = FULL;
    const without = await sidecar.session({ ...silent, tool_step: undefined });
    expect(verdictOf(await call(without, 'get_address'))).toEqual([403, 'out_of_task']);
    expect(await recordOf(without)).toMatchObject({ decision: 'deny', rule_id: 'why' });
    expect(up.requests.length).toBe(before);
    const told = await sidecar.session({ ...FULL, tool_step: undefined });
    expect(verdictOf(await call(told, 'get_address'))).toEqual([200, undefined]);
    expect(await recordOf(told)).toMatchObject({ decision: 'allow', purpose: FULL.why, workflow_id: FULL.workflow });
  });
});

describe('an issuer that asks for the trace', () => {
  it('[R2.05] links a call to its conversation and step, and takes no token without them', async () => {
    await publish('required_claims: [trace_id, conversation_id, workflow_step]\n');
    const session = await sidecar.session(FULL);
    expect(verdictOf(await call(session))).toEqual([200, undefined]);
    expect(await recordOf(session)).toMatchObject({
      trace_id: FULL.trace.id,
      conversation_id: FULL.trace.conversation,
      workflow_step: FULL.trace.step,
    });
    const { id, conversation, step } = FULL.trace;
    const lacking = [
      undefined,
      null,
      'text',
      {},
      { conversation, step },
      { id, step },
      { id, conversation },
      { id: '', conversation, step },
    ];
    for (const trace of lacking) expect([trace, ...verdictOf(await open({ ...FULL, trace }))]).toEqual([trace, 401, 'unauthenticated']);
    // A header names no trace: it is whatever its sender likes.
    const beside = { traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01' };
    const token = world.idp.mint(world.clock.wall(), { claims: { ...FULL, trace: undefined } });
    const answer = await sidecar.request('/session', { headers: { authorization: `Bearer ${token}`, ...beside } });
    expect(verdictOf(answer)).toEqual([401, 'unauthenticated']);
    await publish();
  });
});

describe('an issuer with strict claims', () => {
  it('[R2.07] takes no token that misses one of them, and the record repeats each', async () => {
    await publish('strict_claims: true\n');
    const { tenant_id: _, ...rest } = { tenant_id: 'acme', ...FULL };
    for (const missing of ['sub', 'run', 'tool_step', 'scope', 'scope_version', 'tenant_id', 'env', 'amr'])
      expect([missing, ...verdictOf(await open({ ...rest, [missing]: undefined }))]).toEqual([missing, 401, 'unauthenticated']);
    const session = await sidecar.session(FULL);
    expect(verdictOf(await call(session))).toEqual([200, undefined]);
    expect(await recordOf(session)).toMatchObject({
      user_id: 'alice@company.com',
      run_id: 'R-9',
      tool: 'orders/get_order',
      scope: 'orders:read refunds:read',
      scope_version: '7',
      tenant_id: 'acme',
      environment: 'production',
      authn_method: 'access_token amr=pwd,mfa',
    });
    // The token was for one tool: with it, no other is called.
    expect(verdictOf(await call(session, 'get_address'))).toEqual([403, 'tool_step_mismatch']);
    await publish();
  });
});
