import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { realFileSystem } from '@sallyport/runtime';
import type { FileSystem } from '@sallyport/runtime';
import { everyPowerLoss, simulatedDisk } from '@sallyport/testkit';
import { openSegmentLog } from './segment-log.ts';
import { opened, segmentLogSuite, textFrame, textsOf } from './testing/segment-log.suite.ts';

const DIRECTORY = '/state/log';
const folders: string[] = [];
afterAll(() => folders.forEach((folder) => rmSync(folder, { recursive: true })));

segmentLogSuite('real disk', () => {
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-log-'));
  folders.push(directory);
  return { disk: realFileSystem(), directory };
});
segmentLogSuite('simulated disk', () => ({ disk: simulatedDisk().fs, directory: DIRECTORY }));

const SIZES = { segmentBytesMax: 300, logBytesMax: 4_000, headroomBytes: 200 };

/** Appends, each in its own turn or several in one, of both durabilities, across rotations; tells what was acknowledged. */
async function workload(disk: FileSystem, acknowledged: { disk: string[]; kernel: string[] }): Promise<void> {
  const { log } = await opened({ ...SIZES, disk, directory: DIRECTORY, schedule: queueMicrotask });
  const put = async (text: string, durability: 'disk' | 'kernel'): Promise<void> => {
    const result = await log.append([textFrame(text, 60)], { durability });
    if (!result.ok) throw new Error('the log has ended');
    acknowledged[durability].push(text);
  };
  await put('a1', 'disk');
  await put('a2', 'kernel');
  await Promise.all([put('b1', 'kernel'), put('b2', 'disk'), put('b3', 'disk')]);
  await put('c1', 'kernel');
  await put('c2', 'kernel');
  await put('c3', 'disk');
  await Promise.all([put('d1', 'disk'), put('d2', 'disk'), put('d3', 'kernel'), put('d4', 'disk')]);
  await log.dropBelow(4);
  await put('e1', 'kernel');
  await put('e2', 'disk');
  await log.close();
}

const ORDER = ['a1', 'a2', 'b1', 'b2', 'b3', 'c1', 'c2', 'c3', 'd1', 'd2', 'd3', 'd4', 'e1', 'e2'];

describe('loss of power', () => {
  it('before any operation, whatever survives: every entry acknowledged as on disk is there, in order, once, and the log goes on', async () => {
    let acknowledged: { disk: string[]; kernel: string[] } = { disk: [], kernel: [] };
    const moments = await everyPowerLoss({
      run: async (disk) => {
        acknowledged = { disk: [], kernel: [] };
        await workload(disk, acknowledged);
      },
      check: async (disk, moment) => {
        const { log, found } = await opened({ ...SIZES, disk, directory: DIRECTORY });
        const texts = textsOf(found);
        // What is there is a contiguous run of what was written: nothing twice, nothing out of order, no hole.
        const start = texts[0] === undefined ? 0 : ORDER.indexOf(texts[0]);
        expect(texts, moment.name).toEqual(ORDER.slice(start, start + texts.length));
        expect(
          found.map(({ sequence }) => sequence - start),
          moment.name,
        ).toEqual(texts.map((_, index) => index + 1));
        // `dropBelow(4)` was allowed to take b1 and what is before it.
        const kept = acknowledged.disk.filter((text) => start === 0 || ORDER.indexOf(text) >= start);
        expect(texts, moment.name).toEqual(expect.arrayContaining(kept));
        expect(start, moment.name).toBeLessThanOrEqual(3);
        const next = await log.append([textFrame('after')], { durability: 'disk' });
        expect(next, moment.name).toMatchObject({ ok: true });
        await log.close();
        const again = await opened({ ...SIZES, disk, directory: DIRECTORY });
        expect(textsOf(again.found), moment.name).toEqual([...texts, 'after']);
        expect(again.log.status.cutBytes, moment.name).toBe(0);
      },
    });
    expect(moments).toBeGreaterThan(100);
  });

  it('during recovery itself leaves a log that the next start recovers', async () => {
    const acknowledged: { disk: string[]; kernel: string[] } = { disk: [], kernel: [] };
    await everyPowerLoss({
      prepare: async (disk) => {
        const { log } = await opened({ ...SIZES, disk, directory: DIRECTORY });
        for (const text of ORDER) {
          await log.append([textFrame(text, 60)], { durability: 'disk' });
          acknowledged.disk.push(text);
        }
        await log.close();
        // A torn end: half a frame, as a crash leaves it.
        const last = disk.list(DIRECTORY).at(-1) ?? '';
        const file = disk.open(`${DIRECTORY}/${last}`, 'append');
        file.append(Uint8Array.of(0, 0, 0, 60, 1, 65));
        await file.sync();
      },
      run: async (disk) => {
        const { log } = await opened({ ...SIZES, disk, directory: DIRECTORY });
        await log.close();
      },
      check: async (disk, moment) => {
        const { found } = await opened({ ...SIZES, disk, directory: DIRECTORY });
        expect(textsOf(found), moment.name).toEqual(ORDER);
      },
    });
  });

  it('kill alone loses nothing that was acknowledged, whatever its durability', async () => {
    const disk = simulatedDisk();
    const { log } = await opened({ disk: disk.fs, directory: DIRECTORY });
    disk.holdSyncs();
    for (const text of ORDER) expect((await log.append([textFrame(text)], { durability: 'kernel' })).ok).toBe(true);
    const { found } = await opened({ disk: disk.restart('killed'), directory: DIRECTORY });
    expect(textsOf(found)).toEqual(ORDER);
  });
});

describe('what a reopened log calls durable', () => {
  it('survives a loss of power, though a kill had left it in the page cache, in more than one segment', async () => {
    const disk = simulatedDisk();
    const { log } = await opened({ ...SIZES, disk: disk.fs, directory: DIRECTORY });
    disk.holdSyncs();
    for (const text of ORDER) await log.append([textFrame(text, 60)], { durability: 'kernel' });
    const reopened = await opened({ ...SIZES, disk: disk.restart('killed'), directory: DIRECTORY });
    expect(textsOf(reopened.log.read({ from: 1, bytesMax: 10_000 }))).toEqual(ORDER);
    const after = await opened({ ...SIZES, disk: disk.restart({ data: 'lost', names: 'undone' }), directory: DIRECTORY });
    expect(textsOf(after.found)).toEqual(ORDER);
  });

  it('is dropped one segment at a time, each removal durable before the next: a crash in between leaves no hole', async () => {
    const disk = simulatedDisk();
    const { log } = await opened({ ...SIZES, disk: disk.fs, directory: DIRECTORY });
    for (const text of ORDER) await log.append([textFrame(text, 60)], { durability: 'disk' });
    const before = disk.operations.length;
    const dropped = await log.dropBelow(12);
    const names = disk.operations.slice(before).map((operation) => operation.split(' ')[0]);
    expect(dropped).toBeGreaterThan(1);
    expect(names).toEqual(Array.from({ length: dropped }, () => ['unlink', 'sync_directory']).flat());
  });
});

describe('open files', () => {
  it('do not grow with the segments that are ended', async () => {
    const { fs } = simulatedDisk();
    let open = 0;
    const counting: FileSystem = {
      ...fs,
      open(path, mode) {
        const file = fs.open(path, mode);
        open += 1;
        return { ...file, close: () => ((open -= 1), file.close()) };
      },
    };
    const { log } = await opened({ ...SIZES, disk: counting, directory: DIRECTORY });
    for (const text of ORDER) await log.append([textFrame(text, 60)], { durability: 'disk' });
    expect(log.status.segments).toBeGreaterThan(3);
    expect(open).toBe(1);
    for (const text of ORDER) await log.append([textFrame(text, 60)], { durability: 'kernel' });
    await log.close();
    expect(open).toBe(0);
  });
});

describe('acknowledgement', () => {
  it('as on disk waits for the sync; as in the kernel does not', async () => {
    const disk = simulatedDisk();
    const { log } = await opened({ disk: disk.fs, directory: DIRECTORY });
    const syncs = disk.holdSyncs();
    let isDurable = false;
    const durable = log.append([textFrame('durable')], { durability: 'disk' }).then(() => (isDurable = true));
    await log.append([textFrame('quick')], { durability: 'kernel' });
    expect(isDurable).toBe(false);
    expect(log.read({ from: 1, bytesMax: 1000 })).toEqual([]);
    syncs.resume();
    await durable;
    expect(textsOf(log.read({ from: 1, bytesMax: 1000 }))).toContain('durable');
  });

  it('keeps one sync in flight: what is written meanwhile shares the next one', async () => {
    const disk = simulatedDisk();
    const { log } = await opened({ disk: disk.fs, directory: DIRECTORY, schedule: queueMicrotask });
    const syncsSoFar = (): number => disk.operations.filter((operation) => operation.startsWith('sync /')).length;
    const before = syncsSoFar();
    const held = disk.holdSyncs();
    const appends = [log.append([textFrame('first')], { durability: 'disk' })];
    await log.append([textFrame('kernel')], { durability: 'kernel' });
    for (let turn = 0; turn < 5; turn++) {
      appends.push(log.append([textFrame(`turn ${turn}`)], { durability: 'disk' }));
      await Promise.resolve();
    }
    expect(syncsSoFar() - before).toBe(1);
    held.resume();
    await Promise.all(appends);
    expect(syncsSoFar() - before).toBe(2);
  });
});

describe('a failing disk', () => {
  it.each([
    ['a failed sync', { on: 'sync', code: 'EIO', times: 1 }],
    ['a failed write', { on: 'append', code: 'ENOSPC', times: 1, afterBytes: 5 }],
  ] as const)('%s ends the log for good, though the disk recovers: no later sync may say that all is well', async (_, failure) => {
    const disk = simulatedDisk();
    const { log } = await opened({ disk: disk.fs, directory: DIRECTORY });
    await log.append([textFrame('before')], { durability: 'disk' });
    disk.fail(failure);
    const broken = await log.append([textFrame('broken')], { durability: 'disk' });
    expect(broken).toMatchObject({ ok: false, error: { code: 'failed' } });
    disk.heal();
    const operations = disk.operations.length;
    expect(await log.append([textFrame('late')], { durability: 'kernel' })).toMatchObject({ ok: false, error: { code: 'failed' } });
    expect(log.status.fault?.code).toBe('journal_failed');
    await log.close();
    expect(disk.operations.length).toBe(operations);
  });

  it('refuses every append of the turn and every waiter when the shared write fails', async () => {
    const disk = simulatedDisk();
    const { log } = await opened({ disk: disk.fs, directory: DIRECTORY });
    disk.fail({ on: 'append', code: 'EIO' });
    const waiter = log.whenDurable(0);
    const results = await Promise.all(['a', 'b', 'c'].map((text) => log.append([textFrame(text)], { durability: 'kernel' })));
    expect(results.map(({ ok }) => ok)).toEqual([false, false, false]);
    await waiter;
  });
});

describe('damage to what was durable is refused, not cut', () => {
  const prepared = async (): Promise<ReturnType<typeof simulatedDisk>> => {
    const disk = simulatedDisk();
    const { log } = await opened({ ...SIZES, disk: disk.fs, directory: DIRECTORY });
    for (const text of ORDER) await log.append([textFrame(text, 60)], { durability: 'disk' });
    await log.close();
    return disk;
  };
  const open = (disk: ReturnType<typeof simulatedDisk>) => openSegmentLog({ ...SIZES, disk: disk.fs, directory: DIRECTORY });

  it('a flipped bit in any byte of a segment that is not the last', async () => {
    const disk = await prepared();
    const [first] = disk.fs.list(DIRECTORY);
    const path = `${DIRECTORY}/${first ?? ''}`;
    const whole = disk.peek(path) ?? new Uint8Array();
    for (let index = 0; index < whole.length; index++) {
      const bent = whole.slice();
      bent[index] = (bent[index] ?? 0) ^ 0x10;
      disk.plant(path, bent);
      const result = await open(disk);
      expect(result, `byte ${index}`).toMatchObject({ ok: false });
      if (!result.ok) expect(['corrupt', 'hole'], `byte ${index}`).toContain(result.error.code);
      expect(disk.peek(path), 'nothing was changed').toEqual(bent);
    }
  });

  it('a segment missing in the middle', async () => {
    const disk = await prepared();
    const names = disk.fs.list(DIRECTORY);
    disk.fs.unlink(`${DIRECTORY}/${names[1] ?? ''}`);
    const result = await open(disk);
    expect(result).toMatchObject({ ok: false, error: { code: 'hole', position: 0 } });
  });

  it('a segment cut short in the middle', async () => {
    const disk = await prepared();
    const path = `${DIRECTORY}/${disk.fs.list(DIRECTORY)[1] ?? ''}`;
    disk.plant(path, (disk.peek(path) ?? new Uint8Array()).slice(0, 40));
    expect(await open(disk)).toMatchObject({ ok: false, error: { code: 'corrupt' } });
  });
});
