/** What is stored, edited behind the control plane's back: noticed when it is read, told, and served to nobody. */

import { create, Publish, SubmitBundleRequestSchema } from '@sallyport/contract';
import { createClient, openChannel } from '@sallyport/net';
import { flipBit, recordingUpstream, type RecordingUpstream } from '@sallyport/testkit';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { versionOf } from '../../support/versions.ts';
import { workload, workloadCa } from '../../support/workload-ca.ts';
import { eventually, startWorld, type World } from '../../support/world.ts';

describe('stored state that somebody edits', () => {
  let up: RecordingUpstream;
  let world: World;
  beforeEach(async () => {
    up = await recordingUpstream();
    world = await startWorld();
  });
  afterEach(async () => {
    await world.close();
    await up.close();
  });

  const state = (...path: readonly string[]): string => join(world.dir, 'control-plane', 'state', ...path);
  const alerts = async (): Promise<readonly string[]> =>
    (await world.admin.tail())
      .map((line) => JSON.parse(line) as { readonly kind: string; readonly code?: string })
      .flatMap(({ kind, code }) => (kind === 'ALERT' && code !== undefined ? [code] : []));
  const behindItsBack = (sql: string): void => {
    const thief = new DatabaseSync(state('control-plane.db'));
    thief.exec('pragma busy_timeout = 5000');
    thief.exec(sql);
    thief.close();
  };
  /** A sidecar that starts now, and is refused what it needs. */
  const startsInVain = async (name: string): Promise<void> => {
    const sidecar = await world.startSidecar({ name });
    await eventually(() => world.log.some((line) => line.includes('alert') && /OBJECT_EDITED|BEHIND/.test(line)), 'the alert');
    expect(await sidecar.ready()).toBe(false);
    const { status, text } = await sidecar.request('/session');
    expect([status, JSON.parse(text)]).toMatchObject([503, { code: 'policy_unavailable' }]);
    await sidecar.drain();
  };

  it('[R9.19] keeps strangers from publishing, and serves no bundle that was edited on disk', async () => {
    const published = await world.admin.publish(versionOf(world, up.url, { number: 1 }));
    const before = await world.admin.versions();
    const trust = {
      kind: 'peer',
      tls: await workload(world, workloadCa(world), { path: '/sidecar/support-triage/one', usage: 'tls-client' }),
      trustDomain: 'demo.local',
      purpose: 'control_plane',
    } as const;
    const channel = openChannel({ ...world.controlPlane.addresses().grpc, trust, clock: world.clock });
    const envelope = await world.admin.object(published.digest);
    const answer = await createClient(Publish, channel).submitBundle(create(SubmitBundleRequestSchema, { envelope }), {
      deadlineMs: 20_000,
    });
    expect(answer).toMatchObject({ ok: false, error: { code: 'permission_denied' } });
    channel.close();
    expect(await world.admin.versions()).toEqual(before);
    expect(await alerts()).not.toContain('OBJECT_EDITED');

    for (const file of readdirSync(state('objects')))
      writeFileSync(state('objects', file), flipBit(readFileSync(state('objects', file)), 40));
    await expect(world.admin.object(published.digest)).rejects.toThrow('data_loss');
    await startsInVain('after');
    expect(await alerts()).toContain('OBJECT_EDITED');
  });

  it('offers and attests no release whose row says another number, place or object than was signed', async () => {
    const first = await world.admin.publish(versionOf(world, up.url, { number: 1 }));
    await world.admin.publish(versionOf(world, up.url, { number: 2 }));
    expect(first.releaseSeq).toBe(1);
    // The old release as the newest: well signed, and not for this number.
    behindItsBack('update publish_release set release_seq = 9 where release_seq = 1');
    await startsInVain('renumbered');
    expect(await alerts()).toContain('OBJECT_EDITED');
  });

  it('attests nothing for a place whose newest release has vanished', async () => {
    await world.admin.publish(versionOf(world, up.url, { number: 1 }));
    await world.admin.publish(versionOf(world, up.url, { number: 2 }));
    behindItsBack('pragma foreign_keys = off; delete from publish_release where release_seq = 2');
    await startsInVain('rolled-back');
    expect(await alerts()).toContain('BEHIND');
  });
});
