import { describe, expect, it } from 'vitest';
import { Bug } from '@sallyport/model';
import { readMigration, readStatement } from './sql-text.ts';

describe('a statement', () => {
  it.each([
    ['select a, b from t_x where c = ? and d in (select e from t_y) order by a, b limit ?', false],
    ["insert into t_x (a, b) values (?, 'it''s ?') on conflict (a) do update set b = excluded.b returning a", true],
    ['update t_x set a = ? where b <> ?', true],
    ['delete from t_x', true],
    ['select x.a from t_x x join t_y as y on y.a = x.a where x.b || ? = y.c', false],
  ])('is read, with its parameters numbered: %s', (sql, toWrite) => {
    const read = readStatement('t', sql);
    expect(read.toWrite).toBe(toWrite);
    const numbers = Array.from(read.postgres.matchAll(/\$(\d+)/g), (match) => Number(match[1]));
    expect(numbers).toEqual(numbers.map((_, index) => index + 1));
    // What stands in quotes is no parameter.
    expect(numbers.length).toBe(sql.replaceAll(/'(?:[^']|'')*'/g, '').split('?').length - 1);
    expect(read.postgres).not.toMatch(/\w \. \w/);
    expect(readStatement('t', 'select only from t_x').postgres).toBe('select "only" from t_x');
  });

  it.each([
    ['another service', 'select a from u_x'],
    ['another service in a join', 'select a from t_x join u_x on 1 = 1'],
    ['another service behind a comma', 'select a from t_x, u_x'],
    ['another service behind an alias and a comma', 'select a from t_x as x, u_x'],
    ['another service in a subquery', 'select a from t_x where b in (select c from u_x)'],
    ['another service in a subquery in the list of tables', 'select a from (select c from t_x) s, u_x'],
    ['another schema', 'select a from t_x.secret'],
    ['another service by UPDATE', 'update u_x set a = 1'],
    ['another service by INSERT from there', 'insert into t_x select a from u_x'],
    ['a name in quotes', 'select a from "u_x"'],
    ['the rest behind a comment', 'select a from t_x -- , u_x'],
    ['a second statement', 'select a from t_x; delete from t_x'],
    ['one that only one engine has', 'insert or replace into t_x values (1)'],
    ['a pragma', 'pragma synchronous = off'],
    ['a copy to a file', "copy t_x to '/tmp/x'"],
    ['a setting', 'set search_path = other'],
    ['nothing', ''],
  ])('that names %s is a bug', (_, sql) => {
    expect(() => readStatement('t', sql)).toThrow(Bug);
  });
});

describe('a migration', () => {
  it('becomes one of PostgreSQL', () => {
    const sql = `create table t_x (blob blob primary key, n integer not null, s text, check (n > 0)) strict, without rowid;
      create index t_x_n on t_x (n) where s is not null; alter table t_x add column more integer;`;
    expect(readMigration('t', sql)).toEqual([
      'create table t_x ( blob BYTEA primary key , n BIGINT not null , s TEXT COLLATE "C" , check ( n > 0 ) )',
      'create index t_x_n on t_x ( n ) where s is not null',
      'alter table t_x add column more BIGINT',
    ]);
  });

  it.each([
    ['a view', 'create view t_v as select a from t_x'],
    ['a trigger', 'create trigger t_t after insert on t_x begin select 1; end'],
    ['a function', "create function t_f() returns int language sql as 'select 1'"],
    ['a foreign key into another service', 'create table t_x (a text references u_x (a)) strict'],
    ['an index on another service', 'create index t_i on u_x (a)'],
    ['a table of another service', 'create table u_x (a text) strict'],
    ['a table that is not STRICT', 'create table t_x (a text)'],
    ['dropping another service', 'drop table u_x'],
    ['renaming', 'alter table t_x rename to u_x'],
    ['the end of its transaction', 'commit'],
  ])('with %s is a bug', (_, sql) => {
    expect(() => readMigration('t', sql)).toThrow(Bug);
  });
});
