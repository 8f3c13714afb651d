/** One person is awake: back to what the release in force lists, with one key, at a running fleet. */

import { recordingUpstream, type RecordingUpstream } from '@sallyport/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { deskOf, type Desk } from '../12-command-line/desk.ts';
import { eventually, startWorld, type RunningSidecar, type World } from '../../support/world.ts';

describe('release fallback', () => {
  let world: World;
  let up: RecordingUpstream;
  let desk: Desk;
  let sidecar: RunningSidecar;

  beforeAll(async () => {
    up = await recordingUpstream();
    world = await startWorld();
    desk = deskOf(world, up.url);
    for (const maxLength of [20, 21]) {
      desk.writePolicy('p', { maxLength });
      expect((await desk.admin('policy', 'publish', 'p')).exit).toBe(0);
    }
    sidecar = await world.startSidecar();
    await eventually(() => sidecar.sidecar.readiness().release_seq === 2, 'release 2');
  });
  afterAll(async () => {
    await world?.close();
    await up?.close();
    desk?.close();
  });

  const key = (name: string): readonly string[] => ['--release-key', `${world.dir}/signing/${name}.pem`];

  it('goes back with one key, where a rollback takes two', async () => {
    const two = await desk.admin('policy', 'rollback', '--to', '1', '--reason', 'refused', ...key('release-1'));
    expect([two.exit, two.err]).toEqual([1, expect.stringContaining('going back takes 2 release keys')]);
    const one = await desk.admin('release', 'fallback', '--reason', 'refused since 02:40', ...key('release-2'), '--wait', '--json');
    expect([one.exit, one.json()]).toMatchObject([
      0,
      { bundle: { revision: 1 }, rollback: true, release: { release_seq: 3 }, fleet: { active: 1 } },
    ]);
    expect(sidecar.sidecar.readiness().release_seq).toBe(3);
  });

  it('goes no second step, and nowhere that is not listed', async () => {
    const again = await desk.admin('release', 'fallback', '--to', '2', '--reason', 'x', ...key('release-1'));
    expect([again.exit, again.err]).toEqual([1, expect.stringContaining('release 3, which is in force, lists no fallback')]);
    desk.writePolicy('p', { maxLength: 22 });
    expect((await desk.admin('policy', 'publish', 'p', '--wait')).exit).toBe(0);
    const unlisted = await desk.admin('release', 'fallback', '--to', '1', '--reason', 'x', ...key('release-1'));
    expect([unlisted.exit, unlisted.err]).toEqual([1, expect.stringContaining('revision 1 is no fallback of release 4')]);
  });

  it('takes no key that releases nothing', async () => {
    const ran = await desk.admin('release', 'fallback', '--reason', 'x', ...key('publisher'));
    expect([ran.exit, ran.err]).toEqual([1, expect.stringContaining('is no release key')]);
  });

  it('goes to no bundle that was revoked', async () => {
    const { json } = await desk.admin('policy', 'log', '--json');
    const bundles = json()['versions'] as readonly { kind: string; revision: number; digest: string }[];
    const listed = bundles.find(({ kind, revision }) => kind === 'bundle' && revision === 2)!;
    await world.admin.revoke('bundle', listed.digest);
    const ran = await desk.admin('release', 'fallback', '--reason', 'x', ...key('release-1'));
    expect([ran.exit, ran.err]).toEqual([1, expect.stringContaining('is revoked')]);
    expect(sidecar.sidecar.readiness().release_seq).toBe(4);
  });
});
