/**
 * Offline verification of an export (docs/spec/audit-v1.md section 9). It needs the export, the CA certificates that a
 * verified Root lists, and nothing else: no network, no clock.
 */

import { Bug } from '@sallyport/model';
import type { StreamId } from '@sallyport/model';
import type { StreamEnd } from './record.ts';

/** A CA of the verified Root, and the SPIFFE paths that the Root lets it certify. */
export interface AuditCa {
  /** DER. */
  readonly certificate: Uint8Array;
  /** `/control-plane`, `/sidecar/`. */
  readonly prefixes: readonly string[];
}

export interface VerifyOptions {
  readonly roots: readonly AuditCa[];
  /** The Root's trust domain. */
  readonly trustDomain: string;
  /** Heads known from elsewhere (fleet status, an earlier export): each stream must reach them. */
  readonly expectedHeads?: readonly StreamEnd[];
  /** An export without its last line proves nothing about its tail; `optional` is for a raw spool or a tail. */
  readonly manifest?: 'required' | 'optional';
}

/** What is wrong with the record (or with the line where one should be). */
export type FindingReason =
  | 'unreadable'
  | 'edited'
  | 'deleted'
  | 'reordered'
  | 'inserted'
  | 'truncated'
  | 'forked'
  | 'forged_signature'
  | 'untrusted_certificate'
  | 'wrong_identity'
  | 'outside_certificate_life'
  | 'unlinked_restart';

/** The first bad record of a stream. */
export interface Finding {
  readonly reason: FindingReason;
  /** From 1. */
  readonly line: number;
  readonly stream: StreamId | null;
  /** The place that is wrong: of the edited record, or the first that is missing. */
  readonly seq: number | null;
  readonly decisionId: string | null;
  /** One clause for people. */
  readonly detail: string;
}

export interface StreamReport {
  readonly stream: StreamId;
  /** From the verified certificate; null where none verified. */
  readonly sidecar: string | null;
  readonly lastSeq: number;
  /** The last place that a checkpoint of the stream's own audit key covers; 0 where none does. */
  readonly signedThrough: number;
  /** Records after that: vouched for by the exporter alone. */
  readonly notYetCovered: number;
  readonly isClosed: boolean;
  /** The stream that this one continues, and whether it is part of the export. */
  readonly previous: { readonly stream: StreamId; readonly isInExport: boolean } | null;
  readonly finding: Finding | null;
}

export interface Report {
  readonly isSound: boolean;
  /** What is proven, and whose clock is trusted; one sentence. */
  readonly summary: string;
  /** The finding with the lowest line. */
  readonly firstBad: Finding | null;
  readonly streams: readonly StreamReport[];
  readonly records: number;
  /** Who signed the manifest; null without one. */
  readonly exporter: string | null;
  /** Records of kinds that this verifier does not know: chained and covered, not interpreted. */
  readonly unknownKinds: number;
}

/** Takes an export line by line, so that its size is not bounded by memory. */
export interface ExportVerifier {
  /** The next line's bytes; `isTerminated` false for a last line without its line feed. */
  add(line: Uint8Array, isTerminated?: boolean): void;
  end(): Report;
}

export function exportVerifier(_options: VerifyOptions): ExportVerifier {
  throw new Bug('to come');
}

/** Verifies a whole export at once. `lines` are lines without line feeds, or one array of the file's bytes. */
export function verifyExport(_lines: Iterable<Uint8Array> | Uint8Array, _options: VerifyOptions): Report {
  throw new Bug('to come');
}
