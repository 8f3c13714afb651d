/** Bundles and releases that were accepted, for ever: versions are added and never changed. */

import type { AgentName, Area, Digest, Instant, PartName, ReleaseSeq, Revision, Ring } from '@sallyport/model';
import type { Migration, Row, ServiceDatabase, Transaction } from '@sallyport/store';
import type { PartRecord } from '@sallyport/trust';

export const PUBLISH_MIGRATIONS: readonly Migration[] = [
  {
    name: 'bundles and releases',
    sql: `
      CREATE TABLE publish_bundle (
        digest TEXT PRIMARY KEY,
        area TEXT NOT NULL,
        revision INTEGER NOT NULL,
        envelope TEXT NOT NULL,
        previous TEXT,
        source_commit TEXT,
        author TEXT NOT NULL,
        accepted_at_ms INTEGER NOT NULL,
        UNIQUE (area, revision)
      ) STRICT;
      CREATE TABLE publish_part (
        bundle TEXT NOT NULL REFERENCES publish_bundle (digest),
        name TEXT NOT NULL,
        digest TEXT NOT NULL,
        bytes INTEGER NOT NULL,
        PRIMARY KEY (bundle, name)
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX publish_part_digest ON publish_part (digest);
      CREATE TABLE publish_agent (
        bundle TEXT NOT NULL REFERENCES publish_bundle (digest),
        agent TEXT NOT NULL,
        PRIMARY KEY (bundle, agent)
      ) STRICT, WITHOUT ROWID;
      CREATE TABLE publish_release (
        digest TEXT PRIMARY KEY,
        area TEXT NOT NULL,
        ring TEXT NOT NULL,
        release_seq INTEGER NOT NULL,
        envelope TEXT NOT NULL,
        rollback INTEGER NOT NULL,
        reason TEXT,
        author TEXT NOT NULL,
        accepted_at_ms INTEGER NOT NULL,
        UNIQUE (area, ring, release_seq)
      ) STRICT;
      CREATE TABLE publish_release_bundle (
        release TEXT NOT NULL REFERENCES publish_release (digest),
        position INTEGER NOT NULL,
        role TEXT NOT NULL CHECK (role IN ('named', 'fallback')),
        bundle TEXT NOT NULL,
        area TEXT,
        revision INTEGER,
        PRIMARY KEY (release, role, position)
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX publish_release_bundle_bundle ON publish_release_bundle (bundle);`,
  },
];

export interface StoredBundle {
  readonly digest: Digest;
  readonly area: Area;
  readonly revision: Revision;
  /** Digest of the envelope's exact bytes, under which the object store has them. */
  readonly envelope: Digest;
  readonly previous: Digest | null;
  readonly sourceCommit: string | null;
  readonly author: string;
  readonly acceptedAt: Instant;
}

export interface StoredRelease {
  readonly digest: Digest;
  readonly area: Area;
  readonly ring: Ring;
  readonly releaseSeq: ReleaseSeq;
  readonly envelope: Digest;
  readonly rollback: boolean;
  readonly reason: string | null;
  readonly author: string;
  readonly acceptedAt: Instant;
  readonly bundles: readonly { readonly digest: Digest; readonly area: Area; readonly revision: Revision }[];
  readonly fallbacks: readonly Digest[];
}

/** An area and a ring: what a release is for. */
export interface Place {
  readonly area: Area;
  readonly ring: Ring;
}

export interface PublishTables {
  bundle(tx: Transaction, digest: Digest): Promise<StoredBundle | undefined>;
  newestBundle(tx: Transaction, area: Area): Promise<StoredBundle | undefined>;
  /** The newest first. */
  bundles(tx: Transaction, area: Area, limit: number): Promise<readonly StoredBundle[]>;
  addBundle(
    tx: Transaction,
    bundle: StoredBundle,
    of: { readonly parts: Readonly<Record<PartName, PartRecord>>; readonly agents: readonly AgentName[] },
  ): Promise<void>;
  parts(tx: Transaction, bundle: Digest): Promise<Readonly<Partial<Record<PartName, Digest>>>>;
  /** Areas and digests of the bundles that hold this part. */
  bundlesWithPart(tx: Transaction, part: Digest): Promise<readonly { readonly bundle: Digest; readonly area: Area }[]>;
  /** Length of a part that a bundle names. */
  partBytes(tx: Transaction, part: Digest): Promise<number | undefined>;
  hasAgent(tx: Transaction, bundle: Digest, agent: string): Promise<boolean>;
  release(tx: Transaction, digest: Digest): Promise<StoredRelease | undefined>;
  currentRelease(tx: Transaction, place: Place): Promise<StoredRelease | undefined>;
  /** The newest first. */
  releases(tx: Transaction, place: Place, limit: number): Promise<readonly StoredRelease[]>;
  /** The current release of every area and ring; what it names is not read. */
  heads(tx: Transaction): Promise<readonly Omit<StoredRelease, 'bundles' | 'fallbacks'>[]>;
  addRelease(tx: Transaction, release: StoredRelease): Promise<void>;
  /** The highest revision of each area that any release of this place has named. */
  highestRevisions(tx: Transaction, place: Place): Promise<readonly { readonly area: Area; readonly revision: Revision }[]>;
  isNamed(tx: Transaction, bundle: Digest, place: Place): Promise<boolean>;
}

const BUNDLE = 'digest, area, revision, envelope, previous, source_commit, author, accepted_at_ms';
const RELEASE = 'digest, area, ring, release_seq, envelope, rollback, reason, author, accepted_at_ms';

export function publishTables(database: ServiceDatabase): PublishTables {
  const sql = (text: string): ReturnType<ServiceDatabase['prepare']> => database.prepare(text);
  const bundleBy = sql(`SELECT ${BUNDLE} FROM publish_bundle WHERE digest = ?`);
  const bundlesOf = sql(`SELECT ${BUNDLE} FROM publish_bundle WHERE area = ? ORDER BY revision DESC LIMIT ?`);
  const insertBundle = sql(`INSERT INTO publish_bundle (${BUNDLE}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`);
  const insertPart = sql('INSERT INTO publish_part (bundle, name, digest, bytes) VALUES (?, ?, ?, ?)');
  const partsOf = sql('SELECT name, digest FROM publish_part WHERE bundle = ?');
  const withPart = sql(
    'SELECT DISTINCT p.bundle AS bundle, b.area AS area FROM publish_part p JOIN publish_bundle b ON b.digest = p.bundle WHERE p.digest = ?',
  );
  const bytesOf = sql('SELECT bytes FROM publish_part WHERE digest = ? LIMIT 1');
  const insertAgent = sql('INSERT INTO publish_agent (bundle, agent) VALUES (?, ?) ON CONFLICT DO NOTHING');
  const findAgent = sql('SELECT 1 AS found FROM publish_agent WHERE bundle = ? AND agent = ?');
  const releaseBy = sql(`SELECT ${RELEASE} FROM publish_release WHERE digest = ?`);
  const releasesOf = sql(`SELECT ${RELEASE} FROM publish_release WHERE area = ? AND ring = ? ORDER BY release_seq DESC LIMIT ?`);
  const headsOf = sql(
    `SELECT ${RELEASE} FROM publish_release r WHERE release_seq = (SELECT MAX(release_seq) FROM publish_release o WHERE o.area = r.area AND o.ring = r.ring) ORDER BY area, ring`,
  );
  const insertRelease = sql(`INSERT INTO publish_release (${RELEASE}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`);
  const insertNamed = sql('INSERT INTO publish_release_bundle (release, position, role, bundle, area, revision) VALUES (?, ?, ?, ?, ?, ?)');
  const namedBy = sql('SELECT role, bundle, area, revision FROM publish_release_bundle WHERE release = ? ORDER BY position');
  const revisionsOf = sql(
    `SELECT n.area AS area, MAX(n.revision) AS revision FROM publish_release_bundle n JOIN publish_release r ON r.digest = n.release
     WHERE r.area = ? AND r.ring = ? AND n.role = 'named' GROUP BY n.area`,
  );
  const findNamed = sql(
    `SELECT 1 AS found FROM publish_release_bundle n JOIN publish_release r ON r.digest = n.release
     WHERE n.bundle = ? AND r.area = ? AND r.ring = ? LIMIT 1`,
  );
  const release = async (tx: Transaction, row: Row): Promise<StoredRelease> => ({
    ...releaseOf(row),
    ...bundlesOfRelease(await namedBy.all(tx, row['digest'] ?? null)),
  });
  /** One after another: a transaction has one connection. */
  const all = async (tx: Transaction, rows: readonly Row[]): Promise<readonly StoredRelease[]> => {
    const read: StoredRelease[] = [];
    for (const row of rows) read.push(await release(tx, row));
    return read;
  };
  return {
    bundle: async (tx, digest) => optional(await bundleBy.get(tx, digest), bundleOf),
    newestBundle: async (tx, area) => optional(await bundlesOf.get(tx, area, 1), bundleOf),
    bundles: async (tx, area, limit) => (await bundlesOf.all(tx, area, limit)).map(bundleOf),
    async addBundle(tx, bundle, { parts, agents }) {
      const { digest, area, revision, envelope, previous, sourceCommit, author, acceptedAt } = bundle;
      await insertBundle.run(tx, digest, area, revision, envelope, previous, sourceCommit, author, acceptedAt);
      for (const [name, part] of Object.entries(parts)) await insertPart.run(tx, digest, name, part.digest, part.bytes);
      for (const agent of agents) await insertAgent.run(tx, digest, agent);
    },
    parts: async (tx, bundle) =>
      Object.fromEntries((await partsOf.all(tx, bundle)).map((row) => [row['name'], row['digest']])) as Partial<Record<PartName, Digest>>,
    bundlesWithPart: async (tx, part) =>
      (await withPart.all(tx, part)).map((row) => ({ bundle: row['bundle'] as Digest, area: row['area'] as Area })),
    partBytes: async (tx, part) => (await bytesOf.get(tx, part))?.['bytes'] as number | undefined,
    hasAgent: async (tx, bundle, agent) => (await findAgent.get(tx, bundle, agent)) !== undefined,
    async release(tx, digest) {
      const row = await releaseBy.get(tx, digest);
      return row === undefined ? undefined : release(tx, row);
    },
    currentRelease: async (tx, { area, ring }) => (await all(tx, await releasesOf.all(tx, area, ring, 1)))[0],
    releases: async (tx, { area, ring }, limit) => all(tx, await releasesOf.all(tx, area, ring, limit)),
    heads: async (tx) => (await headsOf.all(tx)).map(releaseOf),
    async addRelease(tx, { digest, area, ring, releaseSeq, envelope, rollback, reason, author, acceptedAt, bundles, fallbacks }) {
      await insertRelease.run(tx, digest, area, ring, releaseSeq, envelope, rollback ? 1 : 0, reason, author, acceptedAt);
      for (const [position, bundle] of bundles.entries())
        await insertNamed.run(tx, digest, position, 'named', bundle.digest, bundle.area, bundle.revision);
      for (const [position, fallback] of fallbacks.entries()) await insertNamed.run(tx, digest, position, 'fallback', fallback, null, null);
    },
    highestRevisions: async (tx, { area, ring }) =>
      (await revisionsOf.all(tx, area, ring)).map((row) => ({ area: row['area'] as Area, revision: row['revision'] as Revision })),
    isNamed: async (tx, bundle, { area, ring }) => (await findNamed.get(tx, bundle, area, ring)) !== undefined,
  };
}

function optional<T>(row: Row | undefined, read: (row: Row) => T): T | undefined {
  return row === undefined ? undefined : read(row);
}

function bundleOf(row: Row): StoredBundle {
  return {
    digest: row['digest'] as Digest,
    area: row['area'] as Area,
    revision: row['revision'] as Revision,
    envelope: row['envelope'] as Digest,
    previous: row['previous'] as Digest | null,
    sourceCommit: row['source_commit'] as string | null,
    author: row['author'] as string,
    acceptedAt: row['accepted_at_ms'] as Instant,
  };
}

function releaseOf(row: Row): Omit<StoredRelease, 'bundles' | 'fallbacks'> {
  return {
    digest: row['digest'] as Digest,
    area: row['area'] as Area,
    ring: row['ring'] as Ring,
    releaseSeq: row['release_seq'] as ReleaseSeq,
    envelope: row['envelope'] as Digest,
    rollback: row['rollback'] === 1,
    reason: row['reason'] as string | null,
    author: row['author'] as string,
    acceptedAt: row['accepted_at_ms'] as Instant,
  };
}

function bundlesOfRelease(rows: readonly Row[]): Pick<StoredRelease, 'bundles' | 'fallbacks'> {
  const named = rows.filter((row) => row['role'] === 'named');
  return {
    bundles: named.map((row) => ({ digest: row['bundle'] as Digest, area: row['area'] as Area, revision: row['revision'] as Revision })),
    fallbacks: rows.filter((row) => row['role'] === 'fallback').map((row) => row['bundle'] as Digest),
  };
}
