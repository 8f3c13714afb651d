/**
 * Memory that a start or a busy hour has used and a resting process does not need. V8 gives it back only after a full
 * collection, which a process that does little may not see for hours. Needs `--expose-gc`, one of the launch flags of the
 * shipped sidecar.
 */

import type { Clock } from '@sallyport/model';
import { delay } from './delay.ts';

interface Collector {
  readonly gc?: (options: { readonly type: 'major'; readonly flavor: 'last-resort' }) => void;
}

/** What is looked at and done, for a test. */
export interface Machine {
  readonly collector: Collector;
  /** Milliseconds of processor time so far. */
  readonly cpuMs: () => number;
}

/** How often it looks; reading configuration and policy is over by the first time. */
const LOOK_MS = 5_000;
/** And once more before it collects: work that has just begun hardly shows in a long look. */
const GLANCE_MS = 250;
/** Above this share of one core a process is not at rest. The collection itself stays below it. */
const BUSY_SHARE = 0.05;

const THIS_PROCESS: Machine = {
  collector: globalThis as Collector,
  cpuMs: () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1_000;
  },
};

/**
 * Whenever the process comes to rest after its start or after work: collects everything and gives it back to the system,
 * which stops the thread for tens of milliseconds. Ends with the signal; at once without the flag.
 */
export async function giveBackMemory(
  clock: Clock,
  { signal, machine = THIS_PROCESS }: { readonly signal: AbortSignal; readonly machine?: Machine },
): Promise<void> {
  const { gc } = machine.collector;
  if (typeof gc !== 'function') return;
  const isBusyFor = async (ms: number): Promise<boolean | undefined> => {
    const before = machine.cpuMs();
    const isOver = !(await delay(clock, ms, { signal }));
    return isOver ? undefined : machine.cpuMs() - before > ms * BUSY_SHARE;
  };
  let hasWorked = true;
  for (;;) {
    const isBusy = await isBusyFor(LOOK_MS);
    if (isBusy === undefined) return;
    const isAtRest: boolean = hasWorked && !isBusy && (await isBusyFor(GLANCE_MS)) === false;
    if (isAtRest) gc({ type: 'major', flavor: 'last-resort' });
    hasWorked = isBusy || (hasWorked && !isAtRest);
  }
}
