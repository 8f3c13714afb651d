/** Audit records: the line, its chain, signed checkpoints, exports, and their verification without a network. */

export type { Field, FieldForm, OutcomeResult, RecordKind } from './fields.ts';
export { OUTCOME_RESULTS, RECORD_FIELDS, RECORD_KINDS } from './fields.ts';
export type {
  ActBody,
  ActiveBody,
  AlertBody,
  CertificateBody,
  CheckpointBody,
  CloseBody,
  DecisionBody,
  DecisionOrigin,
  DroppedBody,
  OutcomeBody,
  RecordBody,
  RecordPlace,
  RefusedBody,
  StartBody,
  StateBody,
  StreamEnd,
} from './record.ts';
export { encodeRecord, RECORD_BYTES_MAX } from './record.ts';
export type { AuditRecord, LineHead, WrittenDecision } from './read.ts';
export { interpretRecord, readHead, readRecord } from './read.ts';
export type { ChainState } from './chain.ts';
export { append, appendRecord, headHex, isStreamId, openStream } from './chain.ts';
export { stateAfter } from './resume.ts';
export type { AuditSigner, Envelope, EnvelopeProblem } from './envelope.ts';
export type { Checkpoint } from './checkpoint.ts';
export { signCheckpoint, verifyCheckpoint } from './checkpoint.ts';
export type { ExportManifest, ExportWriter } from './export.ts';
export { exportWriter } from './export.ts';
export type { AuditCa, WriterTrust } from './writer-key.ts';
export type { ExportVerifier, Finding, FindingReason, Report, StreamReport, VerifyOptions } from './verify.ts';
export { exportVerifier, verifyExport } from './verify.ts';
export type { CallEvent, CallJoiner } from './calls.ts';
export { joinCalls } from './calls.ts';
