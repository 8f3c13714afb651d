/** The line between sidecar and control plane, lost in every way: before anything, in the middle of a message, in the middle of a part. */

import { randomBytes } from 'node:crypto';
import { recordingUpstream, type FakeClock, type RecordingUpstream } from '@sallyport/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { tcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import { versionOf } from '../support/versions.ts';
import { eventually, pass, startWorld, testClock, type RunningSidecar, type World } from '../support/world.ts';

const ORDER = { order_id: 'O-000123' };

describe('the line to the control plane', () => {
  let clock: FakeClock;
  let world: World;
  let up: RecordingUpstream;
  let line: TcpProxy;
  let enrolment: TcpProxy;

  beforeEach(async () => {
    clock = testClock();
    up = await recordingUpstream();
    world = await startWorld({ clock, freshnessTtlMs: 600_000 });
    line = await tcpProxy(world.controlPlane.addresses().grpc);
    enrolment = await tcpProxy(world.controlPlane.addresses().enrolment);
    await world.admin.publish(versionOf(world, up.url, { number: 1 }));
  });
  afterEach(async () => {
    await world?.close();
    await line?.close();
    await enrolment?.close();
    await up?.close();
  });

  const start = (): Promise<RunningSidecar> => world.startSidecar({ controlPlane: { grpc: line, enrolment }, config: { drain_ms: 500 } });
  const serves = async (sidecar: RunningSidecar): Promise<number> =>
    (await sidecar.call('orders/get_order', ORDER, await sidecar.session())).status;
  const isReady = (sidecar: RunningSidecar): Promise<boolean> =>
    eventually(async () => (await pass(clock, 500), sidecar.ready()), 'readiness');
  const holds = (sidecar: RunningSidecar, releaseSeq: number): Promise<boolean> =>
    eventually(async () => (await pass(clock, 500), sidecar.sidecar.readiness().release_seq === releaseSeq), `release ${releaseSeq}`);

  it.each([
    ['refused', (of: TcpProxy): void => of.cut()],
    ['a black hole', (of: TcpProxy): void => of.freeze()],
  ])('%s at the first start, before there is even an identity: it denies, and comes up by itself', async (_, lose) => {
    lose(enrolment);
    lose(line);
    const sidecar = await start();
    await pass(clock, 30_000);
    const denied = await sidecar.request('/session', { headers: { authorization: `Bearer ${world.idp.mint(clock.wall())}` } });
    expect([denied.status, denied.json()['code']]).toEqual([503, 'policy_unavailable']);
    // What hung is given up, as a real network would in its own time.
    enrolment.cut();
    line.cut();
    enrolment.heal();
    line.heal();
    await isReady(sidecar);
    expect(await serves(sidecar)).toBe(200);
  });

  it('a stream cut in the middle of a message, wherever that is: the old version decides, and the new one comes', async () => {
    const sidecar = await start();
    await isReady(sidecar);
    let version = 1;
    for (const bytes of [1, 300, 1_500, 2_500, 3_500, 4_500, 6_000, 9_000]) {
      line.cut();
      line.heal();
      line.cutAfter(bytes);
      version += 1;
      await world.admin.publish(versionOf(world, up.url, { number: version }), { leaveBehind: true });
      for (let step = 0; step < 6; step++) {
        await pass(clock, 1_000);
        const { release_seq: held } = sidecar.sidecar.readiness();
        expect([version - 1, version]).toContain(held);
        expect(await serves(sidecar)).toBe(200);
      }
      line.cut();
      line.heal();
      await holds(sidecar, version);
    }
    expect(await sidecar.ready()).toBe(true);
  });

  it('a part longer than any connection lives: it goes on where it was cut, and is staged', async () => {
    const sidecar = await start();
    await isReady(sidecar);
    line.cut();
    line.heal();
    // Enough for the handshake and one or two pieces of 64 KB; the catalog has four.
    line.cutAfter(100_000);
    const connections = line.connections;
    const long = await world.admin.submitBundle(longPolicy());
    expect(long.problems).toEqual([]);
    await eventually(async () => {
      await pass(clock, 1_000);
      const { sidecars } = await world.admin.status();
      return sidecars[0]?.staged.includes(long.digest);
    }, 'the long bundle staged');
    expect(line.connections).toBeGreaterThan(connections + 1);
    expect((await world.admin.promote(long)).refusal).toBe('');
    await holds(sidecar, 2);
    expect(await serves(sidecar)).toBe(200);
  });

  it('records cut in the middle of a batch arrive once each, in order', async () => {
    const sidecar = await start();
    await isReady(sidecar);
    const session = await sidecar.session();
    for (const bytes of [20, 200, 600]) {
      line.cut();
      line.heal();
      line.cutAfter(bytes);
      for (let call = 0; call < 10; call++) expect((await sidecar.call('orders/get_order', ORDER, session)).status).toBe(200);
      await pass(clock, 3_000);
    }
    line.cut();
    line.heal();
    const shipped = await eventually(async () => {
      await pass(clock, 1_000);
      const records = (await world.admin.tail()).map(
        (text) => JSON.parse(text) as { stream: string; seq: number; kind: string; sidecar?: string },
      );
      return records.filter(({ kind }) => kind === 'OUTCOME').length >= 31 ? records : undefined;
    }, 'thirty calls and a session in the log');
    const stream = shipped.find(({ kind, sidecar: who }) => kind === 'START' && who?.includes('/sidecar/') === true)?.stream;
    const places = shipped.filter((record) => record.stream === stream).map(({ seq }) => seq);
    expect(places).toEqual(places.map((_, index) => index + 1));
  });

  /** A catalog of some 250 KB, whose difference from the one before is as long. */
  function longPolicy(): string {
    const tools = Array.from(
      { length: 150 },
      (_, index) => `
---
kind: Tool
name: orders/more_${index}
description: "Says more about ${index}: ${randomBytes(750).toString('base64url')}"
effect: read
route: { method: GET, path: /more/${index} }`,
    );
    return versionOf(world, up.url, { number: 2 }).replace('\n---\nkind: Policy', `${tools.join('')}\n---\nkind: Policy`);
  }
});
