/** `sallyport bundle sign`: a publisher's signature over a manifest, once its parts are seen to be what it names. */

import { equalBytes } from '@sallyport/crypto';
import type { Signer } from '@sallyport/crypto/keys';
import { PART_NAMES, fail, formatProblem, ok } from '@sallyport/model';
import type { Area, Digest, Problem, Result, Ring } from '@sallyport/model';
import { diffPolicies } from '@sallyport/policy/lab';
import {
  ENVELOPE_BYTES_MAX,
  cosignEnvelope,
  describeParts,
  digestOfPayload,
  explainRejection,
  parseEnvelope,
  readBundle,
  signEnvelope,
} from '@sallyport/trust';
import type { Bundle } from '@sallyport/trust';
import { readBundleFiles, writeBundleFiles } from '../bundle/bundle-files.ts';
import type { BundleFiles } from '../bundle/bundle-files.ts';
import { command } from '../command.ts';
import type { Command, Invocation } from '../command.ts';
import { LINK_OPTIONS, openLink } from '../connect.ts';
import { at, outProblem, readBytes, writeFile } from '../files.ts';
import { homeOf, signingKeyFile } from '../home.ts';
import type { Home } from '../home.ts';
import type { Exit, Io } from '../io.ts';
import { keyReferences, loadSigners } from '../keys.ts';
import { diffReport } from '../lab/diff-report.ts';
import { fetchSide, readSide } from '../lab/side.ts';
import type { Side } from '../lab/side.ts';
import { many, text } from '../option.ts';
import type { Options } from '../option.ts';
import { counted, refusal } from '../output.ts';
import type { Refusal } from '../output.ts';
import { digestProblems, ringOption } from '../places.ts';
import { strangePublishers } from '../publish/own-keys.ts';
import { readOwnTrust } from '../trust-files.ts';

const OPTIONS = {
  key: many('--key FILE', 'private key of a publisher, or command:FILE (repeatable; default: signing/publisher.pem in the folder)'),
  digest: text('--digest DIGEST', 'sign this very bundle and no other, as whoever asked for the signature has told it'),
  detached: text('--detached FILE', 'write the signatures to a new file of their own; PATH may then be the manifest alone, with --digest'),
  against: text('--against OLD', 'show first what it allows and denies that another policy or bundle does not; or `published`'),
  ...LINK_OPTIONS,
  ring: ringOption,
} as const;

type Call = Invocation<typeof OPTIONS>;

export const bundleSign: Command = command({
  name: 'bundle sign',
  group: "Signers' tools",
  summary: 'sign a built bundle as a publisher',
  details: [
    'Refuses where a part is not the one that the manifest names: nobody should sign what they have not been shown. Adds to the signatures that are there; signatures of the same key are made anew.',
    'Who signs what others have built compares: --against published shows what would be newly allowed and denied, and --digest holds it to the digest that was agreed on.',
  ],
  arguments: [{ name: 'PATH', says: 'what policy build wrote' }],
  options: OPTIONS,
  examples: [
    { line: 'bundle sign demo-bundle --key signing/publisher.pem', says: 'as one of the publishers of its area' },
    { line: 'bundle sign demo-bundle --against published --key mine.pem', says: 'as the second, who looks at what changes' },
    { line: 'bundle sign manifest.json --digest sha256:… --key mine.pem --detached mine.json', says: 'a signature that travels by itself' },
  ],
  async run(call) {
    const {
      arguments: [shown = ''],
      options,
      io,
      out,
    } = call;
    const wrong = digestProblems('--digest', options.digest);
    if (wrong.length > 0) return out.refuse({ exit: 2, problems: wrong });
    const misplaced =
      options.detached === undefined ? undefined : outProblem(at(io.cwd, options.detached), { as: 'new', shown: options.detached });
    if (misplaced !== undefined) return out.refuse({ exit: 64, problems: [misplaced] });
    const alone = options.detached === undefined ? undefined : readManifestAlone(shown, io);
    if (alone !== undefined && options.digest === undefined)
      return out.refuse(refusal(2, 'a manifest without its parts shows nothing', 'say with --digest which bundle you mean to sign'));
    const read = alone === undefined ? readWhole(shown, io) : ok(alone);
    if (!read.ok) return out.refuse(read.error);
    const { digest } = read.value;
    if (options.digest !== undefined && options.digest !== digest)
      return out.refuse(
        refusal(1, `\`${shown}\` is ${digest}, and not the bundle that was agreed on`, 'find out why before anybody signs'),
      );
    const compared = await compare(shown, { ...read.value, alone: alone !== undefined }, call);
    if (compared !== undefined) return out.refuse(compared);
    return signAll(read.value, call);
  },
});

/** What is signed: the manifest, and, unless it came alone, the files around it. */
interface ToSign {
  readonly bundle: Bundle;
  readonly digest: Digest;
  readonly manifest: Uint8Array;
  readonly files: BundleFiles | undefined;
}

/** A manifest that lies in a file by itself; `undefined` for anything else. */
function readManifestAlone(shown: string, io: Pick<Io, 'cwd'>): ToSign | undefined {
  const bytes = readBytes(at(io.cwd, shown), { bytesMax: ENVELOPE_BYTES_MAX.Bundle, shown });
  const bundle = bytes.ok ? readBundle(bytes.value) : undefined;
  if (!bytes.ok || bundle?.ok !== true) return undefined;
  return { bundle: bundle.value, digest: digestOfPayload(bytes.value), manifest: bytes.value, files: undefined };
}

function readWhole(shown: string, io: Pick<Io, 'cwd'>): Result<ToSign, Refusal> {
  const files = readBundleFiles(at(io.cwd, shown), shown);
  if (!files.ok) return fail({ exit: 64, problems: files.error });
  const { manifest, parts } = files.value;
  const bundle = readBundle(manifest);
  if (!bundle.ok) return fail(refusal(1, `the manifest of \`${shown}\` does not read: ${explainRejection(bundle.error)}`));
  const held = describeParts(parts);
  const foreign = PART_NAMES.filter((name) => held[name].digest !== bundle.value.parts[name].digest);
  if (foreign.length === 0) return ok({ bundle: bundle.value, digest: digestOfPayload(manifest), manifest, files: files.value });
  const message = 'this part is not the one that the manifest names';
  return fail({ exit: 1, problems: foreign.map((name) => ({ path: name, message, remedy: 'build it again' })) });
}

/** Shows what the bundle changes, where that was asked for; a refusal where it cannot be shown. */
async function compare(shown: string, { bundle, alone }: ToSign & { readonly alone: boolean }, call: Call): Promise<Refusal | undefined> {
  const { options, io, out } = call;
  if (options.against === undefined) return undefined;
  if (alone) return refusal(2, '--against compares policies, and a manifest alone holds none', 'name the whole bundle');
  const after = readSide(shown, io);
  if (!after.ok) return after.error;
  const tell = (before: Result<Side, Refusal>): Refusal | undefined => {
    if (!before.ok) return before.error;
    const report = diffReport(diffPolicies(before.value, after.value), { before: before.value, after: after.value });
    out.progress(report.text ?? report.verdict);
    return undefined;
  };
  if (options.against !== 'published') return tell(readSide(options.against, io));
  const link = await openLink(options, io);
  if (!link.ok) return link.error;
  try {
    return tell(await fetchSide(link.value, { area: bundle.area, ring: options.ring as Ring }, io));
  } finally {
    link.value.close();
  }
}

async function signAll({ bundle, digest, manifest, files }: ToSign, { arguments: [shown = ''], options, io, out }: Call): Promise<Exit> {
  const home = homeOf(options.dir, io);
  const keys = options.key.length > 0 ? keyReferences(options.key, io) : [signingKeyFile(home, 'publisher')];
  const signers = loadSigners(keys, io);
  if (!signers.ok) return out.refuse({ exit: 64, problems: signers.error });
  warnOfStrangers(signers.value, { area: bundle.area, home }, { io, out });
  const isSignedOn = files !== undefined && options.detached === undefined && isOver(files);
  const envelope = isSignedOn
    ? await cosignEnvelope('Bundle', files.envelope, signers.value)
    : ok(await signEnvelope('Bundle', manifest, signers.value));
  if (!envelope.ok) return out.refuse(refusal(1, explainRejection(envelope.error)));
  const path = at(io.cwd, options.detached ?? shown);
  const written =
    options.detached === undefined && files !== undefined
      ? writeBundleFiles(path, { ...files, envelope: envelope.value })
      : detachedWritten(writeFile(path, envelope.value, { mode: 0o644, as: 'new' }));
  if (!written.ok) return out.refuse({ exit: 64, problems: written.error });
  const signed = parseEnvelope('Bundle', envelope.value);
  const keyIds = signed.ok ? signed.value.signatures.map(({ keyId }) => keyId) : [];
  const { area, revision } = bundle;
  await out.answer(
    { path, digest, area, revision, signatures: keyIds },
    `signed revision ${revision} of ${area}, ${digest}\n${counted(keyIds.length, 'signature')}: ${keyIds.join(', ')}`,
  );
  return 0;
}

function detachedWritten(written: Result<undefined, Problem>): Result<undefined, readonly Problem[]> {
  return written.ok ? written : fail([written.error]);
}

/** Only a warning, and only where the folder has a delegation: who signs elsewhere has nothing but the bundle and a key. */
function warnOfStrangers(
  signers: readonly Signer[],
  { area, home }: { readonly area: Area; readonly home: Home },
  { io, out }: Pick<Invocation<Options>, 'io' | 'out'>,
): void {
  const trust = readOwnTrust(home, {}, io);
  const strange = trust.ok ? strangePublishers(signers, { home, root: trust.value.root, area, at: io.clock.wall() }, io) : [];
  for (const problem of strange) out.progress(`warning: ${formatProblem(problem)}`);
}

/** Whether there is an envelope, and it is over this very manifest: another one's signatures are no use. */
function isOver(files: BundleFiles): files is BundleFiles & { readonly envelope: Uint8Array } {
  const parsed = files.envelope === undefined ? undefined : parseEnvelope('Bundle', files.envelope);
  return parsed?.ok === true && equalBytes(parsed.value.payload, files.manifest);
}
