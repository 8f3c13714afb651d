/** `sallyport release fallback`: back to a bundle that the release in force lists, by one release key. */

import { fail, ok } from '@sallyport/model';
import type { ReleaseSeq, Result } from '@sallyport/model';
import { ENVELOPE_BYTES_MAX, encodeRelease, parseEnvelope, readRelease, signEnvelope } from '@sallyport/trust';
import type { Release } from '@sallyport/trust';
import { command } from '../command.ts';
import type { Command, Invocation } from '../command.ts';
import { LINK_OPTIONS, withLink } from '../connect.ts';
import type { Link } from '../connect.ts';
import type { Exit } from '../io.ts';
import { text } from '../option.ts';
import { refusal } from '../output.ts';
import type { Refusal } from '../output.ts';
import { areaOption, placeOf, placeProblems, ringOption } from '../places.ts';
import { fetchObject } from '../publish/objects.ts';
import { strangeReleasers } from '../publish/own-keys.ts';
import { RELEASE_OPTIONS, releaseSigners } from '../publish/release-options.ts';
import { submitRelease } from '../publish/submit-release.ts';
import { tellReleased } from '../publish/tell-released.ts';
import { findBundle, readVersions } from '../publish/versions.ts';
import type { BundleVersion, Versions } from '../publish/versions.ts';
import { reasonOption } from '../reason.ts';

const OPTIONS = {
  to: text('--to VERSION', 'which of the fallbacks: a revision (7), release:12 or a digest (default: the first that is listed)'),
  reason: reasonOption,
  ...LINK_OPTIONS,
  area: areaOption,
  ring: ringOption,
  ...RELEASE_OPTIONS,
} as const;

type Call = Invocation<typeof OPTIONS>;

export const releaseFallback: Command = command({
  name: 'release fallback',
  group: "Signers' tools",
  summary: 'go back to a bundle that the release in force lists as a fallback, with one release key',
  details: [
    'For the hour when one person is awake. Only what the release in force lists can be gone to, once, with the same layers beside it; any other return is policy rollback and takes as many keys as Root asks for, and so does the release after this one.',
  ],
  options: OPTIONS,
  examples: [{ line: 'release fallback --reason "refunds refused since 02:40" --wait', says: 'to what was in force before' }],
  async run(call) {
    const { options, out } = call;
    const wrong = placeProblems(options);
    if (wrong.length > 0) return out.refuse({ exit: 2, problems: wrong });
    return withLink(options, call, (link) => fallBack(link, call));
  },
});

async function fallBack(link: Link, call: Call): Promise<Exit> {
  const { options, io, out } = call;
  const signers = releaseSigners(options.releaseKey, link.home, io, ['release-1']);
  if (!signers.ok) return out.refuse(signers.error);
  const strange = strangeReleasers(signers.value, link.trust.root);
  if (strange.length > 0) return out.refuse({ exit: 1, problems: strange });
  const versions = await readVersions(link, placeOf(options), io);
  if (!versions.ok) return out.refuse(versions.error);
  const listing = await readInForce(link, versions.value, call);
  if (!listing.ok) return out.refuse(listing.error);
  const target = targetOf(listing.value.release, versions.value, options.to);
  if (!target.ok) return out.refuse(target.error);
  const { release, envelope: fallbackOf } = listing.value;
  const { area, digest, revision } = { ...target.value, area: options.area };
  const next: Release = {
    ...release,
    releaseSeq: (release.releaseSeq + 1) as ReleaseSeq,
    bundles: release.bundles.map((bundle) =>
      bundle.area === area ? { ...bundle, digest, revision: revision as typeof bundle.revision } : bundle,
    ),
    rollback: true,
    reason: options.reason,
    fallbacks: [],
    createdAt: io.clock.wall(),
    fallbackOf,
  };
  const envelope = await signEnvelope('Release', encodeRelease(next), signers.value);
  const accepted = await submitRelease(link, envelope, { io, leaveBehind: options.leaveBehind });
  if (!accepted.ok) return out.refuse(accepted.error);
  return tellReleased({
    link,
    release: accepted.value,
    call,
    json: { bundle: { area, revision, digest }, rollback: true, reason: options.reason },
    text: `back to revision ${revision} of ${area}, which release ${release.releaseSeq} lists as a fallback`,
  });
}

interface InForce {
  readonly release: Release;
  readonly envelope: Uint8Array;
}

/** The release in force, as it was signed; every receiver verifies it again. */
async function readInForce(link: Link, { releases }: Versions, { options, io }: Call): Promise<Result<InForce, Refusal>> {
  const [inForce] = releases;
  if (inForce === undefined) return fail(refusal(1, `nothing is in force in area ${options.area}, ring ${options.ring}`));
  const envelope = await fetchObject(link, { digest: inForce.digest, bytesMax: ENVELOPE_BYTES_MAX.Release }, io);
  const parsed = envelope === undefined ? undefined : parseEnvelope('Release', envelope);
  const release = parsed?.ok === true ? readRelease(parsed.value.payload) : undefined;
  if (envelope === undefined || release?.ok !== true)
    return fail(refusal(1, `the control plane does not give out release ${inForce.releaseSeq}`));
  return ok({ release: release.value, envelope });
}

function targetOf({ fallbacks, releaseSeq }: Release, versions: Versions, to: string | undefined): Result<BundleVersion, Refusal> {
  const [first] = fallbacks;
  const remedy = 'go back with `sallyport policy rollback`, by as many keys as Root asks for';
  if (first === undefined) return fail(refusal(1, `release ${releaseSeq}, which is in force, lists no fallback`, remedy));
  const found = findBundle(versions, to ?? first);
  if (!found.ok) return found;
  if (fallbacks.includes(found.value.digest)) return found;
  return fail(refusal(1, `revision ${found.value.revision} is no fallback of release ${releaseSeq}, which is in force`, remedy));
}
