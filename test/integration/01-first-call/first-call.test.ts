import { recordingUpstream, type RecordingUpstream } from '@sallyport/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ordersPolicy, READ_ORDERS } from '../../support/policies.ts';
import { eventually, startWorld, type RunningSidecar, type World } from '../../support/world.ts';

describe('one governed call, end to end', () => {
  let world: World;
  let up: RecordingUpstream;
  let sidecar: RunningSidecar;

  beforeAll(async () => {
    up = await recordingUpstream();
    world = await startWorld();
    await world.admin.publish(ordersPolicy(up.url, READ_ORDERS, world.idp));
    sidecar = await world.startSidecar();
    await eventually(() => sidecar.ready(), 'readiness').catch((error: unknown) => {
      throw new Error(`${String(error)}\n${JSON.stringify(sidecar.sidecar.readiness())}\n${world.log.join('')}`);
    });
  });
  afterAll(async () => {
    await world?.close();
    await up?.close();
  });

  it('is allowed by the published rule and reaches the tool once', async () => {
    const session = await sidecar.session();
    const answer = await sidecar.call('orders/get_order', { order_id: 'O-000123' }, session);
    expect([answer.status, answer.text]).toEqual([200, '{"ok":true}']);
    expect(up.requests).toHaveLength(1);
  });

  it('arrives, decision and outcome, in the control plane’s log', async () => {
    const lines = await eventually(async () => {
      const calls = await world.admin.tail('calls');
      return calls.some((line) => line.includes('"read-orders"')) ? calls : undefined;
    }, 'the call in the log');
    expect(lines.length).toBeGreaterThan(0);
  });
});
