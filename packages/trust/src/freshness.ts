/**
 * What may enter the memory, and what a statement refreshes: only releases that it names and that are active here, and
 * only once its revocations are applied. docs/spec/trust-v1.md sections 8 and 9.
 */

import { equalBytes } from '@sallyport/crypto';
import { fail, formatInstant, ok } from '@sallyport/model';
import type { Area, Digest, Instant, Result, Ring } from '@sallyport/model';
import type { FreshnessMemory, HeldStatement, Renewal } from './freshness-memory.ts';
import { judgeNumber } from './high-water.ts';
import type { HighWater } from './high-water.ts';
import { SIGNER_SKEW_MS } from './limits.ts';
import { reject } from './rejection.ts';
import type { Rejection } from './rejection.ts';
import { compareRevocations } from './revocations.ts';
import type { RevocationState } from './revocations.ts';
import type { TrustedRoot } from './roots.ts';
import { anchorSignerTime, estimateSignerTime, raiseSignerTime, signerInstantMin } from './signer-time.ts';
import type { Now, SignerTime } from './signer-time.ts';
import type { VerifiedStatement } from './statements.ts';

export interface FreshnessContext {
  readonly root: TrustedRoot;
  readonly highWater: HighWater;
  readonly revocations: RevocationState;
  readonly now: Now;
}

/**
 * Takes a verified statement into memory. It refreshes nothing by itself: the caller first writes the high-water mark
 * that names it, then asks `renewReleases`. A statement that is held already is a no-op, and its age goes on.
 */
export function admitStatement(
  memory: FreshnessMemory,
  statement: VerifiedStatement,
  context: FreshnessContext,
): Result<FreshnessMemory, Rejection> {
  const recalled = memory.recalled.find((row) => row.statement === statement.digest);
  const wrong = judgeRootNumber(statement, context.root) ?? judgeReleases(statement, context) ?? judgeLog(statement, context.revocations);
  if (wrong !== undefined) return fail(wrong);
  const held = [memory.last, ...memory.renewals.map((renewal) => renewal.held)].find((one) => one?.statement.digest === statement.digest);
  if (held !== undefined) return ok(memory);
  // Read again after a restart: it was accepted before, its age goes on, and it proves nothing anew.
  if (recalled !== undefined) return admitRecalled(memory, statement, recalled);
  if (statement.byRelease) return admitExtension(memory, statement, context.now);
  const numbered = judgeNumber('statement', { number: statement.payload.seq, digest: statement.digest }, memory.mark);
  if (!numbered.ok) return numbered;
  // Accepted before, and how much of its life is used up is forgotten: it must not start anew.
  if (numbered.value === 'already')
    return fail(reject('ROLLBACK', 'the age of this statement is not known any more: a live proof is needed'));
  return statement.proof === undefined ? admitFresh(memory, statement, context.now) : admitProof(memory, statement, context.now);
}

function admitRecalled(
  memory: FreshnessMemory,
  statement: VerifiedStatement,
  { ageMs, since }: FreshnessMemory['recalled'][number],
): Result<FreshnessMemory, Rejection> {
  if (memory.last !== undefined && isEarlier(statement, memory.last.statement)) {
    const [mine, its] = [statement.payload, memory.last.statement.payload].map(
      ({ seq, issuedAt }) => `${seq} of ${formatInstant(issuedAt)}`,
    );
    return fail(reject('ROLLBACK', `statement ${mine ?? ''} comes after ${its ?? ''}`));
  }
  return ok({ ...memory, last: { statement, chargedMs: ageMs, since } });
}

/** By number; where one of them is an extension, which has none, by instant. */
function isEarlier(one: VerifiedStatement, other: VerifiedStatement): boolean {
  if (one.byRelease || other.byRelease) return one.payload.issuedAt < other.payload.issuedAt;
  return one.payload.seq < other.payload.seq;
}

/**
 * Attacks: an extension of an outage that is over, played again in the next; one that is kept for later. It has to be younger
 * than everything accepted, and what was accepted is older than it from then on.
 */
function admitExtension(memory: FreshnessMemory, statement: VerifiedStatement, now: Now): Result<FreshnessMemory, Rejection> {
  const { issuedAt } = statement.payload;
  const { issuedAtMax } = memory;
  if (issuedAtMax !== undefined && issuedAt <= issuedAtMax)
    return fail(
      reject(
        'ROLLBACK',
        `the extension is of ${formatInstant(issuedAt)}, and a statement of ${formatInstant(issuedAtMax)} has been accepted`,
      ),
    );
  const admitted = admitFresh(memory, statement, now);
  return admitted.ok ? ok({ ...admitted.value, mark: memory.mark }) : admitted;
}

/** Attacks: replay after a wiped disk; a stolen key or a fast signer ahead of time. */
function admitFresh(memory: FreshnessMemory, statement: VerifiedStatement, now: Now): Result<FreshnessMemory, Rejection> {
  const { issuedAt } = statement.payload;
  const { signerTime } = memory;
  if (signerTime === undefined)
    return fail(reject('ROLLBACK', 'without memory no statement can be told from an old one: a live proof is needed'));
  const estimate = estimateSignerTime(signerTime, now);
  if (issuedAt > estimate + SIGNER_SKEW_MS)
    return fail(
      reject(
        'ROLLBACK',
        `the statement is of ${formatInstant(issuedAt)}, and signers can be at ${formatInstant(estimate)} at most: a live proof is needed`,
      ),
    );
  const held = { statement, chargedMs: 0, since: now.boot };
  return ok(remember(memory, held, raiseSignerTime(signerTime, issuedAt, now.boot)));
}

/** Attacks: replay of a proof, a proof made for another, a proof from a partitioned replica that turns time back. */
function admitProof(memory: FreshnessMemory, statement: VerifiedStatement, now: Now): Result<FreshnessMemory, Rejection> {
  const { challenges, signerTime } = memory;
  const { proof, payload } = statement;
  if (challenges.length === 0) return fail(reject('ROLLBACK', 'the proof answers no open question'));
  const challenge = proof === undefined ? undefined : challenges.find(({ nonce }) => equalBytes(proof.nonce, nonce));
  if (proof === undefined || challenge === undefined) return fail(reject('ROLLBACK', 'the proof answers another question'));
  if (proof.identity !== challenge.identity)
    return fail(reject('AREA', `the proof is for \`${proof.identity}\`, and this is \`${challenge.identity}\``));
  const least = signerTime === undefined ? undefined : signerInstantMin(signerTime, challenge.sentAt) - SIGNER_SKEW_MS;
  if (least !== undefined && payload.issuedAt < least)
    return fail(
      reject('ROLLBACK', `the proof is of ${formatInstant(payload.issuedAt)}, and signers are past ${formatInstant(least as Instant)}`),
    );
  // A replica whose clock runs ahead would make every honest statement look old; two witnesses outvote it.
  const most = signerTime?.isProven === true ? Math.max(estimateSignerTime(signerTime, now), now.wall) + SIGNER_SKEW_MS : undefined;
  if (most !== undefined && payload.issuedAt > most)
    return fail(
      reject(
        'ROLLBACK',
        `the proof is of ${formatInstant(payload.issuedAt)}, and signers can be at ${formatInstant(most as Instant)} at most`,
      ),
    );
  // Its age runs from the question: a proof that was held back on its way is old when it comes.
  const held = { statement, chargedMs: 0, since: challenge.sentAt };
  const answered = remember(memory, held, anchorSignerTime(signerTime, payload.issuedAt, challenge.sentAt));
  return ok({ ...answered, challenges: challenges.filter((open) => open !== challenge) });
}

function remember(memory: FreshnessMemory, held: HeldStatement, signerTime: SignerTime): FreshnessMemory {
  const { seq, issuedAt } = held.statement.payload;
  return {
    ...memory,
    signerTime,
    mark: { number: seq, digest: held.statement.digest },
    issuedAtMax: Math.max(memory.issuedAtMax ?? issuedAt, issuedAt) as Instant,
    last: held,
  };
}

/** Attack: freezing the receiver on an old root. A newer one has to be followed first; an older one is over. */
function judgeRootNumber(statement: VerifiedStatement, root: TrustedRoot): Rejection | undefined {
  const { rootNumber } = statement.payload;
  if (statement.root !== root.digest) return reject('ROOT', 'the online keys were not verified under the root that is held');
  if (rootNumber === root.number) return undefined;
  return reject(
    rootNumber < root.number ? 'ROLLBACK' : 'ROOT',
    `the statement stands under root ${rootNumber}, and root ${root.number} is held`,
  );
}

/** Attacks: a signer restored from a backup; two replicas that name different releases under one number. */
function judgeReleases(statement: VerifiedStatement, { highWater }: FreshnessContext): Rejection | undefined {
  for (const { area, ring, release, releaseSeq } of statement.leaves) {
    const held = highWater.releases.find((row) => row.area === area && row.ring === ring);
    const judged = judgeNumber(`release named for \`${area}\`, ring \`${ring}\``, { number: releaseSeq, digest: release }, held);
    if (!judged.ok) return judged.error;
  }
  return undefined;
}

/** Attack: two revocation logs, one for each audience. */
function judgeLog(statement: VerifiedStatement, revocations: RevocationState): Rejection | undefined {
  const { revocation } = statement.payload;
  if (compareRevocations(revocations, revocation) !== 'forked') return undefined;
  return reject('EQUIVOCATION', `the statement attests another revocation log up to seq ${revocation.seq}`);
}

/** A release that is enforced here now. */
export interface ActiveRelease {
  readonly area: Area;
  readonly ring: Ring;
  readonly digest: Digest;
}

/**
 * Renews the active releases that the last statement names, once its revocations are applied. Call it after every
 * change of statement, revocations or active releases. What is not renewed goes on ageing from the last that named it.
 */
export function renewReleases(
  memory: FreshnessMemory,
  { active, revocations }: { readonly active: readonly ActiveRelease[]; readonly revocations: RevocationState },
): FreshnessMemory {
  const { last } = memory;
  const counts = last !== undefined && compareRevocations(revocations, last.statement.payload.revocation) === 'reached';
  const renewals: Renewal[] = [];
  for (const { area, ring, digest } of active) {
    const isNamed = last?.statement.leaves.some((leaf) => leaf.area === area && leaf.ring === ring && leaf.release === digest) === true;
    const previous = memory.renewals.find((renewal) => renewal.area === area && renewal.ring === ring && renewal.release === digest);
    // Attack: ending an extension with a statement from before the outage that was held back.
    const isOutlived =
      previous?.held.statement.byRelease === true && last !== undefined && isEarlier(last.statement, previous.held.statement);
    if (counts && isNamed && !isOutlived) renewals.push({ area, ring, release: digest, held: last });
    else if (previous !== undefined) renewals.push(previous);
  }
  return { ...memory, renewals };
}

/** Whether the last statement waits for revocations that have not come. */
export function awaitsRevocations(memory: FreshnessMemory, revocations: RevocationState): boolean {
  return memory.last !== undefined && compareRevocations(revocations, memory.last.statement.payload.revocation) === 'behind';
}
