/**
 * The high-water mark: the highest of everything that was ever accepted here, and how much of each statement's life is
 * used up. It makes a restart no better than no restart. A plain value; the shell writes it before activation, before a
 * statement counts, and every second. docs/spec/trust-v1.md section 10.
 */

import { fail, ok } from '@sallyport/model';
import type { Area, Digest, Instant, Result, Revision, Ring } from '@sallyport/model';
import { covers } from './areas.ts';
import type { RevocationHead } from './objects/freshness.ts';
import { reject } from './rejection.ts';
import type { Rejection } from './rejection.ts';
import { replacesKeys } from './roots.ts';
import type { TrustedRoot } from './roots.ts';

/** A number and what was accepted under it. */
export interface Mark {
  readonly number: number;
  readonly digest: Digest;
}

export interface FreshnessMark extends Mark {
  /** The latest `issued_at` of any accepted statement. */
  readonly issuedAtMax: Instant;
  /** What the signers' clocks read at least when this was written: by proofs and elapsed time, never by the wall clock. */
  readonly signerTime: Instant;
  /** What may have passed beyond that around restarts. */
  readonly signerSlackMs: number;
}

/** How old a statement had become here, whatever the clocks said. */
export interface ChargedAge {
  readonly statement: Digest;
  readonly ageMs: number;
}

export interface RevocationMark extends RevocationHead {
  /** The revocation keys were replaced, and nothing of the new log is held yet. */
  readonly awaitsRecovery: boolean;
}

export interface HighWater {
  readonly root: Mark | undefined;
  readonly delegations: readonly (Mark & { readonly area: Area })[];
  readonly onlineKeys: Mark | undefined;
  /** The highest release accepted, by area and ring. */
  readonly releases: readonly (Mark & { readonly area: Area; readonly ring: Ring })[];
  /** The highest revision ever activated, by area. */
  readonly revisions: readonly { readonly area: Area; readonly revision: Revision }[];
  readonly freshness: FreshnessMark | undefined;
  readonly revocation: RevocationMark;
  readonly charged: readonly ChargedAge[];
  /** Absent before the first. */
  readonly directory?: Mark;
}

/** Nothing was ever accepted here; or what was, is forgotten, and then only a live proof helps (`recallHighWater`). */
export const EMPTY_HIGH_WATER: HighWater = {
  root: undefined,
  delegations: [],
  onlineKeys: undefined,
  releases: [],
  revisions: [],
  freshness: undefined,
  revocation: { seq: 0, head: null, awaitsRecovery: false },
  charged: [],
};

/**
 * The rule of every numbered object: lower is ROLLBACK, equal and the same is `already`, equal and different is
 * EQUIVOCATION, higher is `newer`.
 */
export function judgeNumber(what: string, offered: Mark, held: Mark | undefined): Result<'newer' | 'already', Rejection> {
  if (held === undefined || offered.number > held.number) return ok('newer');
  if (offered.number < held.number)
    return fail(reject('ROLLBACK', `${what}: number ${offered.number} comes after ${held.number} was accepted`));
  if (offered.digest === held.digest) return ok('already');
  return fail(reject('EQUIVOCATION', `${what}: \`${offered.digest}\` and \`${held.digest}\` are both signed under number ${held.number}`));
}

/**
 * Takes a root into the mark. Where Root n + 1 replaces a role's keys, what those keys counted starts anew
 * (fast-forward recovery): a thief who pushed a number to its end must not have the last word. The log of revocations
 * follows its own state (`raiseRevocation`).
 */
export function raiseRoot(highWater: HighWater, previous: TrustedRoot | undefined, next: TrustedRoot): HighWater {
  const isLower = highWater.root !== undefined && next.number < highWater.root.number;
  const raised = isLower ? highWater : { ...highWater, root: { number: next.number, digest: next.digest } };
  if (previous === undefined || previous.digest === next.digest) return raised;
  const registrar = replacesKeys(previous, next, 'registrar') ? { delegations: [] } : {};
  const release = replacesKeys(previous, next, 'release') ? { releases: [], onlineKeys: undefined, freshness: undefined, charged: [] } : {};
  return withoutDirectory({ ...raised, ...registrar, ...release }, replacesKeys(previous, next, 'directory'));
}

function withoutDirectory({ directory, ...rest }: HighWater, isReplaced: boolean): HighWater {
  return directory === undefined || isReplaced ? rest : { ...rest, directory };
}

/**
 * Whether a root is the highest that was accepted here, or above it. A chain that lost links, or another chain, has not
 * reached it yet: it may be followed on, and nothing may be verified under it.
 */
export function judgeRootMark(highWater: HighWater, root: TrustedRoot): Rejection | undefined {
  const judged = judgeNumber('root', root, highWater.root);
  return judged.ok ? undefined : judged.error;
}

/** Takes delegations into the mark. */
export function raiseDelegations(highWater: HighWater, delegations: readonly (Mark & { readonly area: Area })[]): HighWater {
  let rows = highWater.delegations;
  for (const { area, number, digest } of delegations) {
    const held = rows.find((row) => row.area === area);
    if (held === undefined || held.number < number) rows = [...rows.filter((row) => row !== held), { area, number, digest }];
  }
  return { ...highWater, delegations: rows };
}

/** Takes online keys into the mark. */
export function raiseOnlineKeys(highWater: HighWater, { number, digest }: Mark): HighWater {
  const held = highWater.onlineKeys;
  return held !== undefined && held.number >= number ? highWater : { ...highWater, onlineKeys: { number, digest } };
}

/** Takes a directory into the mark. */
export function raiseDirectory(highWater: HighWater, { number, digest }: Mark): HighWater {
  const held = highWater.directory;
  return held !== undefined && held.number >= number ? highWater : { ...highWater, directory: { number, digest } };
}

export interface ActivatedRelease {
  readonly area: Area;
  readonly ring: Ring;
  readonly releaseSeq: number;
  readonly digest: Digest;
  readonly bundles: readonly { readonly area: Area; readonly revision: Revision }[];
}

/** Takes a release into the mark, with the revisions that it activates; written before the switch. */
export function raiseRelease(highWater: HighWater, release: ActivatedRelease): HighWater {
  const { area, ring, digest } = release;
  const others = highWater.releases.filter((row) => row.area !== area || row.ring !== ring);
  const leftOut = areasLeftOut(highWater, release);
  // Only a release that says so leaves a layer out; remembered for ever, every later one would have to say it again.
  let revisions = highWater.revisions.filter((row) => !leftOut.includes(row.area));
  for (const bundle of release.bundles) {
    const held = revisions.find((row) => row.area === bundle.area);
    if (held === undefined || held.revision < bundle.revision)
      revisions = [...revisions.filter((row) => row !== held), { area: bundle.area, revision: bundle.revision }];
  }
  return { ...highWater, releases: [...others, { area, ring, number: release.releaseSeq, digest }], revisions };
}

/** Takes the revocation log into the mark. While it waits for recovery, what the old keys counted must not come back. */
export function raiseRevocation(highWater: HighWater, { seq, head, awaitsRecovery }: RevocationMark): HighWater {
  if (awaitsRecovery) return { ...highWater, revocation: AWAITING };
  const { revocation } = highWater;
  if (seq <= revocation.seq && !revocation.awaitsRecovery) return highWater;
  return { ...highWater, revocation: { seq, head, awaitsRecovery: false } };
}

const AWAITING: RevocationMark = { seq: 0, head: null, awaitsRecovery: true };

/** Areas of layers that were enforced here above or at the release's area, and that it does not name. */
export function areasLeftOut(highWater: HighWater, { area, bundles }: Pick<ActivatedRelease, 'area' | 'bundles'>): readonly Area[] {
  return highWater.revisions
    .map((row) => row.area)
    .filter((enforced) => covers(enforced, area) && !bundles.some((bundle) => bundle.area === enforced));
}

/** The highest revision ever activated for an area; 0 before the first. */
export function highestRevision(highWater: HighWater, area: Area): number {
  return highWater.revisions.find((row) => row.area === area)?.revision ?? 0;
}
