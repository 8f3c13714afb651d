/** What a command sees of the world besides its arguments: handed in, so that a test can be the terminal. */

import type { Clock, Random } from '@sallyport/model';

export interface Io {
  /** Standard output, where the answer goes. Resolves when more may be written; a reader that has gone ends the command quietly. */
  readonly write: (chunk: string | Uint8Array) => Promise<void>;
  /** Why something of the answer did not arrive, such as a full disk; `undefined` where all of it did, or nobody reads on. */
  readonly lost?: () => string | undefined;
  /** Standard error, where progress and refusals go. */
  readonly note: (text: string) => void;
  readonly env: Readonly<Record<string, string>>;
  /** Absolute; relative paths of arguments count from here. */
  readonly cwd: string;
  /** Aborts on Ctrl-C: end in order, and soon. */
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly random: Random;
  /** Whether a person reads the output as it appears. */
  readonly isTerminal: boolean;
  /** How wide that terminal is, where it says so. */
  readonly columns?: number;
  /** Resolves when a line has been entered on standard input, or nothing more will come from it. */
  readonly nextLine?: (options: { readonly signal: AbortSignal }) => Promise<void>;
}

/** 0 yes, 1 the answer is no, 2 used wrongly, 64 what is configured does not hold, 130 ended by Ctrl-C before the answer. */
export type Exit = 0 | 1 | 2 | 64 | 130;
