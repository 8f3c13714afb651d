/**
 * Reading freshness statements and live proofs: an online key, certified for that instant, said exactly this. What a
 * statement means for this receiver is decided in `freshness.ts`. docs/spec/trust-v1.md section 6.5.
 */

import { leafHash, verifyInclusion } from '@sallyport/crypto';
import { fail, formatInstant, ok } from '@sallyport/model';
import type { Digest, Result } from '@sallyport/model';
import { digestOfPayload, parseEnvelope } from './envelope.ts';
import type { Envelope } from './envelope.ts';
import { FRESHNESS_ENTRIES_MAX, FRESHNESS_TTL_MS_MAX, PROOF_HASHES_MAX } from './limits.ts';
import { readExtension } from './objects/extension.ts';
import { freshnessLeaf, readFreshness, readLiveProof } from './objects/freshness.ts';
import type { Freshness, FreshnessEntry, FreshnessLeaf, LiveProof } from './objects/freshness.ts';
import type { TrustedOnlineKeys } from './online-keys.ts';
import { reject } from './rejection.ts';
import type { Rejection } from './rejection.ts';
import type { TrustedRoot } from './roots.ts';
import { countThreshold, distinctSigners } from './threshold.ts';

let make: (payload: StatementPayload, verified: Verified) => VerifiedStatement;

/** What receivers need of a statement once its entries are verified. An extension has no number, and says 0. */
export type StatementPayload = Omit<Freshness, 'merkleRoot'>;

type ProofFields = Pick<LiveProof, 'nonce' | 'identity'>;

interface Verified {
  readonly digest: Digest;
  readonly root: Digest;
  readonly leaves: readonly FreshnessLeaf[];
  readonly proof: ProofFields | undefined;
  readonly byRelease: boolean;
}

/** A statement that verifies, with the entries that it covers. Only this module makes one. */
export class VerifiedStatement {
  readonly #payload: StatementPayload;
  readonly digest: Digest;
  /** Of the root that its keys were verified under. */
  readonly root: Digest;
  /** What it says of the (area, ring) pairs that this receiver was sent. */
  readonly leaves: readonly FreshnessLeaf[];
  /** Present on a live proof. */
  readonly proof: ProofFields | undefined;
  /** Signed by the release threshold: an extension. Only the root's ceiling bounds it, and no number orders it. */
  readonly byRelease: boolean;

  private constructor(payload: StatementPayload, { digest, root, leaves, proof, byRelease }: Verified) {
    this.#payload = payload;
    this.digest = digest;
    this.root = root;
    this.leaves = leaves;
    this.proof = proof;
    this.byRelease = byRelease;
  }

  static {
    make = (payload, verified) => new VerifiedStatement(payload, verified);
  }

  get payload(): StatementPayload {
    return this.#payload;
  }
}

/** A statement as it travels: the signed bytes, and beside them what concerns this receiver. */
export interface StatementOffer {
  readonly envelope: Uint8Array;
  readonly entries: readonly FreshnessEntry[];
}

/** Verifies a periodic statement. */
export function verifyFreshness(offer: StatementOffer, keys: TrustedOnlineKeys): Result<VerifiedStatement, Rejection> {
  const parsed = parseEnvelope('Freshness', offer.envelope);
  if (!parsed.ok) return parsed;
  // Read only after some certified key has signed it; which instant it was certified for stands in the payload.
  const signers = distinctSigners('Freshness', parsed.value, keys.keys);
  if (signers.length === 0) return fail(unsigned('Freshness', keys));
  const read = readFreshness(parsed.value.payload);
  return read.ok ? complete(parsed.value, read.value, { offer, signers, root: keys.root, proof: undefined }) : read;
}

/** Verifies a live proof. Whether it answers this receiver's question is decided where the question is known. */
export function verifyLiveProof(offer: StatementOffer, keys: TrustedOnlineKeys): Result<VerifiedStatement, Rejection> {
  const parsed = parseEnvelope('LiveProof', offer.envelope);
  if (!parsed.ok) return parsed;
  const signers = distinctSigners('LiveProof', parsed.value, keys.keys);
  if (signers.length === 0) return fail(unsigned('LiveProof', keys));
  const read = readLiveProof(parsed.value.payload);
  if (!read.ok) return read;
  const { nonce, identity, ...payload } = read.value;
  return complete(parsed.value, payload, { offer, signers, root: keys.root, proof: { nonce, identity } });
}

/** Verifies an extension: the threshold of the release role, and nothing less. No entries travel beside it. */
export function verifyExtension(bytes: Uint8Array, root: TrustedRoot): Result<VerifiedStatement, Rejection> {
  const parsed = parseEnvelope('Extension', bytes);
  if (!parsed.ok) return parsed;
  const counted = countThreshold('Extension', parsed.value, root.role('release'));
  if (!counted.ok) return counted;
  const read = readExtension(parsed.value.payload);
  if (!read.ok) return read;
  const { area, ring, release, releaseSeq, rootNumber, revocation, issuedAt, ttlMs } = read.value;
  if (ttlMs > FRESHNESS_TTL_MS_MAX) return fail(reject('ROOT', `\`ttl_ms\` ${ttlMs} is above ${FRESHNESS_TTL_MS_MAX}`));
  const leaves = [{ area, ring, release, releaseSeq }];
  const of = { digest: digestOfPayload(parsed.value.payload), root: root.digest, leaves, proof: undefined, byRelease: true };
  return ok(make({ seq: 0, rootNumber, revocation, issuedAt, ttlMs }, of));
}

interface Claim {
  readonly offer: StatementOffer;
  readonly signers: TrustedOnlineKeys['keys'];
  readonly root: Digest;
  readonly proof: ProofFields | undefined;
}

function complete(envelope: Envelope, payload: Freshness, { offer, signers, root, proof }: Claim): Result<VerifiedStatement, Rejection> {
  // Attack: a stolen freshness key past its period. Backdating gains nothing: age runs from `issued_at` (section 9.2).
  if (!signers.some((key) => key.notBefore <= payload.issuedAt && payload.issuedAt <= key.notAfter))
    return fail(
      reject('SIGNATURE', `the statement of ${formatInstant(payload.issuedAt)} is signed by a key that is not certified for that instant`),
    );
  if (payload.ttlMs > FRESHNESS_TTL_MS_MAX) return fail(reject('ROOT', `\`ttl_ms\` ${payload.ttlMs} is above ${FRESHNESS_TTL_MS_MAX}`));
  // Attack: fast-forward by a stolen key. At most one number per millisecond since 1970, so the next honest one always has room.
  if (payload.seq > payload.issuedAt) return fail(reject('ROLLBACK', `seq ${payload.seq} is ahead of every honest signer`));
  const leaves = verifyEntries(offer.entries, payload.merkleRoot);
  return leaves.ok
    ? ok(make(payload, { digest: digestOfPayload(envelope.payload), root, leaves: leaves.value, proof, byRelease: false }))
    : leaves;
}

/** Attack: mix-and-match. An entry counts only under an inclusion proof, and one (area, ring) has one release. */
function verifyEntries(entries: readonly FreshnessEntry[], root: Uint8Array): Result<readonly FreshnessLeaf[], Rejection> {
  if (entries.length > FRESHNESS_ENTRIES_MAX)
    return fail(reject('SIZE', `more than ${FRESHNESS_ENTRIES_MAX} entries travel beside the statement`));
  const seen = new Set<string>();
  const leaves: FreshnessLeaf[] = [];
  for (const { area, ring, release, releaseSeq, leafIndex, treeSize, proof } of entries) {
    const leaf = { area, ring, release, releaseSeq };
    const name = `\`${area}\`, ring \`${ring}\``;
    if (proof.length > PROOF_HASHES_MAX) return fail(reject('SIZE', `the entry of ${name} has more than ${PROOF_HASHES_MAX} hashes`));
    if (!verifyInclusion({ leafHash: leafHash(freshnessLeaf(leaf)), index: leafIndex, size: treeSize, proof, root }))
      return fail(reject('DIGEST', `the statement does not cover the entry of ${name}`));
    if (seen.has(`${area} ${ring}`)) return fail(reject('EQUIVOCATION', `the statement names two releases for ${name}`));
    seen.add(`${area} ${ring}`);
    leaves.push(leaf);
  }
  return ok(leaves);
}

function unsigned(kind: string, keys: TrustedOnlineKeys): Rejection {
  return reject('SIGNATURE', `the ${kind} is signed by none of the online keys of object ${keys.number}`);
}
