/** The contract of the database on a real PostgreSQL, and what only several processes can get wrong. */

import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { Client } from 'pg';
import { Bug, Fault } from '@sallyport/model';
import { openPostgres } from '@sallyport/store';
import type { Migration } from '@sallyport/store';
import { fakeClock } from '@sallyport/testkit';
import type { FakeClock } from '@sallyport/testkit';
import type { Database } from '../../../packages/store/src/database.ts';
import { databaseSuite } from '../../../packages/store/src/testing/database.suite.ts';
import { needs } from '../../engines.ts';
import { startPostgres } from '../../engines/postgres.ts';
import type { Running } from '../../engines/running.ts';

const withPostgres = await needs('postgres');
const COUNTER: readonly Migration[] = [
  { name: 'rows', sql: 'create table t_row (seq integer primary key, head integer not null, process integer not null) strict;' },
];

withPostgres('postgres', () => {
  let server: Running;
  let clock: FakeClock;
  let schemas = 0;
  const opened: Database[] = [];
  const failures: unknown[] = [];
  const url = (): string => `postgres://sallyport@${encodeURIComponent(server.address)}/postgres`;
  const place = async (): Promise<string> => Promise.resolve(`place_${(schemas += 1)}`);
  const open = async (schema: string): Promise<Database> => {
    const result = await openPostgres({ url: url(), schema, clock, onFailure: (error) => void failures.push(error) });
    if (!result.ok) throw new Error(result.error.code === 'failed' ? result.error.fault.message : result.error.message);
    opened.push(result.value);
    return result.value;
  };
  beforeAll(async () => {
    server = await startPostgres();
    clock = fakeClock();
  });
  afterEach(async () => {
    await Promise.all(opened.splice(0).map(async (database) => database.close()));
    failures.length = 0;
  });
  afterAll(async () => server.stop());

  databaseSuite({ name: 'postgres', place, open });

  test('two replicas, one sequence: no number twice, none left out, and each attests what was current', async () => {
    const schema = await place();
    const replicas = await Promise.all([open(schema), open(schema), open(schema)]);
    const services = await Promise.all(replicas.map(async (one) => one.service('t', COUNTER)));
    await Promise.all(
      replicas.flatMap((database, process) =>
        Array.from({ length: 20 }, async () =>
          database.transaction(async (tx) => {
            const service = services[process];
            if (service === undefined) throw new Error('no service');
            // Read before the number is taken: that is where two writers would see the same head.
            const head = await service.prepare('select coalesce(max(seq), 0) as head from t_row').get(tx);
            const seq = await service.nextSequence(tx, 'seq');
            await service.prepare('insert into t_row (seq, head, process) values (?, ?, ?)').run(tx, seq, head?.['head'] ?? null, process);
          }),
        ),
      ),
    );
    const rows = await replicas[0]?.read(async (tx) => services[0]?.prepare('select seq, head from t_row order by seq').all(tx) ?? []);
    expect(rows?.map((row) => row['seq'])).toEqual(Array.from({ length: 60 }, (_, index) => index + 1));
    expect(rows?.every((row) => row['head'] === (row['seq'] as number) - 1)).toBe(true);
  });

  test('a commit that was announced wakes the other process, and one that was undone does not', async () => {
    const schema = await place();
    const [one, other] = [await open(schema), await open(schema)];
    let heard = 0;
    const waiting = Promise.withResolvers<undefined>();
    other.listen(() => {
      heard += 1;
      waiting.resolve(undefined);
    });
    await expect(
      one.transaction(async (tx) => {
        tx.announce();
        await Promise.reject(new Error('undone'));
      }),
    ).rejects.toThrow('undone');
    expect(heard).toBe(0);
    await one.transaction(async (tx) => Promise.resolve(tx.announce()));
    await waiting.promise;
    expect(heard).toBe(1);
  });

  test('a lost notification delays by one poll, and a cut listener connects again', async () => {
    const schema = await place();
    const [one, other] = [await open(schema), await open(schema)];
    const waiting = Promise.withResolvers<undefined>();
    other.listen(() => waiting.resolve(undefined));
    const thief = new Client({ user: 'sallyport', host: server.address, database: 'postgres' });
    await thief.connect();
    // Everything but this very connection: listeners and pools alike.
    await thief.query(
      'select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and datname = current_database()',
    );
    await thief.query(`insert into ${schema}.store_sequences (service, name, value) values ('store', 'announced', 1)`);
    await thief.end();
    await clock.advance(2_000);
    await waiting.promise;
    await one.transaction(async () => Promise.resolve());
    expect(failures.length).toBeGreaterThan(0);
  });

  test('a process that hangs within a transaction is cut off, and the others go on', { timeout: 60_000 }, async () => {
    const schema = await place();
    const [one, other] = [await open(schema), await open(schema)];
    const hung = Promise.withResolvers<undefined>();
    const begun = Promise.withResolvers<undefined>();
    const hanging = one.transaction(async () => {
      begun.resolve(undefined);
      await hung.promise;
    });
    await begun.promise;
    await expect(other.transaction(async () => Promise.resolve())).rejects.toThrow(Fault);
    const thief = new Client({ user: 'sallyport', host: server.address, database: 'postgres' });
    await thief.connect();
    // What `idle_in_transaction_session_timeout` does after ten seconds.
    await thief.query("select pg_terminate_backend(pid) from pg_stat_activity where state = 'idle in transaction'");
    await thief.end();
    expect(await other.transaction(async () => Promise.resolve('on'))).toBe('on');
    hung.resolve(undefined);
    await expect(hanging).rejects.toThrow(Fault);
  });

  test('a number that no JavaScript number holds is a bug, and not another number', async () => {
    const schema = await place();
    const database = await open(schema);
    const service = await database.service('t', COUNTER);
    await expect(database.transaction(async (tx) => service.prepare('select 9007199254740993 as n').get(tx))).rejects.toThrow(Bug);
  });

  test.each([
    ['a password in the URL', 'postgres://u:secret@db/x'],
    ['a setting that weakens TLS', 'postgres://u@db/x?sslmode=disable'],
    ['another protocol', 'mysql://u@db/x'],
    ['no user', 'postgres://db/x'],
    ['no database', 'postgres://u@db'],
    ['an option of the session', 'postgres://u@db/x?options=-c%20fsync=off'],
    ['what is no URL', 'db'],
  ])('%s is refused before anything is reached, and is not repeated', async (_, bad) => {
    const result = await openPostgres({ url: bad, clock, onFailure: () => undefined });
    expect(result).toMatchObject({ ok: false, error: { code: 'failed', fault: { code: 'config_invalid' } } });
    expect(JSON.stringify(result)).not.toContain('secret');
  });

  test('a schema of a later format is refused and stays as it is', async () => {
    const schema = await place();
    await (await open(schema)).close();
    const thief = new Client({ user: 'sallyport', host: server.address, database: 'postgres' });
    await thief.connect();
    await thief.query(`update ${schema}.store_sequences set value = 2 where service = 'store' and name = 'format'`);
    await thief.end();
    expect(await openPostgres({ url: url(), schema, clock, onFailure: () => undefined })).toMatchObject({
      ok: false,
      error: { code: 'newer' },
    });
  });
});
