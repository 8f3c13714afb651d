/** Keeps a silent event stream open: a comment every so often, so that no proxy or client takes silence for death. */

import type { Clock } from '@sallyport/model';

const SILENCE_MS_MAX = 15_000;

/** The events of `source`, with `comment` between them whenever 15 s pass without one. */
export async function* keptAlive(
  source: AsyncGenerator<Uint8Array, void, void>,
  { comment, clock, signal }: { comment: Uint8Array; clock: Clock; signal: AbortSignal },
): AsyncGenerator<Uint8Array, void, void> {
  let next = source.next();
  try {
    while (!signal.aborted) {
      const silence = new AbortController();
      const silent = new Promise<'silent'>((resolve) => clock.timer(SILENCE_MS_MAX, () => resolve('silent'), { signal: silence.signal }));
      const step = await Promise.race([next, silent]);
      silence.abort();
      if (step === 'silent') {
        yield comment;
        continue;
      }
      if (step.done === true) return;
      yield step.value;
      next = source.next();
    }
  } finally {
    // When the agent has gone, nobody waits for this step any more; what it says was or will be recorded where it is made.
    next.catch(() => undefined);
    await source.return();
  }
}
