/**
 * The process log: one JSON object a line, of a fixed event name and named fields that are plain values. There is no way
 * to log an object, a header, a body or a whole error, so nothing has to be scrubbed out of one; what looks like a
 * credential inside a text is removed all the same. It is for operators; what must be provable is the audit record.
 */

import { destination, pino } from 'pino';
import { formatInstant } from '@sallyport/model';
import type { Clock } from '@sallyport/model';
import { errorFields, plainText } from './log-text.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export const LOG_LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

/** Every field that a line may carry. Add one here before using it: the list is what keeps secrets out. */
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
  /** Of an error only its kind, code and message are written, and those of its causes. */
  warn(event: string, fields?: LogFields, error?: unknown): void;
  /** As `warn`; of a Bug, whose message is our own words, the stack too. */
  error(event: string, fields?: LogFields, error?: unknown): void;
  /** Writes what waits, blocking; before the process ends. */
  flush(): void;
}

export interface LogOptions {
  readonly level: LogLevel;
  /** `sidecar`, `control-plane`. */
  readonly name: string;
  readonly clock: Clock;
  /** Standard output unless given; called with one line at a time, with its line feed. */
  readonly write?: (line: string) => void;
}

/** What may wait for a slow reader of standard output; beyond it lines are lost, not calls delayed. */
const WAITING_BYTES_MAX = 1_048_576;

/** A log that never blocks the process while it runs, and blocks when it ends. */
export function createLog(options: LogOptions): Log {
  const { level, name, clock, write } = options;
  const stdout = write === undefined ? destination({ fd: 1, sync: false, maxLength: WAITING_BYTES_MAX }) : undefined;
  const logger = pino(
    {
      level,
      base: { name },
      messageKey: 'event',
      timestamp: () => `,"at":"${formatInstant(clock.wall())}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    stdout ?? { write: (line: string) => write?.(line) },
  );
  return {
    debug: (event, fields) => logger.isLevelEnabled('debug') && logger.debug(plainFields(fields), event),
    info: (event, fields) => logger.info(plainFields(fields), event),
    warn: (event, fields, error) => logger.warn({ ...plainFields(fields), ...errorFields(error) }, event),
    error: (event, fields, error) => logger.error({ ...plainFields(fields), ...errorFields(error) }, event),
    flush() {
      stdout?.flushSync();
    },
  };
}

/** Only numbers and cleaned texts leave, whatever a caller got past the compiler. */
function plainFields(fields: LogFields = {}): Record<string, string | number> {
  const plain: Record<string, string | number> = {};
  for (const [key, value] of Object.entries(fields as Readonly<Record<string, unknown>>)) {
    if (typeof value === 'number') plain[key] = value;
    else if (typeof value === 'string') plain[key] = plainText(value);
  }
  return plain;
}
