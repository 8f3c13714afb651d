/**
 * The local database on `node:sqlite`. Which service compiles or runs a statement is told to SQLite's authorizer, which
 * refuses the rest.
 */

import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { Bug, invariant, ok } from '@sallyport/model';
import type { Result } from '@sallyport/model';
import type { DatabaseProblem, Migration, Row, SqlValue } from './database.ts';
import type { LocalDatabase, LocalDatabaseOptions, LocalService, LocalStatement } from './local-database.ts';
import { authorizer } from './sqlite-authorizer.ts';
import type { Authorizer } from './sqlite-authorizer.ts';
import { guarded, openSqliteFile } from './sqlite-file.ts';
import { migrate } from './sqlite-migrations.ts';

/** Opens (or makes) the file. A problem changed nothing in it. */
export function openLocalDatabase(options: LocalDatabaseOptions): Result<LocalDatabase, DatabaseProblem> {
  const file = openSqliteFile(options);
  return file.ok ? ok(new LocalSqlite(file.value)) : file;
}

class LocalSqlite implements LocalDatabase {
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

  service(name: string, migrations: readonly Migration[]): LocalService {
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

  #prepare(service: string, sql: string): LocalStatement {
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
