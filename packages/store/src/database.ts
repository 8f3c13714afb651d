/**
 * The tables of the control plane, which several processes may share. Every service sees its own tables alone. All
 * writing is serial, over all processes: one transaction runs after another, so that what a transaction reads is what is
 * current when it commits. The text of statements and migrations is one for all engines (ADR 42).
 */

import type { Fault } from '@sallyport/model';

/** What a table can hold. Integers come back as numbers and must be safe ones; text holds no U+0000. */
export type SqlValue = null | number | string | Uint8Array;
export type Row = Readonly<Record<string, SqlValue>>;

/**
 * A transaction that is open. It ends with the function that it was given to: a statement that comes later is a Bug. A
 * statement that fails dooms its transaction, also where the error is caught.
 */
export interface Transaction {
  readonly mode: 'read' | 'write';
  /** Once this is committed, other processes hear of it (`listen`). */
  announce(): void;
}

/**
 * A statement with positional parameters, `?`. Failures of the engine, or of reaching it, are thrown as Fault
 * `store_failed`; a violated constraint is a Bug: expected conflicts are said in SQL (`ON CONFLICT …`).
 */
export interface Statement {
  run(tx: Transaction, ...parameters: readonly SqlValue[]): Promise<{ readonly changes: number }>;
  get(tx: Transaction, ...parameters: readonly SqlValue[]): Promise<Row | undefined>;
  all(tx: Transaction, ...parameters: readonly SqlValue[]): Promise<readonly Row[]>;
}

/** One step of a service's schema. Steps are numbered from 1 by their place; a step that was applied may never change. */
export interface Migration {
  readonly name: string;
  /**
   * One or more statements, in SQLite's words. Every table, index, trigger and view is named `<service>_…`; tables are
   * STRICT, their columns TEXT, INTEGER or BLOB.
   */
  readonly sql: string;
}

/** The database as one service sees it. */
export interface ServiceDatabase {
  /** Throws a Bug for a statement that touches another service's table or the schema. A mistake shows here or at its first use. */
  prepare(sql: string): Statement;
  /**
   * The next value of a counter of this service, from 1, durable with the transaction and never given out twice, in
   * whichever process. A transaction that is undone gives its numbers back.
   */
  nextSequence(tx: Transaction, name: string): Promise<number>;
  /** The last value given out; 0 before the first. */
  lastSequence(tx: Transaction, name: string): Promise<number>;
}

export interface Database {
  /** Whether other processes may write here too. */
  readonly isShared: boolean;
  /**
   * Applies the missing migrations of a service in one transaction, and returns its view. Names: `[a-z][a-z0-9]*`, each
   * once. Rejects with a Fault where there are steps that these migrations do not hold: they belong to another build.
   */
  service(name: string, migrations: readonly Migration[]): Promise<ServiceDatabase>;
  /**
   * Runs `act` with everything it writes, in whichever service, committed together or not at all; when it resolves, the
   * commit is durable. A Fault at the commit leaves open whether it happened. Nothing but statements is awaited within;
   * a second transaction within it is a Bug, because it would wait for the first for ever.
   */
  transaction<T>(act: (tx: Transaction) => Promise<T>): Promise<T>;
  /** Runs `act` on one consistent state, which what commits meanwhile does not change. Writing is a Bug. */
  read<T>(act: (tx: Transaction) => Promise<T>): Promise<T>;
  /**
   * Calls `listener` whenever another process may have committed what it announced: soon after, or, where that message
   * was lost, within a few seconds. It may be called for nothing.
   */
  listen(listener: () => void): void;
  /** Takes no more; resolves when what was begun, or waits for its turn, has ended. */
  close(): Promise<void>;
}

/** Why a database does not open. */
export type DatabaseProblem =
  | { readonly code: 'damaged'; readonly message: string }
  | { readonly code: 'newer'; readonly message: string }
  | { readonly code: 'failed'; readonly fault: Fault };
