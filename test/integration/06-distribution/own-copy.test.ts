import { recordingUpstream, type FakeClock, type RecordingUpstream } from '@sallyport/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tcpProxy, type TcpProxy } from '../../support/tcp-proxy.ts';
import { versionOf } from '../../support/versions.ts';
import { eventually, pass, startWorld, testClock, type RunningSidecar, type World } from '../../support/world.ts';

const ORDER = { order_id: 'O-000123' };

describe('a sidecar decides from its own copy', () => {
  let clock: FakeClock;
  let world: World;
  let up: RecordingUpstream;
  let line: TcpProxy;
  let sidecar: RunningSidecar;

  beforeAll(async () => {
    clock = testClock();
    up = await recordingUpstream();
    world = await startWorld({ clock, freshnessTtlMs: 60_000 });
    line = await tcpProxy(world.controlPlane.addresses().grpc);
    await world.admin.publish(versionOf(world, up.url, { number: 1 }));
    sidecar = await world.startSidecar({ controlPlane: { grpc: line } });
    await eventually(async () => (await pass(clock, 100), sidecar.ready()), 'readiness');
  });
  afterAll(async () => {
    await world?.close();
    await line?.close();
    await up?.close();
  });

  const decide = async (session: string, count: number): Promise<readonly number[]> => {
    const answers: number[] = [];
    for (let call = 0; call < count; call++) {
      // One allowed and one denied: neither asks anybody.
      answers.push((await sidecar.call('orders/get_order', ORDER, session)).status);
      answers.push((await sidecar.call('orders/get_order', { order_id: 'x' }, session)).status);
    }
    return answers;
  };
  const expected = (count: number): readonly number[] => Array.from({ length: count }, () => [200, 422]).flat();

  it.each([
    ['cut', (of: TcpProxy): void => of.cut()],
    ['black hole', (of: TcpProxy): void => of.freeze()],
  ])('[R9.04] goes on deciding while the line is a %s, and no request waits for it', async (_, lose) => {
    line.heal();
    await eventually(async () => (await pass(clock, 500), sidecar.ready()), 'readiness');
    const session = await sidecar.session();
    lose(line);
    const carried = line.bytes;
    const reached = up.requests.length;
    // The clock stands: whatever waits for a deadline, a retry or the control plane would wait for ever.
    expect(await decide(session, 20)).toEqual(expected(20));
    expect(up.requests).toHaveLength(reached + 20);
    expect(line.bytes).toBe(carried);
    // And as time goes on, up to the staleness limit.
    const { policy_age_ms: age, ttl_ms: ttl } = sidecar.sidecar.readiness();
    await pass(clock, (ttl ?? 0) - (age ?? 0) - 1_000);
    expect(await decide(session, 5)).toEqual(expected(5));
    await pass(clock, 2_000);
    expect(await decide(session, 1)).toEqual([503, 503]);
  });
});
