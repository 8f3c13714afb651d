/**
 * One process at a time on a state folder: two would append to the same segments and give out the same numbers. The file
 * names the process that holds it; one that a kill left behind is taken over once that process is gone. It guards
 * against a mistake on one machine, not against an attacker, nor against a second machine on shared storage.
 */

import { fromUtf8, utf8 } from '@sallyport/crypto';
import { Fault } from '@sallyport/model';
import { diskErrorCode } from '@sallyport/runtime';
import type { FileSystem } from '@sallyport/runtime';

const PID_BYTES_MAX = 32;

/** Takes the folder; the way to give it back. Throws a Fault `store_failed` where a living process holds it. */
export function lockState(disk: FileSystem, directory: string): () => void {
  const path = `${directory}/lock`;
  if (!tryCreate(disk, path)) {
    const holder = holderOf(disk, path);
    if (holder !== undefined && holder !== process.pid && isAlive(holder))
      throw new Fault('store_failed', 'internal', `\`${directory}\` is used by process ${holder}: one control plane at a time`);
    disk.unlink(path);
    if (!tryCreate(disk, path)) throw new Fault('store_failed', 'internal', `\`${directory}\` was just taken by another process`);
  }
  return () => void disk.unlink(path);
}

function tryCreate(disk: FileSystem, path: string): boolean {
  try {
    const file = disk.open(path, 'create_new');
    file.append(utf8(`${process.pid}\n`));
    file.close();
    return true;
  } catch (error) {
    if (diskErrorCode(error) === 'EEXIST') return false;
    throw error;
  }
}

function holderOf(disk: FileSystem, path: string): number | undefined {
  const bytes = disk.readFile(path, PID_BYTES_MAX);
  const pid = Number(bytes === undefined ? '' : fromUtf8(bytes));
  return Number.isSafeInteger(pid) && pid > 0 ? pid : undefined;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Anything but "no such process" means that there is one, and that it is somebody else's.
    return diskErrorCode(error) !== 'ESRCH';
  }
}
