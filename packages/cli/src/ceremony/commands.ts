/** `… sign` and `… assemble` of every ceremony: the same two steps whatever is signed. */

import { digestOfPayload, explainRejection, joinEnvelopes, parseEnvelope, payloadTypeOf, signEnvelope } from '@sallyport/trust';
import type { Envelope, TrustedRoot } from '@sallyport/trust';
import { fail, invariant, ok } from '@sallyport/model';
import type { Problem, Result } from '@sallyport/model';
import { command } from '../command.ts';
import type { Command } from '../command.ts';
import { at, outProblem, writeFile } from '../files.ts';
import { dirOption, homeOf, shownPath } from '../home.ts';
import type { Home } from '../home.ts';
import type { Io } from '../io.ts';
import { keyReferences, loadSigners } from '../keys.ts';
import { many, required } from '../option.ts';
import { counted, refusal } from '../output.ts';
import type { Refusal } from '../output.ts';
import { absentFolder, readOwnTrust } from '../trust-files.ts';
import { keysOf, missingSignatures, readDraft, readSigned } from './ceremony.ts';
import type { Ceremony, Signatories } from './ceremony.ts';

/** `root sign`, `area sign`, `online-keys sign`. */
export function signCommand<T>(ceremony: Ceremony<T>): Command {
  const { family, kind, noun } = ceremony;
  return command({
    name: `${family} sign`,
    group: "Signers' tools",
    summary: `sign a draft of ${noun}, as one of those who have to`,
    details: [
      'Shows what is being signed first. Refuses a key whose signature would count for nothing. Needs nothing but the draft; with the folder of the root in force it also shows what changes.',
      'A draft that others have signed is signed on.',
    ],
    arguments: [{ name: 'DRAFT', says: `the draft of ${noun}` }],
    options: {
      key: many('--key FILE', 'private key, or command:FILE for a signing command (repeatable; at least one)'),
      out: required('--out FILE', 'new file for the signed copy'),
      dir: dirOption,
    },
    examples: [{ line: `${family} sign ${family}.draft.json --key mine.pem --out ${family}.mine.json`, says: 'one signature more' }],
    async run({ arguments: [shown = ''], options, io, out }) {
      const misplaced = outProblem(at(io.cwd, options.out), { as: 'new', shown: options.out });
      if (misplaced !== undefined) return out.refuse({ exit: 64, problems: [misplaced] });
      if (options.key.length === 0) return out.refuse(refusal(2, 'option `--key FILE` is missing'));
      const draft = readDraft(ceremony, shown, io);
      if (!draft.ok) return out.refuse(draft.error);
      const { object, payload, envelope: held } = draft.value;
      const inForce = rootInForce(homeOf(options.dir, io), io);
      if (!inForce.ok) return out.refuse(inForce.error);
      const root = inForce.value;
      const signatories = ceremony.signatories(object, root);
      if (!signatories.ok) return out.refuse(signatories.error);
      const digest = digestOfPayload(payload);
      for (const line of [...ceremony.describe(object, root), `digest ${digest}`]) out.progress(line);
      const signers = loadSigners(keyReferences(options.key, io), io);
      if (!signers.ok) return out.refuse({ exit: 64, problems: signers.error });
      const strange = strangers(signers.value, signatories.value);
      if (strange.length > 0) return out.refuse({ exit: 1, problems: strange });
      const signed = parsed(kind, await signEnvelope(kind, payload, signers.value));
      const joined = joinEnvelopes(kind, held === undefined ? [signed] : [held, signed], keysOf(signatories.value));
      if (!joined.ok) return out.refuse(refusal(1, explainRejection(joined.error)));
      const written = writeFile(at(io.cwd, options.out), joined.value, { mode: 0o644, as: 'new' });
      if (!written.ok) return out.refuse({ exit: 64, problems: [written.error] });
      const envelope = parsed(kind, joined.value);
      const missing = missingSignatures(kind, envelope, signatories.value);
      const keyIds = envelope.signatures.map(({ keyId }) => keyId);
      await out.answer(
        { file: options.out, digest, signatures: keyIds, complete: missing.length === 0, ...ceremony.json(object) },
        [`signed ${digest}`, `${options.out}: ${counted(keyIds.length, 'signature')}`, ...missing.map(saidMissing)].join('\n'),
      );
      return 0;
    },
  });
}

/** `root assemble`, `area assemble`, `online-keys assemble`. */
export function assembleCommand<T>(ceremony: Ceremony<T>): Command {
  const { family, kind, noun } = ceremony;
  return command({
    name: `${family} assemble`,
    group: "Signers' tools",
    summary: `join the signatures over a draft of ${noun}, and put it in its place in the folder`,
    details: [
      'Refuses, and names who is missing, until every role that has to sign has reached its threshold. What it installs was verified as a sidecar would verify it; nothing that is there is replaced by anything older.',
    ],
    arguments: [{ name: 'DRAFT', says: `the draft of ${noun}` }],
    options: { signed: many('--signed FILE', `a copy that \`${family} sign\` wrote (repeatable)`), dir: dirOption },
    examples: [
      { line: `${family} assemble ${family}.draft.json --signed ${family}.alice.json --signed ${family}.bob.json`, says: 'of two signers' },
    ],
    async run({ arguments: [shown = ''], options, io, out }) {
      const draft = readDraft(ceremony, shown, io);
      if (!draft.ok) return out.refuse(draft.error);
      const { object, payload, envelope: held } = draft.value;
      const home = homeOf(options.dir, io);
      const inForce = rootInForce(home, io);
      if (!inForce.ok) return out.refuse(inForce.error);
      const root = inForce.value;
      const signatories = ceremony.signatories(object, root);
      if (!signatories.ok) return out.refuse(signatories.error);
      const others = readSigned(kind, payload, options.signed, io);
      if (!others.ok) return out.refuse(others.error);
      const unsigned: Envelope = held ?? { payloadType: payloadTypeOf(kind), payload, signatures: [] };
      const joined = joinComplete(ceremony, [unsigned, ...others.value], signatories.value);
      if (!joined.ok) return out.refuse(joined.error);
      const installed = ceremony.install({ object, envelope: joined.value }, { home, root, io });
      if (!installed.ok) return out.refuse(installed.error);
      const digest = digestOfPayload(payload);
      const files = installed.value.map((file) => shownPath(file, io));
      const keyIds = parsed(kind, joined.value).signatures.map(({ keyId }) => keyId);
      await out.answer(
        { digest, signatures: keyIds, files, ...ceremony.json(object) },
        [
          ...ceremony.describe(object, root),
          `digest ${digest}, ${counted(keyIds.length, 'signature')}`,
          ...files.map((file) => `wrote ${file}`),
        ].join('\n'),
      );
      return 0;
    },
  });
}

function joinComplete<T>(
  { kind, noun }: Ceremony<T>,
  envelopes: readonly [Envelope, ...Envelope[]],
  signatories: readonly Signatories[],
): Result<Uint8Array, Refusal> {
  const [first] = envelopes;
  const all: Envelope = { ...first, signatures: envelopes.flatMap(({ signatures }) => signatures) };
  const missing = missingSignatures(kind, all, signatories);
  if (missing.length > 0)
    return fail({ exit: 1, problems: missing.map((one) => ({ ...one, message: `this ${noun} is not signed enough: ${one.message}` })) });
  const joined = joinEnvelopes(kind, envelopes, keysOf(signatories));
  return joined.ok ? joined : fail(refusal(1, explainRejection(joined.error)));
}

function saidMissing({ message, remedy = '' }: Problem): string {
  return `${message}: ${remedy}`;
}

function strangers(signers: readonly { readonly keyId: string }[], signatories: readonly Signatories[]): readonly Problem[] {
  const known = keysOf(signatories).map(({ keyId }) => keyId as string);
  return signers
    .filter(({ keyId }) => !known.includes(keyId))
    .map(({ keyId }) => ({
      path: '',
      message: `key ${keyId} signs nothing here: it is not of ${signatories.map(({ says }) => says).join(', nor of ')}`,
      remedy: `of ${known.join(', ')}`,
    }));
}

/** The root of the folder, where there is one that holds; whoever only signs may have none. */
function rootInForce(home: Home, io: Io): Result<TrustedRoot | undefined, Refusal> {
  if (absentFolder(home, {}) !== undefined) return ok(undefined);
  const trust = readOwnTrust(home, {}, io);
  return trust.ok ? ok(trust.value.root) : trust;
}

function parsed(kind: Ceremony<unknown>['kind'], bytes: Uint8Array): Envelope {
  const envelope = parseEnvelope(kind, bytes);
  invariant(envelope.ok, 'an envelope that was just made reads');
  return envelope.value;
}
