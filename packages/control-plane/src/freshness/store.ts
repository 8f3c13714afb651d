/** What the issuer of freshness may not forget: the last instant it signed. Its sequence is the database's own counter. */

import type { Instant } from '@sallyport/model';
import type { Migration, ServiceDatabase } from '@sallyport/store';

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
  issuedAt(): Instant | undefined;
  setIssuedAt(at: Instant): void;
  /** Inside a transaction. */
  nextSeq(): number;
  lastSeq(): number;
}

export function freshnessTable(database: ServiceDatabase): FreshnessTable {
  const read = database.prepare('SELECT issued_at_ms FROM freshness_last WHERE only = 1');
  const write = database.prepare(
    'INSERT INTO freshness_last (only, issued_at_ms) VALUES (1, ?) ON CONFLICT (only) DO UPDATE SET issued_at_ms = excluded.issued_at_ms',
  );
  return {
    issuedAt: () => read.get()?.['issued_at_ms'] as Instant | undefined,
    setIssuedAt: (at) => void write.run(at),
    nextSeq: () => database.nextSequence('statement'),
    lastSeq: () => database.lastSequence('statement'),
  };
}
