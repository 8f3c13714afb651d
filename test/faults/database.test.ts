/** The control plane's database, locked by somebody else: what was asked meanwhile is refused whole, and service returns by itself. */

import { recordingUpstream, type FakeClock, type RecordingUpstream } from '@sallyport/testkit';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { versionOf } from '../support/versions.ts';
import { eventually, pass, startWorld, testClock, type RunningSidecar, type World } from '../support/world.ts';

const ORDER = { order_id: 'O-000123' };
const TTL_MS = 6_000;

describe('a locked database', () => {
  let clock: FakeClock;
  let world: World;
  let up: RecordingUpstream;
  let sidecar: RunningSidecar;

  beforeAll(async () => {
    clock = testClock();
    up = await recordingUpstream();
    world = await startWorld({ clock, freshnessTtlMs: TTL_MS });
    await world.admin.publish(versionOf(world, up.url, { number: 1 }));
    sidecar = await world.startSidecar();
    await eventually(async () => (await pass(clock, 200), sidecar.ready()), 'readiness');
  });
  afterAll(async () => {
    await world?.close();
    await up?.close();
  });

  it('refuses to publish, changes nothing, and goes on where it was once the lock is gone', { timeout: 120_000 }, async () => {
    const before = await world.admin.versions();
    const session = await sidecar.session();
    const thief = new DatabaseSync(join(world.dir, 'control-plane', 'state', 'control-plane.db'));
    thief.exec('begin exclusive');
    try {
      await expect(world.admin.publish(versionOf(world, up.url, { number: 2 }))).rejects.toThrow('unavailable');
      // Nothing is half-applied, and whoever decides by a copy of their own does not notice.
      expect((await world.admin.versions()).versions).toEqual(before.versions);
      expect((await sidecar.call('orders/get_order', ORDER, session)).status).toBe(200);
      // What the clock makes it write, statements among it, waits for the lock a moment, gives up, and says so.
      await pass(clock, 3_000, 1_000);
      expect(world.log.filter((line) => line.includes('freshness.')).length).toBeGreaterThan(0);
    } finally {
      thief.exec('rollback');
      thief.close();
    }
    const next = await world.admin.publish(versionOf(world, up.url, { number: 2 }));
    expect([next.revision, next.releaseSeq]).toEqual([2, 2]);
    await eventually(async () => (await pass(clock, 500), sidecar.sidecar.readiness().release_seq === 2), 'release 2');
    // Statements go on, so that the sidecar outlives the ttl of every one it held then.
    await pass(clock, 2 * TTL_MS, 100);
    await eventually(async () => (await pass(clock, 100, 100), sidecar.ready()), 'freshness after the lock');
    // And what is told meanwhile is written down again: a restart remembers who enforces what.
    await pass(clock, 6_000);
    await world.stopControlPlane();
    await world.restartControlPlane();
    const { sidecars } = await world.admin.status();
    expect(sidecars.map(({ activeReleaseSeq }) => activeReleaseSeq)).toEqual([2n]);
    const acts = (await world.admin.tail())
      .map((line) => JSON.parse(line) as { kind: string; act?: string })
      .filter(({ kind }) => kind === 'ACT');
    expect(acts.map(({ act }) => act)).toEqual(['publish', 'release', 'create join token', 'enrol', 'publish', 'release']);
  });
});
