/**
 * The tables of the collector, of this process alone like its segments. Records themselves are in the segments; here are
 * the index over them, which is rebuilt from the segments whenever it is missing, and what the segments do not say:
 * forks, reported heads, and the name by which this process is told from others on the same database.
 */

import type { SpiffeId } from '@sallyport/identity';
import type { Digest, Instant, StreamId } from '@sallyport/model';
import type { StreamEnd } from '@sallyport/audit';
import type { Migration, Row, LocalService, SqlValue } from '@sallyport/store';

export const AUDIT_MIGRATIONS: readonly Migration[] = [
  {
    name: 'index and evidence',
    sql: `
      CREATE TABLE audit_record (
        place INTEGER PRIMARY KEY,
        stream TEXT NOT NULL,
        seq INTEGER NOT NULL,
        at_ms INTEGER NOT NULL,
        kind TEXT NOT NULL,
        decision_id TEXT,
        agent TEXT,
        session TEXT,
        operator TEXT,
        case_id TEXT,
        tool TEXT,
        decision TEXT,
        code TEXT
      ) STRICT;
      CREATE UNIQUE INDEX audit_record_stream ON audit_record (stream, seq);
      CREATE INDEX audit_record_decision ON audit_record (decision_id) WHERE decision_id IS NOT NULL;
      CREATE INDEX audit_record_session ON audit_record (session) WHERE session IS NOT NULL;
      CREATE INDEX audit_record_case ON audit_record (case_id) WHERE case_id IS NOT NULL;
      CREATE TABLE audit_stream (
        stream TEXT PRIMARY KEY,
        writer TEXT NOT NULL,
        agent TEXT NOT NULL
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX audit_stream_agent ON audit_stream (agent);
      CREATE TABLE audit_progress (
        only INTEGER PRIMARY KEY CHECK (only = 1),
        indexed_place INTEGER NOT NULL
      ) STRICT;
      CREATE TABLE audit_fork (
        stream TEXT NOT NULL,
        seq INTEGER NOT NULL,
        digest TEXT NOT NULL,
        source TEXT NOT NULL,
        at_ms INTEGER NOT NULL,
        line BLOB NOT NULL,
        PRIMARY KEY (stream, seq, digest)
      ) STRICT, WITHOUT ROWID;
      CREATE TABLE audit_unclosed (
        stream TEXT PRIMARY KEY
      ) STRICT, WITHOUT ROWID;
      CREATE TABLE audit_reported (
        writer TEXT PRIMARY KEY,
        stream TEXT NOT NULL,
        seq INTEGER NOT NULL,
        head TEXT NOT NULL
      ) STRICT, WITHOUT ROWID;
      CREATE TABLE audit_replica (
        only INTEGER PRIMARY KEY CHECK (only = 1),
        name TEXT NOT NULL
      ) STRICT;`,
  },
  {
    name: 'which stream an alert gives up',
    // The index is built anew from the segments, so that alerts of before have their subject too.
    sql: `
      ALTER TABLE audit_record ADD COLUMN subject TEXT;
      CREATE INDEX audit_record_subject ON audit_record (subject) WHERE subject IS NOT NULL;
      DELETE FROM audit_record;
      DELETE FROM audit_stream;
      DELETE FROM audit_progress;`,
  },
  {
    name: 'streams that were taken over',
    sql: `CREATE TABLE audit_adopted (
      stream TEXT NOT NULL,
      seq INTEGER NOT NULL,
      held TEXT NOT NULL,
      PRIMARY KEY (stream, seq)
    ) STRICT, WITHOUT ROWID`,
  },
];

/** What the index knows of one record. */
export interface IndexedRecord {
  readonly place: number;
  readonly stream: StreamId;
  readonly seq: number;
  readonly at: Instant;
  readonly kind: string;
  readonly decisionId: string | null;
  readonly agent: string | null;
  readonly session: string | null;
  readonly operator: string | null;
  readonly caseId: string | null;
  readonly tool: string | null;
  readonly decision: string | null;
  readonly code: string | null;
  /** Of an alert: the stream that it is about. */
  readonly subject: string | null;
}

/** Which records a reader wants; an absent member wants all. */
export interface RecordFilter {
  readonly stream?: string;
  /** Streams whose writer serves this agent. */
  readonly agent?: string;
  readonly session?: string;
}

/** Where a stream was taken over from another control plane, with what is needed to go on. */
export interface AdoptedPlace {
  readonly stream: StreamId;
  readonly seq: number;
  readonly held: string;
}

export interface AuditTables {
  addRecord(record: IndexedRecord): void;
  addStream(stream: StreamId, writer: SpiffeId, agent: string): void;
  indexedPlace(): number;
  setIndexedPlace(place: number): void;
  /** Forgets the index, which is then built anew from the segments. */
  clearIndex(): void;
  placeOf(stream: StreamId, seq: number): number | undefined;
  /** Places above `after` and up to `upTo`, in order; with `calls`, those alone that can complete a call. */
  places(
    of: { readonly filter: RecordFilter; readonly calls?: boolean },
    options: { readonly after: number; readonly upTo: number; readonly limit: number },
  ): readonly number[];
  decisionPlace(decisionId: string, stream: string): number | undefined;
  /** What a decision was about, for the outcome that follows it. */
  decisionOf(decisionId: string, stream: string): Pick<IndexedRecord, 'agent' | 'session' | 'operator' | 'caseId' | 'tool'> | undefined;
  /**
   * Places of a stream's decisions before `upTo` that allowed, have no outcome up to `answeredUpTo`, and were not given up
   * by an alert before.
   */
  openDecisions(
    stream: string,
    filter: RecordFilter,
    options: { readonly upTo: number; readonly answeredUpTo: number; readonly limit: number },
  ): readonly number[];
  /** Whether an alert between two places says that the stream ended without a close. */
  isGivenUp(stream: string, between: { readonly after: number; readonly before: number }): boolean;
  addFork(fork: { stream: StreamId; seq: number; digest: Digest; source: string; at: Instant; line: Uint8Array }): void;
  forkedStreams(): readonly StreamId[];
  forkCount(stream: StreamId): number;
  addUnclosed(stream: StreamId): void;
  unclosedStreams(): readonly StreamId[];
  setReported(writer: SpiffeId, end: StreamEnd): void;
  reported(): readonly (StreamEnd & { readonly writer: SpiffeId })[];
  /** The name of this process among those that share a database, also after a restart; `proposed` where it has none yet. */
  replica(proposed: string): string;
  addAdopted(at: AdoptedPlace): void;
  adopted(): readonly AdoptedPlace[];
}

/** In the order of the table's columns. */
const MEMBERS: readonly (keyof IndexedRecord)[] = [
  'place',
  'stream',
  'seq',
  'at',
  'kind',
  'decisionId',
  'agent',
  'session',
  'operator',
  'caseId',
  'tool',
  'decision',
  'code',
  'subject',
];

export function auditTables(database: LocalService): AuditTables {
  const sql = (text: string): ReturnType<LocalService['prepare']> => database.prepare(text);
  const insertRecord = sql('INSERT OR REPLACE INTO audit_record VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)');
  const insertStream = sql('INSERT OR REPLACE INTO audit_stream (stream, writer, agent) VALUES (?, ?, ?)');
  const readProgress = sql('SELECT indexed_place AS place FROM audit_progress WHERE only = 1');
  const writeProgress = sql('INSERT OR REPLACE INTO audit_progress (only, indexed_place) VALUES (1, ?)');
  const findPlace = sql('SELECT place FROM audit_record WHERE stream = ? AND seq = ?');
  const findDecision = sql(`SELECT place FROM audit_record WHERE decision_id = ? AND stream = ? AND kind = 'DECISION'`);
  const findDecisionRow = sql(
    `SELECT agent, session, operator, case_id, tool FROM audit_record WHERE decision_id = ? AND stream = ? AND kind = 'DECISION'`,
  );
  const insertFork = sql('INSERT OR IGNORE INTO audit_fork (stream, seq, digest, source, at_ms, line) VALUES (?, ?, ?, ?, ?, ?)');
  const insertUnclosed = sql('INSERT OR IGNORE INTO audit_unclosed (stream) VALUES (?)');
  const writeReported = sql('INSERT OR REPLACE INTO audit_reported (writer, stream, seq, head) VALUES (?, ?, ?, ?)');
  const findGivenUp = sql(
    `SELECT EXISTS (SELECT 1 FROM audit_record WHERE subject = ? AND kind = 'ALERT' AND code = 'UNCLOSED' AND place > ? AND place < ?) AS found`,
  );
  const insertReplica = sql('INSERT INTO audit_replica (only, name) VALUES (1, ?) ON CONFLICT DO NOTHING');
  const readReplica = sql('SELECT name FROM audit_replica');
  const insertAdopted = sql('INSERT OR IGNORE INTO audit_adopted (stream, seq, held) VALUES (?, ?, ?)');
  const allAdopted = sql('SELECT stream, seq, held FROM audit_adopted');
  const countForks = sql('SELECT COUNT(*) AS forks FROM audit_fork WHERE stream = ?');
  const allForked = sql('SELECT DISTINCT stream FROM audit_fork');
  const allUnclosed = sql('SELECT stream FROM audit_unclosed');
  const allReported = sql('SELECT writer, stream, seq, head FROM audit_reported');
  const wipe = [sql('DELETE FROM audit_record'), sql('DELETE FROM audit_stream'), sql('DELETE FROM audit_progress')];
  return {
    addRecord: (record) => void insertRecord.run(...MEMBERS.map((name) => record[name])),
    addStream: (stream, writer, agent) => void insertStream.run(stream, writer, agent),
    indexedPlace: () => numberOf(readProgress.get(), 'place') ?? 0,
    setIndexedPlace: (place) => void writeProgress.run(place),
    clearIndex: () => wipe.forEach((statement) => statement.run()),
    placeOf: (stream, seq) => numberOf(findPlace.get(stream, seq), 'place'),
    places: ({ filter, calls }, { after, upTo, limit }) => {
      const { where, values } = conditions(filter, '');
      // The end of a stream, or the alert that there was none, completes calls that have no outcome, of whatever session.
      const ends = `kind = 'CLOSE' OR (kind = 'ALERT' AND code = 'UNCLOSED')`;
      const chosen = calls === true ? ` AND ((kind IN ('DECISION', 'OUTCOME')${where}) OR ${ends})` : where;
      const rows = sql(`SELECT place FROM audit_record WHERE place > ? AND place <= ?${chosen} ORDER BY place LIMIT ?`).all(
        after,
        upTo,
        ...values,
        limit,
      );
      return rows.map((row) => row['place'] as number);
    },
    decisionPlace: (decisionId, stream) => numberOf(findDecision.get(decisionId, stream), 'place'),
    decisionOf: (decisionId, stream) => {
      const row = findDecisionRow.get(decisionId, stream);
      if (row === undefined) return undefined;
      const text = (column: string): string | null => row[column] as string | null;
      return { agent: text('agent'), session: text('session'), operator: text('operator'), caseId: text('case_id'), tool: text('tool') };
    },
    openDecisions: (stream, filter, { upTo, answeredUpTo, limit }) => {
      const { where, values } = conditions(filter, 'd.');
      const rows = sql(
        `SELECT d.place AS place FROM audit_record d WHERE d.stream = ? AND d.kind = 'DECISION' AND d.decision = 'allow' AND d.place < ?${where}
         AND NOT EXISTS (SELECT 1 FROM audit_record o WHERE o.decision_id = d.decision_id AND o.kind = 'OUTCOME' AND o.place <= ?)
         AND NOT EXISTS (SELECT 1 FROM audit_record a WHERE a.subject = d.stream AND a.kind = 'ALERT' AND a.code = 'UNCLOSED'
                         AND a.place > d.place AND a.place < ?)
         ORDER BY d.place LIMIT ?`,
      ).all(stream, upTo, ...values, answeredUpTo, upTo, limit);
      return rows.map((row) => row['place'] as number);
    },
    isGivenUp: (stream, { after, before }) => findGivenUp.get(stream, after, before)?.['found'] === 1,
    addFork: ({ stream, seq, digest, source, at, line }) => void insertFork.run(stream, seq, digest, source, at, line),
    forkedStreams: () => allForked.all().map((row) => row['stream'] as StreamId),
    forkCount: (stream) => numberOf(countForks.get(stream), 'forks') ?? 0,
    addUnclosed: (stream) => void insertUnclosed.run(stream),
    unclosedStreams: () => allUnclosed.all().map((row) => row['stream'] as StreamId),
    setReported: (writer, { stream, seq, head }) => void writeReported.run(writer, stream, seq, head),
    reported: () =>
      allReported.all().map((row) => ({
        writer: row['writer'] as SpiffeId,
        stream: row['stream'] as StreamId,
        seq: row['seq'] as number,
        head: row['head'] as string,
      })),
    addAdopted: ({ stream, seq, held }) => void insertAdopted.run(stream, seq, held),
    adopted: () =>
      allAdopted.all().map((row) => ({ stream: row['stream'] as StreamId, seq: row['seq'] as number, held: row['held'] as string })),
    replica(proposed) {
      insertReplica.run(proposed);
      return readReplica.get()?.['name'] as string;
    },
  };
}

function conditions(
  { stream, agent, session }: RecordFilter,
  table: string,
): { readonly where: string; readonly values: readonly SqlValue[] } {
  const parts: [string, string | undefined][] = [
    [` AND ${table}stream = ?`, stream],
    [` AND ${table}stream IN (SELECT stream FROM audit_stream WHERE agent = ?)`, agent],
    [` AND ${table}session = ?`, session],
  ];
  const wanted = parts.filter((part): part is [string, string] => part[1] !== undefined);
  return { where: wanted.map(([clause]) => clause).join(''), values: wanted.map(([, value]) => value) };
}

function numberOf(row: Row | undefined, column: string): number | undefined {
  return row?.[column] as number | undefined;
}
