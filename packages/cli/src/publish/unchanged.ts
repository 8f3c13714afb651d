/** Publishing what is published already: found by the parts, since revision, lineage and commit enforce nothing. */

import type { Digest } from '@sallyport/model';
import type { BuiltParts } from '@sallyport/policy';
import { describeParts } from '@sallyport/trust';
import type { Link } from '../connect.ts';
import type { Io } from '../io.ts';
import { fetchBundle, policyOf } from './objects.ts';
import type { BundleVersion, ReleaseVersion, Versions } from './versions.ts';

export interface Unchanged {
  /** The published bundle with these very parts. */
  readonly bundle: BundleVersion;
  /** The release that has it in force; `undefined` where it is only published. */
  readonly release: ReleaseVersion | undefined;
}

/** The version in force, or else the newest revision, that is this policy; `undefined` where neither is. */
export async function findUnchanged(
  link: Link,
  { parts, above }: { readonly parts: BuiltParts['parts']; readonly above: readonly { readonly digest: Digest }[] },
  versions: Versions,
  io: Io,
): Promise<Unchanged | undefined> {
  const wanted = policyOf(describeParts(parts));
  const [release] = versions.releases;
  const inForce = versions.bundles.find(({ digest }) => digest === release?.bundles.at(-1));
  const [newest] = versions.bundles;
  for (const bundle of new Set([inForce, newest])) {
    const manifest = bundle === undefined ? undefined : await fetchBundle(link, bundle.digest, io);
    if (bundle !== undefined && manifest !== undefined && policyOf(manifest.parts) === wanted)
      return { bundle, release: bundle === inForce && isJoinedWith(release, above) ? release : undefined };
  }
  return undefined;
}

/** A release with older layers above is another one. */
function isJoinedWith(release: ReleaseVersion | undefined, above: readonly { readonly digest: Digest }[]): boolean {
  return release !== undefined && release.bundles.slice(0, -1).join(' ') === above.map(({ digest }) => digest).join(' ');
}

/** How many versions are looked at for one that differs. */
const VERSIONS_MAX = 50;

/** The newest version below `from` that is another policy than `digest`. */
export async function findDifferent(
  link: Link,
  { digest, from, versions }: { readonly digest: Digest; readonly from: number; readonly versions: Versions },
  io: Io,
): Promise<BundleVersion | undefined> {
  const own = await fetchBundle(link, digest, io);
  if (own === undefined) return undefined;
  for (const bundle of versions.bundles.filter(({ revision }) => revision < from).slice(0, VERSIONS_MAX)) {
    const manifest = await fetchBundle(link, bundle.digest, io);
    if (manifest !== undefined && policyOf(manifest.parts) !== policyOf(own.parts)) return bundle;
  }
  return undefined;
}

/** Whether two published bundles are the same policy; false where that cannot be told. */
export async function isSamePolicy(link: Link, [a, b]: readonly [Digest, Digest], io: Io): Promise<boolean> {
  const [one, other] = [await fetchBundle(link, a, io), await fetchBundle(link, b, io)];
  return one !== undefined && other !== undefined && policyOf(one.parts) === policyOf(other.parts);
}
