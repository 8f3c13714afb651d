/** Going back, and seeing who enforces what. */

import { recordingUpstream, type RecordingUpstream } from '@sallyport/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ordersPolicy, READ_ORDERS } from '../../support/policies.ts';
import { eventually, startWorld, type RunningSidecar, type World } from '../../support/world.ts';

const named = (rule: string): string => READ_ORDERS.replaceAll('read-orders', rule);

describe('publishing', () => {
  let world: World;
  let up: RecordingUpstream;

  beforeEach(async () => {
    up = await recordingUpstream();
    world = await startWorld();
  });
  afterEach(async () => {
    await world.close();
    await up.close();
  });

  const enforced = (sidecar: RunningSidecar, releaseSeq: number): Promise<true> =>
    eventually(
      () => sidecar.sidecar.readiness().release_seq === releaseSeq || undefined,
      `release ${releaseSeq} at a sidecar`,
    ) as Promise<true>;

  it('rolling back is a new release of the old content, in force everywhere, with its author [R9.10]', async () => {
    const old = await world.admin.publish(ordersPolicy(up.url, named('first'), world.idp));
    const sidecars = [await world.startSidecar({ name: 'one' }), await world.startSidecar({ name: 'two' })];
    await Promise.all(sidecars.map((sidecar) => enforced(sidecar, 1)));
    const next = await world.admin.publish(ordersPolicy(up.url, named('second'), world.idp));
    await Promise.all(sidecars.map((sidecar) => enforced(sidecar, 2)));

    const back = await world.admin.promote(old, {
      rollback: true,
      reason: 'second was a mistake',
      signers: [world.admin.signer('release-1'), world.admin.signer('release-2')],
    });
    expect(back.refusal).toBe('');
    await Promise.all(sidecars.map((sidecar) => enforced(sidecar, 3)));

    const { versions } = await world.admin.versions();
    const releases = versions.filter(({ kind }) => kind === 'release').toSorted((a, b) => Number(a.releaseSeq - b.releaseSeq));
    expect(releases.map(({ bundles }) => bundles)).toEqual([[old.digest], [next.digest], [old.digest]]);
    expect(releases[2]).toMatchObject({ rollback: true, author: 'spiffe://demo.local/admin/admin', reason: 'second was a mistake' });
    for (const sidecar of sidecars) {
      const session = await sidecar.session();
      expect((await sidecar.call('orders/get_order', { order_id: 'O-000001' }, session)).status).toBe(200);
    }
    await eventually(
      async () => (await world.admin.tail('calls')).some((line) => line.includes('"first"') && line.includes('"release_seq":3')),
      'a call under the rule of before',
    );
  });

  it('rolling back with one key, or without saying so, is refused, and what is in force stays', async () => {
    const old = await world.admin.publish(ordersPolicy(up.url, named('first'), world.idp));
    await world.admin.publish(ordersPolicy(up.url, named('second'), world.idp));
    const oneKey = await world.admin.promote(old, { rollback: true, reason: 'alone' });
    const unsaid = await world.admin.promote(old);
    expect([oneKey.refusal, unsaid.refusal]).toEqual(['bundle_rollback_refused', 'bundle_rollback_refused']);
    expect(Number((await world.admin.status()).releaseSeq)).toBe(2);
  });

  it('the fleet shows three sidecars, and the one that is held at an older release as drifted [R9.22]', async () => {
    await world.admin.publish(ordersPolicy(up.url, named('first'), world.idp));
    let vetted = 0;
    // Its second bundle never gets through vetting, so it stays where it is.
    const vet = (): Promise<{ ok: true; value: undefined }> =>
      vetted++ === 0 ? Promise.resolve({ ok: true, value: undefined }) : new Promise(() => {});
    const sidecars = [
      await world.startSidecar({ name: 'one' }),
      await world.startSidecar({ name: 'two' }),
      await world.startSidecar({ name: 'held', vet }),
    ];
    await Promise.all(sidecars.map((sidecar) => enforced(sidecar, 1)));
    await world.admin.publish(ordersPolicy(up.url, named('second'), world.idp), { leaveBehind: true });
    await Promise.all(sidecars.slice(0, 2).map((sidecar) => enforced(sidecar, 2)));

    const seen = await eventually(async () => {
      const { sidecars: rows } = await world.admin.status();
      return rows.filter(({ activeReleaseSeq }) => activeReleaseSeq === 2n).length === 2 ? rows : undefined;
    }, 'two of three at the newest release');
    expect(
      seen.map(({ instance, activeReleaseSeq, drifted, connected }) => [instance, Number(activeReleaseSeq), drifted, connected]).toSorted(),
    ).toEqual([
      ['held', 1, true, true],
      ['one', 2, false, true],
      ['two', 2, false, true],
    ]);
    for (const row of seen) expect(Number(row.lastContactMs)).toBeGreaterThan(Date.now() - 60_000);
  });

  it('a policy with a failing test is refused with its line, and nothing changes [R9.21]', async () => {
    await world.admin.publish(ordersPolicy(up.url, named('first'), world.idp));
    const failing = named('second').replace('expect: allow', 'expect: no_matching_policy');
    const { problems } = await world.admin.submitBundle(ordersPolicy(up.url, failing, world.idp));
    expect(problems).toHaveLength(1);
    expect(problems[0]?.file).toBe('policy.yaml');
    expect(problems[0]?.line).toBeGreaterThan(0);
    expect(Number((await world.admin.status()).releaseSeq)).toBe(1);
  });
});

describe('before any policy', () => {
  it('without a control plane and without a cache everything is refused, and nothing is ready [R9.03] [R9.11] [R14.09]', async () => {
    const up = await recordingUpstream();
    const world = await startWorld();
    await world.admin.publish(ordersPolicy(up.url, READ_ORDERS, world.idp));
    await world.stopControlPlane();
    const sidecar = await world.startSidecar({ withToken: false });
    for (const path of ['/session', '/tools/orders/get_order', '/mcp/orders', '/']) {
      const answer = await sidecar.request(path, { body: '{}', headers: { 'content-type': 'application/json' } });
      expect([answer.status, answer.json()['code']]).toEqual([503, 'policy_unavailable']);
    }
    expect(await sidecar.ready()).toBe(false);
    expect(up.requests).toHaveLength(0);
    await world.close();
    await up.close();
  });
});
