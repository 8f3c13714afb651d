/** `sallyport policy publish`: from an author's folder to every sidecar, by way of tests, two signatures and staging. */

import type { Signer } from '@sallyport/crypto/keys';
import { fail, ok } from '@sallyport/model';
import type { Area, Digest, Problem, Result } from '@sallyport/model';
import { areasCovering, digestOfPayload, signEnvelope } from '@sallyport/trust';
import type { ReleasedBundle } from '@sallyport/trust';
import { unsignedBundle } from '../bundle/manifest.ts';
import { command } from '../command.ts';
import type { Command, Invocation } from '../command.ts';
import { LINK_OPTIONS, withLink } from '../connect.ts';
import type { Link } from '../connect.ts';
import { homeOf, signingKeyFile } from '../home.ts';
import type { Exit } from '../io.ts';
import { keyReferences, loadSigners } from '../keys.ts';
import { flag, many, text } from '../option.ts';
import { counted } from '../output.ts';
import type { Refusal } from '../output.ts';
import { areaOption, commitProblems, placeOf, placeProblems, ringOption } from '../places.ts';
import { readTestedPolicy } from '../policy/tested-policy.ts';
import type { TestedPolicy } from '../policy/tested-policy.ts';
import { fetchBeneath, readAbove, readWith } from '../publish/layers.ts';
import { readHeads } from '../publish/heads.ts';
import { missingPublishers, strangePublishers, strangeReleasers } from '../publish/own-keys.ts';
import { RELEASE_OPTIONS, releaseSigners } from '../publish/release-options.ts';
import { submitBundle } from '../publish/submit-bundle.ts';
import { signRelease, submitRelease } from '../publish/submit-release.ts';
import type { AcceptedRelease } from '../publish/submit-release.ts';
import { tellReleased } from '../publish/tell-released.ts';
import { findUnchanged } from '../publish/unchanged.ts';
import type { Unchanged } from '../publish/unchanged.ts';
import { readVersions, wentBackFrom } from '../publish/versions.ts';
import { absentFolder } from '../trust-files.ts';
import { POLICY_DIR } from './policy-check.ts';

const OPTIONS = {
  ...LINK_OPTIONS,
  area: areaOption,
  ring: ringOption,
  key: many('--key FILE', 'private key of a publisher, or command:FILE (repeatable; default: signing/publisher.pem in the folder)'),
  commit: text('--commit HEX', 'commit that the policy was taken from, for the log'),
  layer: flag('--layer', 'build it as one layer of several, also where nothing is published above it'),
  with: many('--with AREA=VERSION', 'version of a layer above that it is built beneath (repeatable; default: its newest revision)'),
  noPromote: flag('--no-promote', 'publish the bundle, and leave releasing it to others'),
  force: flag('--force', 'publish and release it although nothing has changed'),
  ...RELEASE_OPTIONS,
} as const;

type Call = Invocation<typeof OPTIONS>;

export const policyPublish: Command = command({
  name: 'policy publish',
  group: 'Policy',
  summary: 'build, test, sign and publish a policy, and release it',
  details: [
    'Keys stay here: the control plane gets signatures, checks them as a sidecar would, and refuses what does not compile or fails its tests. Only parts that it does not hold travel. Nothing is in force before every connected sidecar of the ring has staged it.',
    'What is in force already is not published again, and nothing new is released; what is only published is released.',
    'Areas are nested by path (acme, acme/tools, acme/tools/support). Where something is published for an area that covers this one, the policy is built, tested and released beneath it, as one layer; above it only ceilings stand (docs/spec/policy-v1.md, section 15). A layer above, which has no agents of its own, is published with --layer and --no-promote, and comes into force by release promote for the areas below.',
    'Of two who publish at once one is refused: look at policy log before trying again, since what the other has published would be replaced.',
  ],
  arguments: [POLICY_DIR],
  options: OPTIONS,
  examples: [
    { line: 'policy publish examples/demo-policy --wait', says: 'and see it arrive' },
    { line: 'policy publish policy --no-promote --commit "$(git rev-parse HEAD)"', says: 'in CI, where no release key is' },
  ],
  async run(call) {
    const {
      arguments: [dir = ''],
      options,
      io,
      out,
    } = call;
    const wrong = [...placeProblems(options), ...commitProblems(options.commit)];
    if (wrong.length > 0) return out.refuse({ exit: 2, problems: wrong });
    // Without any root there are no keys either: that is said once, and before the keys.
    const absent = options.key.length === 0 ? absentFolder(homeOf(options.dir, io), {}) : undefined;
    if (absent !== undefined) return out.refuse({ exit: 64, problems: [absent] });
    const signers = ownSigners(call);
    if (!signers.ok) return out.refuse({ exit: 64, problems: signers.error });
    // What stands alone is judged before anybody is called; a layer is tried beneath what the control plane has above it.
    if (!mayBeLayer(options)) {
      const tested = readTestedPolicy(dir, io);
      if (!tested.ok) return out.refuse(tested.error);
      out.progress(`${counted(tested.value.report.passed, 'test')} passed`);
      return withLink(options, call, (link) => publish({ link, tested: tested.value, above: [], signers: signers.value }, call));
    }
    return withLink(options, call, async (link) => {
      const layer = await readLayer(link, call);
      return layer.ok ? publish({ link, ...layer.value, signers: signers.value }, call) : out.refuse(layer.error);
    });
  },
});

interface Signers {
  readonly publishers: readonly Signer[];
  /** Empty where nothing is released. */
  readonly releasers: readonly Signer[];
}

interface Publishing {
  readonly link: Link;
  readonly tested: TestedPolicy;
  /** What it was built beneath, and is released with. */
  readonly above: readonly ReleasedBundle[];
  readonly signers: Signers;
}

function mayBeLayer({ area, layer }: Pick<Call['options'], 'area' | 'layer'>): boolean {
  return layer || areasCovering(area as Area).length > 1;
}

/** Read, built and tested beneath the layers that are published above it. */
async function readLayer(link: Link, call: Call): Promise<Result<Pick<Publishing, 'tested' | 'above'>, Refusal>> {
  const {
    arguments: [dir = ''],
    options,
    io,
    out,
  } = call;
  const place = placeOf(options);
  const held = readWith(options.with);
  const above = held.ok ? await readAbove(link, place, { held: held.value, io }) : held;
  if (!above.ok) return above;
  const beneath = above.value.length > 0 || options.layer ? await fetchBeneath(link, place, { above: above.value, io }) : ok(undefined);
  if (!beneath.ok) return beneath;
  for (const { area, revision } of above.value) out.progress(`beneath revision ${revision} of ${area}`);
  const tested = readTestedPolicy(dir, io, { beneath: beneath.value });
  if (!tested.ok) return tested;
  out.progress(`${counted(tested.value.report.passed, 'test')} passed`);
  return ok({ tested: tested.value, above: above.value });
}

/** Every key that will be asked for, before any work is done for it. */
function ownSigners({ options, io }: Call): Result<Signers, readonly Problem[]> {
  const home = homeOf(options.dir, io);
  const publishers = loadSigners(options.key.length > 0 ? keyReferences(options.key, io) : [signingKeyFile(home, 'publisher')], io);
  const releasers = options.noPromote ? ok([]) : releaseSigners(options.releaseKey, home, io, ['release-1']);
  if (publishers.ok && releasers.ok) return ok({ publishers: publishers.value, releasers: releasers.value });
  return fail([...(publishers.ok ? [] : publishers.error), ...(releasers.ok ? [] : releasers.error.problems)]);
}

async function publish(publishing: Publishing, call: Call): Promise<Exit> {
  const { link, signers, tested, above } = publishing;
  const { options, io, out } = call;
  const place = placeOf(options);
  const strange = [
    ...strangePublishers(signers.publishers, { home: link.home, root: link.trust.root, area: place.area, at: io.clock.wall() }, io),
    ...strangeReleasers(signers.releasers, link.trust.root),
  ];
  if (strange.length > 0) return out.refuse({ exit: 1, problems: strange });
  const versions = await readVersions(link, place, io);
  if (!versions.ok) return out.refuse(versions.error);
  const unchanged = options.force ? undefined : await findUnchanged(link, { parts: tested.built.parts, above }, versions.value, io);
  if (unchanged !== undefined && (options.noPromote || unchanged.release !== undefined)) return tellUnchanged(link, unchanged, call);
  const bundle = unchanged === undefined ? await publishBundle(publishing, call) : await publishedBefore(link, unchanged, call);
  if (!bundle.ok) return out.refuse(bundle.error);
  const wentBack = wentBackFrom(versions.value, bundle.value.digest);
  if (wentBack !== undefined) out.progress(`warning: ${wentBack}`);
  const { digest, revision, uploaded } = bundle.value;
  const json = { bundle: { area: options.area, revision, digest, parts_uploaded: uploaded }, changed: unchanged === undefined };
  const text =
    unchanged === undefined
      ? `published revision ${revision} of ${options.area}, ${digest}`
      : `nothing changed since revision ${revision} of ${options.area}, which was published and not in force`;
  if (options.noPromote) {
    await out.answer({ ...json, release: null }, `${text}\nnext: sallyport release promote --to ${revision}`);
    return 0;
  }
  out.progress(`releasing revision ${revision}`);
  const release = await releaseBundle(bundle.value, publishing, call);
  if (release.ok) return tellReleased({ link, release: release.value, call, json, text });
  const left = {
    path: '',
    message: `revision ${revision} of ${options.area} is published, and not released`,
    remedy: `go on with \`sallyport release promote --to ${revision}\`, or publish again: it is not uploaded twice`,
  };
  return out.refuse({ ...release.error, problems: [...release.error.problems, left] });
}

/** Exit 0: what was asked for is so. With `--wait` it is still seen to be so at every sidecar. */
async function tellUnchanged(link: Link, { bundle, release }: Unchanged, call: Call): Promise<Exit> {
  const { options, out } = call;
  const { revision, digest } = bundle;
  const json = { bundle: { area: options.area, revision, digest, parts_uploaded: 0 }, changed: false };
  const text = `nothing changed since revision ${revision} of ${options.area}: not published (--force publishes it all the same)`;
  if (release === undefined || options.noPromote) {
    await out.answer({ ...json, release: null }, text);
    return 0;
  }
  const { releaseSeq } = release;
  const told = `release ${releaseSeq} has it in force in ring ${options.ring}`;
  return tellReleased({ link, release: { digest: release.digest, releaseSeq, leftBehind: [] }, call, json, text, told });
}

interface PublishedBundle {
  readonly digest: Digest;
  readonly revision: number;
  readonly releaseSeq: number;
  readonly previous: Digest | null;
  readonly uploaded: number;
}

async function publishBundle({ link, tested, signers }: Publishing, call: Call): Promise<Result<PublishedBundle, Refusal>> {
  const {
    arguments: [dir = ''],
    options,
    io,
  } = call;
  const { built, report } = tested;
  const place = placeOf(options);
  const publishing = { home: link.home, root: link.trust.root, area: place.area, at: io.clock.wall() };
  const missing = missingPublishers(signers.publishers, publishing, io);
  if (missing.length > 0) return fail({ exit: 1, problems: missing });
  const heads = await readHeads(link, place, io);
  if (!heads.ok) return heads;
  const revision = heads.value.revision + 1;
  const { manifest } = unsignedBundle(built, report, {
    area: place.area,
    revision,
    previous: heads.value.bundle,
    commit: options.commit ?? null,
  });
  const envelope = await signEnvelope('Bundle', manifest, signers.publishers);
  const uploaded = await submitBundle(link, { envelope, parts: built.parts, dir }, call);
  if (!uploaded.ok) return uploaded;
  return ok({
    digest: digestOfPayload(manifest),
    revision,
    releaseSeq: heads.value.releaseSeq + 1,
    previous: heads.value.bundle,
    uploaded: uploaded.value,
  });
}

/** The same policy was published before, and is not in force: released as it is. */
async function publishedBefore(link: Link, { bundle }: Unchanged, { options, io }: Call): Promise<Result<PublishedBundle, Refusal>> {
  const heads = await readHeads(link, placeOf(options), io);
  if (!heads.ok) return heads;
  const { digest, revision } = bundle;
  return ok({ digest, revision, releaseSeq: heads.value.releaseSeq + 1, previous: null, uploaded: 0 });
}

async function releaseBundle(
  bundle: PublishedBundle,
  { link, above, signers }: Publishing,
  { options, io }: Call,
): Promise<Result<AcceptedRelease, Refusal>> {
  const envelope = await signRelease(
    {
      place: placeOf(options),
      releaseSeq: bundle.releaseSeq,
      bundle,
      above,
      freshnessTtlMsMax: link.trust.root.freshnessTtlMsMax,
      fallbacks: bundle.previous === null ? [] : [bundle.previous],
      now: io.clock.wall(),
    },
    signers.releasers,
  );
  return submitRelease(link, envelope, { io, leaveBehind: options.leaveBehind });
}
