/**
 * Processes of a bench: started in their place, heard until they say they are ready, measured from outside through /proc,
 * and ended by their id. None outlives the bench.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { type Place, placed } from './cores.ts';

export interface Child {
  readonly pid: number;
  /** Milliseconds of processor time so far, of the process and the ones it started. */
  cpuMs(): number;
  memory(): Memory;
  /** Ends it, with SIGTERM unless told otherwise, and waits. */
  stop(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>;
}

/** In MB (1,000,000 bytes), as the kernel counts. `own`: what no other process shares. */
export interface Memory {
  readonly rss: number;
  readonly own: number;
}

// Owner: `start`. What still runs when the bench ends, however it ends.
const running = new Set<ChildProcess>();
process.once('exit', () => running.forEach((child) => child.kill('SIGTERM')));

/** Ends whatever still runs; without it the bench would wait for them. */
export async function stopAll(): Promise<void> {
  await Promise.all([...running].map((child) => childOf(child).stop()));
}

export interface StartOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Written to its standard input, which is then closed. */
  readonly input?: string;
}

/** Starts a process in its place. Its standard error is the bench's own; standard output is for `run` and `startReady`. */
function start(place: Place, command: readonly string[], { cwd, env, input }: StartOptions = {}): ChildProcess {
  const [file = '', ...args] = placed(place, command);
  const child = spawn(file, args, { stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'inherit'], cwd, env: env ?? process.env });
  running.add(child);
  child.once('exit', () => running.delete(child));
  child.stdin?.end(input);
  return child;
}

/** Runs to the end and gives what it said; rejects where it failed. */
export async function run(place: Place, command: readonly string[], options?: StartOptions): Promise<string> {
  const child = start(place, command, options);
  let said = '';
  child.stdout?.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`${command.join(' ')} ended with ${String(code)}`);
  return said;
}

/** Starts something that stays. Its output is kept off the bench's own. */
export function background(place: Place, command: readonly string[], options?: StartOptions): Child {
  const child = start(place, command, options);
  child.stdout?.resume();
  return childOf(child);
}

/** Starts something that says `{"port":n}` in its first line once it can be called. */
export async function startReady(place: Place, command: readonly string[], options?: StartOptions): Promise<Child & { port: number }> {
  const child = start(place, command, options);
  const line = await new Promise<string>((resolve, reject) => {
    let said = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      if (said.includes('\n')) resolve(said);
    });
    child.once('exit', () => reject(new Error(`${command.join(' ')} ended before it was ready`)));
  });
  const { port } = JSON.parse(line) as { port: number };
  return { ...childOf(child), port };
}

function childOf(child: ChildProcess): Child {
  const { pid } = child;
  if (pid === undefined) throw new Error(`${child.spawnfile} could not be started`);
  return {
    pid,
    cpuMs: () => [pid, ...childrenOf(pid)].reduce((sum, id) => sum + cpuMsOf(id), 0),
    memory: () => memoryOf(pid),
    async stop(signal = 'SIGTERM') {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, 'exit');
      child.kill(signal);
      await gone;
    },
  };
}

/** Clock ticks a second, as Linux shows them in /proc whatever the kernel's own are. */
const TICK_MS = 10;

function cpuMsOf(pid: number): number {
  // The name in parentheses may hold spaces; user and system time are the 12th and 13th field behind it.
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

function childrenOf(pid: number): readonly number[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
  );
}

function memoryOf(pid: number): Memory {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const mb = (name: string): number => (Number(new RegExp(`^${name}: *(\\d+) kB`, 'm').exec(rollup)?.[1]) * 1_024) / 1_000_000;
  return { rss: mb('Rss'), own: mb('Private_Clean') + mb('Private_Dirty') };
}
