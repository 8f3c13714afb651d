/** The shipped package as a newcomer has it: built, packed, and installed with npm into an empty folder. */

import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { packArtefact } from '../../scripts/artefact/pack.ts';

export interface Ran {
  readonly exit: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Installation {
  /** The folder in which `npm install` ran; commands run here. */
  readonly dir: string;
  /** `node_modules/sallyport`. */
  readonly packageDir: string;
  /** Runs `sallyport <argv>` to its end, on a machine whose `node` is this one. */
  run(argv: readonly string[], options?: RunOptions): Promise<Ran>;
  /** Starts `sallyport <argv>` and leaves it. Its words go to the test's own when it ends badly. */
  start(argv: readonly string[], options?: RunOptions): ChildProcess;
  /** Ends what was started, and removes the folder. */
  close(): Promise<void>;
}

export interface RunOptions {
  /** What the machine calls `node`; this process's own unless given. */
  readonly node?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Builds, packs and installs. What npm has in its cache is not fetched again. */
export async function installArtefact(): Promise<Installation> {
  const scratch = realpathSync(mkdtempSync(join(tmpdir(), 'sallyport-artefact-')));
  const tarball = await packArtefact(join(scratch, 'built'));
  const dir = join(scratch, 'installed');
  mkdirSync(dir);
  writeFileSync(join(dir, 'package.json'), '{"private": true}\n');
  const quiet = ['--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel', 'error'];
  execFileSync('npm', ['install', ...quiet, tarball], { cwd: dir, stdio: 'pipe' });
  const children = new Set<ChildProcess>();
  const launch = (argv: readonly string[], { node = process.execPath, env = {} }: RunOptions): ChildProcess => {
    const path = [dirname(node), '/usr/bin', '/bin'].join(delimiter);
    return spawn(join(dir, 'node_modules', '.bin', 'sallyport'), argv, {
      cwd: dir,
      env: { PATH: path, HOME: dir, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  };
  return {
    dir,
    packageDir: join(dir, 'node_modules', 'sallyport'),
    async run(argv, options = {}) {
      const child = launch(argv, options);
      const [stdout, stderr] = [heard(child, 'stdout'), heard(child, 'stderr')];
      await once(child, 'close');
      return { exit: child.exitCode, stdout: stdout(), stderr: stderr() };
    },
    start(argv, options = {}) {
      const child = launch(argv, options);
      const said = [heard(child, 'stdout'), heard(child, 'stderr')];
      child.once('close', (code, signal) => {
        if (signal === null && code !== 0)
          console.error(`${argv[0] ?? ''} ended with ${String(code)}\n${said.map((text) => text()).join('\n')}`);
      });
      children.add(child);
      return child;
    },
    async close() {
      await Promise.all([...children].map(killed));
      rmSync(scratch, { recursive: true, force: true });
    },
  };
}

function heard(child: ChildProcess, stream: 'stdout' | 'stderr'): () => string {
  const chunks: string[] = [];
  child[stream]?.setEncoding('utf8').on('data', (chunk: string) => chunks.push(chunk));
  return () => chunks.join('');
}

async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}

/** A Node on this machine that the product is not written for, where there is one. */
export function oldNode(): string | undefined {
  const places = (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, 'node'));
  return places.find((place) => existsSync(place) && majorOf(place) < 24);
}

function majorOf(node: string): number {
  return Number(/^v(\d+)/.exec(execFileSync(node, ['--version'], { encoding: 'utf8' }))?.[1]);
}
