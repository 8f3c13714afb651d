/** Files that a person names on the command line: read whole, within a bound, and refused with their name and a remedy. */

import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  fstatSync,
  fsyncSync,
  openSync,
  readSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { concatBytes, fromUtf8 } from '@sallyport/crypto';
import { fail, ok } from '@sallyport/model';
import type { Problem, Result } from '@sallyport/model';
import { makeFolders } from '@sallyport/runtime';

/** The file's bytes. `shown` is what the person typed, for the problem. */
export function readBytes(path: string, options: { readonly bytesMax: number; readonly shown?: string }): Result<Uint8Array, Problem> {
  const file = options.shown ?? path;
  let descriptor: number | undefined;
  try {
    descriptor = openSync(path, 'r');
    const stats = fstatSync(descriptor);
    if (stats.isDirectory()) return fail({ path: '', file, message: 'this is a folder', remedy: 'name a file' });
    if (stats.size > options.bytesMax) return fail({ path: '', file, message: `longer than ${options.bytesMax} bytes` });
    const bytes = readAtMost(descriptor, options.bytesMax + 1);
    return bytes.byteLength > options.bytesMax ? fail({ path: '', file, message: `longer than ${options.bytesMax} bytes` }) : ok(bytes);
  } catch (error) {
    return fail({ path: '', file, message: `cannot be read: ${reasonOf(error)}` });
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

const CHUNK_BYTES = 65_536;

/** Of a pipe or a device nobody knows the length before the end; `/dev/zero` has none. */
function readAtMost(descriptor: number, bytesMax: number): Uint8Array {
  const chunks: Uint8Array[] = [];
  for (let bytes = 0; bytes < bytesMax;) {
    const chunk = new Uint8Array(Math.min(CHUNK_BYTES, bytesMax - bytes));
    const read = readSync(descriptor, chunk);
    if (read === 0) break;
    chunks.push(chunk.subarray(0, read));
    bytes += read;
  }
  return concatBytes(...chunks);
}

/** Whether a problem of reading says that nothing is there. */
export function isAbsence({ message }: Problem): boolean {
  return message === `cannot be read: ${ABSENT}`;
}

/** The file's text, strict UTF-8. */
export function readText(path: string, options: { readonly bytesMax: number; readonly shown?: string }): Result<string, Problem> {
  const bytes = readBytes(path, options);
  if (!bytes.ok) return bytes;
  const text = fromUtf8(bytes.value);
  return text === undefined ? fail({ path: '', file: options.shown ?? path, message: 'is not UTF-8' }) : ok(text);
}

export interface WriteOptions {
  /** 0600 for what is secret or private, 0644 for what others read. */
  readonly mode: number;
  /** `new` refuses to touch what is there. */
  readonly as: 'new' | 'replacement';
}

/** Writes and syncs a file, and makes the folders above it (0700). A replacement appears whole or not at all. */
export function writeFile(path: string, content: string | Uint8Array, { mode, as }: WriteOptions): Result<undefined, Problem> {
  const target = as === 'new' ? path : `${path}.tmp`;
  let descriptor: number | undefined;
  try {
    makeFolders(dirname(path), 0o700);
    // A link, or a file of somebody else's, that lies where we write first would lead the bytes away, or keep its own mode.
    if (as === 'replacement') rmSync(target, { force: true });
    descriptor = openSync(target, 'wx', mode);
    writeFileSync(descriptor, content);
    fsyncSync(descriptor);
    if (as === 'replacement') renameSync(target, path);
    return ok(undefined);
  } catch (error) {
    return fail({
      path: '',
      file: path,
      message: `cannot be written: ${reasonOf(error)}`,
      remedy: 'name a new file in a folder that you own',
    });
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

/**
 * What is wrong with the place that an `--out` names, asked before anything is made or sent for it: its folder is not
 * there (a mistyped name is refused, never made), cannot be written to, or the name is taken where nothing is replaced.
 */
export function outProblem(path: string, options: { readonly as: WriteOptions['as']; readonly shown?: string }): Problem | undefined {
  const file = options.shown ?? path;
  const folder = dirname(path);
  const remedy = 'name a file in a folder that is there, and yours';
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true)
    return { path: '', file, message: `there is no folder \`${folder}\``, remedy: 'make it first, or name another place' };
  if (options.as === 'new' && existsSync(path))
    return { path: '', file, message: 'exists, and is not overwritten', remedy: 'name a new file' };
  try {
    accessSync(folder, constants.W_OK | constants.X_OK);
    return undefined;
  } catch (error) {
    return { path: '', file, message: `cannot be written: ${reasonOf(error)}`, remedy };
  }
}

/** Every file below a folder whose name `isWanted`, relative to it, with `/`, sorted. Hidden entries are passed over, and so are links and installed packages. */
export function filesBelow(directory: string, isWanted: (name: string) => boolean, filesMax: number): Result<readonly string[], Problem> {
  const found: string[] = [];
  const pending = [directory];
  try {
    for (let folder = pending.pop(); folder !== undefined; folder = pending.pop()) {
      for (const entry of readdirSync(folder, { withFileTypes: true })) {
        if (entry.name.startsWith('.') || entry.name === 'node_modules') continue;
        const path = join(folder, entry.name);
        if (entry.isDirectory()) pending.push(path);
        else if (entry.isFile() && isWanted(entry.name)) found.push(relative(directory, path).split(sep).join('/'));
        if (found.length > filesMax)
          return fail({
            path: '',
            file: directory,
            message: `holds more than ${filesMax} files`,
            remedy: 'name the folder of the policy alone',
          });
      }
    }
  } catch (error) {
    return fail({ path: '', file: directory, message: `cannot be read: ${reasonOf(error)}`, remedy: 'name a folder' });
  }
  return ok(found.toSorted());
}

/** A path of the command line, absolute. */
export function at(cwd: string, path: string): string {
  return resolve(cwd, path);
}

/** The system's reason in words where we have them, else its code. */
export function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return REASONS[code] ?? (code === '' ? String(error instanceof Error ? error.message : error) : code);
}

const ABSENT = 'there is no such file or folder';
const REASONS: Readonly<Record<string, string>> = {
  ENOENT: ABSENT,
  ENOTDIR: 'this is not a folder',
  EISDIR: 'this is a folder',
  EACCES: 'permission denied',
  EPERM: 'not permitted',
  EEXIST: 'it exists already',
  ENOSPC: 'the disk is full',
  EROFS: 'the disk is read-only',
  EDQUOT: 'the quota of the disk is used up',
  EFBIG: 'the file is as large as it may become',
  EIO: 'the disk has failed',
};
