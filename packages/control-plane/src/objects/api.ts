/**
 * Content-addressed blobs: bundle parts and signed envelopes, each under the digest of its exact bytes. The digest is
 * checked at every read, so that a blob edited behind our back is reported and never served. What the bytes mean is not
 * its business, and where they are is `blobs.ts`.
 */

import { digestOf } from '@sallyport/crypto';
import { fail, isDigest, ok } from '@sallyport/model';
import type { Digest, Result } from '@sallyport/model';
import type { Database, Transaction } from '@sallyport/store';
import type { Blobs } from './blobs.ts';
import { OBJECTS_MIGRATIONS, objectTable } from './store.ts';
import type { ObjectTable } from './store.ts';

/** `absent`: never stored. `edited`: what is there is not what was stored. */
export type ObjectProblem = 'absent' | 'edited';

export interface Objects {
  /** Stores the bytes and names them. Durable when it resolves; the same bytes again cost nothing, and mend an edited blob. */
  put(bytes: Uint8Array): Promise<Result<Digest, 'full'>>;
  /** The bytes, verified against their name. */
  read(digest: Digest): Promise<Result<Uint8Array, ObjectProblem>>;
  /** The same, in the caller's transaction. */
  readIn(tx: Transaction, digest: Digest): Promise<Result<Uint8Array, ObjectProblem>>;
  /** Whether `read` would succeed. */
  isHeld(digest: Digest): Promise<boolean>;
}

export interface ObjectsOptions {
  readonly database: Database;
  /** Where the bytes are, given the table that counts them. */
  readonly blobs: (table: ObjectTable) => Blobs;
  readonly objectBytesMax: number;
  readonly totalBytesMax: number;
  /** A blob does not match its name: called at each read that notices. */
  readonly onEdited: (digest: Digest) => void;
}

export async function openObjects(options: ObjectsOptions): Promise<Objects> {
  const { database, objectBytesMax, totalBytesMax } = options;
  const table = objectTable(await database.service('objects', OBJECTS_MIGRATIONS));
  const blobs = options.blobs(table);
  // Owner: this store. Two writers of one digest would be in each other's way.
  const writing = new Map<Digest, Promise<Result<Digest, 'full'>>>();

  const readIn = async (tx: Transaction, digest: Digest): Promise<Result<Uint8Array, ObjectProblem>> => {
    const bytes = isDigest(digest) ? await table.bytesOf(tx, digest) : undefined;
    if (bytes === undefined) return fail('absent');
    const found = await blobs.read(tx, digest, objectBytesMax);
    if (found !== undefined && digestOf(found) === digest) return ok(found);
    options.onEdited(digest);
    return fail('edited');
  };
  const read = async (digest: Digest): Promise<Result<Uint8Array, ObjectProblem>> => database.read(async (tx) => readIn(tx, digest));

  const write = async (digest: Digest, bytes: Uint8Array): Promise<Result<Digest, 'full'>> => {
    if ((await read(digest)).ok) return ok(digest);
    const total = await database.read(async (tx) => table.total(tx));
    if (bytes.byteLength > objectBytesMax || total + bytes.byteLength > totalBytesMax) return fail('full');
    await blobs.prepare(digest, bytes);
    // After the file, so that a row never names a blob that a loss of power took.
    await database.transaction(async (tx) => {
      await table.add(tx, digest, bytes.byteLength);
      await blobs.write(tx, digest, bytes);
    });
    return ok(digest);
  };

  return {
    read,
    readIn,
    isHeld: async (digest) => (await read(digest)).ok,
    async put(bytes) {
      const digest = digestOf(bytes) as Digest;
      const running = writing.get(digest);
      if (running !== undefined) return running;
      const written = write(digest, bytes).finally(() => writing.delete(digest));
      writing.set(digest, written);
      return written;
    },
  };
}
