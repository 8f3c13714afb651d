/** Two control planes on one PostgreSQL: what one accepts the other serves, and a fleet outlives either of them. */

import { compose, CONTROL_PLANE_CONFIG, type ControlPlane, type ControlPlaneConfig } from '@sallyport/control-plane';
import { readConfig, systemRandom } from '@sallyport/runtime';
import { createLog } from '@sallyport/telemetry';
import { recordingUpstream, type RecordingUpstream } from '@sallyport/testkit';
import { createServer, connect, type Server, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { needs } from '../../engines.ts';
import { startPostgres } from '../../engines/postgres.ts';
import type { Running } from '../../engines/running.ts';
import { administrator, type Administrator } from '../../support/administrator.ts';
import { versionOf } from '../../support/versions.ts';
import { eventually, startWorld, type RunningSidecar, type World } from '../../support/world.ts';

const withPostgres = await needs('postgres');
const ORDER = { order_id: 'O-000123' };
const TTL_MS = 60_000;

interface Address {
  readonly host: string;
  readonly port: number;
}

/** One address for both, as a load balancer gives it: where it leads is changed by whoever runs them. */
interface Line {
  readonly address: Address;
  leadTo(address: Address): void;
  close(): void;
}

async function line(first: Address): Promise<Line> {
  let target = first;
  const open = new Set<Socket>();
  const server: Server = createServer((near) => {
    const far = connect(target);
    for (const socket of [near, far]) {
      open.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        open.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
    near.pipe(far).pipe(near);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const cut = (): void => {
    for (const socket of open) socket.destroy();
  };
  return {
    address: { host: '127.0.0.1', port: (server.address() as AddressInfo).port },
    leadTo(address) {
      target = address;
      cut();
    },
    close() {
      server.close();
      cut();
    },
  };
}

withPostgres('two control planes on one PostgreSQL', () => {
  let postgres: Running;
  let up: RecordingUpstream;
  let world: World;
  let other: ControlPlane;
  let otherAdmin: Administrator;
  let balanced: Line;
  let here: RunningSidecar;
  let there: RunningSidecar;
  const released = async (sidecar: RunningSidecar, seq: number): Promise<boolean> =>
    eventually(() => sidecar.sidecar.readiness().release_seq === seq, `release ${seq}`);
  beforeAll(async () => {
    postgres = await startPostgres();
    up = await recordingUpstream();
    const database = { url: `postgres://sallyport@${encodeURIComponent(postgres.address)}/postgres` };
    world = await startWorld({ freshnessTtlMs: TTL_MS, controlPlane: { database } });
    const read = readConfig(CONTROL_PLANE_CONFIG, { file: join(world.dir, 'control-plane', 'config.yaml') });
    if (!read.ok) throw new Error(JSON.stringify(read.error));
    const config: ControlPlaneConfig = { ...read.value, state_dir: join(world.dir, 'control-plane', 'other'), database };
    const { clock } = world;
    other = compose(config, {
      clock,
      random: systemRandom,
      log: createLog({ level: 'error', name: 'other', clock, write: () => undefined }),
    });
    await other.start();
    otherAdmin = administrator(world.dir, { address: other.addresses().grpc, clock, freshnessTtlMs: TTL_MS });
    balanced = await line(world.controlPlane.addresses().grpc);
    await world.admin.publish(versionOf(world, up.url, { number: 1 }));
    here = await world.startSidecar({ name: 'here', controlPlane: { grpc: balanced.address } });
    there = await world.startSidecar({ name: 'there', controlPlane: other.addresses() });
    for (const sidecar of [here, there]) await eventually(() => sidecar.ready(), 'readiness');
  });
  afterAll(async () => {
    otherAdmin?.close();
    await world?.close();
    balanced?.close();
    await other?.drain();
    await up?.close();
    await postgres?.stop();
  });

  test('what is published at one arrives at the sidecars of both', async () => {
    await world.admin.publish(versionOf(world, up.url, { number: 2 }));
    await Promise.all([here, there].map(async (sidecar) => released(sidecar, 2)));
    await otherAdmin.publish(versionOf(world, up.url, { number: 3 }));
    await Promise.all([here, there].map(async (sidecar) => released(sidecar, 3)));
    for (const sidecar of [here, there]) expect((await sidecar.call('orders/get_order', ORDER, await sidecar.session())).status).toBe(200);
    expect((await otherAdmin.versions()).versions).toEqual((await world.admin.versions()).versions);
  });

  test('one of them is gone: its sidecars go on at the other, and come back', async () => {
    balanced.leadTo(other.addresses().grpc);
    await world.stopControlPlane();
    await otherAdmin.publish(versionOf(world, up.url, { number: 4 }));
    await Promise.all([here, there].map(async (sidecar) => released(sidecar, 4)));
    for (const sidecar of [here, there]) expect((await sidecar.call('orders/get_order', ORDER, await sidecar.session())).status).toBe(200);
    const { sidecars } = await otherAdmin.status();
    expect(sidecars.map(({ instance, connected, drifted }) => [instance, connected, drifted])).toEqual([
      ['here', true, false],
      ['there', true, false],
    ]);
    // Its records go on being acknowledged where the first has left off.
    await eventually(async () => {
      const { sidecars: now } = await otherAdmin.status();
      const one = now.find(({ instance }) => instance === 'here');
      return one !== undefined && one.auditAckedSeq > 3n && one.auditAckedSeq === one.auditHeadSeq;
    }, 'records that are acknowledged');
    // It comes back to a database that has gone on without it, and is not behind.
    await world.restartControlPlane();
    balanced.leadTo(world.controlPlane.addresses().grpc);
    await world.admin.publish(versionOf(world, up.url, { number: 5 }));
    await Promise.all([here, there].map(async (sidecar) => released(sidecar, 5)));
  });

  test('what is revoked at one is refused at the sidecars of both, and the log stays one', async () => {
    const sessions = await Promise.all([here, there].map(async (sidecar) => sidecar.session({ jti: 'lost' })));
    const seqs = await Promise.all([
      world.admin.revoke('token', 'lost'),
      otherAdmin.revoke('principal', 'noone@company.com'),
      world.admin.revoke('principal', 'nobody@company.com'),
    ]);
    expect(new Set(seqs)).toEqual(new Set([1, 2, 3]));
    for (const [index, sidecar] of [here, there].entries())
      await eventually(async () => (await sidecar.call('orders/get_order', ORDER, sessions[index] ?? '')).status === 401, 'the revocation');
    expect(await otherAdmin.revoke('token', 'another')).toBe(4);
  });

  test('nobody is alarmed by a sidecar that has changed over, and between them they hold every record of it', async () => {
    const lines = await Promise.all([world.admin, otherAdmin].map(async (admin) => admin.tail()));
    const records = lines
      .flat()
      .map((line) => JSON.parse(line) as { kind: string; code?: string; stream: string; seq: number; sidecar?: string });
    expect(records.filter(({ kind }) => kind === 'ALERT').map(({ code }) => code)).toEqual([]);
    const stream = records.find(({ kind, sidecar }) => kind === 'START' && sidecar?.endsWith('/here'))?.stream;
    const seqs = new Set(records.filter((record) => record.stream === stream).map(({ seq }) => seq));
    expect(seqs).toEqual(new Set(Array.from({ length: seqs.size }, (_, index) => index + 1)));
    // Each holds a part.
    for (const part of lines) expect(part.some((line) => line.includes(`"stream":"${stream}"`))).toBe(true);
  });
});
