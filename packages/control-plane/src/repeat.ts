/** What is done by the clock, again and again, until it is told to stop. */

import type { Clock } from '@sallyport/model';
import { delay } from '@sallyport/runtime';

export interface RepeatOptions {
  readonly everyMs: number;
  readonly act: () => Promise<void> | void;
  /** It went wrong this time, and is tried again the next. */
  readonly onFailure: (error: unknown) => void;
  readonly signal: AbortSignal;
}

/** Waits first, then acts; one at a time. Resolves when the signal has aborted. */
export async function repeat(clock: Clock, { everyMs, act, onFailure, signal }: RepeatOptions): Promise<void> {
  while (await delay(clock, everyMs, { signal })) {
    try {
      await act();
    } catch (error) {
      onFailure(error);
    }
  }
}
