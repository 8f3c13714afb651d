/**
 * The database of several control planes: PostgreSQL. Writing transactions take one advisory lock first, so that they
 * are serial over all processes, as on SQLite: a sequence, and the heads that it attests, are read while nobody else
 * writes. Reading ones see one snapshot. Which service may name which table is judged on the text (`sql-text.ts`), since
 * all of them are one role's, in one schema. ADR 42.
 */

import type { Client, ClientConfig, Pool, PoolClient } from 'pg';
import { digestOf, sha256, utf8 } from '@sallyport/crypto';
import { Bug, Fault, fail, invariant, ok } from '@sallyport/model';
import type { Clock, Result } from '@sallyport/model';
import type { Database, DatabaseProblem, Migration, Row, ServiceDatabase, SqlValue, Statement, Transaction } from './database.ts';
import { createAnnouncements } from './postgres-announcements.ts';
import type { Announcements } from './postgres-announcements.ts';
import { DEFAULT_SCHEMA, postgresError, readAddress } from './postgres-connection.ts';
import type { PostgresAddress } from './postgres-connection.ts';
import { migratePostgres, prepareSchema } from './postgres-migrations.ts';
import { isServiceName, readStatement } from './sql-text.ts';
import { openTransaction, transactionScope } from './transaction-scope.ts';

export interface PostgresOptions extends PostgresAddress {
  readonly clock: Clock;
  /** A connection was lost or a look for announcements failed; it is tried again. */
  readonly onFailure: (error: unknown) => void;
}

const CONNECTIONS_MAX = 8;
/** More callers than this waiting for a connection is a database that does not answer. */
const WAITING_MAX = 10_000;

/** Connects, and makes the schema where there is none. */
export async function openPostgres(options: PostgresOptions): Promise<Result<Database, DatabaseProblem>> {
  const config = readAddress(options);
  if (!config.ok) return fail({ code: 'failed', fault: new Fault('config_invalid', 'internal', `the database's URL: ${config.error}`) });
  // Loaded where it is configured, and nowhere else.
  const { default: driver } = await import('pg');
  const pool = new driver.Pool({ ...config.value, max: CONNECTIONS_MAX });
  // Of a connection that nobody uses: the next caller gets another.
  pool.on('error', options.onFailure);
  const schema = options.schema ?? DEFAULT_SCHEMA;
  const lock = lockOf(schema);
  try {
    const refused = await prepareSchema(pool, { schema, lock });
    if (refused !== undefined) {
      await pool.end();
      return fail(refused);
    }
    const connect = (of: ClientConfig): Client => new driver.Client(of);
    const database = new PostgresDatabase({ pool, lock, connect, config: config.value, schema, ...options });
    await database.begin();
    return ok(database);
  } catch (error) {
    await pool.end();
    const fault = postgresError('opening', error);
    return fail({
      code: 'failed',
      fault: fault instanceof Fault ? fault : new Fault('store_failed', 'internal', fault.message, { cause: fault }),
    });
  }
}

/** Two numbers, as an advisory lock has them: ours, and the schema's. */
function lockOf(schema: string): string {
  const view = new DataView(sha256(utf8(`sallyport ${schema}`)).buffer);
  return `${view.getInt32(0)}, ${view.getInt32(4)}`;
}

interface Parts {
  readonly pool: Pool;
  readonly lock: string;
  readonly connect: (config: ClientConfig) => Client;
  readonly config: ClientConfig;
  readonly schema: string;
  readonly clock: Clock;
  readonly onFailure: (error: unknown) => void;
}

const NEXT = `insert into store_sequences (service, name, value) values ($1, $2, 1)
  on conflict (service, name) do update set value = store_sequences.value + 1 returning value`;
const LAST = 'select value from store_sequences where service = $1 and name = $2';

class PostgresDatabase implements Database {
  readonly isShared = true;
  readonly #parts: Parts;
  readonly #scope = transactionScope();
  readonly #clients = new WeakMap<Transaction, PoolClient>();
  // Owner of what follows: this database. `tail` is the end of the queue of writers of this process.
  readonly #services = new Set<string>();
  readonly #running = new Set<Promise<unknown>>();
  #announcements: Announcements | undefined;
  #tail: Promise<unknown> = Promise.resolve();
  #isClosed = false;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Looks how far announcements have come, and begins to hear new ones. */
  async begin(): Promise<void> {
    const last = async (): Promise<number> => this.read(async (tx) => this.#sequence(tx, LAST, ['store', 'announced']));
    this.#announcements = await createAnnouncements({ ...this.#parts, last }, await last());
  }

  async service(name: string, migrations: readonly Migration[]): Promise<ServiceDatabase> {
    invariant(isServiceName(name), 'a service has a plain name of its own');
    invariant(!this.#services.has(name), 'a service opens its tables once');
    await this.transaction(async (tx) => {
      const query = async (text: string, values: readonly SqlValue[]): Promise<readonly Row[]> =>
        (await this.#query(tx, { text, values })).rows;
      await migratePostgres(query, { service: name, migrations });
    });
    this.#services.add(name);
    return {
      prepare: (sql) => this.#prepare(name, sql),
      nextSequence: async (tx, sequence) => {
        this.#scope.require(tx, true);
        return this.#sequence(tx, NEXT, [name, sequence]);
      },
      lastSequence: async (tx, sequence) => this.#sequence(tx, LAST, [name, sequence]),
    };
  }

  async transaction<T>(act: (tx: Transaction) => Promise<T>): Promise<T> {
    // One writer of this process at a time waits for the lock, and for it one connection alone.
    this.#requireOpen();
    const mine = this.#tail.then(async () => this.#run('write', act));
    this.#tail = mine.catch(() => undefined);
    return this.#track(mine);
  }

  async read<T>(act: (tx: Transaction) => Promise<T>): Promise<T> {
    this.#requireOpen();
    return this.#track(this.#run('read', act));
  }

  listen(listener: () => void): void {
    this.#announcements?.listen(listener);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#announcements?.close();
    await Promise.allSettled(this.#running);
    await this.#parts.pool.end();
  }

  #requireOpen(): void {
    this.#scope.refuseNesting();
    if (this.#isClosed) throw new Fault('store_failed', 'internal', 'the database is closed');
    if (this.#running.size >= WAITING_MAX) throw new Fault('store_failed', 'internal', 'too much waits for the database');
  }

  async #track<T>(running: Promise<T>): Promise<T> {
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
    }
  }

  async #run<T>(mode: Transaction['mode'], act: (tx: Transaction) => Promise<T>): Promise<T> {
    const { pool, lock } = this.#parts;
    const client = await attempt('connecting', async () => pool.connect());
    // Cut off in the middle: the statement that runs is told, and the pool must not hand the connection out again.
    let isBroken = false;
    const onError = (): void => void (isBroken = true);
    client.on('error', onError);
    const tx = openTransaction(mode);
    this.#clients.set(tx, client);
    try {
      await attempt('beginning', async () => client.query(beginning(mode, lock)));
      const result = await this.#scope.run(tx, act);
      const announced = tx.isAnnounced ? await this.#announce(client) : undefined;
      await attempt('committing', async () => client.query('commit'));
      if (announced !== undefined) this.#announcements?.committed(announced);
      return result;
    } catch (error) {
      await client.query('rollback').catch(onError);
      throw error;
    } finally {
      client.off('error', onError);
      client.release(isBroken);
    }
  }

  /** In the transaction: the notification goes out with its commit. */
  async #announce(client: PoolClient): Promise<number> {
    return attempt('announcing', async () => {
      const { rows } = await client.query<{ value: number }>(NEXT, ['store', 'announced']);
      await client.query(`notify ${this.#parts.schema}_announcements`);
      return rows[0]?.value ?? 0;
    });
  }

  #prepare(service: string, sql: string): Statement {
    const { postgres: text, toWrite } = readStatement(service, sql);
    const name = digestOf(utf8(text)).slice('sha256:'.length, 'sha256:'.length + 32);
    const query = async (tx: Transaction, values: readonly SqlValue[]): Promise<Answer> => {
      this.#scope.require(tx, toWrite);
      return this.#query(tx, { name, text, values });
    };
    return {
      run: async (tx, ...parameters) => ({ changes: (await query(tx, parameters)).rowCount ?? 0 }),
      get: async (tx, ...parameters) => (await query(tx, parameters)).rows[0],
      all: async (tx, ...parameters) => (await query(tx, parameters)).rows,
    };
  }

  async #sequence(tx: Transaction, text: string, values: readonly string[]): Promise<number> {
    return Number((await this.#query(tx, { text, values })).rows[0]?.['value'] ?? 0);
  }

  async #query(
    given: Transaction,
    of: { readonly name?: string; readonly text: string; readonly values: readonly SqlValue[] },
  ): Promise<Answer> {
    const tx = this.#scope.require(given, false);
    const client = this.#clients.get(tx);
    try {
      if (client === undefined) throw new Bug('a transaction has a connection');
      return await client.query<Row>({ ...of, values: [...of.values] });
    } catch (error) {
      const known = postgresError('running a statement', error);
      tx.failure ??= known;
      throw known;
    }
  }
}

interface Answer {
  readonly rows: readonly Row[];
  readonly rowCount: number | null;
}

function beginning(mode: Transaction['mode'], lock: string): string {
  if (mode === 'read') return 'begin isolation level repeatable read read only';
  // Committed is what each statement sees; and behind the lock nobody else commits.
  return `begin isolation level read committed read write; select pg_advisory_xact_lock(${lock})::text`;
}

async function attempt<T>(what: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw postgresError(what, error);
  }
}
