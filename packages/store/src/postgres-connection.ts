/**
 * How PostgreSQL is reached, and what its errors mean. Another machine is reached by TLS alone, its certificate verified
 * for its name; there is no setting that weakens that. A password never stands in the URL.
 */

import type { ClientConfig } from 'pg';
import { Bug, Fault, fail, ok } from '@sallyport/model';
import type { Result } from '@sallyport/model';

export interface PostgresAddress {
  /**
   * `postgres://<user>@<host>[:<port>]/<database>`, and nothing else. A host that begins with `%2F` is the directory of a
   * Unix socket, its slashes escaped.
   */
  readonly url: string;
  readonly password?: string;
  /** Authorities that may certify the server, PEM; those of the platform where there are none. */
  readonly ca?: string;
  /** Where the tables are; made if absent. */
  readonly schema?: string;
}

const CONNECT_MS = 5_000;
const STATEMENT_MS = 5_000;
/** A process that hangs inside a transaction holds up every other one. */
const IDLE_IN_TRANSACTION_MS = 10_000;
const PORT = 5432;
const LOOPBACK: ReadonlySet<string> = new Set(['127.0.0.1', '::1', 'localhost']);
const SCHEMA = /^[a-z][a-z0-9_]{0,62}$/;
const NAME = /^[A-Za-z_][A-Za-z0-9_.-]{0,62}$/;

export const DEFAULT_SCHEMA = 'sallyport';

/** What the driver needs, or what is wrong with the address, in words that hold no secret. */
export function readAddress({ url, password, ca, schema = DEFAULT_SCHEMA }: PostgresAddress): Result<ClientConfig, string> {
  if (!URL.canParse(url)) return fail('it is no URL');
  const read = new URL(url);
  if (read.protocol !== 'postgres:' && read.protocol !== 'postgresql:') return fail('it begins with `postgres://`');
  if (read.password !== '') return fail('it holds a password, which belongs into a file of its own');
  if (!SCHEMA.test(schema)) return fail('a schema is lower-case letters, digits and `_`, a letter first');
  const [user, database] = [decodeURIComponent(read.username), decodeURIComponent(read.pathname.slice(1))];
  if (!NAME.test(user) || !NAME.test(database)) return fail('it names a user and a database, each of letters, digits, `_`, `-` and `.`');
  if (read.search !== '' || read.hash !== '') return fail('it holds nothing but user, host, port and database');
  const host = decodeURIComponent(read.hostname).replaceAll(/^\[|\]$/g, '');
  if (host === '') return fail('it names a host');
  const isHere = host.startsWith('/') || LOOPBACK.has(host);
  return ok({
    user,
    database,
    host,
    port: read.port === '' ? PORT : Number(read.port),
    // A function, so that the driver looks neither into its environment nor into `.pgpass` where there is none.
    password: () => password ?? '',
    ssl: isHere ? false : { rejectUnauthorized: true, ...(ca === undefined ? {} : { ca }) },
    application_name: 'sallyport',
    options: `-c search_path=${schema} -c synchronous_commit=on -c timezone=UTC`,
    connectionTimeoutMillis: CONNECT_MS,
    statement_timeout: STATEMENT_MS,
    query_timeout: 2 * STATEMENT_MS,
    lock_timeout: STATEMENT_MS,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS,
    keepAlive: true,
    types: { getTypeParser: (oid: number) => (value: string) => valueOf(oid, value) },
  });
}

/** What is wrong with a URL, if anything; in words that hold no secret. */
export function judgePostgresUrl(url: string): string | undefined {
  const read = readAddress({ url });
  return read.ok ? undefined : read.error;
}

const BIGINT = 20;
const INTEGERS: ReadonlySet<number> = new Set([BIGINT, 21, 23]);
const TEXTS: ReadonlySet<number> = new Set([25, 1043, 19]);
const BYTEA = 17;

function valueOf(oid: number, value: string): number | string | Uint8Array {
  if (TEXTS.has(oid)) return value;
  if (oid === BYTEA) return new Uint8Array(Buffer.from(value.slice(String.raw`\x`.length), 'hex'));
  const number = Number(value);
  if (INTEGERS.has(oid) && Number.isSafeInteger(number)) return number;
  throw new Bug(`PostgreSQL answers with type ${oid}, or a number that is none`);
}

/** Classes of SQLSTATE that are errors in what was asked: data, integrity, syntax and names. */
const BUG_CLASSES: ReadonlySet<string> = new Set(['22', '23', '42']);
/** In class 42, and no mistake of ours: the role lacks a right. */
const INSUFFICIENT_PRIVILEGE = '42501';

/** What the driver or the server threw, as a Bug where what was asked is wrong, and as a Fault otherwise. */
export function postgresError(what: string, error: unknown): Error {
  if (error instanceof Bug || error instanceof Fault) return error;
  const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
  const text = error instanceof Error ? error.message : String(error);
  const message = `while ${what} in PostgreSQL: ${code === '' ? text : `${text} (${code})`}`;
  const isBug = /^[0-9A-Z]{5}$/.test(code) && BUG_CLASSES.has(code.slice(0, 2)) && code !== INSUFFICIENT_PRIVILEGE;
  return isBug ? new Bug(message, { cause: error }) : new Fault('store_failed', 'internal', message, { cause: error });
}
