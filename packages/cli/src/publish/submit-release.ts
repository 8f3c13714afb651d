/** Releases: made, signed by as many keys as are at hand, and submitted. What is refused says what to do about it. */

import { SubmitReleaseRequestSchema, create } from '@sallyport/contract';
import type { Signer } from '@sallyport/crypto/keys';
import { fail, ok } from '@sallyport/model';
import type { Digest, Instant, Problem, ReleaseSeq, Result, Revision } from '@sallyport/model';
import { encodeRelease, signEnvelope } from '@sallyport/trust';
import type { ReleasedBundle } from '@sallyport/trust';
import { CALL_MS, refusedBy } from '../connect.ts';
import type { Link } from '../connect.ts';
import type { Io } from '../io.ts';
import { refusal } from '../output.ts';
import type { Refusal } from '../output.ts';
import type { Place } from '../places.ts';

export interface ReleaseWish {
  readonly place: Place;
  readonly releaseSeq: number;
  readonly bundle: { readonly digest: Digest; readonly revision: number };
  /** The layers that it is joined with, the broadest first; none unless given. */
  readonly above?: readonly ReleasedBundle[];
  readonly freshnessTtlMsMax: number;
  /** Why it goes back; `undefined` for a release that goes forward. */
  readonly rollbackReason?: string;
  readonly fallbacks: readonly Digest[];
  readonly now: Instant;
}

/** The signed envelope of a release of one bundle, with the layers above it. */
export function signRelease({ bundle, above = [], ...wish }: ReleaseWish, signers: readonly Signer[]): Promise<Uint8Array> {
  const own = { area: wish.place.area, digest: bundle.digest, revision: bundle.revision as Revision };
  return signJoined({ ...wish, bundles: [...above, own] }, signers);
}

/** What is released, whole: the broadest area's bundle first. */
export interface JoinedWish extends Omit<ReleaseWish, 'bundle' | 'above'> {
  readonly bundles: readonly ReleasedBundle[];
}

/** The signed envelope. */
export function signJoined(
  { place, releaseSeq, bundles, freshnessTtlMsMax, rollbackReason, fallbacks, now }: JoinedWish,
  signers: readonly Signer[],
): Promise<Uint8Array> {
  const payload = encodeRelease({
    area: place.area,
    ring: place.ring,
    releaseSeq: releaseSeq as ReleaseSeq,
    bundles,
    freshnessTtlMsMax,
    rollback: rollbackReason !== undefined,
    reason: rollbackReason ?? null,
    fallbacks,
    createdAt: now,
  });
  return signEnvelope('Release', payload, signers);
}

export interface AcceptedRelease {
  readonly digest: Digest;
  readonly releaseSeq: number;
  /** SPIFFE ids of connected sidecars that go dark. */
  readonly leftBehind: readonly string[];
}

/** How long the control plane may wait for sidecars to stage, at the very most, and then some. */
const STAGING_MS = 660_000;

export async function submitRelease(
  link: Link,
  envelope: Uint8Array,
  { io, leaveBehind, isRollback }: { readonly io: Io; readonly leaveBehind: boolean; readonly isRollback?: boolean },
): Promise<Result<AcceptedRelease, Refusal>> {
  const answer = await link.publish.submitRelease(create(SubmitReleaseRequestSchema, { envelope, leaveBehind }), {
    deadlineMs: CALL_MS + STAGING_MS,
    signal: io.signal,
  });
  if (!answer.ok) return fail(refusedBy('submitting the release', answer.error, link));
  const { refusal: code, detail, digest, releaseSeq, notStaged } = answer.value;
  if (code === '') return ok({ digest: digest as Digest, releaseSeq: Number(releaseSeq), leftBehind: notStaged });
  const remedy = isRollback === true && code === 'bundle_rollback_refused' ? ADD_SIGNATURE : REMEDIES[code];
  const problem: Problem = { path: code, message: detail, ...(remedy === undefined ? {} : { remedy }) };
  const names = notStaged.map((name): Problem => ({ path: code, message: `\`${name}\` has not staged it` }));
  return fail({ ...refusal(1, ''), problems: [problem, ...names] });
}

/** For a release that says itself that it goes back: what is missing is another person. */
const ADD_SIGNATURE =
  'write it with --sign-only and --out, and let the holder of another release key add a signature: `sallyport release promote --file FILE --release-key FILE`';
const REMEDIES: Readonly<Record<string, string>> = {
  release_conflict: 'somebody released meanwhile: look at `sallyport policy log`, then try again',
  not_staged: 'see `sallyport fleet status`; --leave-behind releases without them, and they go dark once stale',
  bundle_rollback_refused: 'to go back, use `sallyport policy rollback`, signed by as many release keys as Root asks for',
};
