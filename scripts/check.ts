/**
 * `npm run check`: what CI holds, at home and without installing anything. One line for each step with its time; the
 * output of a step is shown only when it fails. Later steps run all the same, so that one run shows every fault.
 */

import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;

/**
 * The order matters: what is generated is formatted, compiled and linted (the lint reads the types that packages show each
 * other from what was built), and at the end nothing may have moved.
 */
const STEPS: readonly (readonly [name: string, ...command: readonly string[]])[] = [
  ['generate', 'npm', 'run', 'generate'],
  ['format', 'oxfmt', '--check'],
  ['build', 'npm', 'run', 'build'],
  ['lint', 'npm', 'run', 'lint'],
  ['lint-proto', 'buf', 'lint', 'proto'],
  ['typecheck', 'npm', 'run', 'typecheck'],
  ['test', 'npm', 'test'],
  ['knip', 'npm', 'run', 'knip'],
];

/** What the tree is now: every tracked and new file with its content. Uncommitted work is no fault, a step that changes it is. */
function fingerprint(): string {
  const git = (...args: string[]): string => execFileSync('git', args, { cwd: ROOT, encoding: 'utf8', maxBuffer: OUTPUT_BYTES_MAX });
  const fresh = git('ls-files', '--others', '--exclude-standard').split('\n').filter(Boolean);
  const hashes = fresh.length === 0 ? '' : git('hash-object', ...fresh);
  return createHash('sha256').update(git('status', '--porcelain')).update(git('diff', 'HEAD')).update(hashes).digest('hex');
}

function line(isGood: boolean, name: string, startedAt: number): boolean {
  console.log(`${isGood ? 'ok  ' : 'FAIL'} ${name.padEnd(14)} ${((performance.now() - startedAt) / 1000).toFixed(1).padStart(6)} s`);
  return isGood;
}

function step([name, command, ...args]: (typeof STEPS)[number]): boolean {
  const startedAt = performance.now();
  const done = spawnSync(command ?? '', args, {
    cwd: ROOT,
    encoding: 'utf8',
    maxBuffer: OUTPUT_BYTES_MAX,
    env: { ...process.env, TURBO_TELEMETRY_DISABLED: '1', NO_COLOR: '1' },
  });
  const isGood = line(done.status === 0, name, startedAt);
  if (!isGood) console.log([done.stdout, done.stderr, done.error?.message].filter(Boolean).join('\n'));
  return isGood;
}

const before = fingerprint();
const results = STEPS.map(step);
const startedAt = performance.now();
const isUnchanged = line(fingerprint() === before, 'tree unchanged', startedAt);
if (!isUnchanged) console.log(execFileSync('git', ['status', '--short'], { cwd: ROOT, encoding: 'utf8' }));
process.exitCode = isUnchanged && results.every(Boolean) ? 0 : 1;
