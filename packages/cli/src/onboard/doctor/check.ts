/** One line of the doctor: what was looked at, how it is, and what to do where it is not well. */

import type { Problem } from '@sallyport/model';

/** `warn` works today and may not tomorrow, or is not there yet; `fail` does not work, or is not safe. */
export type Health = 'ok' | 'warn' | 'fail';

export interface Check {
  /** Two or three words. */
  readonly subject: string;
  readonly health: Health;
  /** One clause. */
  readonly says: string;
  /** A command where there is one; `undefined` for what is well. */
  readonly remedy?: string;
}

export const well = (subject: string, says: string): Check => ({ subject, health: 'ok', says });

export const warned = (subject: string, says: string, remedy?: string): Check => ({
  subject,
  health: 'warn',
  says,
  ...(remedy === undefined ? {} : { remedy }),
});

export const failed = (subject: string, says: string, remedy?: string): Check => ({
  subject,
  health: 'fail',
  says,
  ...(remedy === undefined ? {} : { remedy }),
});

/** A problem that somebody else found. */
export function failedOf(subject: string, { file, path, message, remedy, line }: Problem): Check {
  const place = [file === undefined ? '' : `${file}${line === undefined ? '' : `:${line}`}`, path].filter((part) => part !== '').join(': ');
  return failed(subject, place === '' ? message : `${place}: ${message}`, remedy);
}

const DAY_MS = 86_400_000;

/** How long something is still good: days where it is days, hours and minutes below. */
export function shownLeft(ms: number): string {
  if (ms >= 2 * DAY_MS) return `${Math.floor(ms / DAY_MS)} days`;
  if (ms >= 7_200_000) return `${Math.floor(ms / 3_600_000)} hours`;
  return ms >= 120_000 ? `${Math.floor(ms / 60_000)} minutes` : `${Math.max(0, Math.floor(ms / 1_000))} seconds`;
}

interface Expiry {
  readonly what: string;
  readonly leftMs: number;
  /** Below this it is time to act. */
  readonly warnMs: number;
  readonly remedy: string;
}

/** Of something that ends: well, soon over, or over. */
export function judgeExpiry(subject: string, { what, leftMs, warnMs, remedy }: Expiry): Check {
  if (leftMs <= 0) return failed(subject, `${what} ended ${shownLeft(-leftMs)} ago`, remedy);
  return leftMs < warnMs
    ? warned(subject, `${what} ends in ${shownLeft(leftMs)}`, remedy)
    : well(subject, `${what} ends in ${shownLeft(leftMs)}`);
}
