/** Waiting on a Clock, for shells: a pause, and a deadline as a signal. */

import { Fault } from '@sallyport/model';
import type { Clock } from '@sallyport/model';

/** Resolves true after `ms`, false as soon as the signal aborts. */
export async function delay(clock: Clock, ms: number, options: { readonly signal: AbortSignal }): Promise<boolean> {
  const { signal } = options;
  if (signal.aborted) return false;
  return new Promise<boolean>((resolve) => {
    const stop = (): void => resolve(false);
    signal.addEventListener('abort', stop, { once: true });
    const fire = (): void => {
      signal.removeEventListener('abort', stop);
      resolve(true);
    };
    clock.timer(ms, fire, { signal });
  });
}

/**
 * Resolves when the promise settles, either way, or as soon as the signal aborts. For loops: `Promise.race` against a
 * promise that lives as long as the loop would keep every round of it in memory.
 */
export async function orAborted(promise: Promise<unknown>, { signal }: { readonly signal: AbortSignal }): Promise<void> {
  if (signal.aborted) return;
  const { promise: over, resolve } = Promise.withResolvers<void>();
  const stop = (): void => resolve();
  signal.addEventListener('abort', stop, { once: true });
  const settle = async (): Promise<void> => {
    try {
      await promise;
    } catch {
      // Whoever made the promise hears of it.
    }
    stop();
  };
  void settle();
  await over;
  signal.removeEventListener('abort', stop);
}

/** A signal that aborts by itself. */
export interface Deadline {
  /** Aborts when the time is over (reason: a Fault of the given code) or the outer signal aborts (reason: its own). */
  readonly signal: AbortSignal;
  /** The wait is over: cancels the timer and lets go of the outer signal. Always called, in a `finally`. */
  clear(): void;
}

/** A deadline `ms` from now. `fault` makes the reason when time is over. */
export function deadline(clock: Clock, ms: number, options: { readonly signal?: AbortSignal; readonly fault: () => Fault }): Deadline {
  const over = new AbortController();
  const cleared = new AbortController();
  const outer = options.signal;
  const follow = (): void => over.abort(outer?.reason);
  if (outer?.aborted === true) follow();
  else outer?.addEventListener('abort', follow, { once: true });
  clock.timer(ms, () => over.abort(options.fault()), { signal: cleared.signal });
  return {
    signal: over.signal,
    clear() {
      cleared.abort();
      outer?.removeEventListener('abort', follow);
    },
  };
}
