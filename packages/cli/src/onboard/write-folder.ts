/** A folder of new files, there as a whole or not at all. */

import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { fail, ok } from '@sallyport/model';
import type { Problem, Result } from '@sallyport/model';
import type { PolicyFile } from '@sallyport/policy';
import { makeFolders } from '@sallyport/runtime';
import { at, reasonOf, writeFile } from '../files.ts';
import type { Io } from '../io.ts';

/** Whether there is nothing that could be overwritten. */
export function isFree(dir: string): boolean {
  if (!existsSync(dir)) return true;
  try {
    return readdirSync(dir).length === 0;
  } catch {
    // A file, or a folder that is not ours to look into.
    return false;
  }
}

/** Written beside its place and moved there: `dir` has to be absent or empty. */
export function writeFolder(dir: string, files: readonly PolicyFile[], io: Pick<Io, 'random'>): Result<undefined, Problem> {
  const scratch = `${dir}.${Buffer.from(io.random(4)).toString('hex')}.new`;
  try {
    makeFolders(dirname(dir), 0o777);
    mkdirSync(scratch);
    for (const { path, text } of files) {
      const written = writeFile(at(scratch, path), text, { mode: 0o644, as: 'new' });
      if (!written.ok) return written;
    }
    renameSync(scratch, dir);
    return ok(undefined);
  } catch (error) {
    return fail({ path: '', file: dir, message: `cannot be made: ${reasonOf(error)}`, remedy: 'name a folder that you may make' });
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
