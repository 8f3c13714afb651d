/** The revocation log as signed: every entry's envelope, contiguous from 1. */

import type { Digest, Instant } from '@sallyport/model';
import type { Migration, ServiceDatabase, Transaction } from '@sallyport/store';
import type { RevocationHead } from '@sallyport/trust';

export const REVOCATION_MIGRATIONS: readonly Migration[] = [
  {
    name: 'the log',
    sql: `CREATE TABLE revocation_entry (
      seq INTEGER PRIMARY KEY CHECK (seq > 0),
      digest TEXT NOT NULL UNIQUE,
      envelope BLOB NOT NULL,
      author TEXT NOT NULL,
      accepted_at_ms INTEGER NOT NULL
    ) STRICT`,
  },
];

export interface LoggedRevocation {
  readonly seq: number;
  readonly digest: Digest;
  readonly envelope: Uint8Array;
}

export interface RevocationTable {
  head(tx: Transaction): Promise<RevocationHead>;
  add(tx: Transaction, entry: LoggedRevocation, by: { readonly author: string; readonly at: Instant }): Promise<void>;
  /** Entries above `seq`, in order. */
  after(tx: Transaction, seq: number, limit: number): Promise<readonly LoggedRevocation[]>;
}

export function revocationTable(database: ServiceDatabase): RevocationTable {
  const last = database.prepare('SELECT seq, digest FROM revocation_entry ORDER BY seq DESC LIMIT 1');
  const insert = database.prepare('INSERT INTO revocation_entry (seq, digest, envelope, author, accepted_at_ms) VALUES (?, ?, ?, ?, ?)');
  const above = database.prepare('SELECT seq, digest, envelope FROM revocation_entry WHERE seq > ? ORDER BY seq LIMIT ?');
  return {
    head: async (tx) => {
      const row = await last.get(tx);
      return row === undefined ? { seq: 0, head: null } : { seq: row['seq'] as number, head: row['digest'] as Digest };
    },
    add: async (tx, { seq, digest, envelope }, { author, at }) => void (await insert.run(tx, seq, digest, envelope, author, at)),
    after: async (tx, seq, limit) => {
      const rows = await above.all(tx, seq, limit);
      return rows.map((row) => ({
        seq: row['seq'] as number,
        digest: row['digest'] as Digest,
        envelope: row['envelope'] as Uint8Array,
      }));
    },
  };
}
