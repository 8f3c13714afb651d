/**
 * The control plane's tables: one SQLite file, in which every service sees its own tables alone. The engine enforces it:
 * a statement that names another service's table does not compile. Each service's `store.ts` is the port that another
 * engine would implement; there is no general storage abstraction here.
 */

import type { Fault, Result } from '@sallyport/model';

/** What SQLite can hold. Integers come back as numbers and must be safe ones. */
export type SqlValue = null | number | string | Uint8Array;
export type Row = Readonly<Record<string, SqlValue>>;

/**
 * A prepared statement. Parameters are positional. Failures of the disk, or of waiting for another process, are thrown as
 * Fault `store_failed`; a violated constraint is a Bug: expected conflicts are said in SQL (`on conflict …`).
 */
export interface Statement {
  run(...parameters: readonly SqlValue[]): { readonly changes: number };
  get(...parameters: readonly SqlValue[]): Row | undefined;
  all(...parameters: readonly SqlValue[]): readonly Row[];
}

/** One step of a service's schema. Steps are numbered from 1 by their place; a step that was applied may never change. */
export interface Migration {
  readonly name: string;
  /** One or more statements. Every table, index, trigger and view is named `<service>_…`; tables are STRICT. */
  readonly sql: string;
}

/** The database as one service sees it. */
export interface ServiceDatabase {
  /** Throws a Bug for a statement that does not compile, or that touches another service's table or the schema. */
  prepare(sql: string): Statement;
  /**
   * The next value of a counter of this service, from 1, durable with the surrounding transaction and never given out
   * twice. Only inside a transaction: the one that reads what the number will attest.
   */
  nextSequence(name: string): number;
  /** The last value given out; 0 before the first. */
  lastSequence(name: string): number;
}

export interface Database {
  /**
   * Applies the missing migrations of a service in one transaction, and returns its view. Names: `[a-z][a-z0-9]*`, each
   * once. Throws a Fault where the file holds steps that these migrations do not: it belongs to another build.
   */
  service(name: string, migrations: readonly Migration[]): ServiceDatabase;
  /**
   * Runs `act` with everything it writes, in whichever service, committed together or not at all; when it returns, the
   * commit is durable. A nested call that throws undoes its own part. `act` is synchronous.
   */
  transaction<T>(act: () => T): T;
  close(): void;
}

/** Why a database does not open. */
export type DatabaseProblem =
  | { readonly code: 'damaged'; readonly message: string }
  | { readonly code: 'newer'; readonly message: string }
  | { readonly code: 'failed'; readonly fault: Fault };

export interface DatabaseOptions {
  /** Absolute path of the file, or `:memory:`. Made with mode 0600. */
  readonly path: string;
  /** How long a writer waits for another process's. */
  readonly busyTimeoutMs?: number;
}

/** Opens (or makes) a database. */
export type OpenDatabase = (options: DatabaseOptions) => Result<Database, DatabaseProblem>;
