/**
 * The developer's command as a process: started with what it needs to find the sidecar, ended when `dev` ends, and ended
 * too when `dev` is killed without a word: a watcher holds a pipe that only lives as long as this process.
 */

import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import { isatty } from 'node:tty';
import { fail, ok } from '@sallyport/model';
import type { Problem, Result } from '@sallyport/model';
import type { Clock } from '@sallyport/model';

export interface CommandOptions {
  readonly argv: readonly [string, ...string[]];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** Standard output belongs to the events; the command's goes to standard error. */
  readonly keepsOutput: boolean;
  readonly clock: Clock;
}

export interface RunningCommand {
  readonly pid: number;
  /** Its exit code; 128 and the signal's number where a signal ended it, as a shell says. */
  readonly ended: Promise<number>;
  /** Asks it to end, and after a while does not ask. Resolves when it has ended. */
  stop(): Promise<number>;
}

/** What Ctrl-C at a terminal has reached by itself may end by itself. */
const OWN_ACCORD_MS = 2_000;
const PATIENCE_MS = 5_000;
const NOT_FOUND = 127;
const NOT_EXECUTABLE = 126;

/** Starts it; a problem with the exit code that a shell would give where it cannot be started. */
export async function startCommand(
  options: CommandOptions,
): Promise<Result<RunningCommand, { readonly exit: number; readonly problem: Problem }>> {
  const [file, ...args] = options.argv;
  // At a terminal it has to be in the foreground with us; elsewhere a group of its own lets all of it be ended at once.
  const isForeground = isatty(0);
  const child = spawn(file, args, {
    cwd: options.cwd,
    env: { ...options.env },
    stdio: ['inherit', options.keepsOutput ? 2 : 'inherit', 'inherit'],
    detached: !isForeground,
  });
  const { promise: ended, resolve } = Promise.withResolvers<number>();
  child.once('exit', (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])));
  try {
    await once(child, 'spawn');
  } catch (error) {
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    const problem: Problem = {
      path: 'COMMAND',
      message: isMissing ? `there is no command \`${file}\`` : `\`${file}\` cannot be started`,
      remedy: 'what follows `--` is run as it stands, without a shell',
    };
    return fail({ exit: isMissing ? NOT_FOUND : NOT_EXECUTABLE, problem });
  }
  return ok(running(child, { ended, isForeground, clock: options.clock }));
}

interface Started {
  readonly ended: Promise<number>;
  readonly isForeground: boolean;
  readonly clock: Clock;
}

function running(child: ChildProcess, { ended, isForeground, clock }: Started): RunningCommand {
  const pid = child.pid ?? 0;
  const target = isForeground ? pid : -pid;
  const signal = (name: 'SIGTERM' | 'SIGKILL'): void => {
    try {
      process.kill(target, name);
    } catch {
      // It has ended by itself.
    }
  };
  // A second Ctrl-C ends this process at once; the command must not outlive it.
  const cut = (): void => signal('SIGKILL');
  process.once('exit', cut);
  const watcher = startWatcher(target);
  const over = new AbortController();
  child.once('exit', () => {
    process.off('exit', cut);
    watcher.dismiss();
    over.abort();
    // What it started and left behind in its group ends with it.
    if (!isForeground) signal('SIGTERM');
  });
  return {
    pid,
    ended,
    async stop() {
      clock.timer(isForeground ? OWN_ACCORD_MS : 0, () => signal('SIGTERM'), { signal: over.signal });
      clock.timer(OWN_ACCORD_MS + PATIENCE_MS, () => signal('SIGKILL'), { signal: over.signal });
      return ended;
    },
  };
}

/** Reads from a pipe whose other end dies with us; a word on it says that all is well. */
const WATCH = 'read -r word || { kill -s TERM -- "$1"; sleep 3; kill -s KILL -- "$1"; } 2>/dev/null';

function startWatcher(target: number): { dismiss(): void } {
  const watcher = spawn('/bin/sh', ['-c', WATCH, 'sh', String(target)], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
  // Without a shell there is no watcher, and everything else works.
  watcher.on('error', () => undefined);
  watcher.stdin.on('error', () => undefined);
  watcher.unref();
  return { dismiss: () => void watcher.stdin.end('over\n') };
}
