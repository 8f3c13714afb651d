/**
 * Age, and the one function that says whether a release may be enforced. No clock change, suspension, restart or second
 * reading makes a statement younger. docs/spec/trust-v1.md section 9.
 */

import type { Instant } from '@sallyport/model';
import { freshnessMark } from './freshness-memory.ts';
import type { FreshnessMemory, HeldStatement } from './freshness-memory.ts';
import type { ChargedAge, HighWater } from './high-water.ts';
import { CHARGED_ROWS_MAX } from './limits.ts';
import type { VerifiedRelease } from './releases.ts';
import { isContiguous } from './revocations.ts';
import type { RevocationState } from './revocations.ts';
import { judgeRootExpiry } from './roots.ts';
import type { TrustedRoot } from './roots.ts';
import { estimateSignerTime, signerInstant } from './signer-time.ts';
import type { Now, SignerTime } from './signer-time.ts';

/**
 * The largest of: age already charged plus time since then; estimated signer time since `issued_at`; wall time since
 * `issued_at`. Each alone can be held back by somebody: the first by a restart, the second by nobody who lacks a freshness
 * key, the third by whoever sets the clock.
 */
export function ageOf({ statement, chargedMs, since }: HeldStatement, signerTime: SignerTime | undefined, now: Now): number {
  const { issuedAt } = statement.payload;
  const bySigner = signerTime === undefined ? 0 : signerInstant(signerTime, now.boot) - issuedAt;
  return Math.max(chargedMs + Math.max(0, now.boot - since), bySigner, now.wall - issuedAt);
}

/** What is enforced, with all that its freshness hangs on. */
export interface Trusted {
  readonly root: TrustedRoot;
  readonly release: VerifiedRelease;
  readonly memory: FreshnessMemory;
  readonly revocations: RevocationState;
}

/**
 * `never_renewed`: no statement has ever named this release here, or memory was lost and no proof has come.
 * `revocation_gap`: an entry is known to exist that is not applied. `root_changed`: the release was verified under
 * another root and not yet again.
 */
export type StaleReason = 'never_renewed' | 'expired' | 'revocation_gap' | 'root_changed' | 'root_expired';

/** `absent`: nothing is enforced. `stale`: nothing may pass. `fresh`: until `ageMs` reaches `ttlMs`. */
export type PolicyState =
  | { readonly kind: 'absent' }
  | { readonly kind: 'fresh'; readonly ageMs: number; readonly ttlMs: number; readonly statementSeq: number }
  | {
      readonly kind: 'stale';
      readonly reason: StaleReason;
      /** `undefined` where no statement counts. */
      readonly ageMs: number | undefined;
      readonly ttlMs: number;
    };

/** The state at one moment. Computed anew wherever it matters, and stored nowhere. */
export function policyState(trusted: Trusted | undefined, now: Now): PolicyState {
  if (trusted === undefined) return { kind: 'absent' };
  const { root, release, memory, revocations } = trusted;
  const renewal = memory.renewals.find((one) => one.release === release.digest && one.area === release.area && one.ring === release.ring);
  const ttlMax = Math.min(release.payload.freshnessTtlMsMax, root.freshnessTtlMsMax);
  if (renewal === undefined) {
    // Where entries are missing, that is what keeps every statement from counting.
    const reason = isContiguous(revocations) ? 'never_renewed' : 'revocation_gap';
    return { kind: 'stale', reason, ageMs: undefined, ttlMs: ttlMax };
  }
  const { held } = renewal;
  // Who signs an extension could sign another release as well: of the two bounds the root's is left.
  const ttlMs = Math.min(held.statement.payload.ttlMs, held.statement.byRelease ? root.freshnessTtlMsMax : ttlMax);
  const ageMs = ageOf(held, memory.signerTime, now);
  const stale = (reason: StaleReason): PolicyState => ({ kind: 'stale', reason, ageMs, ttlMs });
  // Written so that a reading that is no number is stale, too.
  if (!(ageMs < ttlMs)) return stale('expired');
  if (release.root !== root.digest) return stale('root_changed');
  // A revocation is known to exist that is not applied: nobody knows whom it denies.
  if (!isContiguous(revocations)) return stale('revocation_gap');
  if (judgeRootExpiry(root, estimateSignerTime(memory.signerTime, now)) !== undefined) return stale('root_expired');
  return { kind: 'fresh', ageMs, ttlMs, statementSeq: held.statement.payload.seq };
}

/** Charges every held statement with its age of now, for good: a wall clock that was ahead once is not forgiven later. */
export function chargeAges(memory: FreshnessMemory, now: Now): FreshnessMemory {
  const charge = (held: HeldStatement): HeldStatement => ({ ...held, chargedMs: ageOf(held, memory.signerTime, now), since: now.boot });
  return {
    ...memory,
    last: memory.last === undefined ? undefined : charge(memory.last),
    renewals: memory.renewals.map((renewal) => ({ ...renewal, held: charge(renewal.held) })),
  };
}

/** Takes freshness into the high-water mark. The shell writes the result before a statement counts, and every second. */
export function raiseFreshness(highWater: HighWater, memory: FreshnessMemory, now: Now): HighWater {
  const freshness = freshnessMark(memory, now);
  if (freshness === undefined) return highWater;
  return { ...highWater, freshness, charged: chargedAges(memory, now) };
}

function chargedAges(memory: FreshnessMemory, now: Now): readonly ChargedAge[] {
  const held = [...(memory.last === undefined ? [] : [memory.last]), ...memory.renewals.map((renewal) => renewal.held)];
  const ages = new Map<ChargedAge['statement'], number>();
  for (const one of held) ages.set(one.statement.digest, Math.ceil(ageOf(one, memory.signerTime, now)));
  for (const { statement, ageMs, since } of memory.recalled)
    if (!ages.has(statement)) ages.set(statement, Math.ceil(ageMs + Math.max(0, now.boot - since)));
  // What falls off the end is not younger for it: a statement whose age is not known is refused.
  return [...ages].map(([statement, ageMs]) => ({ statement, ageMs })).slice(0, CHARGED_ROWS_MAX);
}

/** When a release that is fresh now will be stale, by the wall clock, for people; rules never read it. */
export function staleAt(state: PolicyState, now: Now): Instant | undefined {
  return state.kind === 'fresh' ? ((now.wall + state.ttlMs - state.ageMs) as Instant) : undefined;
}
