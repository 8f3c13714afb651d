/**
 * Releases: what the release role has decided to enforce in one area and ring. `release_seq` alone orders them; a bundle
 * by itself is never enforced. docs/spec/trust-v1.md section 6.4.
 */

import { PART_NAMES, fail, ok } from '@sallyport/model';
import type { Digest, Result } from '@sallyport/model';
import type { AcceptanceContext, Receiver, VerifiedBundle } from './acceptance.ts';
import { covers } from './areas.ts';
import { digestOfPayload, parseEnvelope } from './envelope.ts';
import type { Envelope } from './envelope.ts';
import { judgeFallback, readListing } from './fallbacks.ts';
import type { Listing } from './fallbacks.ts';
import { areasLeftOut, highestRevision, judgeNumber, judgeRootMark } from './high-water.ts';
import type { HighWater } from './high-water.ts';
import { FRESHNESS_TTL_MS_MIN, RELEASE_BYTES_MAX } from './limits.ts';
import { readRelease } from './objects/release.ts';
import type { Release } from './objects/release.ts';
import { reject } from './rejection.ts';
import type { Rejection } from './rejection.ts';
import { isBundleRevoked } from './revocations.ts';
import type { RevocationState } from './revocations.ts';
import { judgeRootExpiry } from './roots.ts';
import type { TrustedRoot } from './roots.ts';
import { countThreshold, distinctSigners } from './threshold.ts';

let make: (payload: Release, verified: Verified) => VerifiedRelease;

interface Verified {
  readonly digest: Digest;
  readonly root: Digest;
  readonly bundles: readonly VerifiedBundle[];
}

/** A release that may be enforced, with the verified bundles that it joins, in its order. Only this module makes one. */
export class VerifiedRelease {
  readonly #payload: Release;
  readonly digest: Digest;
  /** Of the root that it was verified under; under another it is stale until it is verified again. */
  readonly root: Digest;
  readonly bundles: readonly VerifiedBundle[];

  private constructor(payload: Release, { digest, root, bundles }: Verified) {
    this.#payload = payload;
    this.digest = digest;
    this.root = root;
    this.bundles = bundles;
  }

  static {
    make = (payload, verified) => new VerifiedRelease(payload, verified);
  }

  get payload(): Release {
    return this.#payload;
  }

  get area(): Release['area'] {
    return this.#payload.area;
  }

  get ring(): Release['ring'] {
    return this.#payload.ring;
  }

  get releaseSeq(): Release['releaseSeq'] {
    return this.#payload.releaseSeq;
  }
}

export interface ReleaseContext extends Omit<AcceptanceContext, 'features'> {
  readonly revocations: RevocationState;
  /** Every bundle verified here, by digest. */
  readonly bundles: ReadonlyMap<Digest, VerifiedBundle>;
}

export interface ReleaseVerdict {
  readonly release: VerifiedRelease;
  /** The very release that the mark already holds: activating it again is a no-op. */
  readonly isAlready: boolean;
}

/** What the release role has signed, not yet compared with any receiver. */
export interface SignedRelease {
  readonly payload: Release;
  readonly digest: Digest;
}

/**
 * Reads a release whose signatures count, for the side that accepts releases of every area and ring and has to know
 * first which one this is for. It may not be enforced on the strength of this: `verifyRelease` decides that.
 */
export function readSignedRelease(bytes: Uint8Array, context: Pick<ReleaseContext, 'root' | 'at'>): Result<SignedRelease, Rejection> {
  const signed = readSigned(bytes, context);
  return signed.ok ? ok({ payload: signed.value.payload, digest: signed.value.digest }) : signed;
}

/** Verifies a release for this receiver. What is enforced stays until the caller activates the result. */
export function verifyRelease(bytes: Uint8Array, context: ReleaseContext): Result<ReleaseVerdict, Rejection> {
  const signed = readSigned(bytes, context);
  if (!signed.ok) return signed;
  const { payload: release, digest, envelope, listing } = signed.value;
  const misplaced =
    judgeRootMark(context.highWater, context.root) ?? judgePlace(release, context.receiver) ?? judgeTtl(release, context.root);
  if (misplaced !== undefined) return fail(misplaced);
  const sequence = judgeSequence(release, digest, context.highWater);
  if (!sequence.ok) return sequence;
  const joined = joinBundles(release, context);
  if (!joined.ok) return joined;
  const unbacked = listing === undefined ? judgeReturn(release, envelope, context) : judgeFallback(release, listing, context.highWater);
  if (unbacked !== undefined) return fail(unbacked);
  return ok({
    release: make(release, { digest, root: context.root.digest, bundles: joined.value }),
    isAlready: sequence.value === 'already',
  });
}

function readSigned(
  bytes: Uint8Array,
  { root, at }: Pick<ReleaseContext, 'root' | 'at'>,
): Result<SignedRelease & { readonly envelope: Envelope; readonly listing: Listing | undefined }, Rejection> {
  const parsed = parseEnvelope('Release', bytes);
  if (!parsed.ok) return parsed;
  const expired = judgeRootExpiry(root, at);
  if (expired !== undefined) return fail(expired);
  const counted = countThreshold('Release', parsed.value, root.role('release'));
  // One key is enough for what says itself that it goes to a listed fallback; whether it does is judged later.
  if (!counted.ok && distinctSigners('Release', parsed.value, root.role('release').keys).length === 0) return counted;
  const read = readRelease(parsed.value.payload);
  if (!read.ok) return counted.ok ? read : counted;
  const { fallbackOf } = read.value;
  if (fallbackOf === undefined && !counted.ok) return counted;
  const listing = fallbackOf === undefined ? ok(undefined) : readListing(fallbackOf, root);
  if (!listing.ok) return listing;
  return ok({ payload: read.value, digest: digestOfPayload(parsed.value.payload), envelope: parsed.value, listing: listing.value });
}

/** Attacks: wrong area; a release of one ring shown to another. */
function judgePlace(release: Release, receiver: Receiver): Rejection | undefined {
  if (release.area === receiver.area && release.ring === receiver.ring) return undefined;
  return reject(
    'AREA',
    `the release is for \`${release.area}\`, ring \`${release.ring}\`; this is \`${receiver.area}\`, ring \`${receiver.ring}\``,
  );
}

/** Attack: stretching the time that a cut-off receiver goes on for. */
function judgeTtl(release: Release, root: TrustedRoot): Rejection | undefined {
  const [ttl, ttlMin, ttlMax] = [release.freshnessTtlMsMax, FRESHNESS_TTL_MS_MIN[root.profile], root.freshnessTtlMsMax];
  if (ttl >= ttlMin && ttl <= ttlMax) return undefined;
  return reject('ROOT', `\`freshness_ttl_ms_max\` ${ttl} is outside the ${ttlMin} to ${ttlMax} that the root allows`);
}

/** Attacks: rollback; equivocation. */
function judgeSequence(release: Release, digest: Digest, highWater: HighWater): Result<'newer' | 'already', Rejection> {
  const held = highWater.releases.find((row) => row.area === release.area && row.ring === release.ring);
  return judgeNumber('release', { number: release.releaseSeq, digest }, held);
}

/** Attack: mix-and-match. Every bundle is one that was verified here under exactly the digest, area and revision named. */
function joinBundles(release: Release, { root, bundles, revocations, at }: ReleaseContext): Result<readonly VerifiedBundle[], Rejection> {
  const joined: VerifiedBundle[] = [];
  for (const named of release.bundles) {
    const bundle = bundles.get(named.digest);
    if (bundle?.root !== root.digest) return fail(reject('DIGEST', `bundle \`${named.digest}\` is not verified here`));
    if (bundle.area !== named.area || bundle.revision !== named.revision)
      return fail(
        reject('DIGEST', `bundle \`${named.digest}\` is revision ${bundle.revision} of \`${bundle.area}\`, not as the release says`),
      );
    if (!covers(bundle.area, release.area))
      return fail(reject('AREA', `a bundle of \`${bundle.area}\` does not apply to \`${release.area}\``));
    if (joined.some((other) => other.area === bundle.area))
      return fail(reject('AREA', `the release joins two bundles of \`${bundle.area}\``));
    if (isBundleRevoked(revocations, named.digest, at)) return fail(reject('ROLLBACK', `bundle \`${named.digest}\` is revoked`));
    // Attack: a team's bundle above its organisation's, whose names and ceilings would then be the team's to set.
    const above = joined.at(-1);
    if (above !== undefined && !covers(above.area, bundle.area))
      return fail(
        reject('LAYER', `\`${bundle.area}\` comes after \`${above.area}\`, which does not cover it: the broadest area comes first`),
      );
    joined.push(bundle);
  }
  const bytes = joined.reduce((sum, bundle) => sum + bytesOf(bundle), 0);
  return bytes <= RELEASE_BYTES_MAX
    ? ok(joined)
    : fail(reject('SIZE', `the bundles have ${bytes} bytes together, at most ${RELEASE_BYTES_MAX} are taken`));
}

function bytesOf({ payload }: VerifiedBundle): number {
  return PART_NAMES.reduce((sum, name) => sum + payload.parts[name].bytes, 0);
}

/**
 * Attacks: rollback by one stolen release key, or a layer left out by it, whose ceilings would be gone. Either goes back:
 * a decision of its own, said aloud and signed by more keys.
 */
function judgeReturn(release: Release, envelope: Envelope, { root, highWater }: ReleaseContext): Rejection | undefined {
  const lower = release.bundles.find((bundle) => bundle.revision < highestRevision(highWater, bundle.area));
  if (lower !== undefined && !release.rollback) {
    const highest = highestRevision(highWater, lower.area);
    return reject(
      'ROLLBACK',
      `revision ${lower.revision} of \`${lower.area}\` is below ${highest}, and the release does not say \`rollback: true\``,
    );
  }
  const [leftOut] = areasLeftOut(highWater, release);
  if (leftOut !== undefined && !release.rollback)
    return reject('ROLLBACK', `the layer \`${leftOut}\` is left out, and the release does not say \`rollback: true\``);
  if (!release.rollback) return undefined;
  if (release.reason === null) return reject('ROLLBACK', 'the release says `rollback: true` and gives no reason');
  const counted = countThreshold('Release', envelope, { keys: root.role('release').keys, threshold: root.rollbackThreshold });
  return counted.ok ? undefined : { ...counted.error, detail: `going back: ${counted.error.detail}` };
}
