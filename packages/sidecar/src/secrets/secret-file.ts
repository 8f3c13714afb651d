/**
 * Secrets in files, below the one folder that the configuration names: plain files, and what Kubernetes projects, where
 * each name is a symbolic link and all of them change at once. A link that leads out of the folder is refused.
 */

import { fromUtf8 } from '@sallyport/crypto';
import type { Instant } from '@sallyport/model';
import { constants } from 'node:fs';
import { open, realpath, type FileHandle } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { SECRET_BYTES_MAX, secretOf, type SecretFailure, type Sourced } from './secret-source.ts';

/** A projected volume changes between the reading of a link and the opening of its end; then the new one is there. */
const TRIES_MAX = 3;
/** Others may not reach it; the group, by which Kubernetes gives a volume to a pod, may read. */
const TOO_OPEN = 0o027;

/** Reads `path`, whose form the policy has judged, below the folder. Never rejects. */
export function readSecretFile(folder: string, path: string): Promise<Sourced> {
  return tried(() => readBelow(folder, path), SECRET);
}

/** Likewise for a text of several lines, such as PEM; what it is fit for is the caller's to judge. */
export function readSecretText(folder: string, path: string): Promise<Sourced> {
  return tried(() => readBelow(folder, path), TEXT);
}

/** Reads a file that the configuration itself names, wherever its links lead. Never rejects. */
export function readConfiguredSecret(path: string): Promise<Sourced> {
  return tried(async () => realpath(path), SECRET);
}

/** How much of a file is read, and what its bytes become. */
interface Form {
  readonly bytesMax: number;
  readonly of: (bytes: Uint8Array, madeAt: Instant) => Sourced;
}
const SECRET: Form = { bytesMax: SECRET_BYTES_MAX, of: secretOf };
const TEXT_BYTES_MAX = 65_536;
const TEXT: Form = { bytesMax: TEXT_BYTES_MAX, of: textOf };

function textOf(bytes: Uint8Array, madeAt: Instant): Sourced {
  if (bytes.byteLength > TEXT_BYTES_MAX) return { failure: 'too_large' };
  const value = fromUtf8(bytes);
  if (value === undefined) return { failure: 'malformed' };
  return value === '' ? { failure: 'empty' } : { value, madeAt };
}

async function tried(place: () => Promise<string>, form: Form): Promise<Sourced> {
  let failure: SecretFailure = 'missing';
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    try {
      return await readPlace(await place(), form);
    } catch (thrown) {
      if (codeOf(thrown) !== 'ENOENT') return { failure: 'unreadable' };
      failure = 'missing';
    }
  }
  return { failure };
}

async function readBelow(folder: string, path: string): Promise<string> {
  const [home, place] = [await realpath(folder), await realpath(join(folder, path))];
  if (!place.startsWith(home.endsWith(sep) ? home : `${home}${sep}`)) throw new Error('it leads out of the folder');
  return place;
}

async function readPlace(place: string, form: Form): Promise<Sourced> {
  // The end of the links itself: one that is put there meanwhile is refused. A pipe without a writer must not be waited for.
  const file = await open(place, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    return await readOpen(file, form);
  } finally {
    await file.close();
  }
}

async function readOpen(file: FileHandle, { bytesMax, of }: Form): Promise<Sourced> {
  // Asked of the open file, not of the path: what was judged is what is read.
  const stats = await file.stat();
  if (!stats.isFile()) return { failure: 'unreadable' };
  if (process.platform !== 'win32' && (stats.mode & TOO_OPEN) !== 0) return { failure: 'exposed' };
  const bytes = new Uint8Array(bytesMax + 1);
  let length = 0;
  while (length < bytes.length) {
    const { bytesRead } = await file.read(bytes, length, bytes.length - length, length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return of(bytes.subarray(0, length), Math.floor(stats.mtimeMs) as Instant);
}

function codeOf(thrown: unknown): string | undefined {
  return thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : undefined;
}
