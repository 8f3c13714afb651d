/** `sallyport bundle submit`: a bundle that several people have signed, joined and published. */

import { equalBytes } from '@sallyport/crypto';
import { fail, ok } from '@sallyport/model';
import type { Result } from '@sallyport/model';
import {
  EMPTY_HIGH_WATER,
  digestOfPayload,
  explainRejection,
  joinEnvelopes,
  parseEnvelope,
  payloadTypeOf,
  readBundle,
  trustDelegation,
} from '@sallyport/trust';
import type { Bundle, Envelope } from '@sallyport/trust';
import { readBundleFiles } from '../bundle/bundle-files.ts';
import type { BundleFiles } from '../bundle/bundle-files.ts';
import { keysOf, missingSignatures, readSigned } from '../ceremony/ceremony.ts';
import type { Signatories } from '../ceremony/ceremony.ts';
import { command } from '../command.ts';
import type { Command, Invocation } from '../command.ts';
import { LINK_OPTIONS, withLink } from '../connect.ts';
import type { Link } from '../connect.ts';
import { at } from '../files.ts';
import { many, text } from '../option.ts';
import { refusal } from '../output.ts';
import type { Refusal } from '../output.ts';
import { submitBundle } from '../publish/submit-bundle.ts';
import { readDelegation } from '../trust-files.ts';

const OPTIONS = {
  signed: many('--signed FILE', 'signatures that `bundle sign --detached` wrote (repeatable)'),
  delegation: text('--delegation FILE', 'the signed delegation of its area (default: delegations/<area>.json in the folder)'),
  ...LINK_OPTIONS,
} as const;

type Call = Invocation<typeof OPTIONS>;

export const bundleSubmit: Command = command({
  name: 'bundle submit',
  group: "Signers' tools",
  summary: 'publish a bundle that its publishers have signed, and release nothing',
  details: [
    'Joins the signatures of its publishers, and names who is missing where they are too few. Of two bundles that were made from the same one the first is taken; the second is refused with `revision_conflict`, since it would undo the first.',
  ],
  arguments: [{ name: 'PATH', says: 'what policy build wrote' }],
  options: OPTIONS,
  examples: [{ line: 'bundle submit payments-bundle --signed alice.json --signed bob.json', says: 'of two publishers' }],
  async run(call) {
    const {
      arguments: [shown = ''],
      io,
      out,
    } = call;
    const files = readBundleFiles(at(io.cwd, shown), shown);
    if (!files.ok) return out.refuse({ exit: 64, problems: files.error });
    const bundle = readBundle(files.value.manifest);
    if (!bundle.ok) return out.refuse(refusal(1, `the manifest of \`${shown}\` does not read: ${explainRejection(bundle.error)}`));
    return withLink(call.options, call, async (link) => {
      const envelope = joinedBy(link, { files: files.value, bundle: bundle.value }, call);
      if (!envelope.ok) return out.refuse(envelope.error);
      const sent = await submitBundle(link, { envelope: envelope.value, parts: files.value.parts, dir: '' }, call);
      if (!sent.ok) return out.refuse(sent.error);
      const { area, revision } = bundle.value;
      const digest = digestOfPayload(files.value.manifest);
      await out.answer(
        { bundle: { area, revision, digest, parts_uploaded: sent.value } },
        `published revision ${revision} of ${area}, ${digest}\nnext: sallyport release promote --to ${revision}`,
      );
      return 0;
    });
  },
});

/** One envelope with every publisher's signature, once they are enough. */
function joinedBy(
  link: Link,
  { files, bundle }: { readonly files: BundleFiles; readonly bundle: Bundle },
  { options, io }: Call,
): Result<Uint8Array, Refusal> {
  const bytes = readDelegation(link.home, bundle.area, options.delegation, io);
  if (!bytes.ok) return fail({ exit: 64, problems: [bytes.error] });
  const delegation = trustDelegation(bytes.value, { root: link.trust.root, highWater: EMPTY_HIGH_WATER, at: io.clock.wall() });
  if (!delegation.ok) return fail(refusal(1, explainRejection(delegation.error)));
  const others = readSigned('Bundle', files.manifest, options.signed, io);
  if (!others.ok) return others;
  const own = files.envelope === undefined ? undefined : parseEnvelope('Bundle', files.envelope);
  const unsigned: Envelope = { payloadType: payloadTypeOf('Bundle'), payload: files.manifest, signatures: [] };
  // Another manifest's signatures are no use.
  const isOver = own?.ok === true && equalBytes(own.value.payload, files.manifest);
  const all: readonly [Envelope, ...Envelope[]] = [isOver ? own.value : unsigned, ...others.value];
  const signatories: readonly Signatories[] = [
    { says: `publishing for ${bundle.area} (delegation ${delegation.value.number})`, role: delegation.value.publishers },
  ];
  const missing = missingSignatures('Bundle', { ...unsigned, signatures: all.flatMap(({ signatures }) => signatures) }, signatories);
  if (missing.length > 0) return fail({ exit: 1, problems: missing });
  const joined = joinEnvelopes('Bundle', all, keysOf(signatories));
  return joined.ok ? ok(joined.value) : fail(refusal(1, explainRejection(joined.error)));
}
