/** Which objects are held, and how many bytes they are: the table of the object store. The bytes themselves are files. */

import type { Digest } from '@sallyport/model';
import type { Migration, ServiceDatabase } from '@sallyport/store';

export const OBJECTS_MIGRATIONS: readonly Migration[] = [
  {
    name: 'objects by digest',
    sql: `CREATE TABLE objects_object (
      digest TEXT PRIMARY KEY,
      bytes INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID`,
  },
];

export interface ObjectTable {
  /** Length of a held object; `undefined` where it is not held. */
  bytesOf(digest: Digest): number | undefined;
  add(digest: Digest, bytes: number): void;
  /** Bytes of all objects together. */
  total(): number;
}

export function objectTable(database: ServiceDatabase): ObjectTable {
  const find = database.prepare('SELECT bytes FROM objects_object WHERE digest = ?');
  const insert = database.prepare('INSERT INTO objects_object (digest, bytes) VALUES (?, ?) ON CONFLICT DO NOTHING');
  const sum = database.prepare('SELECT COALESCE(SUM(bytes), 0) AS total FROM objects_object');
  return {
    bytesOf: (digest) => find.get(digest)?.['bytes'] as number | undefined,
    add: (digest, bytes) => {
      insert.run(digest, bytes);
    },
    total: () => sum.get()?.['total'] as number,
  };
}
