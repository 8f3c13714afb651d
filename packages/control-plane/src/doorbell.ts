/** Wakes everyone who waits for a change: readers of the index, watchers of the fleet, a release that waits for staging. */

export interface Doorbell {
  ring(): void;
  /** Resolves at the next ring, or when the signal aborts. Whoever waits looks again at what changed. */
  heard(signal: AbortSignal): Promise<void>;
}

export function doorbell(): Doorbell {
  // Owner: this bell.
  const waiting = new Set<() => void>();
  return {
    ring() {
      // Whoever wakes leaves the set, and may wait again: taken out first, so that nobody is woken twice by one ring.
      const woken = Array.from(waiting);
      for (const wake of woken) wake();
    },
    async heard(signal) {
      if (signal.aborted) return;
      await new Promise<void>((resolve) => {
        // The listener goes with the wait: a reader's signal lives as long as its stream, and would collect one per ring.
        const wake = (): void => {
          waiting.delete(wake);
          signal.removeEventListener('abort', wake);
          resolve();
        };
        waiting.add(wake);
        signal.addEventListener('abort', wake);
      });
    },
  };
}
