/**
 * The end of a process, in order: stop taking, let what runs end, cut what is left when the grace is over.
 * Every started task and every listener is known here, so that none is forgotten and none is waited for without end.
 */

import type { Clock } from '@sallyport/model';

/** What a drain came to. */
export interface DrainReport {
  /** True when everything ended by itself within the grace. */
  readonly isClean: boolean;
  /** Names of what was still running when the grace was over. */
  readonly left: readonly string[];
}

export interface Drain {
  /** Aborts when the drain begins: take nothing new. */
  readonly draining: AbortSignal;
  /** Aborts when the grace is over: end at once. */
  readonly cut: AbortSignal;
  /**
   * Remembers a running task until it settles. A task that rejects is reported to `onFailure` and then forgotten:
   * no rejection is lost, and none ends the process from behind.
   */
  track(name: string, task: Promise<unknown>): void;
  /** Remembers how to stop taking: called once when the drain begins, in order of registration, then waited for like a task. */
  onDrain(name: string, stop: () => Promise<unknown>): void;
  /** Begins the drain (once; a second call waits for the same) and resolves when all is settled or the grace is over. */
  drain(options: { readonly graceMs: number }): Promise<DrainReport>;
}

export function createDrain(options: { readonly clock: Clock; readonly onFailure: (name: string, error: unknown) => void }): Drain {
  const draining = new AbortController();
  const cut = new AbortController();
  // Owner: this drain. Running tasks by an own key each, as names may repeat.
  const running = new Map<symbol, { readonly name: string; readonly settled: Promise<void> }>();
  const stops: { readonly name: string; readonly stop: () => Promise<unknown> }[] = [];
  let report: Promise<DrainReport> | undefined;

  const track = (name: string, task: Promise<unknown>): void => {
    const key = Symbol(name);
    const settled = task
      .then(
        () => undefined,
        (error: unknown) => options.onFailure(name, error),
      )
      .finally(() => running.delete(key));
    running.set(key, { name, settled });
  };

  const settle = async (): Promise<void> => {
    // A task may start another while it ends: look until none is left.
    while (running.size > 0) await Promise.all([...running.values()].map((entry) => entry.settled));
  };

  const run = async (graceMs: number): Promise<DrainReport> => {
    draining.abort();
    // The stops were given as functions: one that throws before its promise is a failure like any other.
    for (const { name, stop } of stops) track(name, Promise.resolve().then(stop));
    const over = new AbortController();
    const grace = new Promise<void>((resolve) => options.clock.timer(graceMs, resolve, { signal: over.signal }));
    await Promise.race([settle(), grace]);
    over.abort();
    const left = [...running.values()].map((entry) => entry.name);
    cut.abort();
    return { isClean: left.length === 0, left };
  };

  return {
    draining: draining.signal,
    cut: cut.signal,
    track,
    onDrain: (name, stop) => stops.push({ name, stop }),
    drain: ({ graceMs }) => (report ??= run(graceMs)),
  };
}
