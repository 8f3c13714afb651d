/** What a database of the control plane must do, whichever engine it is. Run by tests only. */

import { AsyncResource } from 'node:async_hooks';
import { describe, expect, it } from 'vitest';
import { Bug, Fault } from '@sallyport/model';
import type { Database, Migration, ServiceDatabase, Transaction } from '../database.ts';

const FLEET: readonly Migration[] = [
  { name: 'sidecars', sql: 'create table fleet_sidecars (name text primary key, seen integer not null, blob blob) strict;' },
];
const AUDIT: readonly Migration[] = [
  { name: 'heads', sql: 'create table audit_heads (stream text primary key, seq integer not null) strict;' },
];

export interface DatabaseEngine {
  readonly name: string;
  /** A place where nothing is yet. */
  readonly place: () => Promise<string>;
  readonly open: (place: string) => Promise<Database>;
}

interface Opened {
  readonly at: string;
  readonly database: Database;
  readonly fleet: ServiceDatabase;
  readonly audit: ServiceDatabase;
}

export function databaseSuite(engine: DatabaseEngine): void {
  const opened = async (at?: string): Promise<Opened> => {
    const where = at ?? (await engine.place());
    const database = await engine.open(where);
    const [audit, fleet] = [await database.service('audit', AUDIT), await database.service('fleet', FLEET)];
    return { at: where, database, fleet, audit };
  };
  tablesSuite(engine.name, opened);
  transactionsSuite(engine.name, opened);
  misuseSuite(engine.name, opened);
  sequencesSuite(engine.name, opened);
  migrationsSuite(engine);
}

type Open = (at?: string) => Promise<Opened>;

const insertInto = async (tx: Transaction, fleet: ServiceDatabase, name: string): Promise<void> => {
  await fleet.prepare('insert into fleet_sidecars (name, seen) values (?, 1)').run(tx, name);
};
const namesIn = async (tx: Transaction, fleet: ServiceDatabase): Promise<readonly unknown[]> => {
  const rows = await fleet.prepare('select name from fleet_sidecars order by name').all(tx);
  return rows.map((row) => row['name']);
};
const names = async ({ database, fleet }: Opened): Promise<readonly unknown[]> => database.read(async (tx) => namesIn(tx, fleet));

function tablesSuite(name: string, open: Open): void {
  describe(`${name}: tables`, () => {
    it('keep text, numbers, bytes and null through a restart', async () => {
      const { at, database, fleet } = await open();
      const rows = [
        ['ünïcode', Number.MAX_SAFE_INTEGER, Uint8Array.of(0, 255, 7)],
        ['', -1, null],
      ] as const;
      const insert = fleet.prepare('insert into fleet_sidecars (name, seen, blob) values (?, ?, ?)');
      await database.transaction(async (tx) => {
        for (const row of rows) expect(await insert.run(tx, ...row)).toEqual({ changes: 1 });
      });
      await database.close();
      const again = await open(at);
      const read = await again.database.read(async (tx) =>
        again.fleet.prepare('select name, seen, blob from fleet_sidecars order by seen desc').all(tx),
      );
      expect(read.map((row) => ({ ...row }))).toEqual(rows.map(([text, seen, blob]) => ({ name: text, seen, blob })));
      await again.database.close();
    });

    it('are in the order of bytes, whatever the language of the machine', async () => {
      const one = await open();
      await one.database.transaction(async (tx) => {
        for (const text of ['b', 'a', 'Z', 'ä', 'a-b', 'ab']) await insertInto(tx, one.fleet, text);
      });
      expect(await names(one)).toEqual(['Z', 'a', 'a-b', 'ab', 'b', 'ä']);
      await one.database.close();
    });

    it.each([
      ['reading', 'select seq from audit_heads'],
      ['counting', 'select count(*) from audit_heads'],
      ['joining', 'select s.name from fleet_sidecars s join audit_heads h on h.stream = s.name'],
      ['a list of tables', 'select s.name from fleet_sidecars s, audit_heads'],
      ['a subquery', 'select name from fleet_sidecars where seen in (select seq from audit_heads)'],
      ['inserting', "insert into audit_heads values ('x', 1)"],
      ['inserting what is read there', 'insert into fleet_sidecars select stream, seq, null from audit_heads'],
      ['updating', 'update audit_heads set seq = 0'],
      ['deleting', 'delete from audit_heads'],
      ['the list of tables', 'select name from sqlite_master'],
      ['the catalogue', 'select relname from pg_class'],
      ['its own bookkeeping', 'update store_sequences set value = 0'],
      ['changing its own schema outside a migration', 'alter table fleet_sidecars add column more text'],
      ['creating a table', 'create table fleet_more (a text) strict'],
      ['dropping', 'drop table fleet_sidecars'],
      ['a temporary table', 'create temp table fleet_temp (a text)'],
      ['settings', 'set synchronous_commit = off'],
      ['ending a transaction', 'commit'],
      ['a mistake', 'selekt 1'],
    ])('of another service: %s is a bug', async (_, sql) => {
      const one = await open();
      await expect(one.database.transaction(async (tx) => one.fleet.prepare(sql).run(tx))).rejects.toThrow(Bug);
      await one.database.transaction(async (tx) => insertInto(tx, one.fleet, 'unharmed'));
      expect(await names(one)).toEqual(['unharmed']);
      await one.database.close();
    });

    it.each([
      ['a violated constraint', "insert into fleet_sidecars (name, seen) values ('a', null)"],
      ['a value of the wrong type', "insert into fleet_sidecars (name, seen) values ('a', 'text')"],
      ['a column that is not there', 'select absent from fleet_sidecars'],
    ])('%s is a bug, and writes nothing', async (_, sql) => {
      const one = await open();
      await expect(
        one.database.transaction(async (tx) => {
          await insertInto(tx, one.fleet, 'before');
          await one.fleet.prepare(sql).run(tx);
        }),
      ).rejects.toThrow(Bug);
      expect(await names(one)).toEqual([]);
      await one.database.close();
    });
  });
}

function transactionsSuite(name: string, open: Open): void {
  describe(`${name}: transactions`, () => {
    it('commit everything, in every service, or nothing', async () => {
      const one = await open();
      const { database, fleet, audit } = one;
      await expect(
        database.transaction(async (tx) => {
          await insertInto(tx, fleet, 'lost');
          await audit.prepare('insert into audit_heads (stream, seq) values (?, ?)').run(tx, 's', await audit.nextSequence(tx, 'seq'));
          throw new Error('no');
        }),
      ).rejects.toThrow('no');
      expect(await names(one)).toEqual([]);
      expect(await database.read(async (tx) => audit.lastSequence(tx, 'seq'))).toBe(0);
      await database.transaction(async (tx) => insertInto(tx, fleet, 'kept'));
      await database.close();
      const again = await open(one.at);
      expect(await names(again)).toEqual(['kept']);
      await again.database.close();
    });

    it('never interleave: what one has read is still so when it commits', async () => {
      const one = await open();
      const { database, fleet } = one;
      const read = fleet.prepare('select seen from fleet_sidecars where name = ?');
      const write = fleet.prepare('update fleet_sidecars set seen = ? where name = ?');
      await database.transaction(async (tx) => insertInto(tx, fleet, 'counter'));
      const add = async (): Promise<void> =>
        database.transaction(async (tx) => {
          const before = (await read.get(tx, 'counter'))?.['seen'] as number;
          await new Promise<void>((resolve) => setImmediate(resolve));
          await write.run(tx, before + 1, 'counter');
        });
      await Promise.all(Array.from({ length: 20 }, add));
      expect((await database.read(async (tx) => read.get(tx, 'counter')))?.['seen']).toBe(21);
      await database.close();
    });

    it('that read see one state, and nothing that is not committed', async () => {
      const one = await open();
      const { database, fleet } = one;
      const seen: Promise<readonly unknown[]>[] = [];
      // Asked from outside, while the transaction is under way.
      const ask = AsyncResource.bind(() => void seen.push(names(one)));
      const writing = database.transaction(async (tx) => {
        await insertInto(tx, fleet, 'a');
        ask();
        await new Promise<void>((resolve) => setImmediate(resolve));
        await insertInto(tx, fleet, 'b');
        throw new Error('undone');
      });
      await expect(writing).rejects.toThrow('undone');
      expect(await Promise.all(seen)).toEqual([[]]);
      await database.close();
    });
  });
}

function misuseSuite(name: string, open: Open): void {
  describe(`${name}: transactions that are misused`, () => {
    it('within a transaction would wait for ever, and are a bug instead', async () => {
      const one = await open();
      const { database, fleet } = one;
      for (const inner of ['transaction', 'read'] as const)
        await expect(
          database.transaction(async (tx) => {
            await insertInto(tx, fleet, 'outer');
            await database[inner](async () => Promise.resolve());
          }),
        ).rejects.toThrow(Bug);
      expect(await names(one)).toEqual([]);
      await database.transaction(async (tx) => insertInto(tx, fleet, 'after'));
      await database.close();
    });

    it('take no statement after their end, none of another database, and none that writes where they read', async () => {
      const one = await open();
      const other = await open();
      const late = await one.database.transaction(async (tx) => Promise.resolve(tx));
      await expect(insertInto(late, one.fleet, 'late')).rejects.toThrow(Bug);
      await expect(one.database.transaction(async (tx) => insertInto(tx, other.fleet, 'foreign'))).rejects.toThrow(Bug);
      await expect(one.database.read(async (tx) => insertInto(tx, one.fleet, 'reader'))).rejects.toThrow(Bug);
      await expect(one.database.read(async (tx) => one.fleet.nextSequence(tx, 'seq'))).rejects.toThrow(Bug);
      expect([await names(one), await names(other)]).toEqual([[], []]);
      await Promise.all([one.database.close(), other.database.close()]);
    });

    it('are undone by a statement that failed, also where its error was caught', async () => {
      const one = await open();
      await expect(
        one.database.transaction(async (tx) => {
          await insertInto(tx, one.fleet, 'a');
          await insertInto(tx, one.fleet, 'a').catch(() => undefined);
        }),
      ).rejects.toThrow(Bug);
      expect(await names(one)).toEqual([]);
      await one.database.close();
    });

    it('are refused once it is closed; what ran before is whole', async () => {
      const one = await open();
      const running = one.database.transaction(async (tx) => insertInto(tx, one.fleet, 'running'));
      const closed = one.database.close();
      await running;
      await closed;
      await expect(one.database.transaction(async () => Promise.resolve())).rejects.toThrow(Fault);
      await expect(one.database.read(async () => Promise.resolve())).rejects.toThrow(Fault);
      const again = await open(one.at);
      expect(await names(again)).toEqual(['running']);
      await again.database.close();
    });
  });
}

function sequencesSuite(name: string, open: Open): void {
  describe(`${name}: sequences`, () => {
    it('are of each service and name, from 1, contiguous, never twice, also after a restart', async () => {
      const { at, database, fleet, audit } = await open();
      const next = async (of: ServiceDatabase, sequence: string): Promise<number> =>
        database.transaction(async (tx) => of.nextSequence(tx, sequence));
      const given = [await next(fleet, 'a'), await next(fleet, 'a'), await next(fleet, 'b'), await next(audit, 'a')];
      expect(given).toEqual([1, 2, 1, 1]);
      await database.close();
      const again = await open(at);
      expect(await again.database.read(async (tx) => again.fleet.lastSequence(tx, 'a'))).toBe(2);
      expect(await again.database.transaction(async (tx) => again.fleet.nextSequence(tx, 'a'))).toBe(3);
      await again.database.close();
    });

    it('give back what an undone transaction took, and nobody else got it meanwhile', async () => {
      const { database, fleet } = await open();
      const results = await Promise.allSettled(
        Array.from({ length: 12 }, async (_, index) =>
          database.transaction(async (tx) => {
            const seq = await fleet.nextSequence(tx, 'a');
            if (index % 3 === 0) throw new Error('undone');
            return seq;
          }),
        ),
      );
      const kept = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
      expect(kept).toHaveLength(8);
      expect(new Set(kept)).toEqual(new Set([1, 2, 3, 4, 5, 6, 7, 8]));
      await database.close();
    });
  });
}

function migrationsSuite({ name, place, open }: DatabaseEngine): void {
  const second: Migration = { name: 'area', sql: "alter table fleet_sidecars add column area text not null default 'x';" };
  const opened = async (at: string, migrations: readonly Migration[] = FLEET): Promise<Opened> => {
    const database = await open(at);
    const audit = await database.service('audit', AUDIT);
    return { at, database, audit, fleet: await database.service('fleet', migrations) };
  };

  describe(`${name}: migrations`, () => {
    it('run once each, in order, and keep what was there', async () => {
      const at = await place();
      const old = await opened(at);
      await old.database.transaction(async (tx) => insertInto(tx, old.fleet, 'old'));
      await old.database.close();
      for (let start = 0; start < 2; start++) {
        const { database, fleet } = await opened(at, [...FLEET, second]);
        const row = await database.read(async (tx) => fleet.prepare('select name, area from fleet_sidecars').get(tx));
        expect({ ...row }).toEqual({ name: 'old', area: 'x' });
        await database.close();
      }
    });

    it.each([
      ['an edited step', [{ name: 'sidecars', sql: `${FLEET[0]?.sql ?? ''} ` }]],
      ['a step that this build does not know', []],
    ])('%s is refused: the tables belong to another build', async (_, migrations) => {
      const at = await place();
      await (await opened(at)).database.close();
      const database = await open(at);
      await expect(database.service('fleet', migrations)).rejects.toThrow(Fault);
      await database.close();
    });

    it.each([
      ['in a table of another service', 'create table audit_more (a text) strict;'],
      ['with a view into another service', 'create view fleet_view as select * from audit_heads;'],
      ['with an index on another service', 'create index fleet_index on audit_heads (seq);'],
      ['with a trigger', 'create trigger fleet_trigger after insert on fleet_sidecars begin select 1; end;'],
      ['with a foreign key into another service', 'create table fleet_child (h text references audit_heads (stream)) strict;'],
      ['that drop another service', 'drop table audit_heads;'],
      ['that end the transaction', 'commit;'],
      ['with a table that is not STRICT', 'create table fleet_lax (a text);'],
      ['that do not compile, after ones that do', 'create table fleet_good (a text) strict; create tabel;'],
      ['that fail, after ones that do not', 'create table fleet_good (a text) strict; create table fleet_sidecars (a text) strict;'],
    ])('%s change nothing and are a bug', async (_, sql) => {
      const database = await open(await place());
      await database.service('audit', AUDIT);
      await expect(database.service('fleet', [...FLEET, { name: 'bad', sql }])).rejects.toThrow(Bug);
      const fleet = await database.service('fleet', [...FLEET, { name: 'good', sql: 'create table fleet_good (a text) strict;' }]);
      expect(await database.read(async (tx) => namesIn(tx, fleet))).toEqual([]);
      await database.close();
    });

    it('a service is opened once, under a plain name', async () => {
      const database = await open(await place());
      await database.service('fleet', FLEET);
      for (const refused of ['fleet', 'store', 'sqlite', 'pg', 'Fleet', 'a_b', ''])
        await expect(database.service(refused, FLEET), refused).rejects.toThrow(Bug);
      await database.close();
    });
  });
}
