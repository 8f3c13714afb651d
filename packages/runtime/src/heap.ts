/**
 * Memory that a start has used and a running process does not need. V8 gives it back only after a full collection, which a
 * process that does little may not see for hours. Needs `--expose-gc`, one of the launch flags of the shipped sidecar.
 */

interface Collector {
  readonly gc?: (options: { readonly type: 'major'; readonly flavor: 'last-resort' }) => void;
}

/** Collects everything and gives it back to the system; stops the thread meanwhile (tens of milliseconds). False without the flag. */
export function giveBackMemory(scope: Collector = globalThis as Collector): boolean {
  if (typeof scope.gc !== 'function') return false;
  scope.gc({ type: 'major', flavor: 'last-resort' });
  return true;
}
