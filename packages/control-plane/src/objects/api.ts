/**
 * Content-addressed blobs on disk: bundle parts and signed envelopes, each under the digest of its exact bytes. The
 * digest is checked at every read, so that a blob edited behind our back is reported and never served. What the bytes
 * mean is not its business.
 */

import { digestOf } from '@sallyport/crypto';
import { fail, isDigest, ok } from '@sallyport/model';
import type { Digest, Result } from '@sallyport/model';
import { writeFileAtomically } from '@sallyport/runtime';
import type { FileSystem } from '@sallyport/runtime';
import type { Database } from '@sallyport/store';
import { OBJECTS_MIGRATIONS, objectTable } from './store.ts';

/** `absent`: never stored. `edited`: what is on disk is not what was stored. */
export type ObjectProblem = 'absent' | 'edited';

export interface Objects {
  /** Stores the bytes and names them. Durable when it resolves; the same bytes again cost nothing, and mend an edited blob. */
  put(bytes: Uint8Array): Promise<Result<Digest, 'full'>>;
  /** The bytes, verified against their name. */
  read(digest: Digest): Result<Uint8Array, ObjectProblem>;
  /** Whether `read` would succeed. */
  isHeld(digest: Digest): boolean;
}

export interface ObjectsOptions {
  readonly database: Database;
  readonly disk: FileSystem;
  /** Absolute; made if absent. */
  readonly directory: string;
  readonly objectBytesMax: number;
  readonly totalBytesMax: number;
  /** A blob does not match its name: called at each read that notices. */
  readonly onEdited: (digest: Digest) => void;
}

export function openObjects(options: ObjectsOptions): Objects {
  const { disk, directory, objectBytesMax, totalBytesMax } = options;
  const table = objectTable(options.database.service('objects', OBJECTS_MIGRATIONS));
  disk.makeDirectory(directory);
  // Owner: this store. Writers of one digest would share the temporary file beside it.
  const writing = new Map<Digest, Promise<void>>();

  const pathOf = (digest: Digest): string => `${directory}/${digest.slice('sha256:'.length)}`;

  const read = (digest: Digest): Result<Uint8Array, ObjectProblem> => {
    const bytes = isDigest(digest) ? table.bytesOf(digest) : undefined;
    if (bytes === undefined) return fail('absent');
    const found = readBounded(disk, pathOf(digest), objectBytesMax);
    if (found !== undefined && digestOf(found) === digest) return ok(found);
    options.onEdited(digest);
    return fail('edited');
  };

  const write = async (digest: Digest, bytes: Uint8Array): Promise<void> => {
    await writeFileAtomically(disk, pathOf(digest), bytes);
    // After the file, so that a row never names a blob that a loss of power took.
    options.database.transaction(() => table.add(digest, bytes.byteLength));
  };

  return {
    read,
    isHeld: (digest) => read(digest).ok,
    async put(bytes) {
      const digest = digestOf(bytes) as Digest;
      const running = writing.get(digest);
      if (running !== undefined) {
        await running;
        return ok(digest);
      }
      if (read(digest).ok) return ok(digest);
      if (bytes.byteLength > objectBytesMax || table.total() + bytes.byteLength > totalBytesMax) return fail('full');
      const written = write(digest, bytes).finally(() => writing.delete(digest));
      writing.set(digest, written);
      await written;
      return ok(digest);
    },
  };
}

/** A blob that grew past the bound, vanished or cannot be read is as edited as one with a flipped bit. */
function readBounded(disk: FileSystem, path: string, bytesMax: number): Uint8Array | undefined {
  try {
    return disk.readFile(path, bytesMax);
  } catch {
    // The disk's own words would say no more than `edited`: the bytes are not there.
    return undefined;
  }
}
