/** Schema, bookkeeping and the steps of each service on PostgreSQL. The advisory lock lets one process do it at a time. */

import type { Pool } from 'pg';
import { Fault } from '@sallyport/model';
import type { DatabaseProblem, Migration, Row, SqlValue } from './database.ts';
import { digestOfStep, judgeApplied } from './migration-steps.ts';
import { readMigration } from './sql-text.ts';

const FORMAT_VERSION = 1;

/** Makes schema and bookkeeping where they are absent; a problem changed nothing. Throws what the driver throws. */
export async function prepareSchema(
  pool: Pool,
  { schema, lock }: { readonly schema: string; readonly lock: string },
): Promise<DatabaseProblem | undefined> {
  const client = await pool.connect();
  try {
    await client.query(`begin; select pg_advisory_xact_lock(${lock})::text`);
    const found = await client.query<{ fsync: string; encoding: string }>(
      "select current_setting('fsync')::text as fsync, current_setting('server_encoding')::text as encoding",
    );
    const { fsync, encoding } = found.rows[0] ?? { fsync: '', encoding: '' };
    if (fsync !== 'on') return failed('the server runs with `fsync = off`: what it calls committed would not survive');
    if (encoding !== 'UTF8') return failed(`the database is in ${encoding}; it has to be in UTF8`);
    await client.query(`create schema if not exists ${schema}`);
    await client.query(`create table if not exists store_migrations (
      service text not null, step bigint not null, name text not null, digest text not null, primary key (service, step))`);
    await client.query(`create table if not exists store_sequences (
      service text not null, name text not null, value bigint not null, primary key (service, name))`);
    const format = await client.query<{ value: number }>(
      `insert into store_sequences (service, name, value) values ('store', 'format', ${FORMAT_VERSION})
       on conflict (service, name) do update set value = store_sequences.value returning value`,
    );
    const version = format.rows[0]?.value ?? 0;
    if (version > FORMAT_VERSION)
      return { code: 'newer', message: `the schema has format ${version}; this build reads up to ${FORMAT_VERSION}` };
    await client.query('commit');
    return undefined;
  } finally {
    // A problem leaves its transaction open: the connection is not used again.
    client.release(true);
  }
}

type Query = (text: string, values: readonly SqlValue[]) => Promise<readonly Row[]>;

/** Applies the missing steps, in the transaction of `query`. */
export async function migratePostgres(
  query: Query,
  { service, migrations }: { readonly service: string; readonly migrations: readonly Migration[] },
): Promise<void> {
  const applied = await query('select name, digest from store_migrations where service = $1 order by step', [service]);
  judgeApplied(applied, { service, migrations });
  for (const [index, migration] of migrations.entries()) {
    const statements = readMigration(service, migration.sql);
    if (index < applied.length) continue;
    for (const text of statements) await query(text, []);
    const values = [service, index + 1, migration.name, digestOfStep(migration)];
    await query('insert into store_migrations (service, step, name, digest) values ($1, $2, $3, $4)', values);
  }
}

function failed(message: string): DatabaseProblem {
  return { code: 'failed', fault: new Fault('store_failed', 'internal', message) };
}
