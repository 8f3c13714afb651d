/** Wakes one waiting reader: the small shared part of the queues. */

export interface Bell {
  ring(): void;
  /** Resolves at the next ring, or when the signal aborts. */
  heard(signal: AbortSignal): Promise<void>;
}

export function bell(): Bell {
  // Owner: this bell. Set while a reader waits.
  let wake: (() => void) | undefined;
  return {
    ring: () => wake?.(),
    async heard(signal) {
      if (signal.aborted) return;
      await new Promise<void>((resolve) => {
        // The listener goes with the wait: a reader's signal lives as long as its process, and would collect one per item.
        const stop = (): void => {
          signal.removeEventListener('abort', stop);
          wake = undefined;
          resolve();
        };
        wake = stop;
        signal.addEventListener('abort', stop);
      });
    },
  };
}
