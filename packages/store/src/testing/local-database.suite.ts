/** What a local database must do. Run by tests only. */

import { describe, expect, it } from 'vitest';
import { Bug, Fault } from '@sallyport/model';
import type { Migration } from '../database.ts';
import type { LocalDatabase, LocalService, OpenLocalDatabase } from '../local-database.ts';

const FLEET: readonly Migration[] = [
  { name: 'sidecars', sql: 'create table fleet_sidecars (name text primary key, seen integer not null, blob blob) strict;' },
];
const AUDIT: readonly Migration[] = [
  { name: 'heads', sql: 'create table audit_heads (stream text primary key, seq integer not null) strict;' },
];

type MakePath = () => string;

export function localDatabaseSuite(name: string, open: OpenLocalDatabase, path: MakePath): void {
  const opened = (at: string = path()): LocalDatabase => {
    const result = open({ path: at });
    if (!result.ok) throw new Error(`the database does not open: ${result.error.code}`);
    return result.value;
  };
  tablesSuite(name, opened, path);
  transactionsSuite(name, opened, path);
  migrationsSuite(name, opened, path);
}

type Opened = (path?: string) => LocalDatabase;

function tablesSuite(name: string, opened: Opened, path: MakePath): void {
  describe(`${name}: tables`, () => {
    it('keeps text, numbers, bytes and null through a restart', () => {
      const at = path();
      const first = opened(at);
      const values = ['ünïcode \u0000 text', Number.MAX_SAFE_INTEGER, Uint8Array.of(0, 255, 7)] as const;
      first
        .service('fleet', FLEET)
        .prepare('insert into fleet_sidecars values (?, ?, ?)')
        .run(...values);
      first.close();
      const second = opened(at);
      expect({ ...second.service('fleet', FLEET).prepare('select * from fleet_sidecars').get() }).toEqual({
        name: values[0],
        seen: values[1],
        blob: values[2],
      });
      second.close();
    });

    it.each([
      ['reading', 'select seq from audit_heads'],
      ['counting', 'select count(*) from audit_heads'],
      ['joining', 'select s.name from fleet_sidecars s join audit_heads h on h.stream = s.name'],
      ['a subquery', 'select name from fleet_sidecars where seen in (select seq from audit_heads)'],
      ['inserting', "insert into audit_heads values ('x', 1)"],
      ['inserting what is read there', 'insert into fleet_sidecars select stream, seq, null from audit_heads'],
      ['updating', 'update audit_heads set seq = 0'],
      ['deleting', 'delete from audit_heads'],
      ['the list of tables', 'select name from sqlite_master'],
      ['its own bookkeeping', 'update store_sequences set value = 0'],
      ['changing its own schema outside a migration', 'alter table fleet_sidecars add column more text'],
      ['creating a table', 'create table fleet_more (a text) strict'],
      ['dropping', 'drop table fleet_sidecars'],
      ['a temporary table', 'create temp table fleet_temp (a text)'],
      ['pragmas', 'pragma synchronous = off'],
      ['attaching a file', "attach database '/tmp/other' as other"],
      ['ending a transaction', 'commit'],
      ['a mistake', 'selekt 1'],
    ])('a service cannot compile %s', (_, sql) => {
      const database = opened();
      database.service('audit', AUDIT);
      const fleet = database.service('fleet', FLEET);
      expect(() => fleet.prepare(sql)).toThrow(Bug);
      database.close();
    });

    it('a trigger of one service cannot write into another', () => {
      const database = opened();
      const audit = database.service('audit', AUDIT);
      const trigger = "create trigger fleet_t after insert on fleet_sidecars begin insert into audit_heads values ('forged', 1); end;";
      const fleet = database.service('fleet', [...FLEET, { name: 'trigger', sql: trigger }]);
      expect(() => fleet.prepare('insert into fleet_sidecars (name, seen) values (?, 1)')).toThrow(Bug);
      expect(audit.prepare('select * from audit_heads').all()).toEqual([]);
      database.close();
    });

    it('a service that was refused leaves the next one unharmed', () => {
      const database = opened();
      const [audit, fleet] = [database.service('audit', AUDIT), database.service('fleet', FLEET)];
      expect(() => fleet.prepare('select * from audit_heads')).toThrow(Bug);
      audit.prepare('insert into audit_heads values (?, ?)').run('s', 1);
      expect(audit.prepare('select value from json_each(?)').all('[1,2]')).toHaveLength(2);
      expect(audit.prepare('select count(*) as n from audit_heads').get()?.['n']).toBe(1);
      database.close();
    });

    it('a statement stays valid, and its own, when the schema changes after it was prepared', () => {
      const database = opened();
      const fleet = database.service('fleet', FLEET);
      const insert = fleet.prepare('insert into fleet_sidecars (name, seen) values (?, ?)');
      database.service('audit', AUDIT);
      insert.run('a', 1);
      expect(fleet.prepare('select count(*) as n from fleet_sidecars').get()?.['n']).toBe(1);
      database.close();
    });

    it.each([
      ['a violated constraint', "insert into fleet_sidecars values ('a', null, null)"],
      ['a value of the wrong type', "insert into fleet_sidecars values ('a', 'text', null)"],
    ])('%s is a bug, and writes nothing', (_, sql) => {
      const database = opened();
      const fleet = database.service('fleet', FLEET);
      expect(() => fleet.prepare(sql).run()).toThrow(Bug);
      expect(fleet.prepare('select * from fleet_sidecars').all()).toEqual([]);
      database.close();
    });
  });
}

const insertInto = (fleet: LocalService, name: string): void =>
  void fleet.prepare('insert into fleet_sidecars (name, seen) values (?, 1)').run(name);
const namesIn = (fleet: LocalService): readonly unknown[] =>
  fleet
    .prepare('select name from fleet_sidecars order by name')
    .all()
    .map((row) => row['name']);

function transactionsSuite(name: string, opened: Opened, path: MakePath): void {
  describe(`${name}: transactions`, () => {
    it('commit everything, in every service, or nothing', () => {
      const at = path();
      const database = opened(at);
      const [audit, fleet] = [database.service('audit', AUDIT), database.service('fleet', FLEET)];
      expect(() =>
        database.transaction(() => {
          insertInto(fleet, 'lost');
          audit.prepare('insert into audit_heads values (?, ?)').run('s', audit.nextSequence('seq'));
          throw new Error('no');
        }),
      ).toThrow('no');
      expect(namesIn(fleet)).toEqual([]);
      expect(audit.lastSequence('seq')).toBe(0);
      const seq = database.transaction(() => {
        insertInto(fleet, 'kept');
        return audit.nextSequence('seq');
      });
      expect(seq).toBe(1);
      database.close();
      const again = opened(at);
      expect(namesIn(again.service('fleet', FLEET))).toEqual(['kept']);
      again.close();
    });

    it('nested, undo their own part when they throw, and stand or fall with the outer one', () => {
      const database = opened();
      const fleet = database.service('fleet', FLEET);
      database.transaction(() => {
        insertInto(fleet, 'outer');
        expect(() =>
          database.transaction(() => {
            insertInto(fleet, 'inner');
            throw new Error('inner');
          }),
        ).toThrow('inner');
        database.transaction(() => insertInto(fleet, 'second'));
      });
      expect(namesIn(fleet)).toEqual(['outer', 'second']);
      expect(() =>
        database.transaction(() => {
          database.transaction(() => insertInto(fleet, 'gone'));
          throw new Error('outer');
        }),
      ).toThrow('outer');
      expect(namesIn(fleet)).toEqual(['outer', 'second']);
      database.close();
    });

    it('are synchronous: a promise in one is a bug, and is undone', () => {
      const database = opened();
      const fleet = database.service('fleet', FLEET);
      expect(() =>
        database.transaction(() => {
          insertInto(fleet, 'a');
          return Promise.resolve();
        }),
      ).toThrow(/synchronous/);
      expect(namesIn(fleet)).toEqual([]);
      database.close();
    });

    it('give sequences of each service and name from 1, contiguous, never twice, also after a restart', () => {
      const at = path();
      const database = opened(at);
      const [audit, fleet] = [database.service('audit', AUDIT), database.service('fleet', FLEET)];
      const next = (of: LocalService, sequence: string): number => database.transaction(() => of.nextSequence(sequence));
      expect([next(fleet, 'a'), next(fleet, 'a'), next(fleet, 'b'), next(audit, 'a')]).toEqual([1, 2, 1, 1]);
      expect(() => fleet.nextSequence('a')).toThrow(Bug);
      database.close();
      const again = opened(at);
      const later = again.service('fleet', FLEET);
      expect(later.lastSequence('a')).toBe(2);
      expect(again.transaction(() => later.nextSequence('a'))).toBe(3);
      again.close();
    });
  });
}

function migrationsSuite(name: string, opened: Opened, path: MakePath): void {
  describe(`${name}: migrations`, () => {
    const second: Migration = { name: 'area', sql: "alter table fleet_sidecars add column area text not null default 'x';" };

    it('run once each, in order, and keep what was there', () => {
      const at = path();
      const old = opened(at);
      insertInto(old.service('fleet', FLEET), 'old');
      old.close();
      for (let start = 0; start < 2; start++) {
        const database = opened(at);
        const fleet = database.service('fleet', [...FLEET, second]);
        expect({ ...fleet.prepare('select name, area from fleet_sidecars').get() }).toEqual({ name: 'old', area: 'x' });
        database.close();
      }
    });

    it.each([
      ['an edited step', [{ name: 'sidecars', sql: `${FLEET[0]?.sql ?? ''} ` }]],
      ['a step that this build does not know', []],
    ])('%s is refused: the file belongs to another build', (_, migrations) => {
      const at = path();
      const old = opened(at);
      old.service('fleet', FLEET);
      old.close();
      const database = opened(at);
      expect(() => database.service('fleet', migrations)).toThrow(Fault);
      database.close();
    });

    it.each([
      ['in a table of another service', 'create table audit_more (a text) strict;'],
      ['with a view into another service', 'create view fleet_view as select * from audit_heads; select * from fleet_view;'],
      ['with an index on another service', 'create index fleet_index on audit_heads (seq);'],
      ['with a trigger on another service', 'create trigger fleet_trigger after insert on audit_heads begin select 1; end;'],
      ['with a foreign key into another service', 'create table fleet_child (h text references audit_heads (stream)) strict;'],
      ['that drop another service', 'drop table audit_heads;'],
      ['that end the transaction', 'commit;'],
      ['with a table that is not STRICT', 'create table fleet_lax (a text);'],
      ['that do not compile, after ones that do', 'create table fleet_good (a text) strict; create tabel;'],
    ])('%s change nothing and are a bug', (_, sql) => {
      const database = opened();
      database.service('audit', AUDIT);
      expect(() => database.service('fleet', [...FLEET, { name: 'bad', sql }])).toThrow(Bug);
      const fleet = database.service('fleet', FLEET);
      expect(namesIn(fleet)).toEqual([]);
      expect(() => fleet.prepare('select * from fleet_good')).toThrow(Bug);
      database.close();
    });
  });
}
