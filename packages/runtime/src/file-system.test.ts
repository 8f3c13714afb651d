import { mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { everyPowerLoss, simulatedDisk } from '@sallyport/testkit';
import { writeFileAtomically } from './atomic-file.ts';
import { diskErrorCode, type FileSystem, realFileSystem } from './file-system.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = (content: Uint8Array | undefined): string | undefined =>
  content === undefined ? undefined : new TextDecoder().decode(content);

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-disk-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** The same promises, kept by the real disk and by the simulated one. */
describe.each([
  ['the real disk', () => ({ disk: realFileSystem(), root: folder })],
  [
    'the simulated disk',
    () => {
      const disk = simulatedDisk().fs;
      disk.makeDirectory('/state');
      return { disk, root: '/state' };
    },
  ],
])('%s', (_name, open: () => { disk: FileSystem; root: string }) => {
  test('appends, reads, measures and truncates', async () => {
    const { disk, root } = open();
    const file = disk.open(join(root, 'journal'), 'append');
    file.append(bytes('one '), bytes(''), bytes('two '));
    file.append(bytes('three'));
    expect([file.size(), textOf(file.read(4, 3)), textOf(file.read(8, 99)), file.read(99, 9).length]).toEqual([13, 'two', 'three', 0]);
    file.truncate(7);
    file.append(bytes('!'));
    await file.sync();
    file.syncNow();
    file.close();
    expect(textOf(disk.readFile(join(root, 'journal'), 100))).toBe('one two!');
    const again = disk.open(join(root, 'journal'), 'append');
    again.append(bytes('?'));
    again.close();
    expect(textOf(disk.readFile(join(root, 'journal'), 100))).toBe('one two!?');
  });

  test('opens as it was asked: existing, new, or emptied', () => {
    const { disk, root } = open();
    const path = join(root, 'a');
    expect(() => disk.open(path, 'read')).toThrow('while opening');
    disk.open(path, 'create_new').close();
    expect(() => disk.open(path, 'create_new')).toThrow('EEXIST');
    const file = disk.open(path, 'create');
    file.append(bytes('x'));
    file.close();
    disk.open(path, 'create').close();
    expect(disk.readFile(path, 10)).toHaveLength(0);
    const reading = disk.open(path, 'read');
    expect(() => reading.append(bytes('x'))).toThrow();
    reading.close();
  });

  test('lists, renames over, removes, and says what was not there', async () => {
    const { disk, root } = open();
    for (const name of ['b', 'a']) {
      const file = disk.open(join(root, name), 'create');
      file.append(bytes(name));
      file.close();
    }
    disk.makeDirectory(join(root, 'deep/er'));
    expect(disk.list(root)).toEqual(['a', 'b', 'deep']);
    disk.rename(join(root, 'a'), join(root, 'b'));
    await disk.syncDirectory(root);
    expect([disk.list(root), textOf(disk.readFile(join(root, 'b'), 9))]).toEqual([['b', 'deep'], 'a']);
    expect([disk.unlink(join(root, 'b')), disk.unlink(join(root, 'b'))]).toEqual([true, false]);
    expect([disk.readFile(join(root, 'b'), 9), disk.list(join(root, 'none'))]).toEqual([undefined, []]);
    expect(() => disk.rename(join(root, 'none'), join(root, 'c'))).toThrow('ENOENT');
  });

  test('refuses to read more than it was allowed, and to cut instead', () => {
    const { disk, root } = open();
    const file = disk.open(join(root, 'long'), 'create');
    file.append(new Uint8Array(11));
    file.close();
    expect(() => disk.readFile(join(root, 'long'), 10)).toThrow('longer than 10 bytes');
  });

  test('fails with a fault that carries the errno', () => {
    const { disk, root } = open();
    let seen: unknown;
    try {
      disk.open(join(root, 'no/such/folder'), 'append');
    } catch (error) {
      seen = error;
    }
    expect(seen).toMatchObject({ name: 'Fault', code: 'store_failed', source: 'internal' });
    expect(diskErrorCode(seen)).toBe('ENOENT');
  });
});

test('files are for the owner alone, and a planted link is refused', () => {
  const disk = realFileSystem();
  disk.makeDirectory(join(folder, 'state'));
  disk.open(join(folder, 'state/key'), 'append').close();
  expect([statSync(join(folder, 'state')).mode & 0o777, statSync(join(folder, 'state/key')).mode & 0o777]).toEqual([0o700, 0o600]);
  writeFileSync(join(folder, 'victim'), 'precious');
  symlinkSync(join(folder, 'victim'), join(folder, 'state/journal'));
  expect(() => disk.open(join(folder, 'state/journal'), 'create')).toThrow('ELOOP');
  expect(readFileSync(join(folder, 'victim'), 'utf8')).toBe('precious');
});

test('a replaced file is whole, old or new, whatever moment the power goes', async () => {
  const seen = new Set<string>();
  const moments = await everyPowerLoss({
    async prepare(disk) {
      disk.makeDirectory('/state');
      await writeFileAtomically(disk, '/state/bundle', bytes('the old content'));
    },
    run: (disk) => writeFileAtomically(disk, '/state/bundle', bytes('the new and longer content')),
    check(disk, moment) {
      const content = textOf(disk.readFile('/state/bundle', 100));
      expect(['the old content', 'the new and longer content'], moment.name).toContain(content);
      seen.add(content ?? '');
    },
  });
  expect(moments).toBeGreaterThanOrEqual(40);
  expect(seen.size).toBe(2);
});

test('once a replacement is reported, no loss of power takes it back', async () => {
  for (const names of ['undone', 'kept'] as const) {
    const disk = simulatedDisk();
    disk.fs.makeDirectory('/state');
    await writeFileAtomically(disk.fs, '/state/bundle', bytes('new'));
    disk.losePower();
    expect(textOf(disk.restart({ data: 'lost', names }).readFile('/state/bundle', 100))).toBe('new');
  }
});

test.each([
  ['append', 'ENOSPC'],
  ['sync', 'EIO'],
  ['rename', 'EIO'],
] as const)('a replacement that fails at its %s leaves the old content whole, and a later one succeeds', async (on, code) => {
  const disk = simulatedDisk();
  disk.fs.makeDirectory('/state');
  await writeFileAtomically(disk.fs, '/state/bundle', bytes('old'));
  disk.fail({ on, code, times: 1, afterBytes: 1 });
  await expect(writeFileAtomically(disk.fs, '/state/bundle', bytes('new'))).rejects.toThrow(code);
  expect(textOf(disk.peek('/state/bundle'))).toBe('old');
  await writeFileAtomically(disk.fs, '/state/bundle', bytes('new'));
  expect(textOf(disk.peek('/state/bundle'))).toBe('new');
});
