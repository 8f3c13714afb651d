/**
 * The folder of one `dev`: taken under a lock, emptied of what an earlier run left, and left behind for looking at what
 * happened. It empties nothing that it did not make: a folder without its mark has to be empty.
 */

import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Fault, fail, ok } from '@sallyport/model';
import type { Problem, Result } from '@sallyport/model';
import { lockState, makeFolders, realFileSystem } from '@sallyport/runtime';
import { reasonOf, writeFile } from '../files.ts';
import { DEV_MARK, connectionFile } from './connection.ts';

export interface StateFolder {
  readonly dir: string;
  /** Where the administration socket goes; elsewhere than in `dir` where that would be too long for one. */
  readonly adminSocket: string;
  /** Where other commands look for a `dev` that runs here; gone with it. */
  readonly connectionFile: string;
  /** Lets go of it; key, record and log stay for a look. */
  close(): void;
}

/** Stay when the rest goes: who holds it, whose it is, what git passes over, and the part of the URL that clients are given. */
const KEPT: ReadonlySet<string> = new Set([DEV_MARK, 'lock', '.gitignore', 'url-key']);
/** The shortest bound of the systems that we run on (macOS), less the end of the text. */
const SOCKET_PATH_BYTES_MAX = 103;

/** Takes `dir` (absolute). Refused where another process holds it, or it holds something else. */
export function takeStateFolder(dir: string): Result<StateFolder, Problem> {
  let unlock: (() => void) | undefined;
  let elsewhere: string | undefined;
  try {
    makeFolders(dir, 0o700);
    const found = readdirSync(dir);
    if (found.length > 0 && !found.includes(DEV_MARK))
      return fail({ path: '--state', file: dir, message: 'is not empty, and no dev has made it', remedy: 'name a folder of its own' });
    unlock = lockState(realFileSystem(), dir, 'dev', 'stop that one, or give this one a folder of its own with --state');
    for (const name of found) if (!KEPT.has(name)) rmSync(join(dir, name), { recursive: true, force: true });
    for (const [name, text] of [
      [DEV_MARK, 'made by `sallyport dev`, which empties it at every start\n'],
      ['.gitignore', '*\n'],
    ] as const) {
      const written = writeFile(join(dir, name), text, { mode: 0o600, as: 'replacement' });
      if (!written.ok) throw new Fault('store_failed', 'internal', written.error.message);
    }
    const inside = join(dir, 'sidecar', 'admin', 'socket');
    const isTooLong = Buffer.byteLength(inside) > SOCKET_PATH_BYTES_MAX;
    if (isTooLong) elsewhere = mkdtempSync(join(tmpdir(), 'sallyport-dev-'));
    const release = unlock;
    return ok({
      dir,
      adminSocket: elsewhere === undefined ? inside : join(elsewhere, 'socket'),
      connectionFile: connectionFile(dir),
      close() {
        // They speak of what runs.
        for (const name of [connectionFile(dir), join(dir, 'env')]) rmSync(name, { force: true });
        if (elsewhere !== undefined) rmSync(elsewhere, { recursive: true, force: true });
        release();
      },
    });
  } catch (error) {
    unlock?.();
    return fail({ path: '--state', message: error instanceof Fault ? error.message : `\`${dir}\`: ${reasonOf(error)}` });
  }
}
