/**
 * Starting and stopping the processes that tests need: own directory, no fixed port, every wait with a ceiling, ended
 * by the handle that started it.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Running {
  /** Version or address, for the report. */
  readonly detail: string;
  /** How a client reaches it (a socket path, a URL); empty for engines that are commands. */
  readonly address: string;
  stop(): Promise<void>;
}

/** The longest wait for an engine to come up; beyond it the engine counts as absent. */
export const START_CEILING_MS = 20_000;
const STOP_CEILING_MS = 5_000;

/** The first line of an error's message: what a report has room for. */
export function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split('\n')[0] ?? text;
}

/** A directory of its own for one engine, removed by `remove`. Others may enter it, because PostgreSQL runs as another user. */
export async function ownDirectory(name: string): Promise<{ path: string; remove: () => Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), `sallyport-${name}-`));
  await chmod(path, 0o755);
  return { path, remove: () => rm(path, { recursive: true, force: true, maxRetries: 3 }) };
}

export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly cwd?: string;
  readonly uid?: number;
  readonly gid?: number;
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs a command to its end and gives its standard output. Fails on a non-zero code, with the last line of stderr. */
export async function run(command: Command, ceilingMs: number = START_CEILING_MS): Promise<string> {
  const child = start(command, AbortSignal.timeout(ceilingMs));
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const [code] = (await once(child, 'close')) as [number | null];
  if (code === 0) return stdout;
  throw new Error(`\`${command.file}\` ended with ${code ?? 'a signal'}: ${stderr.trim().split('\n').at(-1) ?? ''}`);
}

/** Starts a process and waits until its output matches `ready`; the match is returned. Its end, or the ceiling, is a failure. */
async function startUntil(command: Command, ready: RegExp): Promise<{ match: RegExpExecArray; stop: () => Promise<void> }> {
  const child = start(command);
  try {
    return { match: await untilOutput(child, command.file, ready), stop: () => stop(child) };
  } catch (error) {
    await stop(child);
    throw error;
  }
}

export interface Server {
  readonly name: string;
  /** What to run; `directory` is the server's own and goes when it stops. */
  readonly command: (directory: string) => Command | Promise<Command>;
  /** Output that says it is up. */
  readonly ready: RegExp;
  /** Talks to it once; a wrong answer is thrown, and the server is stopped. */
  readonly greet: (match: RegExpExecArray, directory: string) => Promise<{ detail: string; address: string }>;
}

/** Starts a server in a directory of its own and talks to it. Whatever fails, nothing is left behind. */
export async function startServer(server: Server): Promise<Running> {
  const directory = await ownDirectory(server.name);
  let stopProcess: () => Promise<void> = () => Promise.resolve();
  const stop = async (): Promise<void> => {
    await stopProcess();
    await directory.remove();
  };
  try {
    const started = await startUntil(await server.command(directory.path), server.ready);
    stopProcess = started.stop;
    return { ...(await server.greet(started.match, directory.path)), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Connects, sends `hello` if any, and gives the first bytes of the answer as Latin-1. */
export async function firstAnswer(target: { path: string } | { host: string; port: number }, hello?: Uint8Array): Promise<string> {
  const socket = createConnection({ ...target, signal: AbortSignal.timeout(START_CEILING_MS) });
  try {
    await once(socket, 'connect');
    if (hello !== undefined) socket.write(hello);
    const [data] = (await once(socket, 'data')) as [Buffer];
    return data.toString('latin1');
  } finally {
    socket.destroy();
  }
}

function start(command: Command, signal?: AbortSignal): ChildProcess {
  const child = spawn(command.file, command.args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...command.env },
    ...(command.cwd === undefined ? {} : { cwd: command.cwd }),
    ...(command.uid === undefined ? {} : { uid: command.uid }),
    ...(command.gid === undefined ? {} : { gid: command.gid }),
    ...(signal === undefined ? {} : { signal, killSignal: 'SIGKILL' as const }),
  });
  return child;
}

function untilOutput(child: ChildProcess, name: string, ready: RegExp): Promise<RegExpExecArray> {
  return new Promise((resolve, reject) => {
    let seen = '';
    const ceiling = setTimeout(() => reject(new Error(`\`${name}\` was not ready within ${START_CEILING_MS} ms`)), START_CEILING_MS);
    const settle = (act: () => void): void => {
      clearTimeout(ceiling);
      act();
    };
    const read = (text: string): void => {
      seen += text;
      const match = ready.exec(seen);
      if (match !== null) settle(() => resolve(match));
    };
    child.stdout?.setEncoding('utf8').on('data', read);
    child.stderr?.setEncoding('utf8').on('data', read);
    child.once('error', (error) => settle(() => reject(error)));
    child.once('close', (code) => {
      settle(() => reject(new Error(`\`${name}\` ended with ${code ?? 'a signal'}: ${seen.trim().split('\n').at(-1) ?? ''}`)));
    });
  });
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const closed = once(child, 'close');
  const ceiling = setTimeout(() => child.kill('SIGKILL'), STOP_CEILING_MS);
  child.kill('SIGTERM');
  await closed;
  clearTimeout(ceiling);
}
