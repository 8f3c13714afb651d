import { mkdtempSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { digestOf, utf8 } from '@sallyport/crypto';
import type { Digest } from '@sallyport/model';
import { realFileSystem } from '@sallyport/runtime';
import { openSqlite } from '@sallyport/store';
import type { Database, SqlValue } from '@sallyport/store';
import { flipBit, simulatedDisk } from '@sallyport/testkit';
import { openObjects } from './api.ts';
import { fileBlobs, rowBlobs } from './blobs.ts';
import type { Blobs } from './blobs.ts';
import type { Objects, ObjectsOptions } from './api.ts';

const BLOB = utf8('{"a":"part"}');

let directory: string;
let database: Database;
let edited: Digest[];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sallyport-objects-'));
  const opened = openSqlite({ path: ':memory:' });
  if (!opened.ok) throw new Error(opened.error.code);
  database = opened.value;
  edited = [];
});
afterEach(async () => {
  await database.close();
  rmSync(directory, { recursive: true });
});

async function objects(of: Partial<ObjectsOptions> = {}): Promise<Objects> {
  const onEdited = (digest: Digest): void => void edited.push(digest);
  const blobs = (): Blobs => fileBlobs(realFileSystem(), directory);
  return openObjects({ database, blobs, objectBytesMax: 1_000, totalBytesMax: 2_000, onEdited, ...of });
}

async function put(store: Objects, bytes = BLOB): Promise<Digest> {
  const stored = await store.put(bytes);
  if (!stored.ok) throw new Error(stored.error);
  return stored.value;
}

const pathOf = (digest: Digest): string => join(directory, digest.slice('sha256:'.length));

test('what was put is read under the digest of its bytes', async () => {
  const store = await objects();
  const digest = await put(store);
  expect(digest).toBe(digestOf(BLOB));
  expect(await store.read(digest)).toEqual({ ok: true, value: BLOB });
  expect(readFileSync(pathOf(digest)).equals(BLOB)).toBe(true);
});

test('the same bytes at once are written once, and each caller waits for them', async () => {
  const store = await objects();
  const digests = await Promise.all(Array.from({ length: 8 }, async () => put(store)));
  expect(new Set(digests).size).toBe(1);
  expect(await store.isHeld(digests[0] ?? ('' as Digest))).toBe(true);
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
  const store = await objects();
  const digest = await put(store);
  tamper(pathOf(digest));
  expect(await store.read(digest)).toEqual({ ok: false, error: 'edited' });
  expect(await store.isHeld(digest)).toBe(false);
  expect(edited).toContain(digest);
  await put(store);
  expect(await store.read(digest)).toEqual({ ok: true, value: BLOB });
});

test('a file that nobody stored is not an object, whatever it is called', async () => {
  const digest = digestOf(BLOB) as Digest;
  writeFileSync(pathOf(digest), BLOB);
  expect(await (await objects()).read(digest)).toEqual({ ok: false, error: 'absent' });
  expect(await (await objects({ database: memory() })).read('../../etc/passwd' as Digest)).toEqual({ ok: false, error: 'absent' });
});

function memory(): Database {
  const opened = openSqlite({ path: ':memory:' });
  if (!opened.ok) throw new Error(opened.error.code);
  return opened.value;
}

test('one that is too large, or one too many, is refused, and what is there stays', async () => {
  const store = await objects();
  expect(await store.put(new Uint8Array(1_001))).toEqual({ ok: false, error: 'full' });
  await put(store, new Uint8Array(1_000).fill(1));
  await put(store, new Uint8Array(900).fill(2));
  expect(await store.put(new Uint8Array(101).fill(3))).toEqual({ ok: false, error: 'full' });
  await put(store, new Uint8Array(900).fill(2));
});

test('a failed write leaves no object behind', async () => {
  const disk = simulatedDisk();
  const store = await objects({ blobs: () => fileBlobs(disk.fs, '/objects') });
  disk.fail({ on: 'sync', code: 'ENOSPC' });
  await expect(store.put(BLOB)).rejects.toMatchObject({ code: 'store_failed' });
  disk.heal();
  expect(await store.read(digestOf(BLOB) as Digest)).toEqual({ ok: false, error: 'absent' });
  expect(await put(store)).toBe(digestOf(BLOB));
});

describe('objects in rows', () => {
  const inRows = async (): Promise<Objects> => objects({ blobs: rowBlobs });
  /** Behind the back of the store, as somebody with access to the tables would. */
  const bend = (sql: string, ...values: SqlValue[]): void => {
    const file = new DatabaseSync(join(directory, 'rows.db'));
    file.prepare(sql).run(...values);
    file.close();
  };
  beforeEach(async () => {
    await database.close();
    const opened = openSqlite({ path: join(directory, 'rows.db') });
    if (!opened.ok) throw new Error(opened.error.code);
    database = opened.value;
  });

  test('what was put is read under the digest of its bytes, and is no file', async () => {
    const store = await inRows();
    const digest = await put(store);
    expect(await store.read(digest)).toEqual({ ok: true, value: BLOB });
    expect(() => readFileSync(pathOf(digest))).toThrow('ENOENT');
  });

  test.each<[string, string, readonly SqlValue[]]>([
    ['one bit', 'UPDATE objects_content SET content = ?', [flipBit(BLOB, 3)]],
    ['all of it', 'DELETE FROM objects_content', []],
    ['its length, beyond any object', 'UPDATE objects_content SET content = ?', [new Uint8Array(5_000)]],
  ])('tampered row: changing %s is reported and never served, and the same bytes mend it', async (_what, sql, values) => {
    const store = await inRows();
    const digest = await put(store);
    bend(sql, ...values);
    expect(await store.read(digest)).toEqual({ ok: false, error: 'edited' });
    expect(edited).toContain(digest);
    await put(store);
    expect(await store.read(digest)).toEqual({ ok: true, value: BLOB });
  });
});
