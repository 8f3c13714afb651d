/** `sallyport policy log`: every version, who published it, and when. */

import { formatInstant } from '@sallyport/model';
import type { Json } from '@sallyport/model';
import { command } from '../command.ts';
import type { Command } from '../command.ts';
import { LINK_OPTIONS, withLink } from '../connect.ts';
import { positive } from '../option.ts';
import { shownIdentity, table } from '../output.ts';
import { areaOption, placeOf, placeProblems, ringOption } from '../places.ts';
import { readVersions } from '../publish/versions.ts';
import type { BundleVersion, ReleaseVersion, Versions } from '../publish/versions.ts';

export const policyLog: Command = command({
  name: 'policy log',
  group: 'Policy',
  summary: 'list what was published and released: author, time, digest',
  details: [
    'Newest first. The release in force is marked with `*`. Every version can be fetched again by its digest, and put in force again with policy rollback.',
  ],
  options: { ...LINK_OPTIONS, area: areaOption, ring: ringOption, limit: positive('--limit N', 'no more than this many (default: 50)') },
  examples: [{ line: 'policy log --limit 10', says: 'the last ten' }],
  async run(call) {
    const { options, io, out } = call;
    const wrong = placeProblems(options);
    if (wrong.length > 0) return out.refuse({ exit: 2, problems: wrong });
    return withLink(options, call, async (link) => {
      const versions = await readVersions(link, placeOf(options), io);
      if (!versions.ok) return out.refuse(versions.error);
      const shown = ordered(versions.value).slice(0, options.limit ?? VERSIONS_SHOWN);
      const text = shown.length === 0 ? `nothing is published in area ${options.area} yet` : textOf(shown, versions.value);
      await out.answer({ versions: shown.map(versionJson) }, text);
      return 0;
    });
  },
});

const VERSIONS_SHOWN = 50;

type Version = BundleVersion | ReleaseVersion;

/** By time; what was released in the same moment as it was published comes after it in time, so before it here. */
function ordered({ bundles, releases }: Versions): readonly Version[] {
  return [...releases, ...bundles].toSorted((a, b) => b.at - a.at);
}

function versionJson(version: Version): Json {
  const { kind, digest, author, at } = version;
  const common = { kind, digest, author, at: formatInstant(at) };
  if (version.kind === 'bundle') return { ...common, revision: version.revision, commit: version.commit };
  const { releaseSeq, bundles, isRollback, reason } = version;
  return { ...common, release_seq: releaseSeq, bundles, rollback: isRollback, reason };
}

/** Of all versions those that are shown; a release names bundles that may not be among them. */
function textOf(shown: readonly Version[], versions: Versions): string {
  const revisionOf = new Map(versions.bundles.map(({ digest, revision }) => [digest, revision]));
  const current = versions.releases[0];
  const rows = shown.map((version) => {
    const mark = version === current ? '*' : ' ';
    const what = version.kind === 'bundle' ? `${mark} revision ${version.revision}` : `${mark} release ${version.releaseSeq}`;
    return [what, formatInstant(version.at), shownIdentity(version.author), version.digest.slice(0, 19), noteOf(version, revisionOf)];
  });
  return table([['  VERSION', 'ACCEPTED', 'AUTHOR', 'DIGEST', ''], ...rows]);
}

function noteOf(version: Version, revisionOf: ReadonlyMap<string, number>): string {
  if (version.kind === 'bundle') return version.commit === null ? '' : `commit ${version.commit.slice(0, 12)}`;
  const named = version.bundles.map((digest) => `revision ${revisionOf.get(digest) ?? '?'}`).join(', ');
  return version.isRollback ? `${named}, rollback: ${version.reason ?? ''}` : named;
}
