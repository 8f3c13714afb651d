/**
 * The database of a control plane that is alone: one SQLite file. All transactions, reading ones too, take turns on its
 * one connection, so that nobody reads what another has not committed. Which service compiles or runs a statement is told
 * to SQLite's authorizer, which refuses the rest.
 */

import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { Fault, fail, invariant, ok } from '@sallyport/model';
import type { Result } from '@sallyport/model';
import type { Database, DatabaseProblem, Migration, Row, ServiceDatabase, SqlValue, Statement, Transaction } from './database.ts';
import { authorizer } from './sqlite-authorizer.ts';
import type { Authorizer } from './sqlite-authorizer.ts';
import { guarded, openSqliteFile } from './sqlite-file.ts';
import type { SqliteFileOptions } from './sqlite-file.ts';
import { isServiceName, readMigration, readStatement } from './sql-text.ts';
import { migrate } from './sqlite-migrations.ts';
import { openTransaction, transactionScope } from './transaction-scope.ts';

/** More callers than this waiting for their turn is a database that does not answer. */
const WAITING_MAX = 10_000;

/** Opens (or makes) the file. A problem changed nothing in it. */
export function openSqlite(options: SqliteFileOptions): Result<Database, DatabaseProblem> {
  const file = openSqliteFile(options);
  return file.ok ? ok(new SqliteDatabase(file.value)) : fail(file.error);
}

class SqliteDatabase implements Database {
  readonly isShared = false;
  readonly #db: DatabaseSync;
  readonly #authorizer: Authorizer;
  readonly #scope = transactionScope();
  readonly #next: StatementSync;
  readonly #last: StatementSync;
  // Owner of what follows: this database. `tail` is the end of the queue of transactions.
  readonly #services = new Set<string>();
  #tail: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #isClosed = false;

  constructor(db: DatabaseSync) {
    this.#db = db;
    this.#authorizer = authorizer(db);
    this.#next = db.prepare(`insert into store_sequences (service, name, value) values (?, ?, 1)
      on conflict (service, name) do update set value = value + 1 returning value`);
    this.#last = db.prepare('select value from store_sequences where service = ? and name = ?');
  }

  async service(name: string, migrations: readonly Migration[]): Promise<ServiceDatabase> {
    invariant(isServiceName(name), 'a service has a plain name of its own');
    invariant(!this.#services.has(name), 'a service opens its tables once');
    // Other engines have to read them too, and this one is the one that is always tried.
    for (const { sql } of migrations) readMigration(name, sql);
    const [db, known] = [this.#db, this.#authorizer];
    await this.transaction(async () => guarded('migrating', () => migrate({ db, authorizer: known, service: name, migrations })));
    this.#services.add(name);
    return {
      prepare: (sql) => this.#prepare(name, sql),
      nextSequence: async (tx, sequence) =>
        Number(this.#within({ tx, toWrite: true, what: 'allocating' }, () => this.#next.get(name, sequence))?.['value']),
      lastSequence: async (tx, sequence) =>
        Number(this.#within({ tx, toWrite: false, what: 'reading' }, () => this.#last.get(name, sequence))?.['value'] ?? 0),
    };
  }

  async transaction<T>(act: (tx: Transaction) => Promise<T>): Promise<T> {
    return this.#inTurn(async () => this.#run('write', act));
  }

  async read<T>(act: (tx: Transaction) => Promise<T>): Promise<T> {
    return this.#inTurn(async () => this.#run('read', act));
  }

  /** Nobody else writes here. */
  listen(): void {}

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#tail;
    if (this.#db.isOpen) this.#db.close();
  }

  async #inTurn<T>(act: () => Promise<T>): Promise<T> {
    this.#scope.refuseNesting();
    if (this.#isClosed) throw new Fault('store_failed', 'internal', 'the database is closed');
    if (this.#waiting >= WAITING_MAX) throw new Fault('store_failed', 'internal', 'too much waits for the database');
    this.#waiting += 1;
    const mine = this.#tail.then(act).finally(() => (this.#waiting -= 1));
    this.#tail = mine.catch(() => undefined);
    return mine;
  }

  async #run<T>(mode: Transaction['mode'], act: (tx: Transaction) => Promise<T>): Promise<T> {
    guarded('beginning', () => this.#db.exec(mode === 'write' ? 'begin immediate' : 'begin'));
    try {
      const result = await this.#scope.run(openTransaction(mode), act);
      guarded('committing', () => this.#db.exec('commit'));
      return result;
    } catch (error) {
      // SQLite has already rolled back after some failures (a full disk); a second rollback would be an error of its own.
      if (this.#db.isTransaction) this.#db.exec('rollback');
      throw error;
    }
  }

  #prepare(service: string, sql: string): Statement {
    const as = <T>(act: () => T): T => this.#authorizer.as({ service, mayChangeSchema: false }, act);
    const { toWrite } = readStatement(service, sql);
    const statement = guarded('preparing', () => as(() => this.#db.prepare(sql)));
    // A change of schema makes SQLite compile it again when it runs, so running needs the service's name too.
    const within = <T>(tx: Transaction, act: () => T): T =>
      this.#within({ tx, toWrite, what: toWrite ? 'writing' : 'reading' }, () => as(act));
    return {
      run: async (tx, ...parameters) => ({
        changes: Number(within(tx, () => statement.run(...(parameters as SqlValue[]))).changes),
      }),
      get: async (tx, ...parameters) => within(tx, () => statement.get(...(parameters as SqlValue[]))) as Row | undefined,
      all: async (tx, ...parameters) => within(tx, () => statement.all(...(parameters as SqlValue[]))) as readonly Row[],
    };
  }

  #within<T>(of: { readonly tx: Transaction; readonly toWrite: boolean; readonly what: string }, act: () => T): T {
    const tx = this.#scope.require(of.tx, of.toWrite);
    try {
      return guarded(of.what, act);
    } catch (error) {
      tx.failure ??= error as Error;
      throw error;
    }
  }
}
