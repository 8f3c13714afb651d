/** `sallyport dev` as a process in a folder of its own: what it says, how it ends, and calls through the way in that it opens. */

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { terminal } from '../../packages/cli/src/testing/terminal.ts';
import { eventually, request, type HttpAnswer } from './world.ts';

export type DevEvent = Readonly<Record<string, unknown>> & { readonly event: string };

export interface Developer {
  readonly dir: string;
  path(name: string): string;
  read(name: string): string;
  write(name: string, text: string): void;
  /** Starts `sallyport dev <argv>` here; ended at `close` at the latest. */
  dev(...argv: readonly string[]): RunningDev;
  /** Types another command here. */
  type(...argv: readonly string[]): ReturnType<ReturnType<typeof terminal>['type']>;
  close(): Promise<void>;
}

export interface RunningDev {
  readonly pid: number;
  readonly out: string;
  readonly err: string;
  /** Of `--json`, as far as they have come. */
  readonly events: readonly DevEvent[];
  /** Waits for an event that is as told. */
  event(wanted: Readonly<Record<string, unknown>>): Promise<DevEvent>;
  /** Waits until it has said something, on either stream. */
  says(text: string | RegExp): Promise<void>;
  kill(signal: 'SIGINT' | 'SIGTERM' | 'SIGKILL'): void;
  /** The exit code, or the signal that ended it. */
  readonly ended: Promise<number | string>;
}

const MAIN = join(import.meta.dirname, '..', '..', 'packages', 'cli', 'src', 'main.ts');
const CEILING_MS = 30_000;

export function developer(folder = 'work'): Developer {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'sallyport-dev-test-')));
  const dir = join(root, folder);
  mkdirSync(dir, { recursive: true });
  const own = terminal({ cwd: dir });
  const running: { child: ChildProcess; ended: Promise<unknown> }[] = [];
  const path = (name: string): string => join(dir, name);
  return {
    dir,
    path,
    read: (name) => readFileSync(path(name), 'utf8'),
    write(name, text) {
      mkdirSync(dirname(path(name)), { recursive: true });
      writeFileSync(path(name), text);
    },
    dev(...argv) {
      const child = spawn(process.execPath, ['--conditions=sallyport-src', MAIN, 'dev', ...argv], {
        cwd: dir,
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      const ended = once(child, 'close').then(([code, signal]: (number | string | null)[]) => code ?? signal ?? 'unknown');
      running.push({ child, ended });
      return watched(child, ended);
    },
    type: (...argv) => own.type(...argv),
    async close() {
      for (const { child, ended } of running) {
        if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
        await ended;
      }
      own.close();
      rmSync(root, { recursive: true, force: true });
    },
  };
}

function watched(child: ChildProcess, ended: Promise<number | string>): RunningDev {
  let [out, err] = ['', ''];
  child.stdout?.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (err += chunk.toString()));
  const isOver = (): boolean => child.exitCode !== null || child.signalCode !== null;
  const until = async <T>(look: () => T | undefined, what: string): Promise<T> =>
    eventually(
      () => {
        const seen = look();
        if (seen === undefined && isOver()) throw new Error(`it ended without ${what}:\n${out}\n${err}`);
        return seen;
      },
      `${what} in\n${out}\n${err}`,
      CEILING_MS,
    );
  const self: RunningDev = {
    pid: child.pid ?? 0,
    get out() {
      return out;
    },
    get err() {
      return err;
    },
    get events() {
      return out
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line) as DevEvent);
    },
    event: async (wanted) =>
      until(
        () =>
          self.events.find((one) => Object.entries(wanted).every(([name, value]) => JSON.stringify(one[name]) === JSON.stringify(value))),
        JSON.stringify(wanted),
      ),
    says: async (text) =>
      until(() => ((typeof text === 'string' ? (out + err).includes(text) : text.test(out + err)) ? true : undefined), String(text)).then(
        () => undefined,
      ),
    kill: (signal) => void child.kill(signal),
    ended,
  };
  return self;
}

/** Calls a tool through a URL that `dev` gave. */
export function callAt(url: string, tool: string, args: unknown): Promise<HttpAnswer> {
  const { port, pathname } = new URL(url);
  return request(Number(port), `${pathname}/tools/${tool}`, {
    body: JSON.stringify(args),
    headers: { 'content-type': 'application/json' },
  });
}

/** Whether a process of this number runs. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    // One that has ended and that nobody has asked about yet is still listed.
    return !/^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    // No such process.
    return false;
  }
}
