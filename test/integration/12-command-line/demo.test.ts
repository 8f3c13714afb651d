import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '..', '..', '..');

interface Step {
  readonly name: string;
  readonly expected: string;
  readonly seen: string;
}

/** The command as a process, in a group of its own: what it leaves behind can be found. */
function startDemo(temporary: string, ...argv: readonly string[]): ChildProcess {
  const main = join(ROOT, 'packages', 'cli', 'src', 'main.ts');
  return spawn(process.execPath, ['--conditions=sallyport-src', main, 'demo', ...argv], {
    cwd: ROOT,
    detached: true,
    env: { ...process.env, TMPDIR: temporary },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

async function finished(child: ChildProcess): Promise<{ readonly code: number | null; readonly out: string; readonly err: string }> {
  let [out, err] = ['', ''];
  child.stdout?.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (err += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, out, err };
}

/** Whether any process of the group is alive. */
function leavesProcesses({ pid = 0 }: ChildProcess): boolean {
  try {
    process.kill(-pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe('the demo', () => {
  let temporary: string;
  beforeEach(() => {
    temporary = mkdtempSync(join(tmpdir(), 'sallyport-demo-test-'));
  });
  afterEach(() => rmSync(temporary, { recursive: true, force: true }));

  it('keeps each of its promises, says nothing but JSON, and leaves nothing behind', async () => {
    const child = startDemo(temporary, '--json');
    const { code, out, err } = await finished(child);
    const { steps, ...rest } = JSON.parse(out) as { steps: readonly Step[] };
    expect(steps.filter(({ expected, seen }) => expected !== seen)).toEqual([]);
    expect([code, rest, err]).toEqual([0, {}, '']);
    expect(steps.map(({ seen }) => seen)).toEqual(
      expect.arrayContaining([
        'allow by small-sums',
        'deny parameter_not_allowed by small-sums',
        '503 policy_stale, nothing allowed after 6 s',
        'allowed, by the same process',
        'verified',
      ]),
    );
    expect(steps.length).toBeGreaterThan(20);
    expect([leavesProcesses(child), readdirSync(temporary)]).toEqual([false, []]);
  });

  it('ends in order on Ctrl-C: 130, no process and no key left', async () => {
    const child = startDemo(temporary);
    const ended = finished(child);
    // The sidecar runs by the time that the first call is told.
    for await (const chunk of child.stdout ?? []) if (String(chunk).includes('everything/echo')) break;
    child.kill('SIGINT');
    expect((await ended).code).toBe(130);
    expect([leavesProcesses(child), readdirSync(temporary)]).toEqual([false, []]);
  });

  it('says so, with 1, where it cannot even begin', async () => {
    const { code, out } = await finished(startDemo(join(temporary, 'absent'), '--json'));
    const { steps } = JSON.parse(out) as { steps: readonly Step[] };
    expect(code).toBe(1);
    expect(steps).toEqual([{ name: 'the demo plays to its end', expected: 'yes', seen: expect.stringContaining('ENOENT') }]);
  });
});
