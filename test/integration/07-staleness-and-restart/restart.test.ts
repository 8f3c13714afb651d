/** What a restart may go on from: what verifies and is not stale, and nothing else. */

import type { Instant } from '@sallyport/model';
import { fakeClock, recordingUpstream, type FakeClock, type RecordingUpstream } from '@sallyport/testkit';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ordersPolicy, READ_ORDERS } from '../../support/policies.ts';
import { eventually, startWorld, type RunningSidecar, type World } from '../../support/world.ts';

const TTL_MS = 60_000;

describe('a sidecar that starts again without its control plane', () => {
  let clock: FakeClock;
  let world: World;
  let up: RecordingUpstream;
  let first: RunningSidecar;

  beforeEach(async () => {
    clock = fakeClock({ wall: Date.now() as Instant });
    up = await recordingUpstream();
    world = await startWorld({ clock, freshnessTtlMs: TTL_MS });
    await world.admin.publish(ordersPolicy(up.url, READ_ORDERS, world.idp));
    first = await world.startSidecar();
    await eventually(() => first.ready(), 'readiness');
    await clock.advance(1_000);
    await world.stopControlPlane();
    await first.drain();
  });
  afterEach(async () => {
    await world.close();
    await up.close();
  });

  const restart = (): Promise<RunningSidecar> => world.startSidecar({ withToken: false });
  const cached = (...path: readonly string[]): string => join(first.stateDir, 'bundle', ...path);

  it('serves from a good and fresh cache [R9.12]', async () => {
    const again = await restart();
    expect(await again.ready()).toBe(true);
    const session = await again.session();
    expect((await again.call('orders/get_order', { order_id: 'O-000123' }, session)).status).toBe(200);
  });

  it('replay after restart: the age goes on, so that stopping and starting buys no time [R9.12]', async () => {
    let sidecar = await restart();
    for (let i = 0; i < 6; i++) {
      for (let s = 0; s < 8; s++) await clock.advance(1_000);
      await sidecar.drain();
      sidecar = await restart();
    }
    for (let s = 0; s < 8; s++) await clock.advance(1_000);
    await sidecar.drain();
    // 57 s have passed, and each restart is charged one interval more: the statement's one minute is over.
    const last = await restart();
    expect(last.sidecar.readiness()).toMatchObject({ ready: false, state: 'stale' });
    expect((await last.request('/session')).json()['code']).toBe('policy_stale');
  });

  it('denies with an expired cache [R9.12]', async () => {
    await clock.advance(TTL_MS);
    const again = await restart();
    expect(await again.ready()).toBe(false);
    expect((await again.request('/session')).json()['code']).toBe('policy_stale');
  });

  it.each(['bundles', 'online-keys.json', 'release.json', 'statements.json', 'high-water'])(
    'tampered cache: one bent byte in %s, and nothing is served [R9.12]',
    async (name) => {
      const folder = name === 'bundles';
      const path = folder ? cached(name, readdirSync(cached(name))[0] ?? '') : cached(name);
      const bytes = readFileSync(path);
      const at = Math.floor(bytes.length / 2);
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      writeFileSync(path, bytes);
      const again = await restart();
      expect(await again.ready()).toBe(false);
      expect((await again.request('/session')).status).toBe(503);
    },
  );

  it('wiped disk: without the high-water mark nothing is served until a live proof comes', async () => {
    rmSync(cached('high-water'));
    const again = await restart();
    expect((await again.request('/session')).status).toBe(503);
    await world.restartControlPlane();
    await eventually(async () => {
      await clock.advance(500);
      return again.ready();
    }, 'service after a live proof');
  });
});
