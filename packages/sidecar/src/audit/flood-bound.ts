/**
 * Bounds what others can make us write of one kind: of many notes of one name the first of each minute are written, the
 * rest is counted and told with the next one. Metrics count every one of them.
 */

import type { BootMs, Clock } from '@sallyport/model';

/** Notes of one name in one window. */
export const NOTES_PER_WINDOW = 10;
const WINDOW_MS = 60_000;

interface Window {
  began: BootMs;
  kept: number;
  leftOut: number;
}

/** What to write of a note, with how many were left out before it; `undefined` where it is only counted. Names are a bounded set. */
export function floodBound(clock: Clock): (name: string, detail: string) => string | undefined {
  // Owner: this bound.
  const windows = new Map<string, Window>();
  return (name, detail) => {
    const now = clock.boot();
    const window = windows.get(name) ?? { began: now, kept: 0, leftOut: 0 };
    windows.set(name, window);
    if (now - window.began >= WINDOW_MS) {
      window.began = now;
      window.kept = 0;
    }
    if (window.kept >= NOTES_PER_WINDOW) {
      window.leftOut += 1;
      return undefined;
    }
    window.kept += 1;
    const said = window.leftOut === 0 ? detail : `${detail} (${window.leftOut} more since the last)`;
    window.leftOut = 0;
    return said;
  };
}
