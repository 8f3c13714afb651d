import { describe, expect, it } from 'vitest';
import { isReadOnlySql } from './sql-read.ts';

describe('a query that reads', () => {
  it.each([
    'SELECT 1',
    "select id, total from orders where customer = 'O''Brien' and total >= 10.50 order by id desc limit 10;",
    'SELECT count(*) FROM orders o JOIN customers c ON (c.id = o.customer_id) GROUP BY c.region HAVING count(*) > 3',
    "WITH recent AS (SELECT * FROM orders WHERE at > now() - interval '7 days') SELECT avg(total) FROM recent",
    'SELECT "update", `set`, [lock] FROM audit',
    "SELECT replace(lower(name), 'a', 'b') AS name FROM t WHERE x IN (SELECT y FROM z) AND n::text LIKE '%drop%'",
    'SELECT row_number() OVER (PARTITION BY a ORDER BY b) FROM t UNION ALL (SELECT 2)',
    'SELECT CASE WHEN a > (b) THEN 1 ELSE (2) END FROM t WHERE EXISTS (SELECT 1) AND NOT (a = -1)',
    'SELECT comment, open, close, start FROM prices',
    'SELECT cast(a AS numeric(10, 2)), 1e5, .5 FROM t OFFSET 5',
  ])('%s', (sql) => expect(isReadOnlySql(sql)).toBe(true));
});

describe('what is no such query', () => {
  it.each([
    ['a change', 'UPDATE t SET a = 1'],
    ['a change of the schema', 'DROP TABLE t'],
    ['nothing', ''],
    ['a second statement', 'SELECT 1; DELETE FROM t'],
    ['a second statement without semicolon (SQL Server)', 'SELECT 1 DELETE FROM t'],
    ['two semicolons', 'SELECT 1;;'],
    ['a change inside of a query', 'WITH gone AS (DELETE FROM t RETURNING *) SELECT * FROM gone'],
    ['REPLACE INTO behind a query', "WITH a AS (SELECT 1) REPLACE INTO t VALUES ('x')"],
    ['a query into a table', 'SELECT * INTO copy_of_t FROM t'],
    ['a query into a file', "SELECT '<?php' INTO OUTFILE '/var/www/x.php'"],
    ['row locks', 'SELECT * FROM t FOR UPDATE'],
    ['a number from a sequence', 'SELECT NEXT VALUE FOR s'],
    ['a plan that runs the statement', 'EXPLAIN ANALYZE DELETE FROM t'],
    ['a function that reads files', "SELECT pg_read_file('/etc/passwd')"],
    ['a function under another schema', "SELECT pg_catalog.lo_export(1, '/tmp/x')"],
    ['a function of a known name under another schema', 'SELECT evil.count(1)'],
    ['a function under another schema that is called like a keyword', 'SELECT evil.select(1)'],
    ['a function under a quoted name', 'SELECT "pg_sleep"(100)'],
    ['a function in brackets', "SELECT [xp_cmdshell]('dir')"],
    ['a function of the database’s own', 'SELECT transfer_money(1, 2)'],
    ['a function after a space', 'SELECT pg_sleep (100)'],
    ['a function under an escaped name', 'SELECT U&"\\0070g_sleep"(1)'],
    ['another database', "SELECT * FROM dblink('host=evil', 'select 1')"],
    ['a comment that MySQL runs', 'SELECT 1 /*!50000 ; DROP TABLE t */'],
    ['a comment of two dashes', 'SELECT 1 -- \n; DROP TABLE t'],
    ['dashes that MySQL subtracts', 'SELECT 1--1'],
    ['a comment of MySQL’s', "SELECT '#' # '\n; DROP TABLE t; -- '"],
    ['a quote that a backslash escapes in MySQL', "SELECT '\\'; DROP TABLE t; -- '"],
    ['a quote with PostgreSQL’s dollars', "SELECT $$'$$; DROP TABLE t; --'"],
    ['a backtick that PostgreSQL takes for an operator', "SELECT 1 `'` ; DROP TABLE t; --'"],
    ['a bracket that only some take for a quote', "SELECT [it's] ; DROP TABLE t; --'"],
    ['a quote without end', "SELECT 'a"],
    ['a variable that is set', 'SELECT @a := 1'],
    ['a system variable', 'SELECT @@version'],
    ['a parameter', 'SELECT * FROM t WHERE a = ?'],
    ['a space that only some know', 'SELECT\u00a01'],
    ['a letter that looks like another', 'ЅELECT 1'],
    ['a control character in a text', "SELECT 'a\u0000b'"],
    ['an analysing procedure', 'SELECT * FROM t PROCEDURE ANALYSE()'],
    ['waiting', "SELECT 1 WAITFOR DELAY '1:00'"],
    ['a number that runs into a word', 'SELECT 1delete'],
    ['a number with a point that runs into a word (SQL Server, MySQL)', 'SELECT 1.e5delete FROM t'],
    ['the same with a procedure behind it', "SELECT 1.e5exec xp_cmdshell 'dir'"],
    ['the same with more digits', 'SELECT 1.5.e5drop TABLE t'],
    ['a loop without end (SQL Server)', 'SELECT 1 WHILE 1 = 1 SELECT 2'],
    ['a signature for a procedure (SQL Server)', 'SELECT 1 ADD SIGNATURE TO p BY CERTIFICATE c'],
    ['a table locked by a hint (SQL Server)', 'SELECT * FROM t WITH (TABLOCKX, HOLDLOCK)'],
    ['a setting', 'PRAGMA writable_schema = 1'],
    ['another file', "ATTACH DATABASE 'x' AS y"],
  ])('%s', (_, sql) => expect(isReadOnlySql(sql)).toBe(false));

  it('takes no longer than its length allows, whatever it holds', () => {
    for (const text of ["'", '"', '(', '1', '1.', '-', '`a`', '[', "''", 'a ', ' ']) isReadOnlySql(`SELECT ${text.repeat(4_000)}`);
  });
});
