/** How a sidecar is started: the shipped bundle, as a package installs it, or the sources with the same interface. */

import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export type Form = 'shipped' | 'source';

const ROOT = join(import.meta.dirname, '..', '..');
const ARTEFACT = join(ROOT, 'dist', 'artefact');

interface LaunchFlags {
  readonly sidecar: readonly string[];
  readonly environment: { readonly sidecar: Readonly<Record<string, string>> };
}

/** Builds what ships, from the tree as it is; nothing to do for the sources. */
export function prepare(form: Form): void {
  if (form === 'source') return;
  const built = spawnSync('npm', ['run', '--silent', 'artefact'], { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] });
  if (built.status !== 0 || !existsSync(ARTEFACT)) throw new Error('the artefact could not be built; `--source` measures the sources');
}

/** The command up to the options of `sallyport sidecar`. `profileDir`: where it leaves a CPU profile when it ends. */
export function launchOf(form: Form, profileDir?: string): readonly string[] {
  const node = [process.execPath, ...(profileDir === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileDir}`])];
  if (form === 'source') {
    const main = join(ROOT, 'packages', 'sidecar', 'src', 'main.ts');
    // As shipped, the sidecar makes no code from strings.
    return [...node, '--disallow-code-generation-from-strings', '--conditions=sallyport-src', main];
  }
  const { sidecar, environment } = JSON.parse(readFileSync(join(ARTEFACT, 'launch-flags.json'), 'utf8')) as LaunchFlags;
  const set = Object.entries(environment.sidecar).map(([name, value]) => `${name}=${value}`);
  return ['env', ...set, ...node, ...sidecar, join(ARTEFACT, 'bin', 'sallyport.mjs'), 'sidecar'];
}
