/** `sallyport policy rollback`: an old bundle in a new release, by as many release keys as Root asks for going back. */

import { command } from '../command.ts';
import type { Command, Invocation } from '../command.ts';
import { LINK_OPTIONS, withLink } from '../connect.ts';
import type { Link } from '../connect.ts';
import type { Exit } from '../io.ts';
import { text } from '../option.ts';
import { counted, refusal } from '../output.ts';
import type { Refusal } from '../output.ts';
import { reasonOption } from '../reason.ts';
import { areaOption, placeOf, placeProblems, ringOption } from '../places.ts';
import { readHeads } from '../publish/heads.ts';
import { strangeReleasers } from '../publish/own-keys.ts';
import { RELEASE_OPTIONS, releaseSigners } from '../publish/release-options.ts';
import { aboveInForce } from '../publish/layers.ts';
import { signRelease, submitRelease } from '../publish/submit-release.ts';
import { tellReleased } from '../publish/tell-released.ts';
import { findDifferent, isSamePolicy } from '../publish/unchanged.ts';
import { findBundle, readVersions } from '../publish/versions.ts';
import type { BundleVersion, Versions } from '../publish/versions.ts';

const OPTIONS = {
  to: text('--to VERSION', 'a revision (7), a release that named it (release:12) or a digest (default: what was in force before)'),
  reason: reasonOption,
  ...LINK_OPTIONS,
  area: areaOption,
  ring: ringOption,
  ...RELEASE_OPTIONS,
} as const;

export const policyRollback: Command = command({
  name: 'policy rollback',
  group: 'Policy',
  summary: 'put an earlier version in force again, as a new release',
  details: [
    'Nothing is undone and no number goes back: the release has the next number, names the old bundle, says that it goes back, and why. One stolen release key must not be able to do that, so it takes two.',
  ],
  options: OPTIONS,
  examples: [
    { line: 'policy rollback --reason "refunds refused since 10:40" --wait', says: 'to what was in force before' },
    { line: 'policy rollback --to 7 --reason "last good one"', says: 'to revision 7' },
  ],
  async run(call) {
    const { options, out } = call;
    const wrong = placeProblems(options);
    if (wrong.length > 0) return out.refuse({ exit: 2, problems: wrong });
    return withLink(options, call, (link) => rollback(link, call));
  },
});

async function rollback(link: Link, call: Invocation<typeof OPTIONS>): Promise<Exit> {
  const { options, io, out } = call;
  const place = placeOf(options);
  const signers = releaseSigners(options.releaseKey, link.home, io, ['release-1', 'release-2']);
  if (!signers.ok) return out.refuse(signers.error);
  const strange = strangeReleasers(signers.value, link.trust.root);
  if (strange.length > 0) return out.refuse({ exit: 1, problems: strange });
  const { rollbackThreshold } = link.trust.root;
  const distinct = new Set(signers.value.map(({ keyId }) => keyId)).size;
  if (distinct < rollbackThreshold)
    return out.refuse(
      refusal(
        1,
        `going back takes ${counted(rollbackThreshold, 'release key')}, and ${distinct} is here`,
        'name each with --release-key; or let the second sign elsewhere: release promote --rollback … --sign-only',
      ),
    );
  const versions = await readVersions(link, place, io);
  if (!versions.ok) return out.refuse(versions.error);
  const bundle = findBundle(versions.value, options.to);
  if (!bundle.ok) return out.refuse(bundle.error);
  const current = versions.value.releases[0];
  if (current?.bundles.at(-1) === bundle.value.digest)
    return out.refuse(refusal(1, `revision ${bundle.value.revision} is in force already`));
  const futile = await judgeFutile(link, { target: bundle.value, versions: versions.value }, call);
  if (futile !== undefined) return out.refuse(futile);
  const heads = await readHeads(link, place, io);
  if (!heads.ok) return out.refuse(heads.error);
  const above = await aboveInForce(link, current?.digest, io);
  if (!above.ok) return out.refuse(above.error);
  const envelope = await signRelease(
    {
      place,
      above: above.value,
      releaseSeq: heads.value.releaseSeq + 1,
      bundle: bundle.value,
      freshnessTtlMsMax: link.trust.root.freshnessTtlMsMax,
      rollbackReason: options.reason,
      fallbacks: [],
      now: io.clock.wall(),
    },
    signers.value,
  );
  const release = await submitRelease(link, envelope, { io, leaveBehind: options.leaveBehind });
  if (!release.ok) return out.refuse(release.error);
  const { revision, digest } = bundle.value;
  return tellReleased({
    link,
    release: release.value,
    call,
    json: { bundle: { area: options.area, revision, digest }, rollback: true, reason: options.reason },
    text: `back to revision ${revision} of ${options.area}, ${digest}`,
  });
}

/**
 * Going back to the same policy under another number helps nobody, least of all in a hurry: refused where no version was
 * named, and said where one was. The version that does differ is named either way.
 */
async function judgeFutile(
  link: Link,
  { target, versions }: { readonly target: BundleVersion; readonly versions: Versions },
  { options, io, out }: Invocation<typeof OPTIONS>,
): Promise<Refusal | undefined> {
  const current = versions.bundles.find(({ digest }) => digest === versions.releases[0]?.bundles.at(-1));
  if (current === undefined || !(await isSamePolicy(link, [target.digest, current.digest], io))) return undefined;
  const different = await findDifferent(link, { digest: current.digest, from: target.revision, versions }, io);
  const message = `revision ${target.revision} is the same policy as revision ${current.revision}, which is in force`;
  const remedy =
    different === undefined ? 'no earlier revision differs' : `revision ${different.revision} differs: --to ${different.revision}`;
  if (options.to === undefined) return refusal(1, `going back would change nothing: ${message}`, remedy);
  out.progress(`warning: ${message} (${remedy})`);
  return undefined;
}
