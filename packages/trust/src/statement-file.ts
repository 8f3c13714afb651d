/** Freshness statements as one file: the signed bytes, and beside them the entries that concerned this receiver. */

import { decodeBase64, encodeBase64, utf8 } from '@sallyport/crypto';
import { isArea, isDigest, isRing, type ReleaseSeq } from '@sallyport/model';
import { judge } from '@sallyport/strict';
import type { FreshnessEntry } from './objects/freshness.ts';
import type { StatementOffer } from './statements.ts';

/** A statement and what it came as; a proof stays a proof when it is read again. */
export interface KeptStatement {
  readonly kind: 'freshness' | 'live_proof' | 'extension';
  readonly offer: StatementOffer;
}

export function writeStatements(statements: readonly KeptStatement[]): Uint8Array {
  const rows = statements.map(({ kind, offer }) => ({
    kind,
    envelope: encodeBase64(offer.envelope),
    entries: offer.entries.map((entry) => ({
      area: entry.area,
      ring: entry.ring,
      release: entry.release,
      release_seq: entry.releaseSeq,
      leaf_index: entry.leafIndex,
      tree_size: entry.treeSize,
      proof: entry.proof.map((hash) => encodeBase64(hash)),
    })),
  }));
  return utf8(JSON.stringify(rows));
}

/** What is not as written is left out: a statement that is not there renews nothing. */
export function readStatements(bytes: Uint8Array | undefined): readonly KeptStatement[] {
  const judged = bytes === undefined ? undefined : judge(bytes);
  if (judged?.ok !== true || !Array.isArray(judged.value.tree)) return [];
  return (judged.value.tree as readonly unknown[]).flatMap((row) => readStatement(row) ?? []);
}

function readStatement(row: unknown): KeptStatement | undefined {
  const { kind, envelope, entries } = (row ?? {}) as Record<string, unknown>;
  const bytes = typeof envelope === 'string' ? decodeBase64(envelope) : undefined;
  if ((kind !== 'freshness' && kind !== 'live_proof' && kind !== 'extension') || bytes === undefined || !Array.isArray(entries))
    return undefined;
  const read = entries.map(readEntry);
  return read.includes(undefined) ? undefined : { kind, offer: { envelope: bytes, entries: read.filter((entry) => entry !== undefined) } };
}

function readEntry(row: unknown): FreshnessEntry | undefined {
  const {
    area,
    ring,
    release,
    release_seq: seq,
    leaf_index: leafIndex,
    tree_size: treeSize,
    proof,
  } = (row ?? {}) as Record<string, unknown>;
  if (typeof area !== 'string' || !isArea(area) || typeof ring !== 'string' || !isRing(ring)) return undefined;
  if (typeof release !== 'string' || !isDigest(release) || !isCount(seq) || !isCount(leafIndex) || !isCount(treeSize)) return undefined;
  if (!Array.isArray(proof)) return undefined;
  const hashes = proof.map((hash) => (typeof hash === 'string' ? decodeBase64(hash) : undefined)).filter((hash) => hash !== undefined);
  if (hashes.length !== proof.length) return undefined;
  return { area, ring, release, releaseSeq: seq as ReleaseSeq, leafIndex, treeSize, proof: hashes };
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
