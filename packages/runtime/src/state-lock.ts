/**
 * One process at a time on a state folder: two would append to the same segments and give out the same numbers. The file
 * names the process that holds it; one that a kill left behind is taken over once that process is gone. It guards
 * against a mistake on one machine, not against an attacker, nor against a second machine on shared storage.
 */

import { readFileSync } from 'node:fs';
import { Fault } from '@sallyport/model';
import { diskErrorCode, type FileSystem } from './file-system.ts';

const LOCK_BYTES_MAX = 64;

/** A process, and when it began as far as the system says: after a restart of the machine another may have its number. */
interface Holder {
  readonly pid: number;
  readonly began: string;
}

const OWN_STATE = 'stop that one, or give this one a `state_dir` of its own';

/** Takes the folder for `who`; the way to give it back. Throws a Fault `store_failed` where a living process holds it. */
export function lockState(
  disk: FileSystem,
  directory: string,
  who: 'control plane' | 'sidecar' | 'dev',
  remedy: string = OWN_STATE,
): () => void {
  const path = `${directory}/lock`;
  if (!tryCreate(disk, path)) {
    const written = settledText(disk, path);
    const holder = holderIn(written);
    if (holder !== undefined && holder.pid !== process.pid && isAlive(holder)) {
      throw new Fault('store_failed', 'internal', `\`${directory}\` is used by process ${holder.pid}: one ${who} at a time; ${remedy}`);
    }
    if (!putAside(disk, path, written) || !tryCreate(disk, path))
      throw new Fault('store_failed', 'internal', `\`${directory}\` was just taken by another process`);
  }
  return () => void disk.unlink(path);
}

/** Looks at a file that is empty: whoever made it a moment ago is about to write into it. */
const LOOKS_MAX = 1_000;

function settledText(disk: FileSystem, path: string): string {
  let text = '';
  for (let look = 0; look < LOOKS_MAX && text === ''; look++) text = textOf(disk, path) ?? '';
  return text;
}

/**
 * Takes away the file that was judged, and no other: of two processes that found the same one left behind, the slower would
 * remove the lock of the faster and hold the folder beside it. False where another one lay there, which is put back.
 */
function putAside(disk: FileSystem, path: string, judged: string): boolean {
  const aside = `${path}.${process.pid}`;
  try {
    disk.rename(path, aside);
  } catch (error) {
    // Somebody else has put it aside; who makes the next one first has it.
    if (diskErrorCode(error) === 'ENOENT') return true;
    throw error;
  }
  if ((textOf(disk, aside) ?? '') !== judged) {
    disk.rename(aside, path);
    return false;
  }
  disk.unlink(aside);
  return true;
}

/** The living process that holds the folder, by its number; `undefined` where none does. Takes nothing. */
export function stateHolder(disk: FileSystem, directory: string): number | undefined {
  const holder = holderIn(textOf(disk, `${directory}/lock`) ?? '');
  return holder !== undefined && isAlive(holder) ? holder.pid : undefined;
}

function tryCreate(disk: FileSystem, path: string): boolean {
  try {
    const file = disk.open(path, 'create_new');
    file.append(new TextEncoder().encode(`${process.pid} ${beginningOf(process.pid)}\n`));
    file.close();
    return true;
  } catch (error) {
    if (diskErrorCode(error) === 'EEXIST') return false;
    throw error;
  }
}

/** `undefined` where there is no file. */
function textOf(disk: FileSystem, path: string): string | undefined {
  const bytes = disk.readFile(path, LOCK_BYTES_MAX);
  return bytes === undefined ? undefined : new TextDecoder().decode(bytes);
}

function holderIn(text: string): Holder | undefined {
  const [pid = '', began = ''] = text.trim().split(' ');
  return /^[1-9]\d{0,9}$/.test(pid) ? { pid: Number(pid), began } : undefined;
}

function isAlive({ pid, began }: Holder): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // Anything but "no such process" means that there is one, and that it is somebody else's.
    if (diskErrorCode(error) === 'ESRCH') return false;
  }
  const now = beginningOf(pid);
  return now === UNKNOWN || began === UNKNOWN || now === began;
}

const UNKNOWN = '-';

/** Clock ticks from the machine's start to the process's (proc(5), `stat` field 22); unknown off Linux. */
function beginningOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command's name stands in parentheses and may hold anything; field 3 is the first behind it.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? UNKNOWN;
  } catch {
    return UNKNOWN;
  }
}
