import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Bug, Fault } from '@sallyport/model';
import type { Instant } from '@sallyport/model';
import { fakeClock } from '@sallyport/testkit';
import { createLog, type Log, type LogLevel } from './log.ts';
import { plainText } from './log-text.ts';

function logging(level: LogLevel = 'debug'): { log: Log; lines: () => Record<string, unknown>[] } {
  const written: string[] = [];
  const clock = fakeClock({ wall: Date.UTC(2026, 10, 20, 7, 31, 23, 5) as Instant });
  const log = createLog({ level, name: 'sidecar', clock, write: (line) => written.push(line) });
  return { log, lines: () => written.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

test('writes one JSON object a line, with its time from the clock', () => {
  const { log, lines } = logging();
  log.info('policy_activated', { release_seq: 7, digest: 'sha256:ab' });
  expect(lines()).toEqual([
    { level: 'info', at: '2026-11-20T07:31:23.005Z', name: 'sidecar', release_seq: 7, digest: 'sha256:ab', event: 'policy_activated' },
  ]);
});

test.each<[LogLevel, string[]]>([
  ['debug', ['debug', 'info', 'warn', 'error']],
  ['warn', ['warn', 'error']],
  ['error', ['error']],
])('at level %s writes %j', (level, expected) => {
  const { log, lines } = logging(level);
  log.debug('a');
  log.info('a');
  log.warn('a');
  log.error('a');
  expect(lines().map((line) => line['level'])).toEqual(expected);
});

test('of an error and its causes it keeps kind, code and message; the stack only of a bug', () => {
  const { log, lines } = logging();
  const cause = Object.assign(new Error('connect ECONNREFUSED'), {
    code: 'ECONNREFUSED',
    password: 'hunter2',
    config: { headers: { authorization: 'x' } },
  });
  log.warn('upstream_lost', {}, new Fault('upstream_unreachable', 'upstream', 'while connecting', { cause }));
  log.error('bug', {}, new Bug('a promise was broken'));
  expect(lines()[0]?.['error']).toBe('Fault upstream_unreachable: while connecting <- Error ECONNREFUSED: connect ECONNREFUSED');
  expect(lines()[0]?.['stack']).toBeUndefined();
  expect(lines()[1]?.['stack']).toContain('log.test.ts');
  expect(JSON.stringify(lines())).not.toContain('hunter2');
});

test('what is no plain value never leaves, even past the compiler', () => {
  const { log, lines } = logging();
  const smuggled = {
    detail: { authorization: 'secret-1' },
    reason: ['secret-2'],
    toJSON: () => ({ secret: 'secret-3' }),
    code: Buffer.from('secret-4'),
  };
  log.info('a', smuggled as never);
  log.warn('a', {}, { headers: 'secret-5' });
  log.warn('a', {}, Object.assign(new Error('fine'), { toJSON: () => 'secret-6' }));
  expect(JSON.stringify(lines())).not.toContain('secret');
});

test('an endless chain of causes ends', () => {
  const { log, lines } = logging();
  const ring = new Error('ring');
  ring.cause = ring;
  log.warn('a', {}, ring);
  expect(String(lines()[0]?.['error']).split(' <- ')).toHaveLength(5);
});

describe('what looks like a credential is removed from a text', () => {
  const jwt = 'eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl';
  test.each([
    ['a token', `token ${jwt} was refused`, 'token [token removed] was refused'],
    ['a bearer credential', 'Authorization: Bearer abc.def-123', 'Authorization: Bearer [credential removed]'],
    ['a basic credential', 'authorization: basic YWxpY2U6aHVudGVyMg==', 'authorization: basic [credential removed]'],
    ['a private key', 'read -----BEGIN EC PRIVATE KEY-----\nMHcC\n-----END EC PRIVATE KEY----- from', 'read [private key removed] from'],
    ['a private key that was cut', 'read -----BEGIN PRIVATE KEY-----\nMHcC', 'read [private key removed]'],
    ['userinfo', 'postgres://sallyport:hunter2@db:5432/x', 'postgres://[credential removed]@db:5432/x'],
  ])('%s', (_what, text, expected) => expect(plainText(text)).toBe(expected));

  test.each(['nothing to see', 'the bearer of this', 'sha256:abcdef', 'a@b.c', 'https://host:443/path@x'])('and %j stays', (text) =>
    expect(plainText(text)).toBe(text),
  );
});

test('a long text is cut, and costs no more than its cut', () => {
  expect(plainText('x'.repeat(5_000_000))).toHaveLength(1_001);
  const { log, lines } = logging();
  log.info('a', { detail: 'y'.repeat(100_000) });
  expect(String(lines()[0]?.['detail'])).toHaveLength(1_001);
});

test('a line cannot be split by what stands in a field', () => {
  const written: string[] = [];
  const log = createLog({ level: 'info', name: 'sidecar', clock: fakeClock(), write: (line) => written.push(line) });
  log.info('a', { detail: 'one\n{"level":"info","event":"forged"}' });
  expect(written).toHaveLength(1);
  expect(written[0]?.trimEnd().split('\n')).toHaveLength(1);
});

test('the last lines of a process that ends at once are on its standard output', () => {
  const index = join(import.meta.dirname, 'index.ts');
  const script = `
    const { createLog } = await import(${JSON.stringify(index)});
    const log = createLog({ level: 'info', name: 'sidecar', clock: { wall: () => 0, boot: () => 0, timer() {} } });
    for (let i = 0; i < 500; i++) log.info('line', { seq: i });
    log.error('the_end');
    log.flush();
    process.exit(1);`;
  const { status, stdout } = spawnSync(process.execPath, ['--conditions=sallyport-src', '--input-type=module', '-e', script], {
    encoding: 'utf8',
  });
  expect(status).toBe(1);
  expect(stdout.trimEnd().split('\n')).toHaveLength(501);
  expect(stdout).toContain('the_end');
});
