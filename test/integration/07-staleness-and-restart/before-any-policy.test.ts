/** Nothing to decide by is nothing allowed: on the first day, and after everything was lost. */

import { recordingUpstream, type FakeClock, type RecordingUpstream } from '@sallyport/testkit';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { versionOf } from '../../support/versions.ts';
import { eventually, pass, request, startWorld, testClock, type RunningSidecar, type World } from '../../support/world.ts';

describe('a sidecar that holds no policy', () => {
  let clock: FakeClock;
  let world: World;
  let up: RecordingUpstream;
  let session: string;
  /** An identity, and a policy that would allow. */
  let first: RunningSidecar;

  beforeEach(async () => {
    up = await recordingUpstream();
    clock = testClock();
    world = await startWorld({ clock });
    await world.admin.publish(versionOf(world, up.url, { number: 1 }));
    first = await world.startSidecar({ config: { drain_ms: 100 } });
    await eventually(async () => (await pass(clock, 100), first.ready()), 'readiness');
    session = await first.session();
    expect((await first.call('orders/get_order', { order_id: 'O-000123' }, session)).status).toBe(200);
  });
  afterEach(async () => {
    await world?.close();
    await up?.close();
  });

  const deniesEverything = async (sidecar: RunningSidecar): Promise<void> => {
    const json = { 'content-type': 'application/json' };
    const reached = up.requests.length;
    const answers = await Promise.all([
      sidecar.request('/session', { headers: { authorization: `Bearer ${world.idp.mint(clock.wall())}` } }),
      sidecar.call('orders/get_order', { order_id: 'O-000123' }, session),
      sidecar.request('/tools/orders/get_order', { body: '{}', headers: json }),
      sidecar.request('/mcp/orders', { body: '{"jsonrpc":"2.0","id":1,"method":"tools/list"}', headers: json }),
      sidecar.request('/', { body: '{}', headers: json }),
    ]);
    expect(answers.map((answer) => [answer.status, answer.json()['code']])).toEqual(answers.map(() => [503, 'policy_unavailable']));
    expect(await sidecar.ready()).toBe(false);
    expect((await request(sidecar.healthPort, '/livez', { method: 'GET' })).status).toBe(200);
    expect(up.requests).toHaveLength(reached);
  };

  it('[R9.11] a first start without a control plane denies everything and is not ready', async () => {
    const token = await world.admin.joinToken('support-triage');
    await world.stopControlPlane();
    await deniesEverything(await world.startSidecar({ name: 'new', token, config: { drain_ms: 100 } }));
  });

  it('[R9.03] control plane and cache both gone at the start: everything is rejected, until policy can be had again', async () => {
    await world.stopControlPlane();
    await first.drain();
    rmSync(join(first.stateDir, 'bundle'), { recursive: true });
    const again = await world.startSidecar({ withToken: false, config: { drain_ms: 100 } });
    await deniesEverything(again);
    await world.restartControlPlane();
    await eventually(async () => (await pass(clock, 500), again.ready()), 'readiness, by itself');
    expect((await again.call('orders/get_order', { order_id: 'O-000123' }, await again.session())).status).toBe(200);
  });

  it('a join token that is gone, and then a spent one, are told as such; a good one put there is taken by itself', async () => {
    const [spent, good] = [await world.admin.joinToken('support-triage'), await world.admin.joinToken('support-triage')];
    await world.startSidecar({ name: 'spender', token: spent, config: { drain_ms: 100 } });
    const file = join(world.dir, 'late.join-token');
    const late = await world.startSidecar({ name: 'late', token: spent, config: { drain_ms: 100 } });
    const reason = async (): Promise<unknown> => (await request(late.healthPort, '/readyz', { method: 'GET' })).json()['reason'];
    await eventually(
      async () => (await pass(clock, 100), String(await reason()).includes('spent or expired')),
      'a refusal that is called one',
    );
    expect(world.log.join('\n')).toContain('enrolment_refused');
    rmSync(file);
    await eventually(
      async () => (await pass(clock, 1_000), String(await reason()).includes(`\`${file}\` does not exist`)),
      'the missing file',
    );
    writeFileSync(file, good, { mode: 0o600 });
    await eventually(async () => (await pass(clock, 1_000), late.ready()), 'readiness, by itself');
  });
});
