/** Records reach the central store whole: appended, acknowledged, and missed when they are not there. */

import type { Instant } from '@sallyport/model';
import { fakeClock, recordingUpstream, type FakeClock, type RecordingUpstream } from '@sallyport/testkit';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ordersPolicy, READ_ORDERS } from '../../support/policies.ts';
import { eventually, startWorld, type RunningSidecar, type World } from '../../support/world.ts';

describe('shipping', () => {
  let clock: FakeClock;
  let world: World;
  let up: RecordingUpstream;
  let sidecar: RunningSidecar;

  beforeEach(async () => {
    clock = fakeClock({ wall: Date.now() as Instant });
    up = await recordingUpstream();
    world = await startWorld({ clock, freshnessTtlMs: 600_000 });
    await world.admin.publish(ordersPolicy(up.url, READ_ORDERS, world.idp));
    sidecar = await world.startSidecar();
    await eventually(() => sidecar.ready(), 'readiness');
  });
  afterEach(async () => {
    await world.close();
    await up.close();
  });

  const records = async (): Promise<readonly { stream: string; seq: number; kind: string; code?: string; sidecar?: string }[]> =>
    (await world.admin.tail('records')).map((line) => JSON.parse(line) as { stream: string; seq: number; kind: string });
  const call = (session: string, i: number): Promise<{ status: number }> =>
    sidecar.call('orders/get_order', { order_id: `O-${String(i).padStart(6, '0')}` }, session);

  it('a minute without the collector under load: afterwards everything is there, contiguous, and nothing twice [R10.21]', async () => {
    const session = await sidecar.session();
    await call(session, 0);
    await world.stopControlPlane();
    for (let i = 1; i <= 60; i++) {
      expect((await call(session, i)).status).toBe(200);
      await clock.advance(1_000);
    }
    await world.restartControlPlane();
    const shipped = await eventually(async () => {
      await clock.advance(1_000);
      const all = await records();
      return all.filter(({ kind }) => kind === 'OUTCOME').length >= 62 ? all : undefined;
    }, 'sixty-one calls and a session in the central store');
    const stream = shipped.find(({ kind, sidecar: who }) => kind === 'START' && who?.includes('/sidecar/') === true)?.stream;
    const seqs = shipped.filter((record) => record.stream === stream).map(({ seq }) => seq);
    expect(seqs).toEqual(Array.from({ length: seqs.length }, (_, i) => i + 1));
    expect(up.requests).toHaveLength(61);
  });

  it('a deleted spool raises an alert: the collector knows how far the stream had come [R10.21]', async () => {
    const session = await sidecar.session();
    await call(session, 0);
    await eventually(async () => {
      // Records wait a moment for others before they are shipped.
      await clock.advance(100);
      return (await records()).some(({ kind }) => kind === 'OUTCOME');
    }, 'some records in the central store');
    await world.stopControlPlane();
    for (let i = 1; i < 5; i++) await call(session, i);
    await sidecar.drain();
    const journal = join(sidecar.stateDir, 'journal');
    for (const name of readdirSync(journal)) rmSync(join(journal, name));
    await world.restartControlPlane();
    await world.startSidecar({ withToken: false });
    const alert = await eventually(async () => {
      await clock.advance(1_000);
      return (await records()).find(({ kind }) => kind === 'ALERT');
    }, 'the alert');
    expect(alert.code).toBe('UNLINKED_RESTART');
  });
});
