/** The ends that a long stream has besides its own: the caller's certificate, and the drain. */

import type { Clock, Instant } from '@sallyport/model';

/** Messages until the stream ends or the signal aborts; what comes later is not read. */
export async function* untilAborted<T>(incoming: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T, undefined> {
  if (signal.aborted) return undefined;
  const iterator = incoming[Symbol.asyncIterator]();
  // One promise per message: a race against a promise that lives as long as the stream would keep every round in memory.
  let wake: (() => void) | undefined;
  const stop = (): void => wake?.();
  signal.addEventListener('abort', stop, { once: true });
  try {
    for (;;) {
      const aborted = new Promise<'aborted'>((resolve) => {
        wake = () => resolve('aborted');
      });
      if (signal.aborted) return undefined;
      const next = await Promise.race([iterator.next(), aborted]);
      if (next === 'aborted' || next.done === true) return undefined;
      yield next.value;
    }
  } finally {
    signal.removeEventListener('abort', stop);
    // Not awaited: a source that waits for its next message answers `return` only with that message.
    void iterator.return?.();
  }
}

/** Why a stream was ended from here. */
export type StreamEndReason = 'certificate' | 'draining' | 'caller' | 'ended';

export interface StreamLife {
  /** Aborts when the stream has to end. */
  readonly signal: AbortSignal;
  /** Why it aborted; `undefined` while it lives. */
  readonly reason: StreamEndReason | undefined;
  /** Ends the stream now. */
  end(): void;
  /** Ends the watch; always called, in a `finally`. */
  clear(): void;
}

export interface StreamLifeOptions {
  readonly clock: Clock;
  /** No stream outlives the certificate that opened it. */
  readonly notAfter: Instant;
  readonly call: AbortSignal;
  readonly draining: AbortSignal;
}

/** The life of one long stream. */
export function streamLife({ clock, notAfter, call, draining }: StreamLifeOptions): StreamLife {
  const over = new AbortController();
  const cleared = new AbortController();
  let reason: StreamEndReason | undefined;
  const end = (why: StreamEndReason) => (): void => {
    reason ??= why;
    over.abort();
  };
  const watch = (signal: AbortSignal, why: StreamEndReason): void => {
    if (signal.aborted) end(why)();
    else signal.addEventListener('abort', end(why), { once: true, signal: cleared.signal });
  };
  watch(call, 'caller');
  watch(draining, 'draining');
  clock.timer(Math.max(0, notAfter - clock.wall()), end('certificate'), { signal: cleared.signal });
  return {
    signal: over.signal,
    get reason() {
      return reason;
    },
    end: end('ended'),
    clear: () => cleared.abort(),
  };
}
