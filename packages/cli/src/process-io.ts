/** The real terminal, clock and signals of this process. */

import { isatty } from 'node:tty';
import { processEnvironment, systemClock, systemRandom } from '@sallyport/runtime';
import type { Io } from './io.ts';
import { standardOutput } from './standard-output.ts';
import { startFolder } from './start-folder.ts';

/** Exit code of a second Ctrl-C: 128 + SIGINT, as a shell would say. */
const EXIT_CUT = 130;

/** The first Ctrl-C asks for an orderly end, the second does not ask; a reader that has gone (`| head`) asks like the first. */
export function processIo(): Io {
  const stop = new AbortController();
  const { stdout, stderr } = process;
  const env = processEnvironment();
  const answers = standardOutput(stdout, () => stop.abort());
  stderr.on('error', () => undefined);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (stop.signal.aborted) process.exit(EXIT_CUT);
      stop.abort();
    });
  }
  return {
    write: answers.write,
    lost: answers.lost,
    note: (text) => void stderr.write(text),
    env,
    cwd: startFolder(env, process.cwd()),
    signal: stop.signal,
    clock: systemClock(),
    random: systemRandom,
    isTerminal: isatty(1),
    ...(stdout.columns === undefined ? {} : { columns: stdout.columns }),
    nextLine,
  };
}

// Owner: `nextLine`. Line ends that came with others and were not asked for yet.
let linesAhead = 0;

/** Reads standard input while somebody waits for it, and no longer: an open terminal must not keep the process. */
async function nextLine({ signal }: { readonly signal: AbortSignal }): Promise<void> {
  const { stdin } = process;
  if (linesAhead > 0) {
    linesAhead -= 1;
    return;
  }
  if (stdin.readableEnded || stdin.destroyed || signal.aborted) return;
  await new Promise<void>((resolve) => {
    const take = (chunk: Buffer): void => {
      linesAhead += chunk.toString('latin1').split('\n').length - 1;
      if (linesAhead > 0) done();
    };
    const done = (): void => {
      stdin.off('data', take);
      for (const event of INPUT_ENDS) stdin.off(event, done);
      signal.removeEventListener('abort', done);
      stdin.pause();
      linesAhead = Math.max(0, linesAhead - 1);
      resolve();
    };
    stdin.on('data', take);
    for (const event of INPUT_ENDS) stdin.once(event, done);
    signal.addEventListener('abort', done, { once: true });
    stdin.resume();
  });
}
const INPUT_ENDS = ['end', 'error', 'close'] as const;
