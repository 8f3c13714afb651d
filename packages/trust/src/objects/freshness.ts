/**
 * Freshness and LiveProof: an online key says what is current, and until when that may be believed. Neither can name
 * policy that the release role has not signed. Spec sections 4.6 and 4.7.
 */

import { encodeBase64, inclusionProof, leafHash, merkleRoot, utf8 } from '@sallyport/crypto';
import { formatInstant } from '@sallyport/model';
import type { Area, Digest, Instant, ReleaseSeq, Result, Ring } from '@sallyport/model';
import * as z from 'zod/mini';
import { encodePayload, readPayload } from '../payload.ts';
import type { Rejection } from '../rejection.ts';
import { bytes, count, digest, head, instant, positive } from '../shapes.ts';

/** How far the revocation log had come: `seq` 0 and no head before the first entry. */
export interface RevocationHead {
  readonly seq: number;
  readonly head: Digest | null;
}

export interface Freshness {
  /** One sequence for all statements and proofs of a trust domain; each takes a number of its own. */
  readonly seq: number;
  readonly rootNumber: number;
  /** Over the leaves of every (area, ring): 32 bytes, RFC 6962. */
  readonly merkleRoot: Uint8Array;
  readonly revocation: RevocationHead;
  readonly issuedAt: Instant;
  readonly ttlMs: number;
}

/** A freshness payload that answers one client's nonce, over a read begun after the nonce arrived. */
export interface LiveProof extends Freshness {
  /** 32 bytes. */
  readonly nonce: Uint8Array;
  /** SPIFFE id of the one receiver it is meant for. */
  readonly identity: string;
}

/** What the statement says of one (area, ring); travels beside it, covered by `merkle_root`. */
export interface FreshnessLeaf {
  readonly area: Area;
  readonly ring: Ring;
  readonly release: Digest;
  readonly releaseSeq: ReleaseSeq;
}

/** A leaf with the proof that the statement covers it. */
export interface FreshnessEntry extends FreshnessLeaf {
  readonly leafIndex: number;
  readonly treeSize: number;
  readonly proof: readonly Uint8Array[];
}

const NONCE_BYTES = 32;

const fields = {
  seq: positive,
  root_number: positive,
  merkle_root: bytes(32, 32),
  revocation: z.strictObject({ seq: count, head: z.nullable(digest) }),
  issued_at: instant,
  ttl_ms: positive,
};

type Wire = z.infer<z.ZodMiniObject<typeof fields>>;

const fromWire = (wire: Wire): Freshness => ({
  seq: wire.seq,
  rootNumber: wire.root_number,
  merkleRoot: wire.merkle_root,
  revocation: wire.revocation,
  issuedAt: wire.issued_at,
  ttlMs: wire.ttl_ms,
});

const freshness: z.ZodMiniType<Freshness> = z.pipe(
  z.strictObject({ ...head('Freshness'), ...fields }),
  z.transform((wire): Freshness => fromWire(wire)),
);
const liveProof: z.ZodMiniType<LiveProof> = z.pipe(
  z.strictObject({
    ...head('LiveProof'),
    ...fields,
    nonce: bytes(NONCE_BYTES, NONCE_BYTES),
    identity: z.string().check(z.minLength(1), z.maxLength(2048)),
  }),
  z.transform((wire): LiveProof => ({ ...fromWire(wire), nonce: wire.nonce, identity: wire.identity })),
);

export function readFreshness(payload: Uint8Array): Result<Freshness, Rejection> {
  return readPayload('Freshness', payload, freshness);
}

export function readLiveProof(payload: Uint8Array): Result<LiveProof, Rejection> {
  return readPayload('LiveProof', payload, liveProof);
}

function toWire(statement: Freshness): object {
  return {
    seq: statement.seq,
    root_number: statement.rootNumber,
    merkle_root: encodeBase64(statement.merkleRoot),
    revocation: { seq: statement.revocation.seq, head: statement.revocation.head },
    issued_at: formatInstant(statement.issuedAt),
    ttl_ms: statement.ttlMs,
  };
}

/** The payload bytes to sign. */
export function encodeFreshness(statement: Freshness): Uint8Array {
  return encodePayload('Freshness', toWire(statement));
}

/** The payload bytes to sign. */
export function encodeLiveProof(proof: LiveProof): Uint8Array {
  return encodePayload('LiveProof', { ...toWire(proof), nonce: encodeBase64(proof.nonce), identity: proof.identity });
}

/** The bytes of a leaf: one spelling, so that issuer and receiver hash the same. Names and digests need no escaping. */
export function freshnessLeaf({ area, release, releaseSeq, ring }: FreshnessLeaf): Uint8Array {
  return utf8(JSON.stringify({ area, release, release_seq: releaseSeq, ring }));
}

export interface FreshnessTree {
  readonly merkleRoot: Uint8Array;
  /** One entry for each leaf given, in the same order. */
  readonly entries: readonly FreshnessEntry[];
}

/** The tree over all leaves of a trust domain, with each receiver's proof. The order of leaves is the issuer's own. */
export function freshnessTree(leaves: readonly FreshnessLeaf[]): FreshnessTree {
  const hashes = leaves.map((leaf) => leafHash(freshnessLeaf(leaf)));
  return {
    merkleRoot: merkleRoot(hashes),
    entries: leaves.map((leaf, leafIndex) => ({
      ...leaf,
      leafIndex,
      treeSize: leaves.length,
      proof: inclusionProof(hashes, leafIndex) ?? [],
    })),
  };
}
