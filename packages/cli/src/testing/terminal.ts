/** A person at a terminal in a folder of their own: types commands, sees both streams and the exit code. */

import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Clock } from '@sallyport/model';
import { systemClock, systemRandom } from '@sallyport/runtime';
import type { Io } from '../io.ts';
import { run } from '../run.ts';

export interface Ran {
  readonly exit: number;
  readonly out: string;
  readonly err: string;
  readonly bytes: Uint8Array;
  /** Standard output as the one JSON document that it has to be. */
  readonly json: () => Record<string, unknown>;
}

export interface Terminal {
  readonly dir: string;
  readonly clock: Clock;
  path(name: string): string;
  read(name: string): string;
  write(name: string, content: string | Uint8Array): void;
  mode(name: string, mode: number): void;
  remove(name: string): void;
  type(...argv: readonly string[]): Promise<Ran>;
  /** The same, stoppable by Ctrl-C; `onOutput` sees standard output as it grows. */
  typeUntil(signal: AbortSignal, argv: readonly string[], onOutput?: (out: string) => void): Promise<Ran>;
  close(): void;
}

interface TerminalOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly clock?: Clock;
  /** Sees standard error as it grows. */
  readonly onNote?: (err: string) => void;
  /** Where it stands; in a folder of its own unless given. */
  readonly cwd?: string;
}

export function terminal(options: TerminalOptions = {}): Terminal {
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-cli-'));
  const clock = options.clock ?? systemClock();
  const path = (name: string): string => join(dir, name);
  const typeUntil: Terminal['typeUntil'] = async (signal, argv, onOutput) => {
    const chunks: Buffer[] = [];
    let err = '';
    const io: Io = {
      write: async (chunk) => {
        chunks.push(Buffer.from(chunk as string));
        onOutput?.(Buffer.concat(chunks).toString('utf8'));
      },
      note: (text) => {
        err += text;
        options.onNote?.(err);
      },
      env: options.env ?? {},
      cwd: options.cwd ?? dir,
      signal,
      clock,
      random: systemRandom,
      isTerminal: false,
    };
    const exit = await run(argv, io);
    const bytes = Buffer.concat(chunks);
    const out = bytes.toString('utf8');
    return { exit, out, err, bytes, json: () => JSON.parse(out) as Record<string, unknown> };
  };
  return {
    dir,
    clock,
    path,
    read: (name) => readFileSync(path(name), 'utf8'),
    write(name, content) {
      mkdirSync(dirname(path(name)), { recursive: true });
      writeFileSync(path(name), content);
    },
    mode: (name, mode) => chmodSync(path(name), mode),
    remove: (name) => rmSync(path(name)),
    type: (...argv) => typeUntil(new AbortController().signal, argv),
    typeUntil,
    close: () => rmSync(dir, { recursive: true, force: true }),
  };
}

/** What a person wrote, of which only folder-dependent text differs between runs. */
export function withoutFolder(text: string, at: Terminal): string {
  return text.replaceAll(at.dir, '<folder>');
}
