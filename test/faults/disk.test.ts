/** The sidecar's disk, full or failing or hanging, at each of the things that it writes. */

import { recordingUpstream, type FakeClock, type RecordingUpstream } from '@sallyport/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { vetHere } from '../../packages/sidecar/src/testing/bundle-side.ts';
import { faultyDisk, type DiskTrouble, type FaultyDisk } from '../support/faulty-disk.ts';
import { versionOf } from '../support/versions.ts';
import { eventually, pass, startWorld, testClock, type RunningSidecar, type World } from '../support/world.ts';

const ORDER = { order_id: 'O-000123' };
const TROUBLES: readonly DiskTrouble[] = ['fails', 'persisted', 'hangs'];

describe('a disk in trouble', () => {
  let clock: FakeClock;
  let world: World;
  let up: RecordingUpstream;
  let disk: FaultyDisk;
  let sidecar: RunningSidecar;

  beforeEach(async () => {
    clock = testClock();
    up = await recordingUpstream();
    world = await startWorld({ clock, freshnessTtlMs: 60_000 });
    disk = faultyDisk();
    await world.admin.publish(policy(1));
    sidecar = await start();
  });
  afterEach(async () => {
    disk?.heal();
    await world?.close();
    await up?.close();
  });

  /** Reading orders leaves its DECISION in the kernel; changing them waits for the disk. */
  const policy = (number: number): string =>
    versionOf(world, up.url, { number })
      .replace('---\nkind: Policy', `---\n${CHANGE_ORDER}---\nkind: Policy`)
      .replace('allow: [orders/get_order]', 'allow: [orders/get_order, orders/change_order]');
  const start = async (): Promise<RunningSidecar> => {
    const started = await world.startSidecar({ disk: disk.fs, vet: vetHere, config: { drain_ms: 500 } });
    await eventually(async () => (await pass(clock, 200), started.ready()), 'readiness');
    return started;
  };
  const heldRelease = (): number => sidecar.sidecar.readiness().release_seq ?? 0;

  it('what is received cannot be kept: the old release decides, and the new one comes once it can', { timeout: 240_000 }, async () => {
    let version = 1;
    const session = await sidecar.session();
    for (const path of ['/bundles/', 'release.next.json', 'statements.json', 'high-water'])
      for (const on of ['append', 'sync', 'rename'] as const)
        for (const how of on === 'sync' ? TROUBLES : (['fails', 'persisted'] as const)) {
          const name = `${path}: ${on} ${how}`;
          const before = disk.met;
          disk.trouble(how, { on, path, code: 'ENOSPC' });
          version += 1;
          await world.admin.publish(policy(version), { leaveBehind: true });
          await eventually(async () => (await pass(clock, 200), disk.met > before), `${name} met`);
          await pass(clock, 2_000);
          // Whatever it holds by now is one of the two, and it decides by it or says that it cannot.
          expect([name, [version - 1, version].includes(heldRelease())]).toEqual([name, true]);
          const answer = await sidecar.call('orders/get_order', ORDER, session);
          expect([name, answer.status === 200 || answer.json()['code'] === 'policy_unavailable']).toEqual([name, true]);
          disk.heal();
          await eventually(
            async () => (await pass(clock, 500), heldRelease() === version && sidecar.ready()),
            `${name}: release ${version} after it healed`,
          );
        }
    expect((await sidecar.call('orders/get_order', ORDER, await sidecar.session())).status).toBe(200);
  });

  it('ages that cannot be written are ages that cannot be bounded: within seconds nothing is enforced, and then it is again', async () => {
    const session = await sidecar.session();
    disk.trouble('fails', { on: 'append', path: 'high-water', code: 'ENOSPC' });
    await eventually(async () => (await pass(clock, 500), !(await sidecar.ready())), 'no readiness');
    const denied = await sidecar.call('orders/get_order', ORDER, session);
    expect([denied.status, denied.json()['code']]).toEqual([503, 'policy_unavailable']);
    disk.heal();
    await eventually(async () => (await pass(clock, 500), sidecar.ready()), 'readiness');
    expect((await sidecar.call('orders/get_order', ORDER, session)).status).toBe(200);
  });

  it.each([
    ['append', 'fails'],
    ['append', 'persisted'],
    ['sync', 'fails'],
    ['sync', 'persisted'],
  ] as const)('the journal’s %s %s: no call without its record, and after a start everything is there', async (on, how) => {
    const session = await sidecar.session();
    expect((await change(session)).status).toBe(200);
    disk.trouble(how, { on, path: '/journal', code: 'EIO' });
    const denied = await change(session);
    expect([denied.status, denied.json()['code']]).toEqual([503, 'audit_unavailable']);
    const reached = up.requests.length;
    // For good: nobody knows what a disk holds that has lied once. Reads need no disk, and are refused as well.
    disk.heal();
    for (const again of [await change(session), await sidecar.call('orders/get_order', ORDER, session)])
      expect([again.status, again.json()['code']]).toEqual([503, 'audit_unavailable']);
    expect(up.requests).toHaveLength(reached);
    await sidecar.drain();
    sidecar = await start();
    expect((await change(await sidecar.session())).status).toBe(200);
    await everyCallIsRecorded();
  });

  it('the journal’s sync hangs: what needs the disk waits for it, what does not goes on, and nothing is forwarded unrecorded', async () => {
    const session = await sidecar.session();
    disk.trouble('hangs', { on: 'sync', path: '/journal' });
    const [reached, met] = [up.requests.length, disk.met];
    const waiting = change(session);
    await eventually(() => disk.met > met, 'a sync that hangs');
    expect((await sidecar.call('orders/get_order', ORDER, session)).status).toBe(200);
    expect(up.requests.slice(reached).map(({ target }) => target)).toEqual(['/get_order']);
    disk.heal();
    expect((await waiting).status).toBe(200);
    await everyCallIsRecorded();
  });

  const change = (session: string): ReturnType<RunningSidecar['call']> => sidecar.call('orders/change_order', ORDER, session);

  /** Each request that reached the tool has a DECISION of its own that allowed it, in one sound log. */
  async function everyCallIsRecorded(): Promise<void> {
    const allowed = await eventually(async () => {
      await pass(clock, 500);
      const records = (await world.admin.tail()).map((line) => JSON.parse(line) as { kind: string; decision?: string; tool?: string });
      const decisions = records.filter(
        ({ kind, decision, tool }) => kind === 'DECISION' && decision === 'allow' && tool?.startsWith('orders/') === true,
      );
      return decisions.length >= up.requests.length ? decisions : undefined;
    }, 'a DECISION for every request that reached the tool');
    expect(allowed.length).toBeGreaterThanOrEqual(up.requests.length);
  }
});

const CHANGE_ORDER = `kind: Tool
name: orders/change_order
description: Changes one order.
effect: write
route: { method: POST, path: /change_order }
arguments:
  required: [order_id]
  properties:
    order_id: { type: string, pattern: "^O-[0-9]{6}$" }
`;
