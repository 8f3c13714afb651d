import type { Instant } from '@sallyport/model';
import { recordingUpstream, type FakeClock, type RecordingUpstream } from '@sallyport/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { tcpProxy, type TcpProxy } from '../../support/tcp-proxy.ts';
import { versionOf } from '../../support/versions.ts';
import { eventually, pass, request, startWorld, testClock, type HttpAnswer, type RunningSidecar, type World } from '../../support/world.ts';

const TTL_MS = 60_000;
const HOUR_MS = 3_600_000;
const ORDER = { order_id: 'O-000123' };

describe('a sidecar that is cut off from the distributor', () => {
  let clock: FakeClock;
  let world: World;
  let up: RecordingUpstream;
  let line: TcpProxy;
  let sidecar: RunningSidecar;

  beforeEach(async () => {
    clock = testClock();
    up = await recordingUpstream();
    world = await startWorld({ clock, freshnessTtlMs: TTL_MS });
    line = await tcpProxy(world.controlPlane.addresses().grpc);
    await world.admin.publish(versionOf(world, up.url, { number: 1 }));
    sidecar = await world.startSidecar({ controlPlane: { grpc: line } });
    await eventually(async () => (await pass(clock, 100), sidecar.ready()), 'readiness');
  });
  afterEach(async () => {
    await world?.close();
    await line?.close();
    await up?.close();
  });

  /** How much longer the policy in force may be enforced, by the sidecar's own account. */
  const leftMs = (): number => {
    const { policy_age_ms: age, ttl_ms: ttl } = sidecar.sidecar.readiness();
    return (ttl ?? 0) - (age ?? 0);
  };
  const live = async (): Promise<number> => (await request(sidecar.healthPort, '/livez', { method: 'GET' })).status;
  /** Everything that an agent can ask of its sidecar, by several people, with and without a credential. */
  const everyCaller = (sessions: readonly string[]): readonly Promise<HttpAnswer>[] => [
    ...sessions.map((session) => sidecar.call('orders/get_order', ORDER, session)),
    sidecar.request('/session', { headers: { authorization: `Bearer ${world.idp.mint(clock.wall())}` } }),
    sidecar.request('/tools/orders/get_order', { body: '{}', headers: { 'content-type': 'application/json' } }),
    sidecar.request('/mcp/orders', {
      body: '{"jsonrpc":"2.0","id":1,"method":"tools/list"}',
      headers: { 'content-type': 'application/json' },
    }),
    sidecar.request('/tools/orders/unknown', {
      body: '{}',
      headers: { 'content-type': 'application/json', 'sallyport-session': sessions[0] ?? '' },
    }),
  ];

  it('[R9.05] serves until the ttl, and a second later denies every caller, whatever its wall clock did in between', async () => {
    const sessions = [
      await sidecar.session(),
      await sidecar.session({ sub: 'bob@company.com' }),
      await sidecar.session({ tenant_id: 'umbrella' }),
    ];
    line.cut();
    const end = clock.boot() + leftMs();
    for (const jump of [-HOUR_MS, HOUR_MS, -60_000, 60_000]) {
      await pass(clock, 5_000);
      clock.setWall((clock.wall() + jump) as Instant);
    }
    await pass(clock, end - clock.boot() - 1_000);
    for (const session of sessions) expect((await sidecar.call('orders/get_order', ORDER, session)).status).toBe(200);
    expect([await sidecar.ready(), await live()]).toEqual([true, 200]);
    const served = up.requests.length;
    await pass(clock, 2_000);
    const answers = await Promise.all(everyCaller(sessions));
    expect(answers.map((answer) => [answer.status, answer.json()['code'] ?? answer.text])).toEqual(
      answers.map(() => [503, 'policy_stale']),
    );
    expect(up.requests).toHaveLength(served);
    expect([await sidecar.ready(), await live()]).toEqual([false, 200]);
  });

  it('[R9.13] a system clock that is set back while it is cut off buys no time', async () => {
    const session = await sidecar.session();
    line.cut();
    const end = clock.boot() + leftMs();
    clock.setWall((clock.wall() - HOUR_MS) as Instant);
    // And again every few seconds, as somebody would who wants to stay where they are.
    const stands = clock.wall();
    while (end - clock.boot() > 1_000) {
      await pass(clock, Math.min(5_000, end - clock.boot() - 1_000));
      clock.setWall(stands);
    }
    expect(await sidecar.ready()).toBe(true);
    await pass(clock, 2_000);
    clock.setWall(stands);
    const denied = await sidecar.call('orders/get_order', ORDER, session);
    expect([denied.status, denied.json()['code']]).toEqual([503, 'policy_stale']);
    expect(await sidecar.ready()).toBe(false);
  });

  it('[R9.15] returns by itself once the control plane is back, to the newest version', async () => {
    line.cut();
    await pass(clock, TTL_MS + 1_000);
    expect(await sidecar.ready()).toBe(false);
    await world.admin.publish(versionOf(world, up.url, { number: 2 }));
    line.heal();
    await eventually(async () => (await pass(clock, 500), sidecar.ready()), 'readiness after the line is whole');
    await eventually(async () => (await pass(clock, 500), sidecar.sidecar.readiness().release_seq === 2), 'release 2');
    const answer = await sidecar.call('orders/get_order', ORDER, await sidecar.session());
    expect(answer.status).toBe(200);
  });

  it('[R9.15] and after the control plane itself was down for 60 s', async () => {
    await world.stopControlPlane();
    await pass(clock, TTL_MS);
    const session = sidecar.session();
    await expect(session).rejects.toThrow('policy_stale');
    await world.restartControlPlane();
    await world.admin.publish(versionOf(world, up.url, { number: 2 }), { leaveBehind: true });
    await eventually(async () => (await pass(clock, 500), sidecar.sidecar.readiness().release_seq === 2 && sidecar.ready()), 'release 2');
    expect((await sidecar.call('orders/get_order', ORDER, await sidecar.session())).status).toBe(200);
  });

  it('[R14.09] readiness: not without a bundle, with one, not when it is stale, and again when it is renewed', async () => {
    const other = await startWorld({ clock: testClock(), freshnessTtlMs: TTL_MS });
    try {
      const empty = await other.startSidecar();
      expect(await empty.ready()).toBe(false);
      expect((await request(empty.healthPort, '/livez', { method: 'GET' })).status).toBe(200);
    } finally {
      await other.close();
    }
    expect(await sidecar.ready()).toBe(true);
    line.freeze();
    await pass(clock, TTL_MS + 1_000);
    expect([await sidecar.ready(), await live()]).toEqual([false, 200]);
    const probe = await request(sidecar.healthPort, '/readyz', { method: 'GET' });
    expect([probe.status, probe.json()['reason']]).toEqual([503, 'expired']);
    line.cut();
    line.heal();
    await eventually(async () => (await pass(clock, 500), sidecar.ready()), 'readiness after the line is whole');
  });
});
