/** Join tokens by the hash of their secret, and the workloads that were enrolled with them. */

import type { SpiffeId } from '@sallyport/identity';
import type { AgentName, Area, Instant, Ring } from '@sallyport/model';
import type { Migration, Row, ServiceDatabase, Transaction } from '@sallyport/store';

export const ENROLMENT_MIGRATIONS: readonly Migration[] = [
  {
    name: 'join tokens and workloads',
    sql: `
      CREATE TABLE enrolment_token (
        hash BLOB PRIMARY KEY,
        agent TEXT NOT NULL,
        area TEXT NOT NULL,
        ring TEXT NOT NULL,
        expires_at_ms INTEGER NOT NULL,
        author TEXT NOT NULL,
        spent_by TEXT
      ) STRICT, WITHOUT ROWID;
      CREATE TABLE enrolment_workload (
        spiffe_id TEXT PRIMARY KEY,
        agent TEXT NOT NULL,
        instance TEXT NOT NULL,
        area TEXT NOT NULL,
        ring TEXT NOT NULL,
        counter INTEGER NOT NULL,
        tls_key BLOB NOT NULL,
        audit_key BLOB NOT NULL,
        certified_until_ms INTEGER NOT NULL
      ) STRICT, WITHOUT ROWID;`,
  },
  {
    name: 'assertion keys',
    sql: 'ALTER TABLE enrolment_workload ADD COLUMN assertion_key BLOB',
  },
  {
    name: 'spent attestations',
    sql: 'CREATE TABLE enrolment_attestation (hash BLOB PRIMARY KEY, expires_at_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID',
  },
];

/** What whoever spends the token will be attested for. */
export interface JoinTokenRow {
  readonly hash: Uint8Array;
  readonly agent: AgentName;
  readonly area: Area;
  readonly ring: Ring;
  readonly expiresAt: Instant;
  readonly author: string;
  readonly spentBy: SpiffeId | null;
}

export interface Workload {
  readonly spiffeId: SpiffeId;
  readonly agent: AgentName;
  readonly instance: string;
  readonly area: Area;
  readonly ring: Ring;
  /** Of the certificates that were issued last; a renewal says it. */
  readonly counter: number;
  /** Raw public keys of the certificates that were issued last. */
  readonly tlsKey: Uint8Array;
  readonly auditKey: Uint8Array;
  /** Null for a sidecar that is older than assertions. */
  readonly assertionKey: Uint8Array | null;
  /** When the last certificate ends: until then the name is taken. */
  readonly certifiedUntil: Instant;
}

export interface EnrolmentTables {
  token(tx: Transaction, hash: Uint8Array): Promise<JoinTokenRow | undefined>;
  addToken(tx: Transaction, token: Omit<JoinTokenRow, 'spentBy'>): Promise<void>;
  spendToken(tx: Transaction, hash: Uint8Array, by: SpiffeId): Promise<void>;
  /** Tokens that can still be spent at `now`. */
  openTokens(tx: Transaction, now: Instant): Promise<number>;
  /** Forgets tokens that expired before `before`. */
  dropTokens(tx: Transaction, before: Instant): Promise<void>;
  isAttestationSpent(tx: Transaction, hash: Uint8Array): Promise<boolean>;
  /** Remembers it until it has ended, and forgets those that have. */
  spendAttestation(tx: Transaction, hash: Uint8Array, times: { readonly expiresAt: Instant; readonly now: Instant }): Promise<void>;
  workload(tx: Transaction, spiffeId: string): Promise<Workload | undefined>;
  /** When the last certificates of each workload end. */
  certifiedUntil(tx: Transaction): Promise<ReadonlyMap<string, Instant>>;
  /** Forgets workloads whose last certificate ended before `before`. */
  dropWorkloads(tx: Transaction, before: Instant): Promise<void>;
  putWorkload(tx: Transaction, workload: Workload): Promise<void>;
}

/** A clock that is set back must not make a spent token new. */
const ATTESTATION_SKEW_MS = 86_400_000;

const WORKLOAD = ['agent', 'instance', 'area', 'ring', 'counter', 'tls_key', 'audit_key', 'assertion_key', 'certified_until_ms'] as const;

export function enrolmentTables(database: ServiceDatabase): EnrolmentTables {
  const tokenBy = database.prepare('SELECT hash, agent, area, ring, expires_at_ms, author, spent_by FROM enrolment_token WHERE hash = ?');
  const insertToken = database.prepare(
    'INSERT INTO enrolment_token (hash, agent, area, ring, expires_at_ms, author) VALUES (?, ?, ?, ?, ?, ?)',
  );
  const spend = database.prepare('UPDATE enrolment_token SET spent_by = ? WHERE hash = ?');
  const countOpen = database.prepare('SELECT COUNT(*) AS open FROM enrolment_token WHERE spent_by IS NULL AND expires_at_ms > ?');
  const dropOld = database.prepare('DELETE FROM enrolment_token WHERE expires_at_ms < ?');
  const attestationBy = database.prepare('SELECT hash FROM enrolment_attestation WHERE hash = ?');
  const spendAttestation = database.prepare('INSERT INTO enrolment_attestation (hash, expires_at_ms) VALUES (?, ?)');
  const dropAttestations = database.prepare('DELETE FROM enrolment_attestation WHERE expires_at_ms < ?');
  const workloadBy = database.prepare(`SELECT spiffe_id, ${WORKLOAD.join(', ')} FROM enrolment_workload WHERE spiffe_id = ?`);
  const allUntil = database.prepare('SELECT spiffe_id, certified_until_ms FROM enrolment_workload');
  const dropEnded = database.prepare('DELETE FROM enrolment_workload WHERE certified_until_ms < ?');
  const replaceWorkload = database.prepare(
    `INSERT INTO enrolment_workload (spiffe_id, ${WORKLOAD.join(', ')}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (spiffe_id) DO UPDATE SET ${WORKLOAD.map((column) => `${column} = excluded.${column}`).join(', ')}`,
  );
  return {
    token: async (tx, hash) => optional(await tokenBy.get(tx, hash), tokenOf),
    addToken: async (tx, { hash, agent, area, ring, expiresAt, author }) =>
      void (await insertToken.run(tx, hash, agent, area, ring, expiresAt, author)),
    spendToken: async (tx, hash, by) => void (await spend.run(tx, by, hash)),
    openTokens: async (tx, now) => (await countOpen.get(tx, now))?.['open'] as number,
    dropTokens: async (tx, before) => void (await dropOld.run(tx, before)),
    dropWorkloads: async (tx, before) => void (await dropEnded.run(tx, before)),
    isAttestationSpent: async (tx, hash) => (await attestationBy.get(tx, hash)) !== undefined,
    async spendAttestation(tx, hash, { expiresAt, now }) {
      await dropAttestations.run(tx, now - ATTESTATION_SKEW_MS);
      await spendAttestation.run(tx, hash, expiresAt);
    },
    certifiedUntil: async (tx) =>
      new Map((await allUntil.all(tx)).map((row) => [row['spiffe_id'] as string, row['certified_until_ms'] as Instant])),
    workload: async (tx, spiffeId) => optional(await workloadBy.get(tx, spiffeId), workloadOf),
    putWorkload: async (tx, workload) =>
      void (await replaceWorkload.run(
        tx,
        workload.spiffeId,
        workload.agent,
        workload.instance,
        workload.area,
        workload.ring,
        workload.counter,
        workload.tlsKey,
        workload.auditKey,
        workload.assertionKey,
        workload.certifiedUntil,
      )),
  };
}

function optional<T>(row: Row | undefined, read: (row: Row) => T): T | undefined {
  return row === undefined ? undefined : read(row);
}

function tokenOf(row: Row): JoinTokenRow {
  return {
    hash: row['hash'] as Uint8Array,
    agent: row['agent'] as AgentName,
    area: row['area'] as Area,
    ring: row['ring'] as Ring,
    expiresAt: row['expires_at_ms'] as Instant,
    author: row['author'] as string,
    spentBy: row['spent_by'] as SpiffeId | null,
  };
}

function workloadOf(row: Row): Workload {
  return {
    spiffeId: row['spiffe_id'] as SpiffeId,
    agent: row['agent'] as AgentName,
    instance: row['instance'] as string,
    area: row['area'] as Area,
    ring: row['ring'] as Ring,
    counter: row['counter'] as number,
    tlsKey: row['tls_key'] as Uint8Array,
    auditKey: row['audit_key'] as Uint8Array,
    assertionKey: row['assertion_key'] as Uint8Array | null,
    certifiedUntil: row['certified_until_ms'] as Instant,
  };
}
