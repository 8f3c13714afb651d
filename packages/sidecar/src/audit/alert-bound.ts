/**
 * Bounds what a hostile control plane can make us write: of many alerts of one code the first of each minute are records
 * and log lines, the rest is counted and told with the next one. The metric counts every one of them.
 */

import type { BootMs, Clock } from '@sallyport/model';

/** Records of one code in one window. Codes are a closed set. */
export const ALERTS_PER_WINDOW = 10;
const WINDOW_MS = 60_000;

interface Window {
  began: BootMs;
  kept: number;
  leftOut: number;
}

/** Whether an alert is written: its detail, with what was left out before it; `undefined` where it is only counted. */
export function alertBound(clock: Clock): (code: string, detail: string) => string | undefined {
  // Owner: this bound.
  const windows = new Map<string, Window>();
  return (code, detail) => {
    const now = clock.boot();
    const window = windows.get(code) ?? { began: now, kept: 0, leftOut: 0 };
    windows.set(code, window);
    if (now - window.began >= WINDOW_MS) {
      window.began = now;
      window.kept = 0;
    }
    if (window.kept >= ALERTS_PER_WINDOW) {
      window.leftOut += 1;
      return undefined;
    }
    window.kept += 1;
    const said = window.leftOut === 0 ? detail : `${detail} (${window.leftOut} more of this code since the last)`;
    window.leftOut = 0;
    return said;
  };
}
