/** What the machine gives: a Node that is new enough, room on its disks, and files that only their owner can read. */

import { lstatSync, readdirSync, statfsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Fault } from '@sallyport/model';
import { realFileSystem, stateHolder } from '@sallyport/runtime';
import { reasonOf } from '../../files.ts';
import { counted } from '../../output.ts';
import { failed, warned, well } from './check.ts';
import type { Check } from './check.ts';

/** As `engines` of the package has it. */
const NODE_MAJOR_MIN = 24;

/** `process.versions.node`. */
export function judgeNode(version: string): Check {
  const major = Number(version.split('.')[0]);
  if (major >= NODE_MAJOR_MIN) return well('node', version);
  return failed(
    'node',
    `${version} is older than ${NODE_MAJOR_MIN}`,
    `install Node ${NODE_MAJOR_MIN} or newer; in a clone, npm run uses the one that comes with it`,
  );
}

const MB = 1_048_576;
/** A journal may grow to its bound, which is 512 MB unless configured. */
const ROOM_WARN_BYTES = 1_024 * MB;
const ROOM_FAIL_BYTES = 64 * MB;

/** Room where a state folder is, or will be. */
export function judgeDisk(subject: string, dir: string): Check {
  try {
    const { bavail, bsize } = statfsSync(nearest(dir));
    const free = bavail * bsize;
    const shown = free >= 1_024 * MB ? `${(free / (1_024 * MB)).toFixed(1)} GB` : `${Math.floor(free / MB)} MB`;
    const says = `${shown} free at ${dir}`;
    if (free < ROOM_FAIL_BYTES) return failed(subject, says, 'a journal that cannot grow refuses every call: make room');
    return free < ROOM_WARN_BYTES ? warned(subject, says, 'make room before records can no longer be kept') : well(subject, says);
  } catch (error) {
    return failed(subject, `${dir}: ${reasonOf(error)}`);
  }
}

/** The folder, or the nearest above it that is there. */
function nearest(dir: string): string {
  for (let at = dir; ; at = dirname(at)) {
    if (lstatSync(at, { throwIfNoEntry: false }) !== undefined || dirname(at) === at) return at;
  }
}

const OTHERS = 0o077;
const FOLDER_ENTRIES_MAX = 1_000;

/** Private keys (`*.pem`) of the folders: none may be within reach of others. Nothing is said where there is none. */
export function judgeKeyFiles(folders: readonly string[]): readonly Check[] {
  if (process.platform === 'win32') return [];
  const keys = folders.flatMap(pemFiles);
  const exposed = keys.filter((path) => modeOf(path) & OTHERS);
  if (keys.length === 0) return [];
  if (exposed.length === 0)
    return [well('private keys', `${counted(keys.length, 'file')} that only ${keys.length === 1 ? 'its' : 'their'} owner can read`)];
  return exposed.map((path) =>
    failed(
      'private keys',
      `${path} can be reached by others (mode ${modeOf(path).toString(8).padStart(4, '0')})`,
      `chmod 600 '${path}', and make a new key if others were there`,
    ),
  );
}

/** A state folder has to be its owner's alone; nothing is said where it is not there yet. */
export function judgeStateFolder(subject: string, dir: string): readonly Check[] {
  const stats = lstatSync(dir, { throwIfNoEntry: false });
  if (stats === undefined || process.platform === 'win32') return [];
  if (!stats.isDirectory()) return [failed(subject, `${dir} is not a folder`, 'name another as state_dir')];
  const mode = stats.mode & 0o777;
  if ((mode & OTHERS) === 0) return [well(subject, `${dir}, for its owner alone`)];
  return [failed(subject, `others can enter ${dir} (mode ${mode.toString(8).padStart(4, '0')})`, `chmod 700 '${dir}'`)];
}

/** The living process that holds a state folder; `undefined` also where nobody could. */
export function holderOf(dir: string): number | undefined {
  try {
    return stateHolder(realFileSystem(), dir);
  } catch (error) {
    if (error instanceof Fault) return undefined;
    throw error;
  }
}

function modeOf(path: string): number {
  return (lstatSync(path, { throwIfNoEntry: false })?.mode ?? 0) & 0o777;
}

function pemFiles(folder: string): readonly string[] {
  try {
    const names = readdirSync(folder, { withFileTypes: true }).slice(0, FOLDER_ENTRIES_MAX);
    return names.filter((entry) => entry.isFile() && entry.name.endsWith('.pem')).map(({ name }) => join(folder, name));
  } catch {
    // A folder that is not there holds no key.
    return [];
  }
}
