/** What the issuer of freshness may not forget: the last instant it signed. Its sequence is the database's own counter. */

import type { Instant } from '@sallyport/model';
import type { Migration, ServiceDatabase, Transaction } from '@sallyport/store';

export const FRESHNESS_MIGRATIONS: readonly Migration[] = [
  {
    name: 'the last statement',
    sql: `CREATE TABLE freshness_last (
      only INTEGER PRIMARY KEY CHECK (only = 1),
      issued_at_ms INTEGER NOT NULL
    ) STRICT`,
  },
];

export interface FreshnessTable {
  issuedAt(tx: Transaction): Promise<Instant | undefined>;
  setIssuedAt(tx: Transaction, at: Instant): Promise<void>;
  nextSeq(tx: Transaction): Promise<number>;
  lastSeq(tx: Transaction): Promise<number>;
}

export function freshnessTable(database: ServiceDatabase): FreshnessTable {
  const read = database.prepare('SELECT issued_at_ms FROM freshness_last WHERE only = 1');
  const write = database.prepare(
    'INSERT INTO freshness_last (only, issued_at_ms) VALUES (1, ?) ON CONFLICT (only) DO UPDATE SET issued_at_ms = excluded.issued_at_ms',
  );
  return {
    issuedAt: async (tx) => (await read.get(tx))?.['issued_at_ms'] as Instant | undefined,
    setIssuedAt: async (tx, at) => void (await write.run(tx, at)),
    nextSeq: async (tx) => database.nextSequence(tx, 'statement'),
    lastSeq: async (tx) => database.lastSequence(tx, 'statement'),
  };
}
