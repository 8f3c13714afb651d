/**
 * A file of `node:sqlite`, opened: WAL, `synchronous = FULL` (a commit is on disk when it returns), foreign keys on, checked
 * on opening. And what its errors mean.
 */

import { closeSync, fsyncSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Bug, Fault, fail, ok } from '@sallyport/model';
import type { Result } from '@sallyport/model';
import type { DatabaseProblem } from './database.ts';

const FORMAT_VERSION = 1;
/** The whole process stands still meanwhile: policy streams and revocations must not wait for a backup that holds the file. */
const BUSY_TIMEOUT_MS = 250;
const WAL_BYTES_MAX = 67_108_864;

export interface SqliteFileOptions {
  /** Absolute path of the file, or `:memory:`. Made with mode 0600. */
  readonly path: string;
  /** How long a writer waits for another process's. */
  readonly busyTimeoutMs?: number;
}

/** Opens (or makes) the file. A problem changed nothing in it. */
export function openSqliteFile({ path, busyTimeoutMs = BUSY_TIMEOUT_MS }: SqliteFileOptions): Result<DatabaseSync, DatabaseProblem> {
  let db: DatabaseSync | undefined;
  try {
    if (path !== ':memory:') makeFile(path);
    db = new DatabaseSync(path, {
      timeout: busyTimeoutMs,
      enableForeignKeyConstraints: true,
      enableDoubleQuotedStringLiterals: false,
      defensive: true,
    });
    const problem = damageIn(db) ?? newerThanThis(db);
    if (problem !== undefined) {
      db.close();
      return fail(problem);
    }
    prepareFile(db);
    return ok(db);
  } catch (error) {
    db?.close();
    const code = sqliteCode(error);
    if (code === 11 || code === 26) return fail({ code: 'damaged', message: `\`${path}\` is no intact database: ${messageOf(error)}` });
    return fail({
      code: 'failed',
      fault: new Fault('store_failed', 'internal', `while opening \`${path}\`: ${messageOf(error)}`, { cause: error }),
    });
  }
}

/** SQLite would make it readable for everyone; its directory entry must survive as long as its commits. */
function makeFile(path: string): void {
  closeSync(openSync(path, 'a', 0o600));
  const directory = openSync(dirname(path), 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

function damageIn(db: DatabaseSync): DatabaseProblem | undefined {
  const rows = db.prepare('pragma quick_check(8)').all();
  const messages = rows.map((row) => String(row['quick_check'])).filter((message) => message !== 'ok');
  return messages.length === 0 ? undefined : { code: 'damaged', message: messages.join('; ') };
}

function newerThanThis(db: DatabaseSync): DatabaseProblem | undefined {
  const version = Number(db.prepare('pragma user_version').get()?.['user_version'] ?? 0);
  if (version <= FORMAT_VERSION) return undefined;
  return { code: 'newer', message: `the file has format ${version}; this build reads up to ${FORMAT_VERSION}` };
}

function prepareFile(db: DatabaseSync): void {
  db.exec(`pragma journal_mode = wal; pragma synchronous = full; pragma journal_size_limit = ${WAL_BYTES_MAX};`);
  db.exec(`begin immediate;
    create table if not exists store_migrations (
      service text not null, step integer not null, name text not null, digest text not null, primary key (service, step)
    ) strict, without rowid;
    create table if not exists store_sequences (
      service text not null, name text not null, value integer not null, primary key (service, name)
    ) strict, without rowid;
    pragma user_version = ${FORMAT_VERSION};
    commit;`);
}

/** Errors in what was asked, by SQLite's primary result codes: ERROR, CONSTRAINT, MISMATCH, MISUSE, AUTH, RANGE. */
const BUG_CODES: ReadonlySet<number> = new Set([1, 19, 20, 21, 23, 25]);

/** Runs `act`: what SQLite throws becomes a Fault `store_failed`, or a Bug where what was asked is wrong. */
export function guarded<T>(what: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    const code = sqliteCode(error);
    if (error instanceof Bug || error instanceof Fault) throw error;
    const message = `while ${what} in the database: ${messageOf(error)}`;
    if (code === undefined || BUG_CODES.has(code)) throw new Bug(message, { cause: error });
    throw new Fault('store_failed', 'internal', message, { cause: error });
  }
}

/** The primary result code of an error that SQLite raised. */
function sqliteCode(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('errcode' in error) || typeof error.errcode !== 'number') return undefined;
  return error.errcode & 0xff;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
