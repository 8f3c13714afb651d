/** The process logs of control plane and sidecar, in one file of the state folder: terminals are for decisions. */

import { closeSync, openSync, writeSync } from 'node:fs';
import type { Clock } from '@sallyport/model';
import { createLog } from '@sallyport/telemetry';
import type { Log } from '@sallyport/telemetry';

export interface LogFile {
  readonly path: string;
  /** A log whose lines say `name`. */
  of(name: 'control-plane' | 'sidecar'): Log;
  close(): void;
}

export function openLogFile(path: string, clock: Clock): LogFile {
  // Owner: this file; absent once closed, after which late words are lost.
  let descriptor: number | undefined = openSync(path, 'a', 0o600);
  const write = (line: string): void => {
    if (descriptor !== undefined) writeSync(descriptor, line);
  };
  return {
    path,
    of: (name) => createLog({ level: 'info', name, clock, write }),
    close() {
      if (descriptor !== undefined) closeSync(descriptor);
      descriptor = undefined;
    },
  };
}
