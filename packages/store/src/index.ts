/** Durable state: the journal and the segment log under it, reservations, and the control plane's database. */

export type { Frame, FrameKind } from './frames.ts';
export { encodeFrame, FRAME_BYTES_MAX, FRAME_OVERHEAD_BYTES } from './frames.ts';
export type {
  AppendOptions,
  AppendRefusal,
  Appended,
  Durability,
  LoggedFrame,
  LogProblem,
  SegmentLog,
  SegmentLogOptions,
  SegmentLogStatus,
} from './segment-log.ts';
export { openSegmentLog } from './segment-log.ts';
export type {
  Journal,
  JournalEntry,
  JournalOptions,
  JournalRecord,
  JournalStatus,
  Recovered,
  StateFrame,
  UnshippedRecord,
} from './journal.ts';
export { openJournal } from './journal.ts';
export type {
  CountLimit,
  Limit,
  Refused,
  ReservationStore,
  Reserved,
  ReserveRequest,
  RunLimit,
  SettleOutcome,
  Span,
  SumLimit,
} from './reservations.ts';
export { RESERVATION_KEY_CHARS_MAX } from './reservations.ts';
export type { MemoryReservations, MemoryReservationsOptions } from './memory-reservations.ts';
export { memoryReservations } from './memory-reservations.ts';
export type { Database, DatabaseProblem, Migration, Row, ServiceDatabase, SqlValue, Statement, Transaction } from './database.ts';
export type { LocalDatabase, LocalService } from './local-database.ts';

export { openLocalDatabase } from './local-sqlite.ts';
export { openSqlite } from './sqlite.ts';
export type { PostgresOptions } from './postgres.ts';
export { openPostgres } from './postgres.ts';
export type { PostgresAddress } from './postgres-connection.ts';
export { judgePostgresUrl } from './postgres-connection.ts';
