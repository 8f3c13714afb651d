/**
 * Exports: record lines of one or more streams as they are, and one last line, the manifest, in which the control plane
 * signs where each stream ends, so that a tail cut off after the fact shows (docs/spec/audit-v1.md section 7).
 */

import { Bug } from '@sallyport/model';
import type { Instant } from '@sallyport/model';
import type { AuditSigner } from './envelope.ts';
import type { StreamEnd } from './record.ts';

/** What the manifest says. */
export interface ExportManifest {
  readonly streams: readonly StreamEnd[];
  /** Record lines before the manifest. */
  readonly records: number;
  readonly at: Instant;
  /** SPIFFE id of the control plane that made the export. */
  readonly exporter: string;
}

/** Counts and chains the lines that go into an export. One writer; lines of a stream in order. */
export interface ExportWriter {
  /** Takes the next line (bytes without a line feed), which the caller writes to the file, followed by a line feed. */
  add(line: Uint8Array): void;
  /** The last line, without its line feed. */
  finish(options: {
    readonly at: Instant;
    readonly exporter: string;
    readonly signer: AuditSigner;
    /** Chain of the signer's key, DER, leaf first. */
    readonly certificates: readonly Uint8Array[];
  }): Promise<Uint8Array>;
}

export function exportWriter(): ExportWriter {
  throw new Bug('to come');
}
