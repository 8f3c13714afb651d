/**
 * The process log: one JSON object a line, of a fixed event name and named fields that are plain values. There is no way
 * to log an object, a header, a body or a whole error, so nothing has to be scrubbed out of one. It is for operators;
 * what must be provable later is the audit record.
 */

import { Bug } from '@sallyport/model';
import type { Clock } from '@sallyport/model';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export const LOG_LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

/** Every field that a line may carry, with its meaning. Add a field here before using it. */
export interface LogFields {
  readonly address?: string;
  readonly agent?: string;
  readonly area?: string;
  readonly bytes?: number;
  readonly code?: string;
  readonly count?: number;
  readonly decision_id?: string;
  /** In words, for a reader; never parsed, never from a body or a credential. */
  readonly detail?: string;
  readonly digest?: string;
  readonly file?: string;
  readonly gate?: string;
  readonly host?: string;
  readonly identity?: string;
  readonly key_id?: string;
  readonly limit?: number;
  readonly method?: string;
  readonly name?: string;
  readonly port?: number;
  readonly reason?: string;
  readonly release_seq?: number;
  readonly revision?: number;
  readonly ring?: string;
  readonly seq?: number;
  readonly service?: string;
  readonly state?: string;
  readonly status?: number;
  readonly stream?: string;
  readonly took_ms?: number;
  readonly version?: string;
  readonly wait_ms?: number;
}

export interface Log {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields, error?: unknown): void;
  error(event: string, fields?: LogFields, error?: unknown): void;
  /** Writes what waits, blocking; before the process ends. */
  flush(): void;
}

export interface LogOptions {
  readonly level: LogLevel;
  /** `sidecar`, `control-plane`. */
  readonly name: string;
  readonly clock: Clock;
  /** Standard output unless given. */
  readonly write?: (line: string) => void;
}

export function createLog(options: LogOptions): Log {
  throw new Bug(`to come ${options.name}`);
}
