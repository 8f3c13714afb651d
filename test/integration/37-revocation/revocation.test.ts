import { recordingUpstream, type FakeClock, type RecordingUpstream } from '@sallyport/testkit';
import type { Instant } from '@sallyport/model';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { allCalls } from '../../support/audit.ts';
import { ordersPolicy } from '../../support/policies.ts';
import { tcpProxy, type TcpProxy } from '../../support/tcp-proxy.ts';
import { eventually, pass, startWorld, testClock, type HttpAnswer, type RunningSidecar, type World } from '../../support/world.ts';

const TTL_MS = 60_000;
const ORDER = { order_id: 'O-1' };

const DOCUMENTS = `
kind: Tool
name: orders/get_order
effect: read
route: { method: POST, path: /get_order }
arguments: { required: [order_id], properties: { order_id: { type: string } } }
---
kind: Tool
name: orders/get_stock
effect: read
route: { method: POST, path: /get_stock }
arguments: { required: [order_id], properties: { order_id: { type: string } } }
---
kind: Policy
agent: support-triage
rules: [{ id: read, allow: [orders/get_order, orders/get_stock], for: { roles: [support-rep] } }]
`;

const policyOf = (world: World, up: RecordingUpstream): string =>
  ordersPolicy(up.url, DOCUMENTS, world.idp).replace('case: ticket_id,', 'case: ticket_id, run_id: run,');

/** 200, or the status with the code. */
const verdictOf = (answer: HttpAnswer): string => (answer.status === 200 ? '200' : `${answer.status} ${String(answer.json()['code'])}`);

const refusalOf = (opening: Promise<string>): Promise<string> => opening.then(() => 'opened', String);

describe('a revocation, at several sidecars', () => {
  let world: World;
  let up: RecordingUpstream;
  let sidecars: readonly RunningSidecar[];

  beforeAll(async () => {
    up = await recordingUpstream();
    world = await startWorld();
    await world.admin.publish(policyOf(world, up));
    sidecars = await Promise.all(['one', 'two', 'three'].map((name) => world.startSidecar({ name })));
    await eventually(async () => (await Promise.all(sidecars.map((one) => one.ready()))).every(Boolean), 'readiness');
  });
  afterAll(async () => {
    await world?.close();
    await up?.close();
  });

  /** A session at each of them. */
  const everywhere = (claims: Record<string, unknown>): Promise<readonly string[]> =>
    Promise.all(sidecars.map((one) => one.session(claims)));
  const verdicts = (sessions: readonly string[], tool = 'orders/get_order'): Promise<readonly string[]> =>
    Promise.all(sidecars.map(async (one, index) => verdictOf(await one.call(tool, ORDER, sessions[index] ?? ''))));
  const all = (verdict: string): readonly string[] => sidecars.map(() => verdict);
  const become = (sessions: readonly string[], verdict: string, tool?: string): Promise<unknown> =>
    eventually(async () => (await verdicts(sessions, tool)).every((one) => one === verdict), `${verdict} everywhere`);

  it.each<[what: string, claims: Record<string, unknown>, selector: string, value: () => string]>([
    ['a token', { jti: 'lost-1' }, 'token', () => 'lost-1'],
    ['a credential', { jti: 'lost-2' }, 'credential', () => 'lost-2'],
    ['a run', { run: 'R-1' }, 'run', () => 'R-1'],
    ['a principal', { sub: 'bob' }, 'principal', () => 'bob'],
    ['a principal of one issuer', { sub: 'eve' }, 'account', () => `${world.idp.issuer} eve`],
  ])('%s is refused at all of them, and others are not', async (_what, claims, selector, value) => {
    const [revoked, others] = [await everywhere(claims), await everywhere({ jti: 'kept', run: 'R-2', sub: 'carol' })];
    expect(await verdicts(revoked)).toEqual(all('200'));
    await world.admin.revoke(selector, value());
    await become(revoked, '401 token_revoked');
    expect(await verdicts(others)).toEqual(all('200'));
    for (const one of sidecars) expect(await refusalOf(one.session(claims))).toContain('token_revoked');
  });

  it('a principal of another issuer is not the account that was revoked', async () => {
    const sessions = await everywhere({ sub: 'frank' });
    await world.admin.revoke('account', 'https://other.test frank');
    await world.admin.revoke('token', 'only-to-wait-for');
    const barrier = await everywhere({ jti: 'barrier' });
    await world.admin.revoke('token', 'barrier');
    await become(barrier, '401 token_revoked');
    expect(await verdicts(sessions)).toEqual(all('200'));
  });

  it('whoever signs in after the moment of a revocation is let in again', async () => {
    const now = world.clock.wall();
    const claims = { sub: 'dora', auth_time: Math.floor(now / 1_000) - 60 };
    const before = await everywhere(claims);
    await world.admin.revoke('principal', 'dora', (now - 30_000) as Instant);
    await become(before, '401 token_revoked');
    expect(await verdicts(await everywhere({ sub: 'dora', auth_time: Math.floor(now / 1_000) }))).toEqual(all('200'));
  });

  it('a tool that is marked dangerous is refused at the next call everywhere, and a read of it that is under way is cut', async () => {
    const sessions = await everywhere({ sub: 'gwen' });
    const [first] = sidecars;
    up.answer((request) => (request.target.startsWith('/get_stock') ? { kind: 'hang' } : { kind: 'json', body: {} }));
    const [cut] = await Promise.all([
      first?.call('orders/get_stock', ORDER, sessions[0] ?? ''),
      up.arrived(up.requests.length + 1).then(async () => world.admin.revoke('tool', 'orders/get_stock')),
    ]);
    expect(cut === undefined ? '' : verdictOf(cut)).toBe('403 tool_not_allowed');
    await become(sessions, '403 tool_not_allowed', 'orders/get_stock');
    expect(await verdicts(sessions)).toEqual(all('200'));
    const record = await eventually(
      async () => (await allCalls(world)).find((call) => call.tool === 'orders/get_stock' && call.result === 'cut'),
      'the cut on record',
    );
    expect(record.code).toBe('tool_not_allowed');
  });
});

/** Scenario A.14 as one story. */
describe('a risk event during a long run', () => {
  let clock: FakeClock;
  let world: World;
  let up: RecordingUpstream;
  let line: TcpProxy;

  beforeAll(async () => {
    clock = testClock();
    up = await recordingUpstream();
    world = await startWorld({ clock, freshnessTtlMs: TTL_MS });
    line = await tcpProxy(world.controlPlane.addresses().grpc);
    await world.admin.publish(policyOf(world, up));
  });
  afterAll(async () => {
    await world?.close();
    await line?.close();
    await up?.close();
  });

  const until = (holds: () => boolean | Promise<boolean>, what: string): Promise<boolean> =>
    eventually(async () => (await pass(clock, 200), holds()), what);

  it('A.14.1-A.14.4, [R9.16]: refused wherever the event arrives; where it cannot, until the policy is stale and no longer', async () => {
    const [near, beside] = [await world.startSidecar({ name: 'near' }), await world.startSidecar({ name: 'beside' })];
    const far = await world.startSidecar({ name: 'far', controlPlane: { grpc: line } });
    await until(async () => (await Promise.all([near, beside, far].map((one) => one.ready()))).every(Boolean), 'readiness');
    const call = async (at: RunningSidecar, session: string): Promise<string> =>
      verdictOf(await at.call('orders/get_order', ORDER, session));

    // A.14.1
    const [session, other, away] = [
      await near.session({ run: 'R1', jti: 'first' }),
      await near.session({ run: 'R2', jti: 'second' }),
      await far.session({ run: 'R1', jti: 'third' }),
    ];
    const alike = await beside.session({ run: 'R1', jti: 'fourth' });
    expect([await call(near, session), await call(near, session), await call(far, away)]).toEqual(['200', '200', '200']);
    expect(await call(beside, alike)).toBe('200');

    // A.14.2, with the line to the other one cut before
    line.cut();
    const cutAt = clock.boot();
    const served = up.requests.length;
    await world.admin.revoke('run', 'R1');
    await until(async () => (await call(near, session)) === '401 token_revoked', 'the refusal');
    await until(async () => (await call(beside, alike)) === '401 token_revoked', 'the refusal beside it');
    expect(clock.boot() - cutAt).toBeLessThan(TTL_MS / 2);

    // A.14.3: a token that nobody has shown before, and another run.
    expect(await refusalOf(near.session({ run: 'R1', jti: 'fresh' }))).toContain('token_revoked');
    expect(await call(near, other)).toBe('200');
    expect(up.requests.length).toBeGreaterThan(served);

    // A.14.4
    expect(await call(far, away)).toBe('200');
    await pass(clock, TTL_MS);
    const reached = up.requests.length;
    expect(await call(far, away)).toBe('503 policy_stale');
    expect([await far.ready(), up.requests.length]).toEqual([false, reached]);
    line.heal();
    await until(() => far.ready(), 'the line');
    expect(await call(far, away)).toBe('401 token_revoked');
    expect(up.requests.length).toBe(reached);
  });
});
