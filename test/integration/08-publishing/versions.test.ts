import { digestOf } from '@sallyport/crypto';
import { recordingUpstream, type RecordingUpstream } from '@sallyport/testkit';
import { digestOfPayload, parseEnvelope, readBundle } from '@sallyport/trust';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PublishedPolicy } from '../../support/administrator.ts';
import { versionOf } from '../../support/versions.ts';
import { eventually, startWorld, type RunningSidecar, type World } from '../../support/world.ts';

const ORDER = { order_id: 'O-000123' };
const AUTHOR = 'spiffe://demo.local/admin/admin';

interface Act {
  readonly kind: string;
  readonly actor: string;
  readonly act: string;
  readonly object: string;
  readonly old_digest: string | null;
  readonly new_digest: string | null;
  readonly area: string;
  readonly ring: string;
  readonly release_seq: number | null;
  readonly at: string;
}

describe('versions of policy', () => {
  let world: World;
  let up: RecordingUpstream;
  let sidecars: RunningSidecar[];
  let first: PublishedPolicy;
  let second: PublishedPolicy;

  beforeAll(async () => {
    up = await recordingUpstream();
    world = await startWorld();
    first = await world.admin.publish(versionOf(world, up.url, { number: 1 }));
    sidecars = [await world.startSidecar({ name: 'one' }), await world.startSidecar({ name: 'two' })];
    for (const sidecar of sidecars) await eventually(() => sidecar.ready(), 'readiness');
    second = await world.admin.publish(versionOf(world, up.url, { number: 2, allows: false }));
  });
  afterAll(async () => {
    await world?.close();
    await up?.close();
  });

  const enforced = (releaseSeq: number): Promise<unknown> =>
    eventually(() => sidecars.every(({ sidecar }) => sidecar.readiness().release_seq === releaseSeq), `release ${releaseSeq} everywhere`);
  const acts = async (): Promise<readonly Act[]> =>
    (await world.admin.tail()).map((line) => JSON.parse(line) as Act).filter(({ kind }) => kind === 'ACT');

  it('[R9.01] are stored at one place, numbered, and can be had again with author, time and digest', async () => {
    expect([first.revision, second.revision, first.releaseSeq, second.releaseSeq]).toEqual([1, 2, 1, 2]);
    const { versions } = await world.admin.versions();
    for (const published of [first, second]) {
      const bundle = versions.find(({ digest }) => digest === published.digest);
      expect([bundle?.kind, bundle?.revision, bundle?.author]).toEqual(['bundle', BigInt(published.revision), AUTHOR]);
      expect(Math.abs(Date.now() - Number(bundle?.acceptedAtMs))).toBeLessThan(60_000);
      const release = versions.find(({ kind, releaseSeq }) => kind === 'release' && releaseSeq === BigInt(published.releaseSeq));
      expect([release?.bundles, release?.author]).toEqual([[published.digest], AUTHOR]);
      // The very bytes: what was signed, under the digest that names it, and every part under its own.
      const parsed = parseEnvelope('Bundle', await world.admin.object(published.digest));
      if (!parsed.ok) throw new Error('what was stored reads');
      expect(digestOfPayload(parsed.value.payload)).toBe(published.digest);
      const read = readBundle(parsed.value.payload);
      if (!read.ok) throw new Error('what was stored reads');
      for (const { digest } of Object.values(read.value.parts)) expect(digestOf(await world.admin.object(digest))).toBe(digest);
    }
  });

  it('[R9.20] leave a record of who did what, when, from which version to which', async () => {
    const recorded = await acts();
    const publishes = recorded.filter(({ act }) => act === 'publish');
    expect(publishes.map(({ actor, object, old_digest: from, new_digest: to, area }) => [actor, object, from, to, area])).toEqual([
      [AUTHOR, 'bundle default 1', null, first.digest, 'default'],
      [AUTHOR, 'bundle default 2', first.digest, second.digest, 'default'],
    ]);
    const releases = recorded.filter(({ act }) => act === 'release');
    expect(releases.map(({ actor, release_seq: seq }) => [actor, seq])).toEqual([
      [AUTHOR, 1],
      [AUTHOR, 2],
    ]);
    // Each release says which one it replaced.
    expect(releases[1]?.old_digest).toBe(releases[0]?.new_digest);
    for (const { at } of recorded) expect(Math.abs(Date.now() - Date.parse(at))).toBeLessThan(60_000);
  });

  it('[R9.10] go back as a new version of the old content, everywhere, with who did it and why', async () => {
    await enforced(2);
    for (const sidecar of sidecars) expect((await sidecar.call('orders/get_order', ORDER, await sidecar.session())).status).toBe(403);
    const back = { rollback: true, reason: 'refunds were refused' };
    const alone = await world.admin.promote(first, back);
    expect(alone.refusal).toBe('bundle_rollback_refused');
    const both = { ...back, signers: [world.admin.signer('release-1'), world.admin.signer('release-2')] };
    const rolled = await world.admin.promote(first, both);
    expect([rolled.refusal, rolled.releaseSeq]).toEqual(['', 3n]);
    await enforced(3);
    for (const sidecar of sidecars) expect((await sidecar.call('orders/get_order', ORDER, await sidecar.session())).status).toBe(200);
    const { versions } = await world.admin.versions();
    const release = versions.find(({ releaseSeq }) => releaseSeq === 3n);
    expect([release?.bundles, release?.author, release?.rollback, release?.reason]).toEqual([[first.digest], AUTHOR, true, back.reason]);
    const act = (await acts()).find(({ act: what }) => what === 'rollback');
    expect([act?.actor, act?.release_seq, act?.new_digest]).toEqual([AUTHOR, 3, release?.digest]);
    // And on from there, with a revision above all that was ever in force.
    const third = await world.admin.publish(versionOf(world, up.url, { number: 3 }));
    expect([third.revision, third.releaseSeq]).toEqual([3, 4]);
    await enforced(4);
  });

  it('of which two were signed under one number: the first stands, and the other is refused', async () => {
    const before = await world.admin.versions();
    const twin = await world.admin.promote(second, {
      releaseSeq: 4 as never,
      rollback: true,
      reason: 'twin',
      signers: [world.admin.signer('release-1'), world.admin.signer('release-2')],
    });
    expect(twin.refusal).toBe('release_conflict');
    expect((await world.admin.versions()).versions).toHaveLength(before.versions.length);
  });
});
