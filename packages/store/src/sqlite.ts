/**
 * The database on `node:sqlite`: WAL, `synchronous = FULL` (a commit is on disk when it returns), foreign keys on, checked
 * on opening. Which service compiles or runs a statement is told to SQLite's authorizer, which refuses the rest.
 */

import { closeSync, fsyncSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { StatementSync } from 'node:sqlite';
import { Bug, Fault, fail, invariant, ok } from '@sallyport/model';
import type { Result } from '@sallyport/model';
import type { Database, DatabaseOptions, DatabaseProblem, Migration, Row, ServiceDatabase, SqlValue, Statement } from './database.ts';
import { authorizer } from './sqlite-authorizer.ts';
import type { Authorizer } from './sqlite-authorizer.ts';
import { migrate } from './sqlite-migrations.ts';

const FORMAT_VERSION = 1;
/** The whole process stands still meanwhile: policy streams and revocations must not wait for a backup that holds the file. */
const BUSY_TIMEOUT_MS = 250;
const WAL_BYTES_MAX = 67_108_864;

/** Opens (or makes) the file. A problem changed nothing in it. */
export function openDatabase({ path, busyTimeoutMs = BUSY_TIMEOUT_MS }: DatabaseOptions): Result<Database, DatabaseProblem> {
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
    return ok(new SqliteDatabase(db));
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

class SqliteDatabase implements Database {
  readonly #db: DatabaseSync;
  readonly #authorizer: Authorizer;
  readonly #next: StatementSync;
  readonly #last: StatementSync;
  // Written by `service` and `transaction` alone.
  readonly #services: Set<string> = new Set();
  #depth = 0;

  constructor(db: DatabaseSync) {
    this.#db = db;
    this.#authorizer = authorizer(db);
    this.#next = db.prepare(`insert into store_sequences (service, name, value) values (?, ?, 1)
      on conflict (service, name) do update set value = value + 1 returning value`);
    this.#last = db.prepare('select value from store_sequences where service = ? and name = ?');
  }

  service(name: string, migrations: readonly Migration[]): ServiceDatabase {
    invariant(/^[a-z][a-z0-9]*$/.test(name) && name !== 'store' && name !== 'sqlite', 'a service has a plain name of its own');
    invariant(!this.#services.has(name), 'a service opens its tables once');
    this.transaction(() => guarded('migrating', () => migrate({ db: this.#db, authorizer: this.#authorizer, service: name, migrations })));
    this.#services.add(name);
    return {
      prepare: (sql) => this.#prepare(name, sql),
      nextSequence: (sequence) => {
        invariant(this.#depth > 0, 'a sequence is allocated in the transaction that reads what it attests');
        return Number(guarded('allocating', () => this.#next.get(name, sequence))?.['value']);
      },
      lastSequence: (sequence) => Number(guarded('reading', () => this.#last.get(name, sequence))?.['value'] ?? 0),
    };
  }

  transaction<T>(act: () => T): T {
    const isOuter = this.#depth === 0;
    const savepoint = `nested_${this.#depth}`;
    guarded('beginning', () => this.#db.exec(isOuter ? 'begin immediate' : `savepoint ${savepoint}`));
    this.#depth += 1;
    try {
      const result = act();
      if (result instanceof Promise) throw new Bug('a transaction is synchronous: what is awaited would run after its end');
      guarded('committing', () => this.#db.exec(isOuter ? 'commit' : `release ${savepoint}`));
      return result;
    } catch (error) {
      // SQLite has already rolled back after some failures (a full disk); a second rollback would be an error of its own.
      if (this.#db.isTransaction) this.#db.exec(isOuter ? 'rollback' : `rollback to ${savepoint}; release ${savepoint}`);
      throw error;
    } finally {
      this.#depth -= 1;
    }
  }

  close(): void {
    if (this.#db.isOpen) this.#db.close();
  }

  #prepare(service: string, sql: string): Statement {
    const as = <T>(what: string, act: () => T): T => guarded(what, () => this.#authorizer.as({ service, mayChangeSchema: false }, act));
    const statement = as('preparing', () => this.#db.prepare(sql));
    // A change of schema makes SQLite compile it again when it runs, so running needs the service's name too.
    return {
      run: (...parameters) => ({ changes: Number(as('writing', () => statement.run(...(parameters as SqlValue[]))).changes) }),
      get: (...parameters) => as('reading', () => statement.get(...(parameters as SqlValue[]))) as Row | undefined,
      all: (...parameters) => as('reading', () => statement.all(...(parameters as SqlValue[]))) as readonly Row[],
    };
  }
}

/** Errors in what was asked, by SQLite's primary result codes: ERROR, CONSTRAINT, MISMATCH, MISUSE, AUTH, RANGE. */
const BUG_CODES: ReadonlySet<number> = new Set([1, 19, 20, 21, 23, 25]);

function guarded<T>(what: string, act: () => T): T {
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
