import { recordingUpstream, type FakeClock, type RecordingUpstream } from '@sallyport/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { tcpProxy, type TcpProxy } from '../../support/tcp-proxy.ts';
import { versionOf } from '../../support/versions.ts';
import { eventually, pass, startWorld, testClock, type RunningSidecar, type World } from '../../support/world.ts';

const TTL_MS = 60_000;
const HOLD_MS = 30_000;
const ORDER = { order_id: 'O-000123' };

describe('a laptop that wakes', () => {
  let clock: FakeClock;
  let world: World;
  let up: RecordingUpstream;
  let line: TcpProxy;
  let sidecar: RunningSidecar;
  let session: string;

  beforeEach(async () => {
    clock = testClock();
    up = await recordingUpstream();
    world = await startWorld({ clock, freshnessTtlMs: TTL_MS });
    line = await tcpProxy(world.controlPlane.addresses().grpc);
    await world.admin.publish(versionOf(world, up.url, { number: 1 }));
    sidecar = await world.startSidecar({ controlPlane: { grpc: line }, config: { hold_while_syncing_ms: HOLD_MS } });
    await eventually(async () => (await pass(clock, 100), sidecar.ready()), 'readiness');
    session = await sidecar.session();
    // The lid: nothing runs, no line stands, and time goes on.
    line.cut();
    await clock.suspend(TTL_MS);
  });
  afterEach(async () => {
    await world?.close();
    await line?.close();
    await up?.close();
  });

  it('has its first call wait for the stream, and served', async () => {
    const answer = sidecar.call('orders/get_order', ORDER, session);
    await pass(clock, 1_000);
    expect(up.requests).toHaveLength(0);
    line.heal();
    let status: number | undefined;
    const settled = async (): Promise<void> => {
      ({ status } = await answer);
    };
    void settled();
    await eventually(async () => (await pass(clock, 50), status), 'an answer');
    expect(status).toBe(200);
  });

  it('and refused when nothing has come within the wait', async () => {
    const answer = sidecar.call('orders/get_order', ORDER, session);
    await pass(clock, HOLD_MS + 1_000);
    const { status, json } = await answer;
    expect([status, json()['code'], up.requests.length]).toEqual([503, 'policy_stale', 0]);
  });
});
