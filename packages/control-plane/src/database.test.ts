import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { formatProblem } from '@sallyport/model';
import type { ControlPlaneConfig } from './config.ts';
import { readDatabase } from './database.ts';

const folder = mkdtempSync(join(tmpdir(), 'sallyport-database-config-'));
afterAll(() => rmSync(folder, { recursive: true }));

const URL_OF_ONE = 'postgres://sallyport@db.internal:5432/sallyport';
const SECRET = 'correct horse battery';

function file(name: string, content: string, mode = 0o600): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  chmodSync(path, mode);
  return path;
}

const read = (database: ControlPlaneConfig['database']): ReturnType<typeof readDatabase> =>
  readDatabase((database === undefined ? {} : { database }) as ControlPlaneConfig);

test('without one it is SQLite', () => {
  expect(read(undefined)).toEqual({ ok: true, value: undefined });
});

test('a password is the one line of its file, and authorities are PEM as they are', () => {
  const password_file = file('password', `${SECRET}\n`);
  const ca_file = file('ca.pem', 'PEM\n', 0o644);
  expect(read({ url: URL_OF_ONE, password_file, ca_file })).toEqual({
    ok: true,
    value: { url: URL_OF_ONE, password: SECRET, ca: 'PEM\n' },
  });
});

test.each([
  ['a password that others can read', (): string => file('open', SECRET, 0o644), 'chmod 600'],
  ['a password that the group can change', (): string => file('shared', SECRET, 0o620), 'chmod 600'],
  ['an empty password', (): string => file('empty', '\n'), 'one line'],
  ['two passwords', (): string => file('two', `${SECRET}\n${SECRET}\n`), 'one line'],
  ['a password without end', (): string => file('long', SECRET.repeat(1_000)), 'more than'],
  ['no password', (): string => join(folder, 'absent'), 'cannot be read'],
])('%s is refused, with the file and what to do, and is not repeated', (_what, make, words) => {
  const result = read({ url: URL_OF_ONE, password_file: make() });
  const problems = result.ok ? '' : result.error.map(formatProblem).join('\n');
  expect(problems).toContain('database.password_file');
  expect(problems).toContain(words);
  expect(problems).not.toContain(SECRET);
});

test('every problem is told at once', () => {
  const result = read({
    url: `postgres://u:${encodeURIComponent(SECRET)}@db/x?sslmode=disable`,
    password_file: '/absent',
    ca_file: '/absent',
  });
  expect(result.ok ? [] : result.error.map(({ path }) => path)).toEqual(['database.url', 'database.password_file', 'database.ca_file']);
  expect(JSON.stringify(result)).not.toContain('correct');
});
