/** The wall clock of the process that a tool runs in: a library is composed by nobody, so it brings its default itself. */

import type { Instant } from '@sallyport/model';

/** Milliseconds since 1970. */
export function systemNow(): Instant {
  return Date.now() as Instant;
}
