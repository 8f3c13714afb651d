/**
 * A folder that somebody else fills: plain files that are put there one by one, or a projected volume, whose names are
 * links that all change at once. What is read is bounded, lies in the folder, and can be written by its owner alone; it is
 * a candidate and nothing more. docs/spec/watched-directory.md sections 2 and 3.
 */

import { fail, ok, type Result } from '@sallyport/model';
import { diskErrorCode } from '@sallyport/runtime';
import { constants, type BigIntStats } from 'node:fs';
import { access, open, opendir, realpath, stat, type FileHandle } from 'node:fs/promises';
import { dirname, join, sep } from 'node:path';

/** What a file is at one moment; another content has another one, whatever `mtime` says. */
export type FileMark = string;

/** `undefined`: the file is not there (any more). A failure is one clause for operators. */
export interface CarriedFolder {
  /** Names of files that `isWanted`; refused where others may write to the folder, or too many lie there. */
  names(isWanted: (name: string) => boolean): Promise<Result<readonly string[], string>>;
  /** Whether a file may be read, and what it is now. */
  mark(name: string, bytesMax: number): Promise<Result<FileMark | undefined, string>>;
  /** Its bytes, if it is still what `mark` said, before and after; `undefined` where it changes under the reader. */
  read(name: string, bytesMax: number, mark: FileMark): Promise<Result<Uint8Array | undefined, string>>;
}

/** Entries looked at; a folder that has more is not one that was written for a sidecar. */
const ENTRIES_MAX = 1_024;
/** Writing by group and others. */
const WRITABLE_BY_OTHERS = 0o022n;
const CHUNK_BYTES = 1_048_576;

export function carriedFolder(folder: string): CarriedFolder {
  return {
    names: (isWanted) => judged(() => namesIn(folder, isWanted)),
    mark: (name, bytesMax) =>
      judged(async () => {
        const file = await openBelow(folder, name);
        if (!file.ok || file.value === undefined) return file.ok ? ok(undefined) : file;
        await using handle = file.value;
        const stats = await handle.stat({ bigint: true });
        const wrong = wrongWith(stats, bytesMax);
        return wrong === undefined ? ok(markOf(stats)) : fail(wrong);
      }),
    read: (name, bytesMax, mark) =>
      judged(async () => {
        const file = await openBelow(folder, name);
        if (!file.ok || file.value === undefined) return file.ok ? ok(undefined) : file;
        await using handle = file.value;
        const before = await handle.stat({ bigint: true });
        // Asked of the open file, not of the path: what was judged is what is read.
        if (wrongWith(before, bytesMax) !== undefined || markOf(before) !== mark) return ok(undefined);
        const bytes = await readAll(handle, Number(before.size));
        const after = await handle.stat({ bigint: true });
        return ok(bytes === undefined || markOf(after) !== mark ? undefined : bytes);
      }),
  };
}

async function judged<T>(act: () => Promise<Result<T, string>>): Promise<Result<T, string>> {
  try {
    return await act();
  } catch (thrown) {
    const code = diskErrorCode(thrown);
    if (code === undefined) throw thrown;
    return fail(`it cannot be read: ${code}`);
  }
}

async function namesIn(folder: string, isWanted: (name: string) => boolean): Promise<Result<readonly string[], string>> {
  const home = await realpath(folder);
  const wrong = await wrongWithFolder(home);
  if (wrong !== undefined) return fail(wrong);
  const names: string[] = [];
  let entries = 0;
  for await (const { name } of await opendir(home)) {
    if (++entries > ENTRIES_MAX) return fail(`it holds more than ${ENTRIES_MAX} entries`);
    if (isWanted(name)) names.push(name);
  }
  return ok(names.toSorted());
}

/** Who may write there could put old files back, and hide new ones: refused, although none of it could make policy. */
async function wrongWithFolder(home: string): Promise<string | undefined> {
  const stats = await stat(home, { bigint: true });
  if (!stats.isDirectory()) return 'it is not a folder';
  if (!isOurs(stats)) return 'it belongs to another user than this process or root';
  if (!isWritableByOthers(stats) || (await isReadOnly(home))) return undefined;
  return 'others than its owner may write to it';
}

/** Volumes that a cluster projects have mode 0777 and are mounted read-only. */
async function isReadOnly(home: string): Promise<boolean> {
  try {
    await access(home, constants.W_OK);
    return false;
  } catch (thrown) {
    return diskErrorCode(thrown) === 'EROFS';
  }
}

async function openBelow(folder: string, name: string): Promise<Result<FileHandle | undefined, string>> {
  try {
    const [home, place] = [await realpath(folder), await realpath(join(folder, name))];
    if (!place.startsWith(home.endsWith(sep) ? home : `${home}${sep}`)) return fail('it is a link that leads out of the folder');
    const wrong = dirname(place) === home ? undefined : await wrongWithFolder(dirname(place));
    if (wrong !== undefined) return fail(`the folder behind its link is refused: ${wrong}`);
    // The end of the links itself: one that is put there meanwhile is refused. A pipe without a writer must not be waited for.
    return ok(await open(place, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK));
  } catch (thrown) {
    if (diskErrorCode(thrown) === 'ENOENT') return ok(undefined);
    throw thrown;
  }
}

function wrongWith(stats: BigIntStats, bytesMax: number): string | undefined {
  if (!stats.isFile()) return 'it is not a file';
  if (!isOurs(stats)) return 'it belongs to another user than this process or root';
  if (isWritableByOthers(stats)) return 'others than its owner may write to it';
  return stats.size > BigInt(bytesMax) ? `it is longer than ${bytesMax} bytes` : undefined;
}

function isOurs({ uid }: BigIntStats): boolean {
  const own = process.geteuid?.();
  return own === undefined || uid === 0n || uid === BigInt(own);
}

function isWritableByOthers({ mode }: BigIntStats): boolean {
  return process.platform !== 'win32' && (mode & WRITABLE_BY_OTHERS) !== 0n;
}

/** The time of the last change of any kind is in it: nobody sets that one back. */
function markOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): FileMark {
  return [dev, ino, size, mtimeNs, ctimeNs].join(' ');
}

/** Exactly `length` bytes; `undefined` where there are fewer by now. */
async function readAll(file: FileHandle, length: number): Promise<Uint8Array | undefined> {
  const bytes = new Uint8Array(length);
  for (let filled = 0; filled < length;) {
    const { bytesRead } = await file.read(bytes, filled, Math.min(CHUNK_BYTES, length - filled), filled);
    if (bytesRead === 0) return undefined;
    filled += bytesRead;
  }
  return bytes;
}
