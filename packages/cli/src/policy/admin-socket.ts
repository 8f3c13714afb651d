/** Where a sidecar's administration socket is: said, configured, or that of the `sallyport dev` of this folder. */

import { existsSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fail, ok } from '@sallyport/model';
import type { Result } from '@sallyport/model';
import { readConfigText } from '@sallyport/runtime';
import { DEV_STATE, isDevFolder, readConnection } from '../dev/connection.ts';
import { at } from '../files.ts';
import type { Io } from '../io.ts';
import { text } from '../option.ts';
import type { Option } from '../option.ts';
import { refusal } from '../output.ts';
import type { Refusal } from '../output.ts';

export interface SocketOptions {
  readonly socket: string | undefined;
  readonly config: string | undefined;
}

/** Options of every command that asks a sidecar. */
export const SOCKET_OPTIONS: { readonly [K in keyof SocketOptions]: Option<string | undefined> } = {
  socket: text('--socket PATH', 'administration socket of the sidecar (default: of the dev that runs here, else of sidecar.yaml here)'),
  config: text('--config FILE', 'configuration of the sidecar, which says where its socket is'),
};

export interface FoundSocket {
  readonly path: string;
  /** Folder with the policy, where it is known: rules can then be opened from here. */
  readonly policyDir?: string;
}

const CONFIG_HERE = 'sidecar.yaml';

/** The first that is said or found: --socket, --config, the running `dev`, `sidecar.yaml`. */
export function findSocket({ socket, config }: SocketOptions, io: Io): Result<FoundSocket, Refusal> {
  if (socket !== undefined) return ok({ path: at(io.cwd, socket) });
  if (config !== undefined) return socketOf(at(io.cwd, config), config);
  const running = readConnection(at(io.cwd, DEV_STATE));
  if (running !== undefined) return ok({ path: running.adminSocket, policyDir: relative(io.cwd, running.policyDir) || '.' });
  const here = at(io.cwd, CONFIG_HERE);
  if (existsSync(here)) return socketOf(here, CONFIG_HERE);
  if (isDevFolder(at(io.cwd, DEV_STATE)))
    return fail(
      refusal(
        1,
        'the dev that ran here has ended, and what its sidecar remembered with it',
        'start `sallyport dev` without a command: it stays until Ctrl-C',
      ),
    );
  return fail(
    refusal(
      1,
      `no sidecar is known here: there is neither \`${DEV_STATE}\` nor \`${CONFIG_HERE}\``,
      'name its configuration with --config, or its socket with --socket',
    ),
  );
}

/** As the sidecar itself understands its configuration. */
function socketOf(file: string, shown: string): Result<FoundSocket, Refusal> {
  const named = readConfigText(file, 'admin.socket');
  const state = readConfigText(file, 'state_dir');
  if (!named.ok) return fail({ exit: 64, problems: named.error.map((problem) => ({ ...problem, file: shown })) });
  if (!state.ok) return fail({ exit: 64, problems: state.error.map((problem) => ({ ...problem, file: shown })) });
  if (named.value !== undefined) return ok({ path: resolve(dirname(file), named.value) });
  if (state.value !== undefined) return ok({ path: join(resolve(dirname(file), state.value), 'admin', 'socket') });
  return fail({
    exit: 64,
    problems: [{ path: 'state_dir', file: shown, message: 'is missing', remedy: 'is this the configuration of a sidecar?' }],
  });
}
