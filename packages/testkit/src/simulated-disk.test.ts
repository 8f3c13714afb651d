import { beforeEach, describe, expect, test } from 'vitest';
import { PowerLost, simulatedDisk, type SimulatedDisk, type Survival } from './simulated-disk.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = (content: Uint8Array | undefined): string | undefined =>
  content === undefined ? undefined : new TextDecoder().decode(content);

let disk: SimulatedDisk;
beforeEach(() => {
  disk = simulatedDisk();
  disk.fs.makeDirectory('/s');
});

/** A synced file `/s/f` with `durable` and, unsynced, `more`. */
async function halfSynced(): Promise<void> {
  const file = disk.fs.open('/s/f', 'append');
  file.append(bytes('durable '));
  await file.sync();
  await disk.fs.syncDirectory('/s');
  file.append(bytes('more'));
}

test.each<[Survival['data'], string]>([
  ['lost', 'durable '],
  ['torn', 'durable mo'],
  ['zeroed', 'durable \0\0\0\0'],
  ['kept', 'durable more'],
])('unsynced bytes are %s after a loss of power', async (data, expected) => {
  await halfSynced();
  disk.losePower();
  expect(textOf(disk.restart({ data, names: 'undone' }).readFile('/s/f', 99))).toBe(expected);
});

test('a kill of the process alone loses nothing that was written', async () => {
  await halfSynced();
  expect(textOf(disk.restart('killed').readFile('/s/f', 99))).toBe('durable more');
});

describe('names that were not synced', () => {
  test.each<[Survival['names'], readonly string[]]>([
    ['undone', ['f', 'gone']],
    ['kept', ['g', 'new']],
  ])('are %s', async (names, expected) => {
    await halfSynced();
    disk.fs.open('/s/gone', 'create').close();
    await disk.fs.syncDirectory('/s');
    disk.fs.unlink('/s/gone');
    disk.fs.rename('/s/f', '/s/g');
    disk.fs.open('/s/new', 'create').close();
    disk.losePower();
    expect(disk.restart({ data: 'lost', names }).list('/s')).toEqual(expected);
  });

  test('a rename that overtook its bytes leaves an empty file, as real file systems do', () => {
    const file = disk.fs.open('/s/f.tmp', 'create');
    file.append(bytes('unsynced'));
    disk.fs.rename('/s/f.tmp', '/s/f');
    disk.losePower();
    expect(textOf(disk.restart({ data: 'lost', names: 'kept' }).readFile('/s/f', 99))).toBe('');
  });
});

test('a sync covers what was written before it began, not what was written meanwhile', async () => {
  const file = disk.fs.open('/s/f', 'create');
  await disk.fs.syncDirectory('/s');
  file.append(bytes('before'));
  const held = disk.holdSyncs();
  const syncing = file.sync();
  file.append(bytes(' meanwhile'));
  expect(held.waiting).toBe(1);
  held.resume();
  await syncing;
  disk.losePower();
  expect(textOf(disk.restart({ data: 'lost', names: 'undone' }).readFile('/s/f', 99))).toBe('before');
});

test('the power goes before the operation that was named, and the old process can do nothing more', async () => {
  const file = disk.fs.open('/s/f', 'create');
  file.append(bytes('a'));
  disk.losePowerBefore(disk.operations.length + 1);
  file.append(bytes('b'));
  expect(() => file.append(bytes('c'))).toThrow(PowerLost);
  expect(() => disk.fs.list('/s')).toThrow(PowerLost);
  await expect(file.sync()).rejects.toThrow(PowerLost);
  disk.restart({ data: 'kept', names: 'kept' });
  expect(() => file.size()).toThrow('from before the restart');
  expect(textOf(disk.peek('/s/f'))).toBe('ab');
});

test('a sync under way when the power goes never reports success', async () => {
  const file = disk.fs.open('/s/f', 'create');
  const held = disk.holdSyncs();
  const syncing = file.sync();
  disk.losePower();
  held.resume();
  await expect(syncing).rejects.toThrow(PowerLost);
});

test('after a failed sync the bytes look written and never become durable, however often one syncs again', async () => {
  const file = disk.fs.open('/s/f', 'create');
  await disk.fs.syncDirectory('/s');
  file.append(bytes('lost'));
  disk.fail({ on: 'sync', code: 'EIO', times: 1 });
  await expect(file.sync()).rejects.toThrow('EIO');
  file.append(bytes(' later'));
  await file.sync();
  expect(textOf(disk.fs.readFile('/s/f', 99))).toBe('lost later');
  disk.losePower();
  expect(textOf(disk.restart({ data: 'kept', names: 'kept' }).readFile('/s/f', 99))).toBe('\0\0\0\0 later');
});

test('a full disk takes part of an append, and fails where, when and as often as it was told', () => {
  const file = disk.fs.open('/s/journal', 'create');
  const other = disk.fs.open('/s/other', 'create');
  disk.fail({ on: 'append', code: 'ENOSPC', path: 'journal', skip: 1, times: 1, afterBytes: 2 });
  file.append(bytes('ok '));
  other.append(bytes('ok'));
  expect(() => file.append(bytes('full'))).toThrow('ENOSPC');
  expect(textOf(disk.peek('/s/journal'))).toBe('ok fu');
  file.truncate(3);
  file.append(bytes('again'));
  expect(textOf(disk.peek('/s/journal'))).toBe('ok again');
});
