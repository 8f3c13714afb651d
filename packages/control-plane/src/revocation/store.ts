/** The revocation log as signed: every entry's envelope, contiguous from 1. */

import type { Digest, Instant } from '@sallyport/model';
import type { Migration, ServiceDatabase } from '@sallyport/store';
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
  head(): RevocationHead;
  add(entry: LoggedRevocation, by: { readonly author: string; readonly at: Instant }): void;
  /** Entries above `seq`, in order. */
  after(seq: number, limit: number): readonly LoggedRevocation[];
}

export function revocationTable(database: ServiceDatabase): RevocationTable {
  const last = database.prepare('SELECT seq, digest FROM revocation_entry ORDER BY seq DESC LIMIT 1');
  const insert = database.prepare('INSERT INTO revocation_entry (seq, digest, envelope, author, accepted_at_ms) VALUES (?, ?, ?, ?, ?)');
  const above = database.prepare('SELECT seq, digest, envelope FROM revocation_entry WHERE seq > ? ORDER BY seq LIMIT ?');
  return {
    head: () => {
      const row = last.get();
      return row === undefined ? { seq: 0, head: null } : { seq: row['seq'] as number, head: row['digest'] as Digest };
    },
    add: ({ seq, digest, envelope }, { author, at }) => void insert.run(seq, digest, envelope, author, at),
    after: (seq, limit) =>
      above.all(seq, limit).map((row) => ({
        seq: row['seq'] as number,
        digest: row['digest'] as Digest,
        envelope: row['envelope'] as Uint8Array,
      })),
  };
}
