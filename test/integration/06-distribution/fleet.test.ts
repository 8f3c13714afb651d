import { fail, ok } from '@sallyport/model';
import { reject } from '@sallyport/trust';
import { recordingUpstream, type RecordingUpstream } from '@sallyport/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { versionOf } from '../../support/versions.ts';
import { eventually, startWorld, type RunningSidecar, type World } from '../../support/world.ts';

describe('the fleet', () => {
  let world: World;
  let up: RecordingUpstream;
  let sidecars: RunningSidecar[];
  let isHeld = false;

  beforeAll(async () => {
    up = await recordingUpstream();
    world = await startWorld();
    await world.admin.publish(versionOf(world, up.url, { number: 1 }));
    sidecars = [
      await world.startSidecar({ name: 'one' }),
      await world.startSidecar({ name: 'two' }),
      // On a machine that has no memory to spare: it refuses whatever is new.
      await world.startSidecar({ name: 'three', vet: async () => (isHeld ? fail(reject('RESOURCE', 'no memory')) : ok(undefined)) }),
    ];
    for (const sidecar of sidecars) await eventually(() => sidecar.ready(), 'readiness');
    isHeld = true;
  });
  afterAll(async () => {
    await world?.close();
    await up?.close();
  });

  it('[R9.22] lists each sidecar with its version, its staleness and its last contact; one held at n-1 is drifted', async () => {
    const before = await eventually(async () => {
      const { sidecars: listed } = await world.admin.status();
      return listed.every(({ state }) => state === 'fresh') ? listed : undefined;
    }, 'three that are fresh');
    expect(
      before.map(({ spiffeId, activeReleaseSeq, drifted, connected }) => [
        spiffeId.split('/').at(-1),
        activeReleaseSeq,
        drifted,
        connected,
      ]),
    ).toEqual([
      ['one', 1n, false, true],
      ['three', 1n, false, true],
      ['two', 1n, false, true],
    ]);
    const bundle = await world.admin.submitBundle(versionOf(world, up.url, { number: 2 }));
    await eventually(async () => {
      const { sidecars: listed } = await world.admin.status();
      return listed.filter(({ staged }) => staged.includes(bundle.digest)).length === 2;
    }, 'two that have staged it');
    const refused = await world.admin.promote(bundle);
    expect([refused.refusal, refused.notStaged]).toEqual(['not_staged', ['spiffe://demo.local/sidecar/support-triage/three']]);
    expect((await world.admin.promote(bundle, { leaveBehind: true })).refusal).toBe('');
    const after = await eventually(async () => {
      const { sidecars: listed, releaseSeq } = await world.admin.status();
      return releaseSeq === 2n && listed.filter(({ drifted }) => !drifted).length === 2 ? listed : undefined;
    }, 'two that have followed');
    for (const one of after) {
      const isThree = one.instance === 'three';
      expect([one.instance, one.activeReleaseSeq, one.drifted]).toEqual([one.instance, isThree ? 1n : 2n, isThree]);
      expect(Number(one.lastContactMs)).toBeGreaterThan(Date.now() - 60_000);
      expect([one.state, one.connected]).toEqual(['fresh', true]);
      expect(Number(one.policyAgeMs)).toBeGreaterThanOrEqual(0);
      // The bundle for want of memory, and then the release for want of the bundle.
      expect(one.lastRejection).toMatch(isThree ? /RESOURCE|DIGEST/ : /^$/);
    }
    // What it says of the three is so.
    expect(sidecars.map((sidecar) => sidecar.sidecar.readiness().release_seq)).toEqual([2, 2, 1]);
  });

  it('lists one that has gone with when it was last heard of', async () => {
    await sidecars[1]!.drain();
    const gone = await eventually(async () => {
      const { sidecars: listed } = await world.admin.status();
      return listed.find(({ instance, connected }) => instance === 'two' && !connected);
    }, 'the one that has gone');
    expect([gone.activeReleaseSeq, gone.lastContactMs > 0n]).toEqual([2n, true]);
  });
});
