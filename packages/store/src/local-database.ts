/**
 * Tables of one process alone, in an SQLite file that nobody shares: the index over its own segments. Reading and writing
 * are synchronous. What control planes share is `database.ts`.
 */

import type { Result } from '@sallyport/model';
import type { DatabaseProblem, Migration, Row, SqlValue } from './database.ts';

/**
 * A prepared statement. Parameters are positional. Failures of the disk, or of waiting for another process, are thrown as
 * Fault `store_failed`; a violated constraint is a Bug: expected conflicts are said in SQL (`on conflict …`).
 */
export interface LocalStatement {
  run(...parameters: readonly SqlValue[]): { readonly changes: number };
  get(...parameters: readonly SqlValue[]): Row | undefined;
  all(...parameters: readonly SqlValue[]): readonly Row[];
}

/** The database as one service sees it. */
export interface LocalService {
  /** Throws a Bug for a statement that does not compile, or that touches another service's table or the schema. */
  prepare(sql: string): LocalStatement;
  /**
   * The next value of a counter of this service, from 1, durable with the surrounding transaction and never given out
   * twice. Only inside a transaction: the one that reads what the number will attest.
   */
  nextSequence(name: string): number;
  /** The last value given out; 0 before the first. */
  lastSequence(name: string): number;
}

export interface LocalDatabase {
  /**
   * Applies the missing migrations of a service in one transaction, and returns its view. Names: `[a-z][a-z0-9]*`, each
   * once. Throws a Fault where the file holds steps that these migrations do not: it belongs to another build.
   */
  service(name: string, migrations: readonly Migration[]): LocalService;
  /**
   * Runs `act` with everything it writes, in whichever service, committed together or not at all; when it returns, the
   * commit is durable. A nested call that throws undoes its own part. `act` is synchronous.
   */
  transaction<T>(act: () => T): T;
  close(): void;
}

export interface LocalDatabaseOptions {
  /** Absolute path of the file, or `:memory:`. Made with mode 0600. */
  readonly path: string;
  /** How long a writer waits for another process's. */
  readonly busyTimeoutMs?: number;
}

/** Opens (or makes) a database. */
export type OpenLocalDatabase = (options: LocalDatabaseOptions) => Result<LocalDatabase, DatabaseProblem>;
