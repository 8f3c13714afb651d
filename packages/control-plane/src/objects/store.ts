/** Which objects are held, and how many bytes they are; and the bytes themselves where they are not files. */

import type { Digest } from '@sallyport/model';
import type { Migration, ServiceDatabase, Transaction } from '@sallyport/store';

export const OBJECTS_MIGRATIONS: readonly Migration[] = [
  {
    name: 'objects by digest',
    sql: `CREATE TABLE objects_object (
      digest TEXT PRIMARY KEY,
      bytes INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID`,
  },
  {
    name: 'bytes in rows',
    sql: `CREATE TABLE objects_content (
      digest TEXT PRIMARY KEY REFERENCES objects_object (digest),
      content BLOB NOT NULL
    ) STRICT`,
  },
];

export interface ObjectTable {
  /** Length of a held object; `undefined` where it is not held. */
  bytesOf(tx: Transaction, digest: Digest): Promise<number | undefined>;
  add(tx: Transaction, digest: Digest, bytes: number): Promise<void>;
  /** Bytes of all objects together. */
  total(tx: Transaction): Promise<number>;
  content(tx: Transaction, digest: Digest): Promise<Uint8Array | undefined>;
  setContent(tx: Transaction, digest: Digest, content: Uint8Array): Promise<void>;
}

export function objectTable(database: ServiceDatabase): ObjectTable {
  const find = database.prepare('SELECT bytes FROM objects_object WHERE digest = ?');
  const insert = database.prepare('INSERT INTO objects_object (digest, bytes) VALUES (?, ?) ON CONFLICT DO NOTHING');
  const sum = database.prepare('SELECT CAST(COALESCE(SUM(bytes), 0) AS BIGINT) AS total FROM objects_object');
  const readContent = database.prepare('SELECT content FROM objects_content WHERE digest = ?');
  const writeContent = database.prepare(
    'INSERT INTO objects_content (digest, content) VALUES (?, ?) ON CONFLICT (digest) DO UPDATE SET content = excluded.content',
  );
  return {
    bytesOf: async (tx, digest) => (await find.get(tx, digest))?.['bytes'] as number | undefined,
    add: async (tx, digest, bytes) => void (await insert.run(tx, digest, bytes)),
    total: async (tx) => (await sum.get(tx))?.['total'] as number,
    content: async (tx, digest) => (await readContent.get(tx, digest))?.['content'] as Uint8Array | undefined,
    setContent: async (tx, digest, content) => void (await writeContent.run(tx, digest, content)),
  };
}
