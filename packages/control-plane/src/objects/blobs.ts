/**
 * Where the bytes of objects are: files of a control plane that is alone, or rows of the database that several share, so
 * that any of them serves what another accepted.
 */

import type { Digest } from '@sallyport/model';
import { writeFileAtomically } from '@sallyport/runtime';
import type { FileSystem } from '@sallyport/runtime';
import type { Transaction } from '@sallyport/store';
import type { ObjectTable } from './store.ts';

export interface Blobs {
  /** What has to be durable before the transaction that makes the object exist. */
  prepare(digest: Digest, bytes: Uint8Array): Promise<void>;
  /** In that transaction. */
  write(tx: Transaction, digest: Digest, bytes: Uint8Array): Promise<void>;
  /** What is there, unverified; `undefined` for what is gone, unreadable or longer than `bytesMax`. */
  read(tx: Transaction, digest: Digest, bytesMax: number): Promise<Uint8Array | undefined>;
}

/** `directory` is absolute; made if absent. */
export function fileBlobs(disk: FileSystem, directory: string): Blobs {
  disk.makeDirectory(directory);
  const pathOf = (digest: Digest): string => `${directory}/${digest.slice('sha256:'.length)}`;
  return {
    prepare: async (digest, bytes) => writeFileAtomically(disk, pathOf(digest), bytes),
    write: async () => Promise.resolve(),
    async read(_tx, digest, bytesMax) {
      try {
        return await Promise.resolve(disk.readFile(pathOf(digest), bytesMax));
      } catch {
        // The disk's own words would say no more than that the bytes are not there.
        return undefined;
      }
    },
  };
}

export function rowBlobs(table: ObjectTable): Blobs {
  return {
    prepare: async () => Promise.resolve(),
    write: async (tx, digest, bytes) => table.setContent(tx, digest, bytes),
    async read(tx, digest, bytesMax) {
      const content = await table.content(tx, digest);
      return content !== undefined && content.byteLength <= bytesMax ? content : undefined;
    },
  };
}
