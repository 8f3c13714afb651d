/**
 * Going back in a hurry: the release in force names up to three bundles that one release key may return to. Whoever has
 * stolen one key can do that much, once, and nothing else: no layer goes missing, nothing lives longer, and the release
 * after it takes the usual keys again. docs/spec/trust-v1.md section 6.8.
 */

import { fail, ok } from '@sallyport/model';
import type { Digest, Result } from '@sallyport/model';
import { digestOfPayload, parseEnvelope } from './envelope.ts';
import type { HighWater } from './high-water.ts';
import { readRelease } from './objects/release.ts';
import type { Release } from './objects/release.ts';
import { reject } from './rejection.ts';
import type { Rejection } from './rejection.ts';
import type { TrustedRoot } from './roots.ts';
import { countThreshold } from './threshold.ts';

/** The release that lists where to go back to, signed by the whole threshold. */
export interface Listing {
  readonly release: Release;
  readonly digest: Digest;
}

/** Verifies what travels inside of a release that goes to a fallback. */
export function readListing(fallbackOf: Uint8Array, root: TrustedRoot): Result<Listing, Rejection> {
  const parsed = parseEnvelope('Release', fallbackOf);
  if (!parsed.ok) return parsed;
  const counted = countThreshold('Release', parsed.value, root.role('release'));
  if (!counted.ok) return fail({ ...counted.error, detail: `the release that lists the fallback: ${counted.error.detail}` });
  const read = readRelease(parsed.value.payload);
  return read.ok ? ok({ release: read.value, digest: digestOfPayload(parsed.value.payload) }) : read;
}

/** Why a release may not go where it goes on the strength of what its predecessor lists; `undefined` where it may. */
export function judgeFallback(release: Release, { release: listing, digest }: Listing, highWater: HighWater): Rejection | undefined {
  if (!release.rollback || release.reason === null) return reject('ROLLBACK', 'a fallback says `rollback: true`, and why');
  if (listing.area !== release.area || listing.ring !== release.ring)
    return reject('AREA', 'the fallback is listed for another area or ring');
  // Attack: a list of long ago, by one stolen key, after the signers have thought better of it.
  if (release.releaseSeq !== listing.releaseSeq + 1)
    return reject(
      'ROLLBACK',
      `a fallback that release ${listing.releaseSeq} lists is release ${listing.releaseSeq + 1}, not ${release.releaseSeq}`,
    );
  const held = highWater.releases.find((row) => row.area === release.area && row.ring === release.ring);
  if (held?.number === listing.releaseSeq && held.digest !== digest)
    return reject('EQUIVOCATION', `another release ${listing.releaseSeq} lists this fallback than the one that was accepted`);
  if (release.freshnessTtlMsMax > listing.freshnessTtlMsMax)
    return reject('ROOT', 'a fallback does not live longer than the release that lists it');
  if (release.fallbacks.some((one) => !listing.fallbacks.includes(one)))
    return reject('ROLLBACK', 'a fallback lists bundles that were not listed before');
  return judgeBundles(release, listing);
}

/** Attack: leaving out the layer that restricts. The areas stay, and each has the bundle that it had or a listed one. */
function judgeBundles(release: Release, listing: Release): Rejection | undefined {
  const areas = (of: Release): string => of.bundles.map(({ area }) => area).join(' ');
  if (areas(release) !== areas(listing)) return reject('AREA', 'a fallback joins bundles of the same areas as the release that lists it');
  const unlisted = release.bundles.find(
    ({ digest }) => !listing.fallbacks.includes(digest) && !listing.bundles.some((bundle) => bundle.digest === digest),
  );
  return unlisted === undefined
    ? undefined
    : reject('ROLLBACK', `bundle \`${unlisted.digest}\` is no fallback of release ${listing.releaseSeq}`);
}
