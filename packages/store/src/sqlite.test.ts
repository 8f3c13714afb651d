import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { Fault } from '@sallyport/model';
import type { Database } from './database.ts';
import { openSqlite } from './sqlite.ts';
import { databaseSuite } from './testing/database.suite.ts';

const folder = mkdtempSync(join(tmpdir(), 'sallyport-database-'));
afterAll(() => rmSync(folder, { recursive: true }));
let files = 0;
const place = async (): Promise<string> => Promise.resolve(join(folder, `${(files += 1)}.db`));
const open = async (path: string): Promise<Database> => {
  const opened = openSqlite({ path });
  if (!opened.ok) throw new Error(`the database does not open: ${opened.error.code}`);
  return Promise.resolve(opened.value);
};

databaseSuite({ name: 'sqlite', place, open });

const MIGRATIONS = [{ name: 'one', sql: 'create table t_rows (id integer primary key, text text not null) strict;' }];

describe('the sqlite database', () => {
  it('that another process has locked refuses whole, and serves again when the lock is gone', async () => {
    const path = await place();
    const [first, second] = [await open(path), openSqlite({ path, busyTimeoutMs: 1 })];
    if (!second.ok) throw new Error(second.error.code);
    await first.transaction(async () => {
      await expect(second.value.transaction(async () => Promise.resolve())).rejects.toThrow(Fault);
    });
    expect(await second.value.transaction(async () => Promise.resolve('now'))).toBe('now');
    await Promise.all([first.close(), second.value.close()]);
  });

  it('that does not answer takes a bounded number of waiting callers', async () => {
    const database = await open(await place());
    const service = await database.service('t', MIGRATIONS);
    const { promise: hung, resolve: release } = Promise.withResolvers<undefined>();
    const waiting = Array.from({ length: 10_000 }, async () => database.read(async () => hung));
    await expect(database.read(async () => Promise.resolve())).rejects.toThrow(Fault);
    release(undefined);
    await Promise.all(waiting);
    expect(await database.read(async (tx) => service.lastSequence(tx, 'seq'))).toBe(0);
    await database.close();
  });
});
