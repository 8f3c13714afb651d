/**
 * The disk as a port: every durable write of activation, journal and segments goes through it, so that a test can lose
 * power between any two of them (testkit's simulated disk). It names what must be durable; it decides no format.
 * Paths are absolute. Files are made with mode 0600, directories 0700, and a symbolic link in the last place is refused.
 */

import {
  closeSync,
  constants,
  fdatasync,
  fdatasyncSync,
  fstatSync,
  fsync,
  fsyncSync,
  ftruncateSync,
  open,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  unlinkSync,
  writevSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { Fault } from '@sallyport/model';
import { makeFolders } from './make-folders.ts';

/** `read` wants the file there; `append` makes it if absent and keeps what it holds; `create` empties it; `create_new` wants it absent. */
export type OpenMode = 'read' | 'append' | 'create' | 'create_new';

/** An open file. One owner at a time; reading works in every mode, writing in all but `read`. Each failure is a Fault `store_failed`. */
export interface DiskFile {
  readonly path: string;
  /** Its length now, in bytes. */
  size(): number;
  /** Up to `bytesMax` bytes from `position`; shorter only at the end of the file. */
  read(position: number, bytesMax: number): Uint8Array;
  /**
   * Writes all chunks at the end, in order. Afterwards the bytes survive a kill of the process, not a loss of power.
   * After a failure any prefix may have been written: the owner truncates before it goes on.
   */
  append(...chunks: readonly Uint8Array[]): void;
  /** Cuts the file to `bytes`. Durable with the next sync. */
  truncate(bytes: number): void;
  /** When it resolves, everything written before the call survives a loss of power (fdatasync). After a failure nothing is known: treat all unsynced bytes as lost. */
  sync(): Promise<void>;
  /** The same, blocking; for the last words of a process. */
  syncNow(): void;
  close(): void;
}

/** What may be done to a disk. Each failure is a Fault `store_failed` whose cause carries the errno (`diskErrorCode`). */
export interface FileSystem {
  open(path: string, mode: OpenMode): DiskFile;
  /** The whole file, or `undefined` where there is none. One longer than `bytesMax` is a failure, not a cut. */
  readFile(path: string, bytesMax: number): Uint8Array | undefined;
  /** Replaces `to` at once; survives a loss of power only after `syncDirectory` of the folder(s). */
  rename(from: string, to: string): void;
  /** False where there was nothing to remove. */
  unlink(path: string): boolean;
  /** Names in a folder, sorted; empty where there is no such folder. */
  list(directory: string): readonly string[];
  /** Makes the folder and those above it, durable when it returns; one that is there is fine. */
  makeDirectory(directory: string): void;
  /** When it resolves, entries made, renamed and removed in this folder before the call survive a loss of power. */
  syncDirectory(directory: string): Promise<void>;
}

/** The disk of this machine. */
export function realFileSystem(): FileSystem {
  return { open: openFile, readFile, rename, unlink, list, makeDirectory, syncDirectory };
}

/** The errno of a failed disk operation (`ENOSPC`, `EIO`), or `undefined` for another kind of error. */
export function diskErrorCode(error: unknown): string | undefined {
  const cause: unknown = error instanceof Fault ? error.cause : error;
  if (typeof cause !== 'object' || cause === null || !('code' in cause)) return undefined;
  return typeof cause.code === 'string' ? cause.code : undefined;
}

/** A disk failure as the port promises it; simulators use it too. */
export function diskFault(what: string, path: string, cause: unknown): Fault {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new Fault('store_failed', 'internal', `while ${what} \`${path}\`: ${reason}`, { cause });
}

const FLAGS: Record<OpenMode, number> = {
  read: constants.O_RDONLY,
  append: constants.O_RDWR | constants.O_CREAT | constants.O_APPEND,
  create: constants.O_RDWR | constants.O_CREAT | constants.O_TRUNC | constants.O_APPEND,
  create_new: constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_APPEND,
};
const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;

const openAsync = promisify(open);
const fsyncAsync = promisify(fsync);
const fdatasyncAsync = promisify(fdatasync);

function guarded<T>(what: string, path: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw error instanceof Fault ? error : diskFault(what, path, error);
  }
}

function isAbsent(error: unknown): boolean {
  return diskErrorCode(error) === 'ENOENT';
}

function openFile(path: string, mode: OpenMode): DiskFile {
  // A link planted in the state folder would turn our writes against another file.
  const fd = guarded('opening', path, () => openSync(path, FLAGS[mode] | constants.O_NOFOLLOW, FILE_MODE));
  return {
    path,
    size: () => guarded('measuring', path, () => fstatSync(fd).size),
    read: (position, bytesMax) => guarded('reading', path, () => readFully(fd, position, bytesMax)),
    append: (...chunks) => guarded('writing', path, () => writeFully(fd, chunks)),
    truncate: (bytes) => guarded('truncating', path, () => ftruncateSync(fd, bytes)),
    sync: async () => {
      try {
        await fdatasyncAsync(fd);
      } catch (error) {
        throw diskFault('syncing', path, error);
      }
    },
    syncNow: () => guarded('syncing', path, () => fdatasyncSync(fd)),
    close: () => guarded('closing', path, () => closeSync(fd)),
  };
}

function readFully(fd: number, position: number, bytesMax: number): Uint8Array {
  const wanted = Math.max(0, Math.min(bytesMax, fstatSync(fd).size - position));
  const bytes = new Uint8Array(wanted);
  let filled = 0;
  while (filled < wanted) {
    const read = readSync(fd, bytes, filled, wanted - filled, position + filled);
    if (read === 0) break;
    filled += read;
  }
  return filled === wanted ? bytes : bytes.subarray(0, filled);
}

function writeFully(fd: number, chunks: readonly Uint8Array[]): void {
  let left = chunks.filter((chunk) => chunk.length > 0);
  while (left.length > 0) {
    let written = writevSync(fd, left);
    // A short write (a signal, a nearly full disk) leaves the rest to the next round; a full disk then says ENOSPC.
    while (left[0] !== undefined && written >= left[0].length) {
      written -= left[0].length;
      left = left.slice(1);
    }
    if (written > 0 && left[0] !== undefined) left = [left[0].subarray(written), ...left.slice(1)];
  }
}

function readFile(path: string, bytesMax: number): Uint8Array | undefined {
  let file: DiskFile;
  try {
    file = openFile(path, 'read');
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
  try {
    const bytes = file.read(0, bytesMax + 1);
    if (bytes.length > bytesMax) throw new Fault('store_failed', 'internal', `while reading \`${path}\`: longer than ${bytesMax} bytes`);
    return bytes;
  } finally {
    file.close();
  }
}

function rename(from: string, to: string): void {
  guarded('renaming', from, () => renameSync(from, to));
}

function unlink(path: string): boolean {
  try {
    unlinkSync(path);
    return true;
  } catch (error) {
    if (isAbsent(error)) return false;
    throw diskFault('removing', path, error);
  }
}

function list(directory: string): readonly string[] {
  try {
    return readdirSync(directory).toSorted();
  } catch (error) {
    if (isAbsent(error)) return [];
    throw diskFault('listing', directory, error);
  }
}

function makeDirectory(directory: string): void {
  guarded('making', directory, () => {
    // Each new name is an entry of the folder above it, and is synced there.
    for (const made of makeFolders(directory, DIRECTORY_MODE).toReversed()) syncDirectoryNow(dirname(made));
  });
}

function syncDirectoryNow(directory: string): void {
  const fd = openSync(directory, constants.O_RDONLY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

async function syncDirectory(directory: string): Promise<void> {
  let fd: number | undefined;
  try {
    fd = await openAsync(directory, constants.O_RDONLY);
    await fsyncAsync(fd);
  } catch (error) {
    throw diskFault('syncing', directory, error);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
