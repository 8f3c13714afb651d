/**
 * The control plane and the sidecar as processes of their own, because killing one is part of the story. Each is this
 * very command with another first word; its words go to a log file; it is ended by its pid and waited for.
 */

import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { Fault } from '@sallyport/model';
import type { Clock } from '@sallyport/model';
import { deadline } from '@sallyport/runtime';
import { installation } from '../installation.ts';

export interface AppProcess {
  readonly name: string;
  readonly pid: number;
  readonly isRunning: boolean;
  /** What it has said since its start, all of it. */
  words(): string;
  /** Resolves when it has ended, whoever ended it. */
  readonly ended: Promise<void>;
  kill(signal: 'SIGTERM' | 'SIGKILL'): void;
}

/** Starts `sallyport <argv>`. That it runs does not mean that it serves: its words tell. */
export async function startApp(
  name: string,
  argv: readonly string[],
  options: { readonly logFile: string; readonly cwd: string },
): Promise<AppProcess> {
  const log = openSync(options.logFile, 'a', 0o600);
  // Another process of this name may have written before.
  const begun = fstatSync(log).size;
  const { nodeArguments, main } = installation;
  const child = spawn(process.execPath, [...nodeArguments, main, ...argv], { cwd: options.cwd, stdio: ['ignore', log, log] });
  closeSync(log);
  const { promise: ended, resolve } = Promise.withResolvers<void>();
  child.once('exit', () => resolve());
  await spawned(child, name);
  return {
    name,
    pid: child.pid ?? 0,
    words: () => readFileSync(options.logFile).subarray(begun).toString('utf8'),
    get isRunning() {
      return child.exitCode === null && child.signalCode === null;
    },
    ended,
    kill: (signal) => void child.kill(signal),
  };
}

async function spawned(child: ChildProcess, name: string): Promise<void> {
  try {
    await once(child, 'spawn');
  } catch (cause) {
    throw new Fault('listen_failed', 'internal', `while starting ${name}: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  }
}

const DRAIN_MS = 10_000;

/** Ends it in order, and without order where that takes too long. */
export async function stopApp(app: AppProcess, clock: Clock): Promise<void> {
  if (!app.isRunning) return;
  app.kill('SIGTERM');
  const over = deadline(clock, DRAIN_MS, { fault: () => new Fault('aborted', 'internal', `${app.name} did not end`) });
  const cut = (): void => app.kill('SIGKILL');
  over.signal.addEventListener('abort', cut, { once: true });
  await app.ended;
  over.clear();
}
