/**
 * Reads a process's configuration once, completely, at start: flags over environment over file over default, every
 * problem at once with its place. The result is frozen and passed in; nothing else reads the environment.
 */

import { Bug } from '@sallyport/model';
import type { Problem, Result } from '@sallyport/model';
import type { Field } from './config-fields.ts';

/** Where values come from. */
export interface ConfigSources {
  /** The YAML file; without one there are only flags, environment and defaults. */
  readonly file?: string;
  /** Usually `processEnvironment()`, passed in by `main.ts`. */
  readonly env?: Readonly<Record<string, string>>;
  /** By path: `{ 'limits.body_bytes_max': '1048576' }`. */
  readonly flags?: Readonly<Record<string, string>>;
}

/** Reads and checks. `T` is frozen all the way down; the problems are all there are, in the order of the file. */
export function readConfig<T>(schema: Field<T>, sources: ConfigSources): Result<T, readonly Problem[]> {
  throw new Bug(`to come: ${String(schema)} ${String(sources)}`);
}

/** `limits.body_bytes_max` -> `SALLYPORT_LIMITS_BODY_BYTES_MAX`. */
export function environmentName(path: string): string {
  return `SALLYPORT_${path.toUpperCase().replaceAll('.', '_')}`;
}
