/** How a process of ours is started: the shipped bundle, as a package installs it, or the sources with the same interface. */

import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export type Form = 'shipped' | 'source';

const ROOT = join(import.meta.dirname, '..', '..');
const ARTEFACT = join(ROOT, 'dist', 'artefact');

type Program = 'sidecar' | 'control-plane';

type LaunchFlags = Readonly<Record<Program, readonly string[]>> & {
  readonly environment: Readonly<Partial<Record<Program, Readonly<Record<string, string>>>>>;
};

/** Builds what ships, from the tree as it is; nothing to do for the sources. */
export function prepare(form: Form): void {
  if (form === 'source') return;
  const built = spawnSync('npm', ['run', '--silent', 'artefact'], { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] });
  if (built.status !== 0 || !existsSync(ARTEFACT)) throw new Error('the artefact could not be built; `--source` measures the sources');
}

/** The command up to the options of `sallyport <program>`. `profileDir`: where it leaves a CPU profile when it ends. */
export function launchOf(program: Program, form: Form, profileDir?: string): readonly string[] {
  const node = [process.execPath, ...(profileDir === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileDir}`])];
  if (form === 'source') {
    const main = join(ROOT, 'packages', program, 'src', 'main.ts');
    // As shipped, neither makes code from strings.
    return [...node, '--disallow-code-generation-from-strings', '--conditions=sallyport-src', main];
  }
  const { environment, ...flags } = JSON.parse(readFileSync(join(ARTEFACT, 'launch-flags.json'), 'utf8')) as LaunchFlags;
  const set = Object.entries(environment[program] ?? {}).map(([name, value]) => `${name}=${value}`);
  return ['env', ...set, ...node, ...flags[program], join(ARTEFACT, 'bin', 'sallyport.mjs'), program];
}
