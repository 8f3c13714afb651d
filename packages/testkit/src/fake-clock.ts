/**
 * Time in the test's hands. `wall` and `boot` are two clocks, as on a machine: an attacker or NTP moves the first, a
 * suspended laptop moves both without running anything.
 */

import type { BootMs, Clock, Instant } from '@sallyport/model';

export interface FakeClock extends Clock {
  /** Both clocks go on by `ms`; timers that fall due run in order, each with the clocks at its own moment, promises settling between. */
  advance(ms: number): Promise<void>;
  /** The wall clock is set (by an attacker, NTP, a person); `boot` and timers do not notice. */
  setWall(wall: Instant): void;
  /** The machine sleeps: both clocks go on by `ms`, nothing runs meanwhile, and what fell due runs late, on waking. */
  suspend(ms: number): Promise<void>;
  /** Timers waiting now; 0 after a clean drain. */
  readonly timers: number;
}

interface Waiting {
  readonly due: number;
  readonly order: number;
  readonly fn: () => void;
}

export function fakeClock(start: { readonly wall?: Instant; readonly boot?: number } = {}): FakeClock {
  // Owner: this clock.
  let wall = start.wall ?? (Date.UTC(2026, 10, 20, 7, 30) as Instant);
  let boot = start.boot ?? 1_000_000;
  let order = 0;
  const waiting = new Set<Waiting>();

  const pass = (ms: number): void => {
    wall = (wall + ms) as Instant;
    boot += ms;
  };
  const nextDue = (by: number): Waiting | undefined => {
    const due = [...waiting].filter((entry) => entry.due <= by);
    return due.toSorted((a, b) => a.due - b.due || a.order - b.order)[0];
  };
  const runDue = async (by: number): Promise<void> => {
    await settled();
    for (let next = nextDue(by); next !== undefined; next = nextDue(by)) {
      pass(Math.max(0, next.due - boot));
      waiting.delete(next);
      next.fn();
      await settled();
    }
  };

  return {
    wall: () => wall,
    boot: () => boot as BootMs,
    timer(ms, fn, { signal }) {
      if (signal.aborted) return;
      const entry: Waiting = { due: boot + Math.max(0, ms), order: order++, fn };
      waiting.add(entry);
      signal.addEventListener('abort', () => waiting.delete(entry), { once: true });
    },
    async advance(ms) {
      const until = boot + ms;
      await runDue(until);
      pass(until - boot);
      await settled();
    },
    setWall(to) {
      wall = to;
    },
    async suspend(ms) {
      pass(ms);
      await runDue(boot);
    },
    get timers() {
      return waiting.size;
    },
  };
}

/** Lets everything run that waits for no outside event: promise reactions, and what they queue in turn. */
async function settled(): Promise<void> {
  // Two turns of the event loop: the second is for I/O callbacks (a written socket, a finished sync) of the first.
  for (let turn = 0; turn < 2; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
}
