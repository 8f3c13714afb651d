/** `sallyport release promote`: a published bundle in force, signed at one machine or at several. */

import { digestOfPayload, cosignEnvelope, explainRejection, ENVELOPE_BYTES_MAX, parseEnvelope, readRelease } from '@sallyport/trust';
import type { Release } from '@sallyport/trust';
import type { Signer } from '@sallyport/crypto/keys';
import { fail, formatProblem, ok } from '@sallyport/model';
import type { Digest, Result, Revision } from '@sallyport/model';
import { command } from '../command.ts';
import type { Command, Invocation } from '../command.ts';
import { LINK_OPTIONS, withLink } from '../connect.ts';
import type { Link } from '../connect.ts';
import { at, outProblem, readBytes, writeFile } from '../files.ts';
import { homeOf } from '../home.ts';
import type { Exit } from '../io.ts';
import { flag, many, positive, text } from '../option.ts';
import { refusal } from '../output.ts';
import type { Refusal } from '../output.ts';
import { areaOption, digestProblems, placeOf, placeProblems, ringOption } from '../places.ts';
import { promoteBelow } from '../publish/promote-below.ts';
import { readAbove, readWith } from '../publish/layers.ts';
import { readHeads } from '../publish/heads.ts';
import { strangeReleasers } from '../publish/own-keys.ts';
import { RELEASE_OPTIONS, releaseSigners } from '../publish/release-options.ts';
import { signRelease, submitRelease } from '../publish/submit-release.ts';
import type { ReleaseWish } from '../publish/submit-release.ts';
import { tellReleased } from '../publish/tell-released.ts';
import { findBundle, readVersions, wentBackFrom } from '../publish/versions.ts';
import type { Versions } from '../publish/versions.ts';
import { judgeReason } from '../reason.ts';
import { readOwnTrust } from '../trust-files.ts';

const OPTIONS = {
  to: text('--to VERSION', 'the bundle: a revision (7), release:12 or a digest (default: the newest revision)'),
  allBelow: flag('--all-below', 'release the bundle wherever its area or one below it has a release; what else they join stays'),
  with: many('--with AREA=VERSION', 'version of a layer above, as in --to (repeatable; default: its newest revision)'),
  rollback: text('--rollback REASON', 'say that it goes back, and why; takes as many keys as Root asks for'),
  file: text('--file FILE', 'a release that others have signed: add to it, or submit it as it is'),
  signOnly: flag('--sign-only', 'sign and write the release, and submit nothing'),
  out: text('--out FILE', 'where to write it (default: back to --file)'),
  bundle: text('--bundle DIGEST', 'with --revision and --release-seq: sign without asking the control plane'),
  revision: positive('--revision N', 'revision of --bundle'),
  releaseSeq: positive('--release-seq N', 'number of the release: the next one of its area and ring'),
  ...LINK_OPTIONS,
  area: areaOption,
  ring: ringOption,
  ...RELEASE_OPTIONS,
} as const;

type Call = Invocation<typeof OPTIONS>;

export const releasePromote: Command = command({
  name: 'release promote',
  group: "Signers' tools",
  summary: 'sign a release of a published bundle, and put it in force',
  details: [
    'Signs with release-1 of the folder unless other keys are named. Where several people have to sign, the first writes the release with --sign-only, and each of the others adds a signature with --file.',
    'Areas are nested by path, and a release joins the bundle of its area with those of the areas that cover it: of each the newest revision, unless --with names another.',
    'With --bundle, --revision and --release-seq nothing but files is needed to sign; that is for a bundle with no layers above it.',
  ],
  options: OPTIONS,
  examples: [
    { line: 'release promote --to 7 --wait', says: 'revision 7, and see it arrive' },
    { line: 'release promote --to 6 --rollback "7 refuses refunds" --sign-only --out r.json', says: 'the first of two signatures' },
    { line: 'release promote --area acme --all-below --wait', says: 'a change of the company’s, for every team' },
    { line: 'release promote --file r.json --release-key release-2.pem', says: 'the second, and submit' },
  ],
  async run(call) {
    const { options, io, out } = call;
    const wrong = [...placeProblems(options), ...digestProblems('--bundle', options.bundle)];
    if (wrong.length > 0) return out.refuse({ exit: 2, problems: wrong });
    const reason = options.rollback === undefined ? ok('') : judgeReason(options.rollback);
    if (!reason.ok) return out.refuse({ exit: 2, problems: [{ path: '--rollback', message: reason.error }] });
    const offline = [options.bundle, options.revision, options.releaseSeq];
    const isOffline = offline.every((one) => one !== undefined);
    if (!isOffline && offline.some((one) => one !== undefined))
      return out.refuse(refusal(2, '`--bundle`, `--revision` and `--release-seq` belong together'));
    if (isOffline && options.to !== undefined) return out.refuse(refusal(2, '`--to` and `--bundle` both name a bundle', 'leave one out'));
    if (options.signOnly && options.out === undefined && options.file === undefined)
      return out.refuse(refusal(2, '`--out` is missing', 'say where to write the signed release'));
    const misplaced =
      options.out === undefined ? undefined : outProblem(at(io.cwd, options.out), { as: 'replacement', shown: options.out });
    if (misplaced !== undefined) return out.refuse({ exit: 64, problems: [misplaced] });
    if (options.allBelow && (options.file !== undefined || isOffline || options.signOnly || options.with.length > 0))
      return out.refuse(
        refusal(
          2,
          '`--all-below` signs several releases, each by what is in force there',
          'leave out --file, --bundle, --sign-only and --with',
        ),
      );
    if (options.allBelow) return withLink(options, call, (link) => toAllBelow(link, call));
    if (options.file !== undefined) return fromFile(options.file, call);
    if (!isOffline) return withLink(options, call, (link) => fromVersions(link, call));
    const trust = readOwnTrust(homeOf(options.dir, io), {}, io);
    if (!trust.ok) return out.refuse(trust.error);
    const bundle = { digest: options.bundle as Digest, revision: options.revision ?? 0 };
    const signed = await sign({ bundle, releaseSeq: options.releaseSeq ?? 0, ttlMsMax: trust.value.root.freshnessTtlMsMax }, call);
    return signed.ok ? finish(signed.value, call) : out.refuse(signed.error);
  },
});

async function fromVersions(link: Link, call: Call): Promise<Exit> {
  const { options, io, out } = call;
  const place = placeOf(options);
  const versions = await readVersions(link, place, io);
  if (!versions.ok) return out.refuse(versions.error);
  const newest = versions.value.bundles[0]?.revision;
  if (newest === undefined) return out.refuse(refusal(1, `nothing is published for ${options.area} yet`, 'see `sallyport policy publish`'));
  const bundle = findBundle(versions.value, options.to ?? String(newest));
  if (!bundle.ok) return out.refuse(bundle.error);
  const held = readWith(options.with);
  if (!held.ok) return out.refuse(held.error);
  const above = await readAbove(link, place, { held: held.value, io });
  if (!above.ok) return out.refuse(above.error);
  const set = [...above.value, bundle.value].map(({ digest }) => digest);
  if (versions.value.releases[0]?.bundles.join(' ') === set.join(' '))
    return out.refuse(refusal(1, `revision ${bundle.value.revision} is in force already`));
  const wentBack = options.rollback === undefined ? wentBackFrom(versions.value, bundle.value.digest) : undefined;
  if (wentBack !== undefined) out.progress(`warning: ${wentBack}`);
  const heads = await readHeads(link, place, io);
  if (!heads.ok) return out.refuse(heads.error);
  const signed = await sign(
    {
      bundle: bundle.value,
      above: above.value,
      releaseSeq: heads.value.releaseSeq + 1,
      ttlMsMax: link.trust.root.freshnessTtlMsMax,
      fallbacks: options.rollback === undefined ? inForceOf(versions.value) : [],
    },
    call,
  );
  if (!signed.ok) return out.refuse(signed.error);
  return options.signOnly ? finish(signed.value, call) : submit(link, signed.value, call);
}

/** Where the release turns out to be wrong, one key brings back what is in force now. */
function inForceOf({ bundles, releases }: Versions): readonly Digest[] {
  const inForce = releases[0]?.bundles ?? [];
  return bundles.filter(({ digest }) => inForce.includes(digest)).map(({ digest }) => digest);
}

/** One layer's bundle, wherever its area and those below it have something in force. */
async function toAllBelow(link: Link, call: Call): Promise<Exit> {
  const { options, io, out } = call;
  const place = placeOf(options);
  const versions = await readVersions(link, place, io);
  if (!versions.ok) return out.refuse(versions.error);
  const newest = versions.value.bundles[0]?.revision;
  if (newest === undefined) return out.refuse(refusal(1, `nothing is published for ${options.area} yet`, 'see `sallyport policy publish`'));
  const bundle = findBundle(versions.value, options.to ?? String(newest));
  if (!bundle.ok) return out.refuse(bundle.error);
  const signers = releaseSigners(options.releaseKey, homeOf(options.dir, io), io, ['release-1']);
  if (!signers.ok) return out.refuse(signers.error);
  warnOfStrangers(signers.value, call);
  const { digest, revision } = bundle.value;
  const wish = {
    place,
    bundle: { area: place.area, digest, revision: revision as Revision },
    signers: signers.value,
    rollbackReason: options.rollback,
    leaveBehind: options.leaveBehind,
    waitMsMax: options.wait ? options.timeout : undefined,
  };
  return promoteBelow(link, wish, call);
}

async function sign(
  wish: Pick<ReleaseWish, 'bundle' | 'above' | 'releaseSeq'> & { readonly ttlMsMax: number; readonly fallbacks?: readonly Digest[] },
  call: Call,
): Promise<Result<Uint8Array, Refusal>> {
  const { options, io } = call;
  const signers = releaseSigners(options.releaseKey, homeOf(options.dir, io), io, ['release-1']);
  if (!signers.ok) return signers;
  warnOfStrangers(signers.value, call);
  const { bundle, above = [], releaseSeq, ttlMsMax, fallbacks = [] } = wish;
  const { digest, revision } = bundle;
  const release: ReleaseWish = {
    place: placeOf(options),
    releaseSeq,
    bundle: { digest, revision },
    above,
    freshnessTtlMsMax: ttlMsMax,
    ...(options.rollback === undefined ? {} : { rollbackReason: options.rollback }),
    fallbacks,
    now: io.clock.wall(),
  };
  return ok(await signRelease(release, signers.value));
}

async function fromFile(shown: string, call: Call): Promise<Exit> {
  const { options, io, out } = call;
  const bytes = readBytes(at(io.cwd, shown), { bytesMax: ENVELOPE_BYTES_MAX.Release, shown });
  if (!bytes.ok) return out.refuse({ exit: 64, problems: [bytes.error] });
  const release = releaseIn(bytes.value);
  if (!release.ok && !parseEnvelope('Release', bytes.value).ok)
    return out.refuse({
      exit: 1,
      problems: [{ path: '', file: shown, message: 'is no signed release', remedy: 'write one with --sign-only and --out' }],
    });
  if (!release.ok) return out.refuse(release.error);
  out.progress(`${shown}: ${describe(release.value)}`);
  if (options.releaseKey.length === 0) return finish(bytes.value, call);
  const signers = releaseSigners(options.releaseKey, homeOf(options.dir, io), io, []);
  if (!signers.ok) return out.refuse(signers.error);
  warnOfStrangers(signers.value, call);
  const cosigned = await cosignEnvelope('Release', bytes.value, signers.value);
  return cosigned.ok ? finish(cosigned.value, call) : out.refuse(refusal(1, explainRejection(cosigned.error)));
}

/** Only a warning: who signs for others may lack their Root. */
function warnOfStrangers(signers: readonly Signer[], { options, io, out }: Call): void {
  const trust = readOwnTrust(homeOf(options.dir, io), {}, io);
  const strange = trust.ok ? strangeReleasers(signers, trust.value.root) : [];
  for (const problem of strange) out.progress(`warning: ${formatProblem(problem)}`);
}

/** Writes what was signed, or submits it: as the options say. */
async function finish(envelope: Uint8Array, call: Call): Promise<Exit> {
  const { options, io, out } = call;
  if (!options.signOnly) return withLink(options, call, (link) => submit(link, envelope, call));
  const file = at(io.cwd, options.out ?? options.file ?? '');
  const written = writeFile(file, envelope, { mode: 0o644, as: 'replacement' });
  if (!written.ok) return out.refuse({ exit: 64, problems: [written.error] });
  const release = releaseIn(envelope);
  if (!release.ok) return out.refuse(release.error);
  const parsed = parseEnvelope('Release', envelope);
  const signatures = parsed.ok ? parsed.value.signatures.map(({ keyId }) => keyId) : [];
  const { area, ring, releaseSeq, rollback } = release.value;
  const digest = parsed.ok ? digestOfPayload(parsed.value.payload) : null;
  await out.answer(
    { file, area, ring, release_seq: releaseSeq, rollback, digest, signatures },
    `signed ${describe(release.value)}\n${file}: ${signatures.join(', ')}`,
  );
  return 0;
}

async function submit(link: Link, envelope: Uint8Array, call: Call): Promise<Exit> {
  const { options, io, out } = call;
  const release = releaseIn(envelope);
  if (!release.ok) return out.refuse(release.error);
  const { rollback: isRollback } = release.value;
  const accepted = await submitRelease(link, envelope, { io, leaveBehind: options.leaveBehind, isRollback });
  if (!accepted.ok) return out.refuse(accepted.error);
  const { area, ring, bundles } = release.value;
  const { releaseSeq } = accepted.value;
  const told = `released ${releaseSeq} to ${area}, ring ${ring}: ${namedBundles(bundles, area)}`;
  const json = { bundles: bundles.map(({ area: of, revision, digest }) => ({ area: of, revision, digest })) };
  return tellReleased({ link, release: accepted.value, call: { ...call, options: { ...options, area, ring } }, json, text: '', told });
}

function releaseIn(envelope: Uint8Array): Result<Release, Refusal> {
  const parsed = parseEnvelope('Release', envelope);
  const read = parsed.ok ? readRelease(parsed.value.payload) : parsed;
  return read.ok ? read : fail(refusal(1, explainRejection(read.error)));
}

function describe({ area, ring, releaseSeq, bundles, rollback, reason }: Release): string {
  const named = bundles
    .map(({ area: of, revision, digest }) => `${of === area ? '' : `${of} `}revision ${revision} (${digest.slice(0, 19)})`)
    .join(', ');
  return `release ${releaseSeq} of ${area}, ring ${ring}: ${named}${rollback ? `, going back: ${reason ?? ''}` : ''}`;
}

/** Each by its revision, and those of other areas by these too. */
function namedBundles(bundles: Release['bundles'], own: string): string {
  return bundles.map(({ area, revision }) => `${area === own ? '' : `${area} `}revision ${revision}`).join(', ');
}
