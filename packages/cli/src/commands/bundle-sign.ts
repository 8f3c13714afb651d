/** `sallyport bundle sign`: a publisher's signature over a manifest, once its parts are seen to be what it names. */

import type { Signer } from '@sallyport/crypto/keys';
import { PART_NAMES, formatProblem } from '@sallyport/model';
import type { Area } from '@sallyport/model';
import {
  cosignEnvelope,
  describeParts,
  digestOfPayload,
  explainRejection,
  parseEnvelope,
  readBundle,
  signEnvelope,
} from '@sallyport/trust';
import { equalBytes } from '@sallyport/crypto';
import { readBundleFiles, writeBundleFiles } from '../bundle/bundle-files.ts';
import type { BundleFiles } from '../bundle/bundle-files.ts';
import { command } from '../command.ts';
import type { Command, Invocation } from '../command.ts';
import { at } from '../files.ts';
import { dirOption, homeOf, signingKeyFile } from '../home.ts';
import type { Home } from '../home.ts';
import { keyReferences, loadSigners } from '../keys.ts';
import { many } from '../option.ts';
import type { Options } from '../option.ts';
import { counted, refusal } from '../output.ts';
import { strangePublishers } from '../publish/own-keys.ts';
import { readOwnTrust } from '../trust-files.ts';

export const bundleSign: Command = command({
  name: 'bundle sign',
  group: "Signers' tools",
  summary: 'sign a built bundle as a publisher',
  details: [
    'Refuses where a part is not the one that the manifest names: nobody should sign what they have not been shown. Adds to the signatures that are there; signatures of the same key are made anew.',
  ],
  arguments: [{ name: 'PATH', says: 'what policy build wrote' }],
  options: {
    key: many('--key FILE', 'private key of a publisher, or command:FILE (repeatable; default: signing/publisher.pem in the folder)'),
    dir: dirOption,
  },
  examples: [{ line: 'bundle sign demo-bundle --key signing/publisher.pem', says: 'as one of the publishers of its area' }],
  async run({ arguments: [shown = ''], options, io, out }) {
    const path = at(io.cwd, shown);
    const files = readBundleFiles(path, shown);
    if (!files.ok) return out.refuse({ exit: 64, problems: files.error });
    const bundle = readBundle(files.value.manifest);
    if (!bundle.ok) return out.refuse(refusal(1, `the manifest of \`${shown}\` does not read: ${explainRejection(bundle.error)}`));
    const held = describeParts(files.value.parts);
    const foreign = PART_NAMES.filter((name) => held[name].digest !== bundle.value.parts[name].digest);
    if (foreign.length > 0)
      return out.refuse({
        exit: 1,
        problems: foreign.map((name) => ({
          path: name,
          message: 'this part is not the one that the manifest names',
          remedy: 'build it again',
        })),
      });
    const keys = options.key.length > 0 ? keyReferences(options.key, io) : [signingKeyFile(homeOf(options.dir, io), 'publisher')];
    const signers = loadSigners(keys, io);
    if (!signers.ok) return out.refuse({ exit: 64, problems: signers.error });
    warnOfStrangers(signers.value, { area: bundle.value.area, home: homeOf(options.dir, io) }, { io, out });
    const envelope = isOver(files.value)
      ? await cosignEnvelope('Bundle', files.value.envelope, signers.value)
      : { ok: true as const, value: await signEnvelope('Bundle', files.value.manifest, signers.value) };
    if (!envelope.ok) return out.refuse(refusal(1, explainRejection(envelope.error)));
    const written = writeBundleFiles(path, { ...files.value, envelope: envelope.value });
    if (!written.ok) return out.refuse({ exit: 64, problems: written.error });
    const signed = parseEnvelope('Bundle', envelope.value);
    const keyIds = signed.ok ? signed.value.signatures.map(({ keyId }) => keyId) : [];
    const digest = digestOfPayload(files.value.manifest);
    const { area, revision } = bundle.value;
    await out.answer(
      { path, digest, area, revision, signatures: keyIds },
      `signed revision ${revision} of ${area}, ${digest}\n${counted(keyIds.length, 'signature')}: ${keyIds.join(', ')}`,
    );
    return 0;
  },
});

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
