/** `sallyport chaos run` as an administrator runs it: real processes of this build, every attack, and nothing left behind. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ATTACKS } from '../../packages/cli/src/chaos/attacks/all.ts';

const ROOT = join(import.meta.dirname, '..', '..');

interface Report {
  readonly held: number;
  readonly of: number;
  readonly attacks: readonly {
    readonly attack: string;
    readonly verdict: string;
    readonly steps: readonly { readonly name: string; readonly expected: string; readonly seen: string }[];
    readonly why: string | null;
  }[];
}

describe('an installation under attack fails closed', () => {
  const temporary = mkdtempSync(join(tmpdir(), 'sallyport-chaos-test-'));
  let exit: unknown;
  let report: Report;

  beforeAll(async () => {
    const main = join(ROOT, 'packages', 'cli', 'src', 'main.ts');
    const child = spawn(process.execPath, ['--conditions=sallyport-src', main, 'chaos', 'run', '--json'], {
      cwd: ROOT,
      env: { ...process.env, TMPDIR: temporary },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let out = '';
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
    [exit] = (await once(child, 'close')) as [number | null];
    report = JSON.parse(out) as Report;
  }, 600_000);
  afterAll(() => rmSync(temporary, { recursive: true, force: true }));

  it.each(ATTACKS.map(({ name }) => name))('%s is held off', (name) => {
    const staged = report.attacks.find(({ attack }) => attack === name);
    expect(staged?.steps.map(({ name: step, seen }) => `${step}: ${seen}`)).toEqual(
      staged?.steps.map(({ name: step, expected }) => `${step}: ${expected}`),
    );
    expect(staged).toMatchObject({ verdict: 'held', why: null });
  });

  it('exits with 0, and leaves no folder behind', () => {
    expect([exit, report.held, report.of]).toEqual([0, ATTACKS.length, ATTACKS.length]);
    expect(readdirSync(temporary)).toEqual([]);
  });
});
