/** The rule about absent engines, by itself and as a test run shows it; and each engine here, started for real. */

import { mkdtemp, rm } from 'node:fs/promises';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ENGINES, type Engine, needs, probe, requiredEngines, standing } from './engines.ts';

const ABSENT = { present: false, reason: 'spawn redis-server ENOENT' } as const;

describe('what becomes of a test that needs an engine', () => {
  test.each([
    ['present, required', { present: true, detail: '7' } as const, ['redis'], 'run'],
    ['present, not required', { present: true, detail: '7' } as const, [], 'run'],
    ['absent, not required', ABSENT, ['nats'], 'not-run'],
    ['absent, required', ABSENT, ['nats', 'redis'], 'fail'],
  ] as const)('%s', (_, presence, required, kind) => {
    expect(standing('redis', presence, new Set<Engine>(required)).kind).toBe(kind);
  });

  test('the line for an absent engine names it and the reason', () => {
    expect(standing('redis', ABSENT, new Set())).toEqual({
      kind: 'not-run',
      line: 'not run: needs redis (spawn redis-server ENOENT)',
    });
  });

  test('the failure for a required engine says how to get it', () => {
    expect(standing('redis', ABSENT, new Set<Engine>(['redis']))).toHaveProperty('message', expect.stringContaining('apt-get install'));
  });
});

describe('SALLYPORT_REQUIRE', () => {
  test.each([
    [undefined, []],
    ['', []],
    ['redis', ['redis']],
    [' redis , nats ,', ['redis', 'nats']],
  ])('%o', (text, names) => {
    expect([...requiredEngines(text)]).toEqual(names);
  });

  test('a misspelt engine is an error, so that a required one cannot be dropped by mistake', () => {
    expect(() => requiredEngines('postgres,reddis')).toThrow('unknown engine `reddis`');
  });
});

describe('a test run on a machine without the engine', () => {
  let empty = '';
  beforeAll(async () => {
    empty = await mkdtemp(join(tmpdir(), 'sallyport-no-engines-'));
  });
  afterAll(() => rm(empty, { recursive: true }));

  /** Runs the fixture in a vitest of its own that finds no engine on its PATH. */
  async function runFixture(required: string): Promise<{ code: unknown; output: string }> {
    const vitest = join(import.meta.dirname, '..', 'node_modules', 'vitest', 'vitest.mjs');
    const fixture = join(import.meta.dirname, 'engines', 'fixture');
    const child = spawn(process.execPath, [vitest, 'run', '--root', fixture, '--config', join(fixture, 'vitest.config.ts')], {
      env: { HOME: empty, PATH: empty, SALLYPORT_REQUIRE: required, NO_COLOR: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text));
    const [code] = (await once(child, 'close')) as [number | null];
    return { code, output };
  }

  test('absent and not required: reported as not run, the rest passes', async () => {
    const { code, output } = await runFixture('');
    expect(output).toContain('not run: needs redis');
    expect(output).toMatch(/Tests\s+1 passed \| 1 skipped \(2\)/);
    expect(code).toBe(0);
  });

  test('absent and required: the run fails and says why', async () => {
    const { code, output } = await runFixture('redis');
    expect(output).toContain('SALLYPORT_REQUIRE names redis, which did not start');
    expect(output).toMatch(/Tests\s+1 failed \| 1 passed \(2\)/);
    expect(code).toBe(1);
  });
});

for (const engine of ENGINES) {
  const withEngine = await needs(engine);
  withEngine(`${engine} on this machine`, () => {
    test('starts, answers and stops', async () => {
      expect(await probe(engine)).toMatchObject({ present: true, detail: expect.stringMatching(/\d/) });
    });
  });
}
