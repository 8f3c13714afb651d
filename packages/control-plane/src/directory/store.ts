/** The head of the directory: what was signed last, and the content that it names. Contents are objects. */

import type { Digest, Instant } from '@sallyport/model';
import type { Migration, ServiceDatabase, Transaction } from '@sallyport/store';

export const DIRECTORY_MIGRATIONS: readonly Migration[] = [
  {
    name: 'the head',
    sql: `CREATE TABLE directory_head (
      one INTEGER PRIMARY KEY CHECK (one = 1),
      seq INTEGER NOT NULL CHECK (seq > 0),
      envelope BLOB NOT NULL,
      content TEXT NOT NULL,
      bytes INTEGER NOT NULL,
      principals INTEGER NOT NULL,
      issued_at_ms INTEGER NOT NULL
    ) STRICT`,
  },
];

export interface DirectoryHead {
  readonly seq: number;
  readonly envelope: Uint8Array;
  /** Digest and length of the content. */
  readonly content: Digest;
  readonly bytes: number;
  readonly principals: number;
  readonly issuedAt: Instant;
}

export interface DirectoryTable {
  head(tx: Transaction): Promise<DirectoryHead | undefined>;
  put(tx: Transaction, head: DirectoryHead): Promise<void>;
}

export function directoryTable(database: ServiceDatabase): DirectoryTable {
  const read = database.prepare('SELECT seq, envelope, content, bytes, principals, issued_at_ms FROM directory_head WHERE one = 1');
  const write = database.prepare(
    `INSERT INTO directory_head (one, seq, envelope, content, bytes, principals, issued_at_ms) VALUES (1, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (one) DO UPDATE SET seq = excluded.seq, envelope = excluded.envelope, content = excluded.content,
       bytes = excluded.bytes, principals = excluded.principals, issued_at_ms = excluded.issued_at_ms`,
  );
  return {
    async head(tx) {
      const row = await read.get(tx);
      if (row === undefined) return undefined;
      return {
        seq: row['seq'] as number,
        envelope: row['envelope'] as Uint8Array,
        content: row['content'] as Digest,
        bytes: row['bytes'] as number,
        principals: row['principals'] as number,
        issuedAt: row['issued_at_ms'] as Instant,
      };
    },
    put: async (tx, { seq, envelope, content, bytes, principals, issuedAt }) =>
      void (await write.run(tx, seq, envelope, content, bytes, principals, issuedAt)),
  };
}
