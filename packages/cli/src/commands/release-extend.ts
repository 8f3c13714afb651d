/** `sallyport release extend`: in an outage in which nobody can issue freshness, the release role's own word, by file. */

import type { Signer } from '@sallyport/crypto/keys';
import { fail, formatInstant, ok } from '@sallyport/model';
import type { Result } from '@sallyport/model';
import {
  ENVELOPE_BYTES_MAX,
  EXTENSION_FILE,
  FRESHNESS_FILE,
  FRESHNESS_TTL_MS_MAX,
  RELEASE_FILE,
  cosignEnvelope,
  encodeExtension,
  explainRejection,
  parseEnvelope,
  readExtension,
  readFreshness,
  readLiveProof,
  readSignedRelease,
  readStatements,
  signEnvelope,
  tallySignatures,
  verifyExtension,
} from '@sallyport/trust';
import type { Extension, RevocationHead, TrustedRoot } from '@sallyport/trust';
import { prepareFolder } from '../bundle/carried.ts';
import { command } from '../command.ts';
import type { Command, Invocation } from '../command.ts';
import { at, outProblem, readBytes, writeFile } from '../files.ts';
import { dirOption, homeOf } from '../home.ts';
import type { Exit } from '../io.ts';
import { duration, formatSpan, many, required, text } from '../option.ts';
import { counted, refusal } from '../output.ts';
import type { Refusal } from '../output.ts';
import { strangeReleasers } from '../publish/own-keys.ts';
import { releaseSigners } from '../publish/release-options.ts';
import { judgeReason } from '../reason.ts';
import { readOwnTrust } from '../trust-files.ts';

const STATEMENTS_BYTES_MAX = 131_072;

const OPTIONS = {
  in: required('--in DIR', 'a watched directory, as bundle export wrote it: names what is extended, and gets the extension'),
  ttl: duration('--ttl SPAN', 'how long it counts, within the ceiling of the root', {
    otherwise: '4h',
    minMs: 60_000,
    maxMs: FRESHNESS_TTL_MS_MAX,
  }),
  reason: text('--reason TEXT', 'why nobody else can say so; needed for the first signature'),
  file: text('--file FILE', 'an extension that others have signed: add to it'),
  out: text('--out FILE', 'where to write it instead, such as for the next signer (default: extension.json in --in)'),
  releaseKey: many(
    '--release-key FILE',
    'private key of the release role, or command:FILE (repeatable; default: release-1 of signing/ in the folder)',
  ),
  dir: dirOption,
} as const;

type Call = Invocation<typeof OPTIONS>;

export const releaseExtend: Command = command({
  name: 'release extend',
  group: "Signers' tools",
  summary: 'say with offline keys that the release in force still is, while the control plane is lost',
  details: [
    'Signed by as many release keys as Root asks for a release, and taken by every sidecar that watches the directory, whatever its stream does. It lets no revocation be forgotten that its signers knew of, makes no other release current, counts no longer than the ceiling of the root, and is over as soon as freshness comes again.',
    'Where several people have to sign, the first writes it with --out, and the others add to it with --file.',
  ],
  options: OPTIONS,
  examples: [
    { line: 'release extend --in carried --ttl 4h --reason "the data centre is dark"', says: 'with one signature' },
    { line: 'release extend --in carried --file e.json --release-key release-2.pem', says: 'the second signature, into the directory' },
  ],
  async run(call) {
    const { options, io, out } = call;
    const misplaced =
      options.out === undefined ? undefined : outProblem(at(io.cwd, options.out), { as: 'replacement', shown: options.out });
    if (misplaced !== undefined) return out.refuse({ exit: 64, problems: [misplaced] });
    const trust = readOwnTrust(homeOf(options.dir, io), {}, io);
    if (!trust.ok) return out.refuse(trust.error);
    const { root } = trust.value;
    const signers = releaseSigners(options.releaseKey, homeOf(options.dir, io), io, ['release-1']);
    if (!signers.ok) return out.refuse(signers.error);
    const strange = strangeReleasers(signers.value, root);
    if (strange.length > 0) return out.refuse({ exit: 1, problems: strange });
    const signed =
      options.file === undefined ? await signFirst(root, signers.value, call) : await signOn(options.file, signers.value, call);
    return signed.ok ? finish(signed.value, root, call) : out.refuse(signed.error);
  },
});

async function signFirst(root: TrustedRoot, signers: readonly Signer[], call: Call): Promise<Result<Uint8Array, Refusal>> {
  const { options, io } = call;
  const reason = options.reason === undefined ? fail('option `--reason TEXT` is missing') : judgeReason(options.reason);
  if (!reason.ok) return fail(refusal(2, reason.error));
  if (options.ttl > root.freshnessTtlMsMax)
    return fail(
      refusal(1, `root ${root.number} lets nothing count longer than ${formatSpan(root.freshnessTtlMsMax)}`, 'name less with --ttl'),
    );
  const release = releaseIn(root, call);
  if (!release.ok) return release;
  const extension: Extension = {
    ...release.value,
    rootNumber: root.number,
    revocation: revocationIn(call),
    issuedAt: io.clock.wall(),
    ttlMs: options.ttl,
    reason: reason.value,
  };
  return ok(await signEnvelope('Extension', encodeExtension(extension), signers));
}

async function signOn(shown: string, signers: readonly Signer[], { options, io, out }: Call): Promise<Result<Uint8Array, Refusal>> {
  const bytes = readBytes(at(io.cwd, shown), { bytesMax: ENVELOPE_BYTES_MAX.Extension, shown });
  if (!bytes.ok) return fail({ exit: 64, problems: [bytes.error] });
  const extension = extensionIn(bytes.value);
  if (!extension.ok) return fail({ exit: 1, problems: [{ path: '', file: shown, message: 'is no signed extension' }] });
  if (options.reason !== undefined) return fail(refusal(2, '`--reason` is the first signer’s to give'));
  out.progress(`${shown}: ${describe(extension.value)}`);
  const cosigned = await cosignEnvelope('Extension', bytes.value, signers);
  return cosigned.ok ? cosigned : fail(refusal(1, explainRejection(cosigned.error)));
}

/** Into the directory once enough have signed; before that only where the signer says. */
async function finish(envelope: Uint8Array, root: TrustedRoot, { options, io, out }: Call): Promise<Exit> {
  const extension = extensionIn(envelope);
  const parsed = parseEnvelope('Extension', envelope);
  if (!extension.ok || !parsed.ok) return out.refuse(refusal(1, 'the extension does not read'));
  const { threshold, signed, missing } = tallySignatures('Extension', parsed.value, root.role('release'));
  const verified = verifyExtension(envelope, root);
  if (!verified.ok && (signed.length >= threshold || options.out === undefined)) {
    const who = missing.map(({ keyId }) => keyId).join(', ');
    const remedy = `write it with --out, and let the holder of another release key add to it with --file: ${who}`;
    return out.refuse(refusal(1, explainRejection(verified.error), remedy));
  }
  const dir = at(io.cwd, options.in);
  const unfit = options.out === undefined ? prepareFolder(dir, options.in) : undefined;
  if (unfit !== undefined) return out.refuse({ exit: 64, problems: [unfit] });
  const shown = options.out ?? `${options.in}/${EXTENSION_FILE}`;
  const written = writeFile(at(io.cwd, shown), envelope, { mode: 0o644, as: 'replacement' });
  if (!written.ok) return out.refuse({ exit: 64, problems: [written.error] });
  const { area, ring, releaseSeq, issuedAt, ttlMs, reason } = extension.value;
  const facts = { area, ring, release_seq: releaseSeq, issued_at: formatInstant(issuedAt), ttl_ms: ttlMs, reason };
  const signatures = signed.map(({ keyId }) => keyId);
  const more = verified.ok ? '' : `\n${counted(threshold - signed.length, 'signature')} still missing`;
  await out.answer(
    { file: shown, ...facts, signatures, complete: verified.ok },
    `${shown}: ${describe(extension.value)}\nsigned by ${signatures.join(', ')}${more}`,
  );
  return 0;
}

function describe({ area, ring, releaseSeq, issuedAt, ttlMs, reason }: Extension): string {
  return `release ${releaseSeq} of ${area}, ring ${ring}, extended by ${formatSpan(ttlMs)} from ${formatInstant(issuedAt)}: ${reason}`;
}

function extensionIn(bytes: Uint8Array): Result<Extension, unknown> {
  const envelope = parseEnvelope('Extension', bytes);
  return envelope.ok ? readExtension(envelope.value.payload) : envelope;
}

type Named = Pick<Extension, 'area' | 'ring' | 'release' | 'releaseSeq'>;

/** What the directory says is in force, if release keys have signed it. Whether it still is, every sidecar judges by what it holds. */
function releaseIn(root: TrustedRoot, { options, io }: Call): Result<Named, Refusal> {
  const shown = `${options.in}/${RELEASE_FILE}`;
  const bytes = readBytes(at(io.cwd, shown), { bytesMax: ENVELOPE_BYTES_MAX.Release, shown });
  if (!bytes.ok) return fail({ exit: 64, problems: [{ ...bytes.error, remedy: 'name a directory that bundle export wrote' }] });
  const release = readSignedRelease(bytes.value, { root, at: io.clock.wall() });
  if (!release.ok) return fail({ exit: 1, problems: [{ path: '', file: shown, message: explainRejection(release.error) }] });
  const { area, ring, releaseSeq } = release.value.payload;
  return ok({ area, ring, releaseSeq, release: release.value.digest });
}

/** How far the log had come by the last statement there; from the beginning where there is none. Sidecars keep what they hold beyond. */
function revocationIn({ options, io }: Call): RevocationHead {
  const bytes = readBytes(at(io.cwd, `${options.in}/${FRESHNESS_FILE}`), { bytesMax: STATEMENTS_BYTES_MAX });
  const heads = (bytes.ok ? readStatements(bytes.value) : []).flatMap(({ kind, offer }) => {
    const of = kind === 'live_proof' ? 'LiveProof' : 'Freshness';
    const envelope = parseEnvelope(of, offer.envelope);
    const read = envelope.ok ? (of === 'LiveProof' ? readLiveProof : readFreshness)(envelope.value.payload) : envelope;
    return read.ok ? [read.value.revocation] : [];
  });
  return heads.reduce((latest, head) => (head.seq > latest.seq ? head : latest), { seq: 0, head: null } as RevocationHead);
}
