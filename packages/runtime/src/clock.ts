/**
 * The machine's time as the `Clock` port: the only file that reads the wall clock or starts a timer.
 * It keeps no calendar and trusts nothing: what an instant proves is decided by whoever compares it.
 */

import { uptime } from 'node:os';
import type { BootMs, Clock, Instant } from '@sallyport/model';

/** Node fires a timer with a longer delay at once. */
const TIMER_MS_MAX = 2_147_483_647;
/** How long a reading of the uptime serves: it costs a hundred readings of `performance.now`. */
const UPTIME_SERVES_MS = 100;

/** Where the boot clock reads from; a test puts a sleeping laptop here. */
export interface BootSources {
  /** Fine, but stands still while the machine is suspended (CLOCK_MONOTONIC). Milliseconds. */
  monotonicMs(): number;
  /** Counts suspension (CLOCK_BOOTTIME), some platforms only in steps of 10 ms or a second, rounded down. Milliseconds. */
  uptimeMs(): number;
}

/** The clock of this machine. Its timers never keep the process alive, and wait in steps where a delay is longer than one step (24 days). */
export function systemClock(options: { readonly timerStepMsMax?: number } = {}): Clock {
  const boot = bootClock({ monotonicMs: () => performance.now(), uptimeMs: () => uptime() * 1_000 });
  return { wall: () => Date.now() as Instant, boot, timer: timers(Math.min(options.timerStepMsMax ?? TIMER_MS_MAX, TIMER_MS_MAX)) };
}

/**
 * Milliseconds since boot that count suspension and never go back.
 *
 * `performance.now()` has the resolution but sleeps with the machine; `os.uptime()` counts the sleep but ticks in steps
 * (10 ms on Linux, a second elsewhere). So time runs on the first, plus the largest lead of the second over it that was
 * ever seen. The uptime is read first and is rounded down, so a lead is never larger than the truth: each jump of it is
 * either a tick or a suspension, and both are right to add for good. A suspension is noticed at most 100 ms after
 * waking. Without it a laptop that sleeps through a policy's deadline would wake up fresh.
 */
export function bootClock(sources: BootSources): () => BootMs {
  // Owner: this closure. `lead` only grows, so that the sum cannot go back.
  let lead = -Infinity;
  let readAt = -Infinity;
  return () => {
    if (sources.monotonicMs() - readAt >= UPTIME_SERVES_MS) {
      const up = sources.uptimeMs();
      readAt = sources.monotonicMs();
      lead = Math.max(lead, up - readAt);
    }
    return (sources.monotonicMs() + lead) as BootMs;
  };
}

function timers(stepMsMax: number): Clock['timer'] {
  return function timer(ms, fn, options) {
    const { signal } = options;
    if (signal.aborted) return;
    const step = Math.max(0, Math.min(ms, stepMsMax));
    const cancel = (): void => clearTimeout(handle);
    const handle = setTimeout(() => {
      signal.removeEventListener('abort', cancel);
      if (step < ms) timer(ms - step, fn, options);
      else fn();
    }, step);
    handle.unref();
    signal.addEventListener('abort', cancel, { once: true });
  };
}
