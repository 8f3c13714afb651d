import { recordingUpstream, type FakeClock, type RecordingUpstream } from '@sallyport/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { tcpProxy, type TcpProxy } from '../../support/tcp-proxy.ts';
import { versionOf } from '../../support/versions.ts';
import { eventually, pass, request, startWorld, testClock, type RunningSidecar, type World } from '../../support/world.ts';

const TTL_MS = 60_000;
const ORDER = { order_id: 'O-000123' };

/** Scenario A.36 as one story. */
describe('a sidecar that loses its distributor', () => {
  let clock: FakeClock;
  let world: World;
  let up: RecordingUpstream;
  let line: TcpProxy;

  beforeEach(async () => {
    clock = testClock();
    up = await recordingUpstream();
    world = await startWorld({ clock, freshnessTtlMs: TTL_MS });
    line = await tcpProxy(world.controlPlane.addresses().grpc);
    await world.admin.publish(versionOf(world, up.url, { number: 1 }));
  });
  afterEach(async () => {
    await world?.close();
    await line?.close();
    await up?.close();
  });

  const start = (withToken: boolean): Promise<RunningSidecar> =>
    world.startSidecar({ name: 'one', withToken, controlPlane: { grpc: line } });
  const until = (holds: () => boolean | Promise<boolean>, what: string): Promise<boolean> =>
    eventually(async () => (await pass(clock, 200), holds()), what);

  it('A.36.1-A.36.5: serves until the limit, blocks everybody, stays blocked through a restart, and returns by itself to a newer policy', async () => {
    let sidecar = await start(true);
    const people = [{}, { sub: 'bob@company.com', roles: ['auditor'] }];
    const sessions = async (): Promise<readonly string[]> => Promise.all(people.map((claims) => sidecar.session(claims)));
    const answers = async (held: readonly string[]): Promise<readonly unknown[]> =>
      Promise.all(
        held.map(async (session) => {
          const answer = await sidecar.call('orders/get_order', ORDER, session);
          return answer.status === 200 ? 200 : [answer.status, answer.json()['code']];
        }),
      );
    const ageMs = (): number => sidecar.sidecar.readiness().policy_age_ms ?? Number.NaN;

    // A.36.1
    await until(() => sidecar.ready(), 'readiness');
    const held = await sessions();
    expect(await answers(held)).toEqual([200, [403, 'tool_not_allowed']]);

    // A.36.2: the same decisions, and an age that everybody can see growing.
    await world.stopControlPlane();
    line.cut();
    const [age, end] = [ageMs(), clock.boot() + (TTL_MS - ageMs())];
    await pass(clock, (end - clock.boot()) / 2);
    expect(ageMs()).toBeGreaterThan(age);
    expect(await answers(held)).toEqual([200, [403, 'tool_not_allowed']]);
    const metrics = await request(sidecar.healthPort, '/metrics', { method: 'GET' });
    expect(Number(/^sallyport_policy_age_seconds ([0-9.]+)$/m.exec(metrics.text)?.[1])).toBeCloseTo(ageMs() / 1_000, 0);

    // A.36.3
    await pass(clock, end - clock.boot() + 1_000);
    const served = up.requests.length;
    expect(await answers(held)).toEqual([
      [503, 'policy_stale'],
      [503, 'policy_stale'],
    ]);
    expect([await sidecar.ready(), up.requests.length]).toEqual([false, served]);

    // A.36.4
    await sidecar.drain();
    sidecar = await start(false);
    await pass(clock, 5_000);
    for (const claims of people) await expect(sidecar.session(claims)).rejects.toThrow('policy_stale');
    expect([await sidecar.ready(), up.requests.length]).toEqual([false, served]);

    // A.36.5: meanwhile the policy has changed hands.
    await world.restartControlPlane();
    await world.admin.publish(versionOf(world, up.url, { number: 2, allows: false }), { leaveBehind: true });
    line.heal();
    await until(async () => (await sidecar.ready()) && sidecar.sidecar.readiness().release_seq === 2, 'release 2');
    expect(await answers(await sessions())).toEqual([[403, 'tool_not_allowed'], 200]);
  });
});
