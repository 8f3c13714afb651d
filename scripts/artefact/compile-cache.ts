/**
 * Code compiled ahead. Node keeps what V8 compiled in a folder named after its version, its processor's features and the
 * flags that count; the launcher opens ours. Made by running the package: each process once, to where it says
 * that it has no configuration. Anywhere else than on this Node, platform and kind of processor it is not found, and V8
 * compiles as ever.
 */

import { execFile } from 'node:child_process';
import { chmodSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** The same name as the launcher looks for. */
export function cacheFolder(): string {
  return join('compile-cache', `${process.version}-${process.platform}-${process.arch}`);
}

/** Fills the folder of this Node in the package at `dir`. Throws where Node wrote nothing. */
export async function compileAhead(dir: string): Promise<void> {
  const cache = join(dir, cacheFolder());
  const flags = JSON.parse(readFileSync(join(dir, 'launch-flags.json'), 'utf8')) as Readonly<Record<string, readonly string[]>>;
  const launcher = join(dir, 'bin', 'sallyport.mjs');
  const files = readdirSync(join(dir, 'lib')).map((file) => join(dir, 'lib', file));
  const missing = ['--config', join(dir, 'there-is-none.yaml')];
  await warm(cache, [launcher, '--help']);
  await warm(cache, loading(files.filter((file) => /\/sallyport-[^/]+$/.test(file))));
  for (const app of ['sidecar', 'control-plane']) await warm(cache, [...(flags[app] ?? []), launcher, app, ...missing]);
  await warm(cache, [...(flags['sidecar'] ?? []), ...loading(files.filter((file) => file.endsWith('-worker.mjs')))]);
  const kept = readdirSync(cache, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  if (kept.length === 0) throw new Error(`Node kept no compiled code in ${cache}`);
  // Node keeps it for its owner alone; whoever may read the package may read this.
  for (const { parentPath, name } of kept) chmodSync(join(parentPath, name), 0o644);
}

/** Loading is enough: a chunk does nothing until it is asked, and a worker without its data gives up. */
function loading(files: readonly string[]): readonly string[] {
  const script = `for (const file of ${JSON.stringify(files)}) await import(file).catch(() => {});`;
  return ['--input-type=module', '--eval', script];
}

/** How a run ends says nothing here: without a configuration an app must fail. */
async function warm(cache: string, argv: readonly string[]): Promise<void> {
  const env = { PATH: process.env['PATH'], NODE_COMPILE_CACHE: cache, NODE_COMPILE_CACHE_PORTABLE: '1' };
  await run(process.execPath, argv, { env }).catch(() => undefined);
}
