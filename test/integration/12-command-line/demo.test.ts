import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '..', '..', '..');

interface Step {
  readonly act: string;
  readonly name: string;
  readonly expected: string;
  readonly seen: string;
}

interface RunningDemo {
  readonly child: ChildProcess;
  /** Resolves once standard output holds this text. */
  readonly says: (text: string) => Promise<void>;
  readonly outSoFar: () => string;
  /** Resolves when it has ended, with whether any process of its group is alive, and what is in its temporary folder. */
  readonly ended: () => Promise<Ended>;
}

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
  readonly left: readonly [hasProcesses: boolean, files: readonly string[]];
}

const NOTHING: Ended['left'] = [false, []];
/** Every demo that was started: what a failed test leaves behind must not outlive this file. */
const started: ChildProcess[] = [];
afterAll(() => {
  for (const child of started) if (hasProcesses(child)) process.kill(-(child.pid ?? 0), 'SIGKILL');
});

/** The command as a process, in a group and a temporary folder of its own: what it leaves behind can be found. */
function startDemo(argv: readonly string[], temporary: string = mkdtempSync(join(tmpdir(), 'sallyport-demo-test-'))): RunningDemo {
  const main = join(ROOT, 'packages', 'cli', 'src', 'main.ts');
  const child = spawn(process.execPath, ['--conditions=sallyport-src', main, 'demo', ...argv], {
    cwd: ROOT,
    detached: true,
    env: { ...process.env, TMPDIR: temporary },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  started.push(child);
  let [out, err] = ['', ''];
  child.stdout?.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (err += chunk.toString()));
  const closed = once(child, 'close') as Promise<[number | null]>;
  return {
    child,
    outSoFar: () => out,
    async says(text) {
      while (!out.includes(text)) {
        if (child.exitCode !== null) throw new Error(`it ended without \`${text}\`: ${out}${err}`);
        await Promise.race([once(child.stdout ?? child, 'data'), closed]);
      }
    },
    async ended() {
      const [code] = await closed;
      const files = listed(temporary);
      if (temporary.includes('sallyport-demo-test-')) rmSync(temporary, { recursive: true, force: true });
      return { code, out, err, left: [hasProcesses(child), files] };
    },
  };
}

function listed(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    // It never was there.
    return [];
  }
}

/** Whether any process of the group is alive. */
function hasProcesses({ pid = 0 }: ChildProcess): boolean {
  try {
    process.kill(-pid, 0);
    return true;
  } catch {
    return false;
  }
}

function stepsOf(out: string): readonly Step[] {
  return (JSON.parse(out) as { readonly steps: readonly Step[] }).steps;
}

/** What is seen of a call that is refused before the tool: status and code, and the rule with its place. */
function refused(answer: string, rule: string): string {
  const code = answer.slice(answer.indexOf(' ') + 1);
  const by = rule.startsWith('the ') ? rule : `${rule} \\(rules\\.yaml:[0-9]+\\)`;
  return expect.stringMatching(new RegExp(`^${answer}, deny ${code} by ${by}, tool got 0 calls$`)) as string;
}

describe('the demo', () => {
  it('keeps each of its promises, says nothing but JSON, and leaves nothing behind', async () => {
    const { code, out, err, left } = await startDemo(['--json']).ended();
    const steps = stepsOf(out);
    expect(steps.filter(({ expected, seen }) => expected !== seen)).toEqual([]);
    expect([code, err, left]).toEqual([0, '', NOTHING]);
    expect([...new Set(steps.map(({ act }) => act))]).toEqual(['policy', 'allowed', 'refused', 'changed', 'outage', 'record']);
    // What it is about; a demo that promises less keeps its promises easily.
    expect(steps.map(({ seen }) => seen)).toEqual(
      expect.arrayContaining([
        '503 policy_unavailable',
        expect.stringMatching(/^200 ok, allow by file-report \(rules\.yaml:[0-9]+\), tool got 1 call, POST \/expense_reports, /),
        '0 of 5 requests carry one',
        refused('403 resource_binding_mismatch', 'own-cost-center'),
        refused('403 call_limit_exceeded', 'read-receipt'),
        refused('403 call_limit_exceeded', 'file-report'),
        '1 x 200 ok, 19 x 403 call_limit_exceeded, tool got 1',
        refused('403 requires_approval', 'file-report'),
        refused('403 resource_binding_mismatch', 'tell-manager'),
        refused('403 resource_binding_mismatch', 'approved-cost-center'),
        refused('401 unauthenticated', 'the authentication gate'),
        'refused at policy/tests.yaml',
        'release 2, in force at 1 sidecar',
        '503 policy_stale, nothing allowed after 6 s',
        'allowed, by the same sidecar process',
        'verified',
        expect.stringMatching(/^edited at line [0-9]+, decision [0-9A-Z]{26}$/),
      ]),
    );
  });

  it('keeps those of the story with real MCP servers, too', async () => {
    const { code, out, left } = await startDemo(['--json', '--story', 'real-servers']).ended();
    expect(stepsOf(out).filter(({ expected, seen }) => expected !== seen)).toEqual([]);
    expect([code, stepsOf(out).length > 20, left]).toEqual([0, true, NOTHING]);
  });

  it.concurrent.each([1, 2, 3, 4, 5, 6])('ends in order on Ctrl-C in act %i: 130, no process and no key left', async (act) => {
    const demo = startDemo([]);
    await demo.says(`\n${act}/6 `);
    demo.child.kill('SIGINT');
    const { code, left } = await demo.ended();
    expect([code, left]).toEqual([130, NOTHING]);
  });

  it('waits for Enter between acts where it is told to, and Ctrl-C ends that wait as well', async () => {
    const demo = startDemo(['--pause']);
    await demo.says('[Enter]');
    expect(demo.outSoFar()).not.toContain('2/6');
    demo.child.stdin?.write('\n');
    await demo.says('2/6');
    await demo.says('[Enter] \n');
    await demo.says('carries a token');
    demo.child.kill('SIGINT');
    const { code, out, left } = await demo.ended();
    expect([code, out.includes('3/6'), left]).toEqual([130, false, NOTHING]);
  });

  // A folder in which not even root can make another.
  const readOnly = process.platform === 'linux' ? '/proc' : '/System';
  it.each([join(tmpdir(), 'sallyport-demo-absent', 'absent'), readOnly])('says so, with 1, where it cannot write: %s', async (folder) => {
    const { code, out } = await startDemo(['--json'], folder).ended();
    expect(code).toBe(1);
    expect(stepsOf(out)).toEqual([
      {
        act: '',
        name: 'the demo plays to its end',
        expected: 'yes',
        seen: expect.stringMatching(/^no folder can be made in `.*; set TMPDIR to a folder that you may write$/),
      },
    ]);
  });
});
