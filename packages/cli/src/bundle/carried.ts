/** Writing a watched directory: each file whole or not at all, and what is of no release any more taken away last. */

import type { CarriedFile } from '@sallyport/contract';
import { concatBytes } from '@sallyport/crypto';
import { fail, ok } from '@sallyport/model';
import type { Instant, Problem, Result } from '@sallyport/model';
import { makeFolders } from '@sallyport/runtime';
import { FRESHNESS_TTL_MS_MAX, readCarriedName } from '@sallyport/trust';
import { readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { reasonOf, writeFile } from '../files.ts';

export interface CarriedBytes {
  readonly name: string;
  readonly bytes: Uint8Array;
}

const FILES_MAX = 512;

/** The files from their pieces; only names that a sidecar would read, and no more bytes than it would. */
export async function gatherCarried(pieces: AsyncIterable<CarriedFile>): Promise<Result<readonly CarriedBytes[], string>> {
  const files = new Map<string, Uint8Array[]>();
  let [name, bytes] = ['', 0];
  for await (const piece of pieces) {
    if (piece.name !== name) [name, bytes] = [piece.name, 0];
    bytes += piece.data.byteLength;
    // A name is a path once it is written: nothing else than these may come from afar.
    const carried = readCarriedName(name);
    if (carried === undefined) return fail(`\`${name.slice(0, 80)}\` is no file of a watched directory`);
    if (bytes > carried.bytesMax || files.size > FILES_MAX) return fail(`\`${name}\` is longer than such a file may be`);
    files.set(name, [...(files.get(name) ?? []), piece.data]);
  }
  return ok([...files].map(([each, parts]) => ({ name: each, bytes: concatBytes(...parts) })));
}

/** Makes the folder where it is missing; readable by all, written by its owner alone, as sidecars demand. */
export function prepareFolder(dir: string, shown: string): Problem | undefined {
  try {
    makeFolders(dir, 0o755);
    if ((statSync(dir).mode & 0o022) === 0) return undefined;
    return {
      path: '--to',
      file: shown,
      message: 'others than its owner may write to it, and so no sidecar will read it',
      remedy: `\`chmod go-w ${shown}\``,
    };
  } catch (error) {
    return {
      path: '--to',
      file: shown,
      message: `cannot be used: ${reasonOf(error)}`,
      remedy: 'name a folder that is yours, or a new one',
    };
  }
}

export function writeCarried(dir: string, files: readonly CarriedBytes[]): Result<undefined, Problem> {
  for (const { name, bytes } of files) {
    const written = writeFile(join(dir, name), bytes, { mode: 0o644, as: 'replacement' });
    if (!written.ok) return written;
  }
  return ok(undefined);
}

/** Takes away bundles that were not written now, and proofs that no question can be open for any more. */
export function removeOthers(dir: string, files: readonly CarriedBytes[], now: Instant): void {
  const kept = new Set(files.map(({ name }) => name));
  for (const name of readdirSync(dir)) {
    const kind = readCarriedName(name)?.kind;
    const isOld = kind === 'proof' && now - (statSync(join(dir, name), { throwIfNoEntry: false })?.mtimeMs ?? now) > FRESHNESS_TTL_MS_MAX;
    if ((kind === 'bundle' && !kept.has(name)) || isOld) rmSync(join(dir, name), { force: true });
  }
}
