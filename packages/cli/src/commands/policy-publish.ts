/** `sallyport policy publish`: from an author's folder to every sidecar, by way of tests, two signatures and staging. */

import { ok } from '@sallyport/model';
import type { Result } from '@sallyport/model';
import { digestOfPayload, signEnvelope } from '@sallyport/trust';
import { unsignedBundle } from '../bundle/manifest.ts';
import { command } from '../command.ts';
import type { Command, Invocation } from '../command.ts';
import { LINK_OPTIONS, withLink } from '../connect.ts';
import type { Link } from '../connect.ts';
import { at } from '../files.ts';
import { homeOf, signingKeyFile } from '../home.ts';
import type { Exit } from '../io.ts';
import { loadSigners } from '../keys.ts';
import { flag, many, text } from '../option.ts';
import { counted } from '../output.ts';
import type { Refusal } from '../output.ts';
import { areaOption, commitProblems, placeOf, placeProblems, ringOption } from '../places.ts';
import { readTestedPolicy } from '../policy/tested-policy.ts';
import type { TestedPolicy } from '../policy/tested-policy.ts';
import { readHeads } from '../publish/heads.ts';
import { RELEASE_OPTIONS, releaseSigners } from '../publish/release-options.ts';
import { submitBundle } from '../publish/submit-bundle.ts';
import { signRelease, submitRelease } from '../publish/submit-release.ts';
import type { AcceptedRelease } from '../publish/submit-release.ts';
import { tellReleased } from '../publish/tell-released.ts';
import { POLICY_DIR } from './policy-check.ts';

const OPTIONS = {
  ...LINK_OPTIONS,
  area: areaOption,
  ring: ringOption,
  key: many('--key FILE', 'private key of a publisher (repeatable; default: signing/publisher.pem in the folder)'),
  commit: text('--commit HEX', 'commit that the policy was taken from, for the log'),
  noPromote: flag('--no-promote', 'publish the bundle, and leave releasing it to others'),
  ...RELEASE_OPTIONS,
} as const;

type Call = Invocation<typeof OPTIONS>;

export const policyPublish: Command = command({
  name: 'policy publish',
  group: 'Policy',
  summary: 'build, test, sign and publish a policy, and release it',
  details: [
    'Keys stay here: the control plane gets signatures, checks them as a sidecar would, and refuses what does not compile or fails its tests. Only parts that it does not hold travel. Nothing is in force before every connected sidecar of the ring has staged it.',
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
    const tested = readTestedPolicy(dir, io);
    if (!tested.ok) return out.refuse(tested.error);
    out.progress(`${counted(tested.value.report.passed, 'test')} passed`);
    return withLink(options, call, (link) => publish(link, tested.value, call));
  },
});

interface PublishedBundle {
  readonly digest: ReturnType<typeof digestOfPayload>;
  readonly revision: number;
  readonly releaseSeq: number;
  readonly previous: ReturnType<typeof digestOfPayload> | null;
  readonly uploaded: number;
}

async function publish(link: Link, tested: TestedPolicy, call: Call): Promise<Exit> {
  const { options, out } = call;
  const bundle = await publishBundle(link, tested, call);
  if (!bundle.ok) return out.refuse(bundle.error);
  const { digest, revision, uploaded } = bundle.value;
  const bundleJson = { area: options.area, revision, digest, parts_uploaded: uploaded };
  const bundleText = `published revision ${revision} of ${options.area}, ${digest}`;
  if (options.noPromote) {
    await out.answer({ bundle: bundleJson, release: null }, `${bundleText}\nnext: sallyport release promote --revision ${revision}`);
    return 0;
  }
  out.progress(`${bundleText}; releasing`);
  const release = await releaseBundle(link, bundle.value, call);
  if (!release.ok) return out.refuse(release.error);
  return tellReleased({ link, release: release.value, call, json: { bundle: bundleJson }, text: bundleText });
}

async function publishBundle(link: Link, { built, report }: TestedPolicy, call: Call): Promise<Result<PublishedBundle, Refusal>> {
  const {
    arguments: [dir = ''],
    options,
    io,
  } = call;
  const place = placeOf(options);
  const keys =
    options.key.length > 0 ? options.key.map((file) => at(io.cwd, file)) : [signingKeyFile(homeOf(options.dir, io), 'publisher')];
  const signers = loadSigners(keys);
  if (!signers.ok) return { ok: false, error: { exit: 64, problems: signers.error } };
  const heads = await readHeads(link, place, io);
  if (!heads.ok) return heads;
  const revision = heads.value.revision + 1;
  const { manifest } = unsignedBundle(built, report, {
    area: place.area,
    revision,
    previous: heads.value.bundle,
    commit: options.commit ?? null,
  });
  const envelope = await signEnvelope('Bundle', manifest, signers.value);
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

async function releaseBundle(link: Link, bundle: PublishedBundle, { options, io }: Call): Promise<Result<AcceptedRelease, Refusal>> {
  const signers = releaseSigners(options.releaseKey, link.home, io, ['release-1']);
  if (!signers.ok) return signers;
  const envelope = await signRelease(
    {
      place: placeOf(options),
      releaseSeq: bundle.releaseSeq,
      bundle,
      freshnessTtlMsMax: link.trust.root.freshnessTtlMsMax,
      fallbacks: bundle.previous === null ? [] : [bundle.previous],
      now: io.clock.wall(),
    },
    signers.value,
  );
  return submitRelease(link, envelope, { io, leaveBehind: options.leaveBehind });
}
