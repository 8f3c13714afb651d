import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, describe, expect, it } from 'vitest';
import { openLocalDatabase } from './local-sqlite.ts';
import { localDatabaseSuite } from './testing/local-database.suite.ts';

const folder = mkdtempSync(join(tmpdir(), 'sallyport-sqlite-'));
afterAll(() => rmSync(folder, { recursive: true }));
let files = 0;
const freshPath = (): string => join(folder, `${(files += 1)}.db`);

localDatabaseSuite('sqlite', openLocalDatabase, freshPath);

const MIGRATIONS = [{ name: 'one', sql: 'create table t_rows (id integer primary key, text text not null) strict;' }];

describe('the sqlite file', () => {
  it('is for its owner alone, with its log and index beside it', () => {
    const path = freshPath();
    const result = openLocalDatabase({ path });
    if (!result.ok) throw new Error(result.error.code);
    result.value.service('t', MIGRATIONS).prepare('insert into t_rows (text) values (?)').run('x');
    for (const file of [path, `${path}-wal`, `${path}-shm`]) expect(statSync(file).mode & 0o077, file).toBe(0);
    result.value.close();
  });

  it('is refused as damaged when pages are bent, and when it is no database at all', () => {
    const path = freshPath();
    const result = openLocalDatabase({ path });
    if (!result.ok) throw new Error(result.error.code);
    const insert = result.value.service('t', MIGRATIONS).prepare('insert into t_rows (text) values (?)');
    result.value.transaction(() => {
      for (let row = 0; row < 2000; row++) insert.run(`row ${row} ${'.'.repeat(100)}`);
    });
    result.value.close();
    const whole = readFileSync(path);
    const bent = Buffer.from(whole);
    bent.fill(0xff, 5 * 4096, 5 * 4096 + 64);
    writeFileSync(path, bent);
    expect(openLocalDatabase({ path })).toMatchObject({ ok: false, error: { code: 'damaged' } });
    writeFileSync(path, 'this is a text file, not a database, and long enough to be read as one '.repeat(100));
    expect(openLocalDatabase({ path })).toMatchObject({ ok: false, error: { code: 'damaged' } });
  });

  it('of a later format is refused and not touched', () => {
    const path = freshPath();
    const later = new DatabaseSync(path);
    later.exec('pragma user_version = 2; create table anything (a);');
    later.close();
    const before = readFileSync(path);
    expect(openLocalDatabase({ path })).toMatchObject({ ok: false, error: { code: 'newer' } });
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  it('that cannot be opened is a failure with its cause', () => {
    expect(openLocalDatabase({ path: join(folder, 'no', 'such', 'folder.db') })).toMatchObject({ ok: false, error: { code: 'failed' } });
    const path = freshPath();
    writeFileSync(path, '');
    chmodSync(path, 0o400);
    // A privileged user may write anything, and then the file opens.
    const result = openLocalDatabase({ path });
    if (process.getuid?.() !== 0) expect(result).toMatchObject({ ok: false, error: { code: 'failed' } });
    if (result.ok) result.value.close();
  });

  it('makes a second writer wait, and says so as a failure when it waited too long', () => {
    const path = freshPath();
    const [first, second] = [openLocalDatabase({ path }), openLocalDatabase({ path, busyTimeoutMs: 1 })];
    if (!first.ok || !second.ok) throw new Error('not opened');
    first.value.transaction(() => {
      expect(() => second.value.transaction(() => undefined)).toThrow(expect.objectContaining({ code: 'store_failed' }));
    });
    expect(second.value.transaction(() => 'now')).toBe('now');
    first.value.close();
    second.value.close();
  });

  it('holds every committed sequence after kill -9', async () => {
    const path = freshPath();
    const program = `
      import { openLocalDatabase } from ${JSON.stringify(join(import.meta.dirname, 'local-sqlite.ts'))};
      const { value: database } = openLocalDatabase({ path: ${JSON.stringify(path)} });
      const service = database.service('t', ${JSON.stringify(MIGRATIONS)});
      for (;;) process.stdout.write(database.transaction(() => service.nextSequence('seq')) + '\\n');`;
    const child = spawn(process.execPath, ['--conditions=sallyport-src', '--input-type=module', '--eval', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let printed = '';
    await new Promise<void>((resolve) => {
      child.on('exit', () => resolve());
      child.stdout.on('data', (chunk: Buffer) => {
        printed += chunk.toString();
        if (printed.split('\n').length > 50) child.kill('SIGKILL');
      });
    });
    const last = Number(
      printed
        .split('\n')
        .filter((line) => line !== '')
        .at(-1),
    );
    expect(last).toBeGreaterThanOrEqual(49);
    const again = openLocalDatabase({ path });
    if (!again.ok) throw new Error(again.error.code);
    const service = again.value.service('t', MIGRATIONS);
    expect(service.lastSequence('seq')).toBeGreaterThanOrEqual(last);
    again.value.close();
  });
});
