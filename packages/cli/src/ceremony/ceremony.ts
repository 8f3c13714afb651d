/**
 * A ceremony: an object that several people sign at machines that never meet. A *draft* is the exact payload in a file;
 * each signer makes an envelope of it with a signature of their own; whoever collects them joins them, and installs the
 * object once enough have signed. The same two commands serve every kind. docs/spec/ceremonies.md.
 */

import { equalBytes } from '@sallyport/crypto';
import { fail, ok } from '@sallyport/model';
import type { Json, Problem, Result } from '@sallyport/model';
import { ENVELOPE_BYTES_MAX, digestOfPayload, explainRejection, parseEnvelope, tallySignatures } from '@sallyport/trust';
import type { Envelope, KeyRecord, Rejection, RoleKeys, SignedKind, TrustedRoot } from '@sallyport/trust';
import { at, readBytes } from '../files.ts';
import type { Home } from '../home.ts';
import type { Io } from '../io.ts';
import { counted, refusal } from '../output.ts';
import type { Refusal } from '../output.ts';

/** Whose signatures count for an object; all of them have to reach their thresholds. */
export interface Signatories {
  /** `the root role of root 2`. */
  readonly says: string;
  readonly role: RoleKeys;
}

/** What a file was read to. */
export interface Draft<T> {
  readonly object: T;
  readonly payload: Uint8Array;
  /** Where the file was an envelope: signatures that are there already. */
  readonly envelope: Envelope | undefined;
}

/** What differs from kind to kind. */
export interface Ceremony<T> {
  readonly kind: SignedKind;
  /** First word of its commands. */
  readonly family: string;
  /** `root`, for sentences: a draft of a root. */
  readonly noun: string;
  /** Everything that can be judged of it without signatures. */
  readonly read: (payload: Uint8Array) => Result<T, Rejection>;
  /** `undefined` for a trust that is not there: a signer may have no more than the draft. */
  readonly signatories: (object: T, root: TrustedRoot | undefined) => Result<readonly Signatories[], Refusal>;
  /** What signing it does, line by line, against what is in force where that is known. */
  readonly describe: (object: T, root: TrustedRoot | undefined) => readonly string[];
  /** What the answer says of it besides digest and signatures. */
  readonly json: (object: T) => Readonly<Record<string, Json>>;
  /** Verifies it whole, as a receiver would, and puts it in its place; the files written. */
  readonly install: (signed: Signed<T>, place: Place) => Result<readonly string[], Refusal>;
}

export interface Signed<T> {
  readonly object: T;
  readonly envelope: Uint8Array;
}

export interface Place {
  readonly home: Home;
  readonly root: TrustedRoot | undefined;
  readonly io: Io;
}

/** Reads a draft, or a draft that others have signed. */
export function readDraft<T>(ceremony: Ceremony<T>, shown: string, io: Io): Result<Draft<T>, Refusal> {
  const { kind, noun, read } = ceremony;
  const bytes = readBytes(at(io.cwd, shown), { bytesMax: ENVELOPE_BYTES_MAX[kind], shown });
  if (!bytes.ok) return fail({ exit: 64, problems: [bytes.error] });
  const parsed = parseEnvelope(kind, bytes.value);
  const payload = parsed.ok ? parsed.value.payload : bytes.value;
  const object = read(payload);
  if (!object.ok)
    return fail({ exit: 1, problems: [{ path: '', file: shown, message: `is no draft of ${noun}: ${explainRejection(object.error)}` }] });
  return ok({ object: object.value, payload, envelope: parsed.ok ? parsed.value : undefined });
}

/** The signed copies of a draft; each that is over something else, or over nothing, is named. */
export function readSigned(kind: SignedKind, payload: Uint8Array, files: readonly string[], io: Io): Result<readonly Envelope[], Refusal> {
  const envelopes: Envelope[] = [];
  const problems: Problem[] = [];
  for (const file of files) {
    const bytes = readBytes(at(io.cwd, file), { bytesMax: ENVELOPE_BYTES_MAX[kind], shown: file });
    const parsed = bytes.ok ? parseEnvelope(kind, bytes.value) : undefined;
    if (!bytes.ok) problems.push(bytes.error);
    else if (parsed?.ok !== true) problems.push({ path: '', file, message: 'is not signed' });
    else if (!equalBytes(parsed.value.payload, payload))
      problems.push({
        path: '',
        file,
        message: `signs another object: ${digestOfPayload(parsed.value.payload)}, and the draft is ${digestOfPayload(payload)}`,
        remedy: 'two drafts are going round: find out why before anybody signs on',
      });
    else envelopes.push(parsed.value);
  }
  return problems.length === 0 ? ok(envelopes) : fail({ exit: 1, problems });
}

/** Every key that may sign, each once. */
export function keysOf(signatories: readonly Signatories[]): readonly KeyRecord[] {
  return signatories.flatMap(({ role }) => role.keys);
}

/** What is still missing, a line for each role; empty where nothing is. */
export function missingSignatures(kind: SignedKind, envelope: Envelope, signatories: readonly Signatories[]): readonly Problem[] {
  return signatories.flatMap(({ says, role }) => {
    const { threshold, signed, missing } = tallySignatures(kind, envelope, role);
    if (signed.length >= threshold) return [];
    const who = missing.map(({ keyId }) => keyId).join(', ');
    const message = `${says} takes ${counted(threshold, 'signature')}, and ${signed.length} ${signed.length === 1 ? 'is' : 'are'} here`;
    return [{ path: '', message, remedy: `${counted(threshold - signed.length, 'more')} of ${who}`.replace('mores', 'more') }];
  });
}

/** The refusal where nobody can say who signs without the root in force. */
export function needRoot(): Refusal {
  return refusal(64, 'who signs this stands in the root in force, and there is none here', 'name its folder with --dir');
}

/** A refusal of what does not verify. */
export function rejected(rejection: Rejection): Refusal {
  return refusal(1, explainRejection(rejection));
}
