/** The spool on the sidecar's own disk: written at its end alone, and missed where a part of it is taken away. */

import { Audit, Enrolment, Fleet, PolicyPlane, Publish } from '@sallyport/contract';
import { recordingUpstream, type FakeClock, type RecordingUpstream } from '@sallyport/testkit';
import { readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { versionOf } from '../../support/versions.ts';
import { eventually, pass, request, startWorld, testClock, type RunningSidecar, type World } from '../../support/world.ts';

/** Small segments, so that a minute's calls fill several. */
const SEGMENT_BYTES = 8_192;
const QUIET_MS = 20_000;

interface Line {
  readonly kind: string;
  readonly code?: string;
  readonly detail?: string;
  readonly subject?: { readonly seq: number } | null;
  readonly stream: string;
  readonly seq: number;
}

describe('the spool', () => {
  let clock: FakeClock;
  let world: World;
  let up: RecordingUpstream;
  let sidecar: RunningSidecar;
  let session: string;

  beforeEach(async () => {
    clock = testClock();
    up = await recordingUpstream();
    world = await startWorld({ clock, freshnessTtlMs: 600_000, controlPlane: { audit: { ...AUDIT, unclosed_after_ms: QUIET_MS } } });
    await world.admin.publish(versionOf(world, up.url, { number: 1 }));
    sidecar = await world.startSidecar({ config: { audit: SPOOL, drain_ms: 500 } });
    await eventually(async () => (await pass(clock, 100), sidecar.ready()), 'readiness');
    session = await sidecar.session();
  });
  afterEach(async () => {
    await world?.close();
    await up?.close();
  });

  const journal = (): string => join(sidecar.stateDir, 'journal');
  const segments = (): readonly string[] => readdirSync(journal()).toSorted();
  const call = async (count: number): Promise<void> => {
    for (let number = 0; number < count; number++)
      expect((await sidecar.call('orders/get_order', { order_id: `O-${String(number).padStart(6, '0')}` }, session)).status).toBe(200);
  };
  const lines = async (): Promise<readonly Line[]> => (await world.admin.tail()).map((line) => JSON.parse(line) as Line);
  /** Records wait a moment for others before they are shipped. */
  const shipped = (): Promise<boolean> =>
    eventually(async () => {
      await pass(clock, 100);
      return (await lines()).some(({ kind }) => kind === 'OUTCOME');
    }, 'an outcome in the central store');
  const alert = (code: string): Promise<Line> =>
    eventually(async () => {
      await pass(clock, 1_000);
      return (await lines()).find((line) => line.kind === 'ALERT' && line.code === code);
    }, `the alert ${code}`);

  it('[R10.20] no service of the control plane has a call that changes or removes a record, and the spool is opened for appending', async () => {
    const calls = [Audit, Enrolment, Fleet, PolicyPlane, Publish].flatMap(({ typeName, methods }) =>
      methods.map(({ name }) => `${typeName}.${name}`),
    );
    expect(calls.filter((name) => /delete|update|remove|purge|edit|erase|truncate|drop/i.test(name))).toEqual([]);
    expect(calls.filter((name) => name.startsWith('sallyport.audit.'))).toEqual([
      'sallyport.audit.v1.Audit.Ship',
      'sallyport.audit.v1.Audit.Tail',
    ]);
    // As the kernel knows it: O_APPEND, and not open for reading over what is there.
    const open = openFiles(journal());
    expect(open.length).toBeGreaterThan(0);
    for (const { path, flags } of open) expect([path, (flags & O_APPEND) !== 0]).toEqual([path, true]);
    // And what is there stays as it is, while more comes and goes to the central store.
    const before = segments().map((name) => [name, readFileSync(join(journal(), name))] as const);
    await call(3);
    for (const [name, bytes] of before) expect(readFileSync(join(journal(), name)).subarray(0, bytes.length)).toEqual(bytes);
    await shipped();
  });

  it('[R10.21] a segment deleted while nobody could take it: the collector names the gap, and so does the sidecar', async () => {
    await shipped();
    await world.stopControlPlane();
    await call(60);
    expect(segments().length).toBeGreaterThan(3);
    rmSync(join(journal(), segments()[1]!));
    await world.restartControlPlane();
    const { detail } = await alert('GAP');
    expect(detail).toMatch(/records \d+ to \d+ are missing/);
    await eventually(async () => {
      const { text } = await request(sidecar.healthPort, '/metrics', { method: 'GET' });
      return text.includes('sallyport_alerts_total{code="GAP"}');
    }, 'the sidecar’s own alert');
    // Calls go on being decided and recorded; whoever deletes evidence does not get a denial of service for it.
    await call(1);
  });

  it('[R10.21] a segment deleted while it was stopped: it does not start on half a journal, and its silence is an alert', async () => {
    await world.stopControlPlane();
    await call(60);
    await sidecar.drain();
    rmSync(join(journal(), segments()[1]!));
    await expect(world.startSidecar({ withToken: false, config: { audit: SPOOL } })).rejects.toThrow('is missing or ends early');
    await world.restartControlPlane();
    const { detail } = await alert('UNCLOSED');
    expect(detail).toMatch(/silent for \d+ ms, and the last record held is \d+/);
  });
});

const SPOOL = { segment_bytes_max: SEGMENT_BYTES, journal_bytes_max: 512 * SEGMENT_BYTES };
const AUDIT = { segment_bytes_max: 1_048_576, log_bytes_max: 64 * 1_048_576, checkpoint_records: 100, checkpoint_interval_ms: 60_000 };

/** fcntl.h, as Linux spells it. */
const O_APPEND = 0o2000;

/** Files that this process holds open below a folder, with the flags that they were opened with. */
function openFiles(folder: string): readonly { path: string; flags: number }[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    let path: string;
    try {
      path = readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      // The listing's own handle is gone by now.
      return [];
    }
    if (!path.startsWith(`${folder}/`)) return [];
    const flags = /^flags:\s+([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1] ?? '0';
    return [{ path, flags: Number.parseInt(flags, 8) }];
  });
}
