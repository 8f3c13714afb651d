/**
 * Exports: record lines of one or more streams as they are, and one last line, the manifest, in which the control plane
 * signs where each stream ends, so that a tail cut off after the fact shows (docs/spec/audit-v1.md section 7).
 */

import { concatBytes, decodeBase64, decodeHex, digestOf, encodeBase64, equalBytes, readCertificate, utf8 } from '@sallyport/crypto';
import { fail, formatInstant, invariant, ok } from '@sallyport/model';
import type { Instant, Json, Result, StreamId } from '@sallyport/model';
import { judge } from '@sallyport/strict';
import * as z from 'zod/mini';
import { append, headHex } from './chain.ts';
import type { ChainState } from './chain.ts';
import { openEnvelope, readEnvelope, signEnvelope } from './envelope.ts';
import type { AuditSigner, Envelope, EnvelopeProblem } from './envelope.ts';
import { readHead } from './read.ts';
import type { StreamEnd } from './record.ts';
import {
  API_VERSION,
  count,
  digestText,
  EXPORT_STREAMS_MAX,
  instant,
  readPayload,
  spiffeId,
  STATEMENT_BYTES_MAX,
  streamEnd,
} from './shapes.ts';

/** What the manifest says. */
export interface ExportManifest {
  /** Where each stream ends, in the order of their first lines. */
  readonly streams: readonly StreamEnd[];
  /** Record lines before the manifest. */
  readonly records: number;
  readonly at: Instant;
  /** SPIFFE id of the control plane that made the export. */
  readonly exporter: string;
}

/** Counts and chains the lines that go into an export. One writer; lines of a stream in order, from its first on. */
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

const PAYLOAD_TYPE = 'application/vnd.sallyport.export.v1+json';

const shape = z.strictObject({
  api_version: z.literal(API_VERSION),
  kind: z.literal('Export'),
  at: instant,
  exporter: spiffeId,
  records: count,
  certificates_digest: digestText,
  streams: z.array(streamEnd).check(z.maxLength(EXPORT_STREAMS_MAX)),
});

/** Lines that are no records are a Bug: the collector has judged each on arrival. */
export function exportWriter(): ExportWriter {
  // Owner: this writer.
  const states = new Map<StreamId, ChainState>();
  let records = 0;
  return {
    add(line) {
      const read = readHead(line);
      invariant(read.ok, 'an export is made of record lines');
      const { stream, seq, prev } = read.value;
      const before = states.get(stream) ?? { stream, seq: 0, head: decodeHex(prev) ?? new Uint8Array() };
      invariant(seq === before.seq + 1 && prev === headHex(before), 'lines of a stream are exported in order, from the first on');
      states.set(stream, append(before, line));
      records += 1;
      invariant(states.size <= EXPORT_STREAMS_MAX, 'an export has at most 10,000 streams');
    },
    async finish({ at, exporter, signer, certificates }) {
      const payload = {
        api_version: API_VERSION,
        kind: 'Export',
        at: formatInstant(at),
        exporter,
        records,
        certificates_digest: digestOfChain(certificates),
        streams: [...states.values()].map((state) => ({ stream: state.stream, seq: state.seq, head: headHex(state) })),
      };
      const envelope = await signEnvelope(PAYLOAD_TYPE, utf8(JSON.stringify(payload)), signer);
      return encodeManifest({ certificates: certificates.map(encodeBase64), envelope });
    },
  };
}

/** A manifest line as it stands: nothing in it is verified. */
export interface ManifestLine {
  /** DER, leaf first. */
  readonly certificates: readonly Uint8Array[];
  readonly envelope: Envelope;
}

/** A manifest line by its shape; `undefined` for one that differs in any byte from what `exportWriter` writes. */
export function readManifestLine(line: Uint8Array): ManifestLine | undefined {
  const judged = judge(line, { limits: { bytesMax: STATEMENT_BYTES_MAX } });
  if (!judged.ok || !isManifestTree(judged.value.tree)) return undefined;
  const { certificates, envelope } = judged.value.tree;
  const read = readEnvelope(envelope);
  if (read === undefined || !Array.isArray(certificates)) return undefined;
  const texts = (certificates as readonly Json[]).map((text) => (typeof text === 'string' ? text : ''));
  const ders = texts.map(decodeBase64).filter((der) => der !== undefined && der.length > 0) as Uint8Array[];
  // One spelling, so that a changed bit anywhere is seen, be it in a place that nobody reads.
  if (ders.length !== texts.length || !equalBytes(line, encodeManifest({ certificates: texts, envelope: read }))) return undefined;
  return { certificates: ders, envelope: read };
}

/** What the manifest says, if the holder of its first certificate signed it. Whether that certificate counts is for the caller. */
export function verifyManifest({ envelope, certificates }: ManifestLine): Result<ExportManifest, EnvelopeProblem> {
  const key = certificates[0] === undefined ? undefined : readCertificate(certificates[0])?.publicKey;
  if (key === undefined) return fail('wrong_key');
  const payload = openEnvelope(envelope, PAYLOAD_TYPE, key);
  if (!payload.ok) return payload;
  const read = readPayload(payload.value, shape);
  if (read === undefined || read.certificates_digest !== digestOfChain(certificates)) return fail('malformed');
  const { streams, records, at, exporter } = read;
  return ok({ streams, records, at, exporter });
}

/** Certificates that the chain does not need would be bytes that nobody vouches for. */
function digestOfChain(certificates: readonly Uint8Array[]): string {
  return digestOf(concatBytes(...certificates));
}

function encodeManifest({ certificates, envelope }: { readonly certificates: readonly string[]; readonly envelope: Envelope }): Uint8Array {
  const { payloadType, payload, signatures } = envelope;
  return utf8(JSON.stringify({ v: 1, kind: 'EXPORT', certificates, envelope: { payloadType, payload, signatures } }));
}

function isManifestTree(tree: Json): tree is { readonly certificates: Json; readonly envelope: Json } {
  return typeof tree === 'object' && tree !== null && !Array.isArray(tree) && 'certificates' in tree && 'envelope' in tree;
}
