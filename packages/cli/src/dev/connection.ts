/**
 * What a running `sallyport dev` leaves in its folder for other commands: where its administration socket is, and from
 * which folder its policy comes. A hint and nothing more: whoever reads it asks the socket.
 */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { JsonObject } from '@sallyport/model';
import { readText } from '../files.ts';
import { DEFAULT_DIR } from '../home.ts';

export interface Connection {
  readonly pid: number;
  readonly adminSocket: string;
  /** Absolute. */
  readonly policyDir: string;
}

const FILE = 'connection.json';
const BYTES_MAX = 16_384;

/** Where `dev` keeps its state unless told otherwise, below a folder of one's own. */
export const DEV_STATE: string = join(DEFAULT_DIR, 'dev');

/** What a folder of `dev` is known by, also after its end. */
export const DEV_MARK = '.sallyport-dev';

/** Whether some `dev` has made this folder. */
export function isDevFolder(stateDir: string): boolean {
  return existsSync(join(stateDir, DEV_MARK));
}

export function connectionFile(stateDir: string): string {
  return join(stateDir, FILE);
}

export function connectionText({ pid, adminSocket, policyDir }: Connection): string {
  return `${JSON.stringify({ v: 1, pid, admin_socket: adminSocket, policy_dir: policyDir })}\n`;
}

/** `undefined` where nothing of the kind is there. */
export function readConnection(stateDir: string): Connection | undefined {
  const text = readText(connectionFile(stateDir), { bytesMax: BYTES_MAX });
  if (!text.ok) return undefined;
  try {
    const { pid, admin_socket: adminSocket, policy_dir: policyDir } = JSON.parse(text.value) as JsonObject;
    const isWhole = typeof pid === 'number' && typeof adminSocket === 'string' && typeof policyDir === 'string';
    return isWhole ? { pid, adminSocket, policyDir } : undefined;
  } catch {
    // Cut off, or somebody else's.
    return undefined;
  }
}
