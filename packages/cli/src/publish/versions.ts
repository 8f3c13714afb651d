/** What was published and released at a place, newest first, and the finding of one version among it. */

import { ListVersionsRequestSchema, create } from '@sallyport/contract';
import type { Version as WireVersion } from '@sallyport/contract';
import { fail, ok } from '@sallyport/model';
import type { Digest, Instant, Result } from '@sallyport/model';
import { CALL_MS, refusedBy } from '../connect.ts';
import type { Link } from '../connect.ts';
import type { Io } from '../io.ts';
import { refusal } from '../output.ts';
import type { Refusal } from '../output.ts';
import type { Place } from '../places.ts';

interface Common {
  readonly digest: Digest;
  /** SPIFFE id of who published it. */
  readonly author: string;
  readonly at: Instant;
}

export interface BundleVersion extends Common {
  readonly kind: 'bundle';
  readonly revision: number;
  readonly commit: string | null;
}

export interface ReleaseVersion extends Common {
  readonly kind: 'release';
  readonly releaseSeq: number;
  /** The broadest area's first, so that the one of its own area is the last. */
  readonly bundles: readonly Digest[];
  readonly isRollback: boolean;
  readonly reason: string | null;
}

export interface Versions {
  readonly bundles: readonly BundleVersion[];
  readonly releases: readonly ReleaseVersion[];
}

const VERSIONS_MAX = 500;

export async function readVersions(link: Link, { area, ring }: Place, io: Io): Promise<Result<Versions, Refusal>> {
  const request = create(ListVersionsRequestSchema, { area, ring, limit: VERSIONS_MAX });
  const answer = await link.publish.listVersions(request, { deadlineMs: CALL_MS, signal: io.signal });
  if (!answer.ok) return fail(refusedBy('listing versions', answer.error, link));
  const { versions } = answer.value;
  return ok({
    bundles: versions
      .filter(({ kind }) => kind === 'bundle')
      .map(bundleOf)
      .toSorted((a, b) => b.revision - a.revision),
    releases: versions
      .filter(({ kind }) => kind === 'release')
      .map(releaseOf)
      .toSorted((a, b) => b.releaseSeq - a.releaseSeq),
  });
}

function commonOf({ digest, author, acceptedAtMs }: WireVersion): Common {
  return { digest: digest as Digest, author, at: Number(acceptedAtMs) as Instant };
}

function bundleOf(version: WireVersion): BundleVersion {
  return {
    ...commonOf(version),
    kind: 'bundle',
    revision: Number(version.revision),
    commit: version.sourceCommit === '' ? null : version.sourceCommit,
  };
}

function releaseOf(version: WireVersion): ReleaseVersion {
  const { releaseSeq, bundles, rollback, reason } = version;
  return {
    ...commonOf(version),
    kind: 'release',
    releaseSeq: Number(releaseSeq),
    bundles: bundles as Digest[],
    isRollback: rollback,
    reason: reason === '' ? null : reason,
  };
}

/** A sentence where what is in force went back from this very bundle; `undefined` elsewhere. */
export function wentBackFrom({ releases }: Versions, digest: Digest): string | undefined {
  const [inForce, ...before] = releases;
  if (inForce?.isRollback !== true || !before.some(({ bundles }) => bundles.includes(digest))) return undefined;
  return `release ${inForce.releaseSeq} went back from what is released again now: ${inForce.reason ?? ''}`;
}

const DIGEST_PREFIX = /^sha256:[0-9a-f]{8,64}$/;

/**
 * The bundle that somebody means: a revision (`7`), a release that named it (`release:12`), or a digest, also its
 * beginning where that is enough. Where nothing is said, the one in force before the one in force now.
 */
export function findBundle({ bundles, releases }: Versions, wanted: string | undefined): Result<BundleVersion, Refusal> {
  const current = releases[0]?.bundles.at(-1);
  if (wanted === undefined) {
    const before = releases.find((release) => release.bundles.at(-1) !== current)?.bundles.at(-1);
    const found = bundles.find(({ digest }) => digest === before);
    return found === undefined
      ? fail(refusal(1, 'nothing was in force before what is in force now', 'see `sallyport policy log`, and name it with --to'))
      : ok(found);
  }
  const matching = match(bundles, releases, wanted);
  if (matching === undefined)
    return fail(refusal(2, `\`${wanted.slice(0, 80)}\` is no version`, 'write a revision (7), release:12, or a digest (sha256:…)'));
  const [found, ...more] = matching;
  if (found === undefined) return fail(refusal(1, `no bundle here is \`${wanted}\``, 'see `sallyport policy log`'));
  return more.length > 0 ? fail(refusal(2, `\`${wanted}\` could be ${more.length + 1} bundles`, 'write more of the digest')) : ok(found);
}

function match(bundles: Versions['bundles'], releases: Versions['releases'], wanted: string): readonly BundleVersion[] | undefined {
  const release = /^release:([1-9][0-9]{0,15})$/.exec(wanted)?.[1];
  if (release !== undefined) {
    const named = releases.find(({ releaseSeq }) => releaseSeq === Number(release))?.bundles.at(-1);
    return bundles.filter(({ digest }) => digest === named);
  }
  if (/^[1-9][0-9]{0,15}$/.test(wanted)) return bundles.filter(({ revision }) => revision === Number(wanted));
  return DIGEST_PREFIX.test(wanted) ? bundles.filter(({ digest }) => digest.startsWith(wanted)) : undefined;
}
