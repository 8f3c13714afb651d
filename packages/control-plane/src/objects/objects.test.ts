import { mkdtempSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { digestOf, utf8 } from '@sallyport/crypto';
import type { Digest } from '@sallyport/model';
import { realFileSystem } from '@sallyport/runtime';
import { openDatabase } from '@sallyport/store';
import type { Database } from '@sallyport/store';
import { flipBit, simulatedDisk } from '@sallyport/testkit';
import { openObjects } from './api.ts';
import type { Objects, ObjectsOptions } from './api.ts';

const BLOB = utf8('{"a":"part"}');

let directory: string;
let database: Database;
let edited: Digest[];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sallyport-objects-'));
  const opened = openDatabase({ path: ':memory:' });
  if (!opened.ok) throw new Error(opened.error.code);
  database = opened.value;
  edited = [];
});
afterEach(() => {
  database.close();
  rmSync(directory, { recursive: true });
});

function objects(of: Partial<ObjectsOptions> = {}): Objects {
  const onEdited = (digest: Digest): void => void edited.push(digest);
  return openObjects({ database, disk: realFileSystem(), directory, objectBytesMax: 1_000, totalBytesMax: 2_000, onEdited, ...of });
}

async function put(store: Objects, bytes = BLOB): Promise<Digest> {
  const stored = await store.put(bytes);
  if (!stored.ok) throw new Error(stored.error);
  return stored.value;
}

const pathOf = (digest: Digest): string => join(directory, digest.slice('sha256:'.length));

test('what was put is read under the digest of its bytes', async () => {
  const store = objects();
  const digest = await put(store);
  expect(digest).toBe(digestOf(BLOB));
  expect(store.read(digest)).toEqual({ ok: true, value: BLOB });
  expect(readFileSync(pathOf(digest)).equals(BLOB)).toBe(true);
});

test('the same bytes at once are written once, and each caller waits for them', async () => {
  const store = objects();
  const digests = await Promise.all(Array.from({ length: 8 }, async () => put(store)));
  expect(new Set(digests).size).toBe(1);
  expect(store.isHeld(digests[0] ?? ('' as Digest))).toBe(true);
});

test.each<[string, (path: string) => void]>([
  ['one bit', (path) => writeFileSync(path, flipBit(readFileSync(path), 3))],
  ['its end', (path) => truncateSync(path, 4)],
  ['all of it', (path) => rmSync(path)],
  ['its length, beyond any object', (path) => writeFileSync(path, new Uint8Array(5_000))],
  [
    'the file for a link',
    (path) => {
      rmSync(path);
      writeFileSync(`${path}.real`, BLOB);
      symlinkSync(`${path}.real`, path);
    },
  ],
])('tampered blob: changing %s is reported and never served, and the same bytes mend it', async (_what, tamper) => {
  const store = objects();
  const digest = await put(store);
  tamper(pathOf(digest));
  expect(store.read(digest)).toEqual({ ok: false, error: 'edited' });
  expect(store.isHeld(digest)).toBe(false);
  expect(edited).toContain(digest);
  await put(store);
  expect(store.read(digest)).toEqual({ ok: true, value: BLOB });
});

test('a file that nobody stored is not an object, whatever it is called', () => {
  const digest = digestOf(BLOB) as Digest;
  writeFileSync(pathOf(digest), BLOB);
  expect(objects().read(digest)).toEqual({ ok: false, error: 'absent' });
  expect(objects({ database: memory() }).read('../../etc/passwd' as Digest)).toEqual({ ok: false, error: 'absent' });
});

function memory(): Database {
  const opened = openDatabase({ path: ':memory:' });
  if (!opened.ok) throw new Error(opened.error.code);
  return opened.value;
}

test('one that is too large, or one too many, is refused, and what is there stays', async () => {
  const store = objects();
  expect(await store.put(new Uint8Array(1_001))).toEqual({ ok: false, error: 'full' });
  await put(store, new Uint8Array(1_000).fill(1));
  await put(store, new Uint8Array(900).fill(2));
  expect(await store.put(new Uint8Array(101).fill(3))).toEqual({ ok: false, error: 'full' });
  await put(store, new Uint8Array(900).fill(2));
});

test('a failed write leaves no object behind', async () => {
  const disk = simulatedDisk();
  const store = objects({ disk: disk.fs, directory: '/objects' });
  disk.fail({ on: 'sync', code: 'ENOSPC' });
  await expect(store.put(BLOB)).rejects.toMatchObject({ code: 'store_failed' });
  disk.heal();
  expect(store.read(digestOf(BLOB) as Digest)).toEqual({ ok: false, error: 'absent' });
  expect(await put(store)).toBe(digestOf(BLOB));
});
