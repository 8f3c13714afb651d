/** The real terminal, clock and signals of this process. */

import { isatty } from 'node:tty';
import { processEnvironment, systemClock, systemRandom } from '@sallyport/runtime';
import type { Io } from './io.ts';

/** Exit code of a second Ctrl-C: 128 + SIGINT, as a shell would say. */
const EXIT_CUT = 130;

/** The first Ctrl-C asks for an orderly end, the second does not ask; a reader that has gone (`| head`) asks like the first. */
export function processIo(): Io {
  const stop = new AbortController();
  const { stdout, stderr } = process;
  stdout.on('error', () => stop.abort());
  stderr.on('error', () => undefined);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (stop.signal.aborted) process.exit(EXIT_CUT);
      stop.abort();
    });
  }
  return {
    write: async (chunk) => written(stdout, chunk),
    note: (text) => void stderr.write(text),
    env: processEnvironment(),
    cwd: process.cwd(),
    signal: stop.signal,
    clock: systemClock(),
    random: systemRandom,
    isTerminal: isatty(1),
  };
}

/** Resolves when more may be written, or nothing any more. */
async function written(stdout: NodeJS.WriteStream, chunk: string | Uint8Array): Promise<void> {
  if (stdout.destroyed || stdout.write(chunk)) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      for (const event of EVENTS) stdout.off(event, done);
      resolve();
    };
    for (const event of EVENTS) stdout.once(event, done);
  });
}
const EVENTS = ['drain', 'error', 'close'] as const;
