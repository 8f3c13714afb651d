/** A log line for a connection that the listener turned away, and not one for each of a flood. */

import type { BootMs, Clock } from '@sallyport/model';
import type { ListenerRefusal } from '@sallyport/net';
import type { Log } from '@sallyport/telemetry';

const WINDOW_MS = 60_000;
const LINES_MAX = 60;

/** Logs the first of each minute; what was left out is told with the first line of a later one. */
export function refusalLog(log: Log, clock: Clock): (refusal: ListenerRefusal) => void {
  // Owner: this log.
  let began: BootMs = clock.boot();
  let lines = 0;
  let leftOut = 0;
  return ({ code, detail, address }) => {
    if (clock.boot() - began >= WINDOW_MS) {
      if (leftOut > 0) log.warn('connections_refused', { count: leftOut });
      began = clock.boot();
      lines = 0;
      leftOut = 0;
    }
    lines += 1;
    if (lines <= LINES_MAX) log.warn('connection_refused', { code, detail, address });
    else leftOut += 1;
  };
}
