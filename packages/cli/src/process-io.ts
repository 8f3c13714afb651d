/** The real terminal, clock and signals of this process. */

import { once } from 'node:events';
import { isatty } from 'node:tty';
import { processEnvironment, systemClock, systemRandom } from '@sallyport/runtime';
import type { Io } from './io.ts';

/** Exit code of a second Ctrl-C: 128 + SIGINT, as a shell would say. */
const EXIT_CUT = 130;

/** The first Ctrl-C asks for an orderly end, the second does not ask. */
export function processIo(): Io {
  const stop = new AbortController();
  const { stdout, stderr } = process;
  // A reader that has gone (`| head`) wants no more, and no complaint.
  stdout.on('error', () => process.exit(0));
  stderr.on('error', () => undefined);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (stop.signal.aborted) process.exit(EXIT_CUT);
      stop.abort();
    });
  }
  return {
    async write(chunk) {
      if (!stdout.write(chunk)) await once(stdout, 'drain');
    },
    note: (text) => void stderr.write(text),
    env: processEnvironment(),
    cwd: process.cwd(),
    signal: stop.signal,
    clock: systemClock(),
    random: systemRandom,
    isTerminal: isatty(1),
  };
}
