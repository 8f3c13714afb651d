/** What every record says, and that all of them arrive. */

import { recordingUpstream, type RecordingUpstream } from '@sallyport/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ordersPolicy, READ_ORDERS } from '../../support/policies.ts';
import { eventually, startWorld, type RunningSidecar, type World } from '../../support/world.ts';

interface CallEvent {
  readonly at: string;
  readonly request_id: string;
  readonly user_id: string;
  readonly tenant_id: string;
  readonly agent_id: string;
  readonly action: string;
  readonly decision: string;
  readonly rule_id: string;
  readonly code: string;
  readonly policy_version: number;
  readonly release_seq: number;
  readonly result: string;
  readonly upstream_status: number | null;
  readonly latency_ms: number;
  readonly tool: string;
}

describe('the record of calls', () => {
  let world: World;
  let up: RecordingUpstream;
  let sidecar: RunningSidecar;

  beforeAll(async () => {
    up = await recordingUpstream();
    world = await startWorld();
    await world.admin.publish(ordersPolicy(up.url, READ_ORDERS, world.idp));
    sidecar = await world.startSidecar();
    await eventually(() => sidecar.ready(), 'readiness');
  });
  afterAll(async () => {
    await world.close();
    await up.close();
  });

  /** Tool calls in the collector's log, once there are `count` of them. */
  const toolCalls = async (count: number): Promise<readonly CallEvent[]> =>
    eventually(async () => {
      const events = (await world.admin.tail('calls')).map((line) => JSON.parse(line) as CallEvent);
      const calls = events.filter(({ action }) => action === 'tools/call');
      return calls.length >= count ? calls : undefined;
    }, `${count} calls in the log`);

  it('ten allowed and ten denied calls are twenty structured events, each with its eight core fields [R10.01] [R10.02]', async () => {
    const session = await sidecar.session();
    const stranger = await sidecar.session({ roles: ['guest'] });
    for (let i = 0; i < 10; i++) {
      expect((await sidecar.call('orders/get_order', { order_id: `O-00000${i}` }, session)).status).toBe(200);
      expect((await sidecar.call('orders/get_order', { order_id: `O-00000${i}` }, stranger)).status).toBe(403);
    }
    const calls = await toolCalls(20);
    expect(calls).toHaveLength(20);
    expect(calls.filter(({ decision }) => decision === 'allow')).toHaveLength(10);
    for (const call of calls) {
      const core = [call.at, call.request_id, call.user_id, call.tenant_id, call.agent_id, call.action, call.decision, call.rule_id];
      expect(core.filter((field) => field === '' || field === '-' || field === undefined || field === null)).toEqual([]);
      expect(call.rule_id).toBe(call.decision === 'allow' ? 'read-orders' : 'default-deny');
    }
    expect(new Set(calls.map(({ request_id: id }) => id)).size).toBe(20);
  });

  it('status and latency are there, and an upstream’s failure reads differently from a denial [R10.07]', async () => {
    const session = await sidecar.session();
    const before = (await toolCalls(0)).length;
    up.answer({ kind: 'json', status: 500, body: { error: 'broken' } });
    expect((await sidecar.call('orders/get_order', { order_id: 'O-000001' }, session)).status).toBe(502);
    up.answer({ kind: 'json', body: { ok: true } });
    expect((await sidecar.call('orders/get_order', { order_id: 'nonsense' }, session)).status).toBe(422);
    const [failed, denied] = (await toolCalls(before + 2)).slice(before);
    expect(failed).toMatchObject({ decision: 'allow', result: 'upstream_error', upstream_status: 500 });
    expect(denied).toMatchObject({ decision: 'deny', result: 'denied', upstream_status: null, code: 'schema_violation' });
    for (const call of [failed, denied]) expect(call?.latency_ms).toBeGreaterThanOrEqual(0);
  });

  it('an update between two calls shows in the version and the rule of each [R10.06]', async () => {
    const session = await sidecar.session();
    const before = (await toolCalls(0)).length;
    await sidecar.call('orders/get_order', { order_id: 'O-000001' }, session);
    const { releaseSeq } = await world.admin.publish(
      ordersPolicy(up.url, READ_ORDERS.replaceAll('read-orders', 'read-any-order'), world.idp),
    );
    await eventually(() => sidecar.sidecar.readiness().release_seq === releaseSeq, 'the new release');
    await sidecar.call('orders/get_order', { order_id: 'O-000001' }, session);
    const [first, second] = (await toolCalls(before + 2)).slice(before);
    expect([first?.rule_id, second?.rule_id]).toEqual(['read-orders', 'read-any-order']);
    expect([first?.policy_version, second?.policy_version]).toEqual([releaseSeq - 1, releaseSeq]);
  });
});
