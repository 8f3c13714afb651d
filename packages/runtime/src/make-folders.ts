/**
 * Folders, made one by one. Node's own recursive mkdir repeats itself for ever where a file system answers "no such file"
 * below a folder that is there (`/proc`): a mistyped path must not leave a process that hears no signal.
 */

import { existsSync, mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/** Makes the folder at an absolute path, and those above it that are missing. The ones made, outermost first; throws the system's error. */
export function makeFolders(path: string, mode: number): readonly string[] {
  const missing: string[] = [];
  for (let folder = path; !existsSync(folder) && folder !== dirname(folder); folder = dirname(folder)) missing.unshift(folder);
  if (missing.length === 0 && !isFolder(path)) mkdirSync(path);
  return missing.filter((folder) => makeOne(folder, mode));
}

/** Whether this call made it; somebody else may have come before. */
function makeOne(folder: string, mode: number): boolean {
  try {
    mkdirSync(folder, { mode });
    return true;
  } catch (error) {
    if (isFolder(folder)) return false;
    throw error;
  }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
