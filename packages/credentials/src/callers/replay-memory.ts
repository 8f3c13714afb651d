/**
 * What was spent and must not be taken twice: nonces, token ids and signatures, each until its credential could no longer
 * be accepted anyway. One per sidecar, in memory, bounded. docs/spec/callers.md, section 4.
 */

import { encodeBase64Url, sha256, utf8 } from '@sallyport/crypto';
import { type Denial, type Instant, deny } from '@sallyport/model';

/** One thing that may be used once. */
export interface Spendable {
  /** Whose it is, unique among methods and keys. */
  readonly keyId: string;
  /** The nonce, token id or signature: never the bytes of a signature that can be altered without its key. */
  readonly value: string;
  /** When its sender made it. */
  readonly madeAt: Instant;
  /** From when on its method refuses it as too old. */
  readonly expiresAt: Instant;
}

export interface ReplayMemoryOptions {
  /** The start of this memory; what was made before may have been spent in an earlier one. */
  readonly startedAt: Instant;
  /** Beyond it everything is refused, because to forget one would be to accept it again. */
  readonly entriesMax?: number;
}

export interface ReplayMemory {
  /** Spends it, or says why not: `replay_detected`, or `identity_unavailable` where that cannot be known. */
  spend(spendable: Spendable, now: Instant): Denial | undefined;
  /** Entries held now, forgotten ones not counted. */
  readonly size: number;
}

const ENTRIES_MAX = 100_000;
/** Entries are forgotten by the bucket, so at most this long after they ended. */
const BUCKET_MS = 10_000;
/** Senders stamp whole seconds, rounded down. */
const STAMP_MS = 1_000;

/** An empty memory. */
export function replayMemory({ startedAt, entriesMax = ENTRIES_MAX }: ReplayMemoryOptions): ReplayMemory {
  /** What was spent, as hashes, and the same by the time at which it may be forgotten. Owner: this memory alone. */
  const spent = new Set<string>();
  const buckets = new Map<number, string[]>();
  /** The latest instant ever seen: what ended before it may be forgotten already, wherever the clock goes. */
  let latest = startedAt;

  const forget = (): void => {
    for (const [bucket, hashes] of buckets) {
      if ((bucket + 1) * BUCKET_MS > latest) continue;
      for (const hash of hashes) spent.delete(hash);
      buckets.delete(bucket);
    }
  };

  return {
    spend: ({ keyId, value, madeAt, expiresAt }, now) => {
      if (now - latest >= BUCKET_MS || spent.size >= entriesMax) {
        latest = Math.max(latest, now) as Instant;
        forget();
      }
      latest = Math.max(latest, now) as Instant;
      if (madeAt + STAMP_MS <= startedAt) return deny('replay_detected', 'signed before this start, so perhaps spent in an earlier one');
      if (expiresAt <= latest) return deny('identity_unavailable', 'the clock went back; what was spent may be forgotten');
      const hash = encodeBase64Url(sha256(utf8(JSON.stringify([keyId, value]))));
      if (spent.has(hash)) return deny('replay_detected', `spent before, by \`${keyId}\``);
      if (spent.size >= entriesMax) return deny('identity_unavailable', `the replay memory holds ${entriesMax} entries and has no room`);
      const bucket = Math.floor(expiresAt / BUCKET_MS);
      const hashes = buckets.get(bucket);
      if (hashes === undefined) buckets.set(bucket, [hash]);
      else hashes.push(hash);
      spent.add(hash);
      return undefined;
    },
    get size() {
      return spent.size;
    },
  };
}
