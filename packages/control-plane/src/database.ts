/**
 * Which database the control plane uses, and opening it: PostgreSQL where the configuration names one, else SQLite in
 * `state_dir`. A password is a file that nobody else reads, and appears in no message.
 */

import { readFileSync, statSync } from 'node:fs';
import { Fault, fail, ok } from '@sallyport/model';
import type { Clock, Problem, Result } from '@sallyport/model';
import { judgePostgresUrl, openPostgres, openSqlite } from '@sallyport/store';
import type { Database, DatabaseProblem, PostgresAddress } from '@sallyport/store';
import type { Log } from '@sallyport/telemetry';
import type { ControlPlaneConfig } from './config.ts';

/** In `state_dir`, where no other database is configured. */
export const DATABASE_FILE = 'control-plane.db';

const PASSWORD_BYTES_MAX = 4_096;
const CA_BYTES_MAX = 262_144;
/** Others may not reach it; the group, by which Kubernetes gives a volume to a pod, may read. */
const TOO_OPEN = 0o027;

/** Where PostgreSQL is; `undefined` where none is configured. Every problem at once; nothing is reached. */
export function readDatabase({ database }: ControlPlaneConfig): Result<PostgresAddress | undefined, readonly Problem[]> {
  if (database === undefined) return ok(undefined);
  const problems: Problem[] = [];
  const judged = judgePostgresUrl(database.url);
  if (judged !== undefined)
    problems.push({ path: 'database.url', message: judged, remedy: 'write `postgres://<user>@<host>:<port>/<database>`' });
  const { password_file, ca_file } = database;
  const password = password_file === undefined ? undefined : readPassword(password_file, problems);
  const ca = ca_file === undefined ? undefined : readText({ path: 'database.ca_file', file: ca_file, bytesMax: CA_BYTES_MAX, problems });
  if (problems.length > 0) return fail(problems);
  return ok({ url: database.url, ...(password === undefined ? {} : { password }), ...(ca === undefined ? {} : { ca }) });
}

function readPassword(file: string, problems: Problem[]): string | undefined {
  const path = 'database.password_file';
  const text = readText({ path, file, bytesMax: PASSWORD_BYTES_MAX, problems })?.replace(/\n$/, '');
  if (text === undefined) return undefined;
  if ((statSync(file).mode & TOO_OPEN) !== 0)
    problems.push({ path, message: `\`${file}\` can be read or changed by others`, remedy: `chmod 600 ${file}` });
  else if (text === '' || /[\n\0]/.test(text)) problems.push({ path, message: `\`${file}\` does not hold one line with a password` });
  else return text;
  return undefined;
}

function readText(of: {
  readonly path: string;
  readonly file: string;
  readonly bytesMax: number;
  readonly problems: Problem[];
}): string | undefined {
  const { path, file, bytesMax, problems } = of;
  try {
    if (statSync(file).size <= bytesMax) return readFileSync(file, 'utf8');
    problems.push({ path, message: `\`${file}\` has more than ${bytesMax} bytes` });
  } catch (error) {
    problems.push({ path, message: `\`${file}\` cannot be read: ${error instanceof Error ? error.message : String(error)}` });
  }
  return undefined;
}

export interface OpenOptions {
  /** Of `readDatabase`. */
  readonly address: PostgresAddress | undefined;
  readonly stateDir: string;
  readonly clock: Clock;
  readonly log: Log;
}

/** Throws a Fault where it does not open. */
export async function openControlPlaneDatabase({ address, stateDir, clock, log }: OpenOptions): Promise<Database> {
  if (address === undefined) return openAt(`${stateDir}/${DATABASE_FILE}`, openSqlite);
  const onFailure = (error: unknown): void => log.error('database.connection_lost', {}, error);
  return required('PostgreSQL', await openPostgres({ ...address, clock, onFailure }));
}

/** Opens a file; throws a Fault where it does not open. */
export function openAt<T>(path: string, open: (options: { readonly path: string }) => Result<T, DatabaseProblem>): T {
  return required(`\`${path}\``, open({ path }));
}

function required<T>(what: string, opened: Result<T, DatabaseProblem>): T {
  if (opened.ok) return opened.value;
  if (opened.error.code === 'failed') throw opened.error.fault;
  throw new Fault('store_failed', 'internal', `while opening ${what}: ${opened.error.message}`);
}
