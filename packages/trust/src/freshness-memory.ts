/**
 * What a receiver remembers of freshness: immutable values, and how a start goes on from the high-water mark. What may
 * enter is decided in `freshness.ts`, how old it is in `age.ts`. docs/spec/trust-v1.md sections 9 and 10.
 */

import { addMs } from '@sallyport/model';
import type { Area, BootMs, Digest, Instant, Ring } from '@sallyport/model';
import type { ChargedAge, FreshnessMark, HighWater, Mark } from './high-water.ts';
import { CHARGE_INTERVAL_MS } from './limits.ts';
import { replacesKeys } from './roots.ts';
import type { TrustedRoot } from './roots.ts';
import type { Now, SignerTime } from './signer-time.ts';
import type { VerifiedStatement } from './statements.ts';

/** A question that one live proof may answer, once. */
export interface Challenge {
  /** How it was put: one of each may be open, so that a stream that is tried again does not void a question on its way. */
  readonly way: 'sent' | 'written';
  /** 32 unpredictable bytes. */
  readonly nonce: Uint8Array;
  /** SPIFFE id of this receiver. */
  readonly identity: string;
  /** When the nonce was sent or written; the proof's age runs from here. */
  readonly sentAt: BootMs;
}

/** A statement with the age it already had here at `since`. */
export interface HeldStatement {
  readonly statement: VerifiedStatement;
  readonly chargedMs: number;
  readonly since: BootMs;
}

/** The last statement that renewed an active release. */
export interface Renewal {
  readonly area: Area;
  readonly ring: Ring;
  readonly release: Digest;
  readonly held: HeldStatement;
}

export interface FreshnessMemory {
  /** `undefined`: the past is unknown, and only a live proof counts. */
  readonly signerTime: SignerTime | undefined;
  /** The open questions, at most one of each way. */
  readonly challenges: readonly Challenge[];
  /** Number and digest of the last statement accepted, here or before this start. */
  readonly mark: Mark | undefined;
  readonly issuedAtMax: Instant | undefined;
  /** The last statement accepted since this start. */
  readonly last: HeldStatement | undefined;
  readonly renewals: readonly Renewal[];
  /** Ages from before this start, at `since`, of statements that may be read again from a cache. */
  readonly recalled: readonly (ChargedAge & { readonly since: BootMs })[];
}

/** The memory of a receiver that knows nothing of the past: it denies until a live proof. */
export const NO_MEMORY: FreshnessMemory = {
  signerTime: undefined,
  challenges: [],
  mark: undefined,
  issuedAtMax: undefined,
  last: undefined,
  renewals: [],
  recalled: [],
};

/** The memory that a start goes on from. Each age goes on from what was charged, plus the one interval that may be missing. */
export function recallFreshness(highWater: HighWater, now: Now): FreshnessMemory {
  const { freshness } = highWater;
  if (freshness === undefined) return NO_MEMORY;
  return {
    ...NO_MEMORY,
    signerTime: {
      instant: freshness.signerTime,
      boot: now.boot,
      slackMs: freshness.signerSlackMs + CHARGE_INTERVAL_MS,
      isProven: false,
    },
    mark: { number: freshness.number, digest: freshness.digest },
    issuedAtMax: freshness.issuedAtMax,
    recalled: highWater.charged.map(({ statement, ageMs }) => ({ statement, ageMs: ageMs + CHARGE_INTERVAL_MS, since: now.boot })),
  };
}

/** After a new root: where it replaces the release keys, no statement of the old online keys counts, and proof starts anew. */
export function freshnessAfterRoot(memory: FreshnessMemory, previous: TrustedRoot, next: TrustedRoot): FreshnessMemory {
  return replacesKeys(previous, next, 'release') ? { ...NO_MEMORY, challenges: memory.challenges } : memory;
}

/** Remembers the question asked; it replaces one of the same way that is still open. */
export function openChallenge(memory: FreshnessMemory, challenge: Challenge): FreshnessMemory {
  return { ...memory, challenges: [...memory.challenges.filter(({ way }) => way !== challenge.way), challenge] };
}

/** The freshness part of the high-water mark, `undefined` while there is nothing to remember. */
export function freshnessMark(memory: FreshnessMemory, now: Now): FreshnessMark | undefined {
  const { mark, issuedAtMax, signerTime } = memory;
  if (mark === undefined || issuedAtMax === undefined || signerTime === undefined) return undefined;
  const certain = addMs(signerTime.instant, Math.floor(Math.max(0, now.boot - signerTime.boot)));
  return { ...mark, issuedAtMax, signerTime: certain, signerSlackMs: Math.ceil(signerTime.slackMs) };
}
