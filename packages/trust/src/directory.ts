/**
 * The directory in force: signed by the one online key that may say attributes, never older than one that was seen, and within the
 * names that Root leaves to it. What a policy makes of it is the policy's. docs/spec/trust-v1.md section 6.6.
 */

import { digestOf } from '@sallyport/crypto';
import { fail, ok } from '@sallyport/model';
import type { Digest, DirectoryEntry, DirectoryReading, Instant, Result } from '@sallyport/model';
import { digestOfPayload, parseEnvelope } from './envelope.ts';
import { judgeNumber, judgeRootMark } from './high-water.ts';
import type { HighWater } from './high-water.ts';
import { DIRECTORY_BYTES_MAX, SIGNER_SKEW_MS } from './limits.ts';
import { readDirectory, readDirectoryContent } from './objects/directory.ts';
import type { Directory } from './objects/directory.ts';
import { reject } from './rejection.ts';
import type { Rejection } from './rejection.ts';
import { judgeRootExpiry } from './roots.ts';
import type { TrustedRoot } from './roots.ts';
import { countThreshold } from './threshold.ts';

export interface DirectoryContext {
  readonly root: TrustedRoot;
  readonly highWater: HighWater;
  /** Estimated signer time. */
  readonly at: Instant;
}

let makeSigned: (payload: Directory, digest: Digest, root: TrustedRoot) => SignedDirectory;
let make: (signed: SignedDirectory, entries: readonly DirectoryEntry[]) => VerifiedDirectory;

/** A directory whose signature counts and whose content has not come. Only this module makes one. */
export class SignedDirectory {
  readonly payload: Directory;
  readonly digest: Digest;
  /** Under which it was verified, and whose ceiling its content keeps. */
  readonly root: TrustedRoot;

  private constructor(payload: Directory, digest: Digest, root: TrustedRoot) {
    this.payload = payload;
    this.digest = digest;
    this.root = root;
  }

  static {
    makeSigned = (payload, digest, root) => new SignedDirectory(payload, digest, root);
  }

  /** As a mark has it. */
  get number(): number {
    return this.payload.seq;
  }
}

/** A directory with exactly the content that was signed. Only this module makes one. */
export class VerifiedDirectory {
  readonly signed: SignedDirectory;
  readonly size: number;
  /** By issuer, tenant and id. Maps: an id may be the name of a prototype's member. */
  readonly #entries: ReadonlyMap<string, ReadonlyMap<string, ReadonlyMap<string, DirectoryEntry>>>;

  private constructor(signed: SignedDirectory, entries: readonly DirectoryEntry[]) {
    this.signed = signed;
    this.size = entries.length;
    const index = new Map<string, Map<string, Map<string, DirectoryEntry>>>();
    for (const entry of entries) {
      const ofIssuer = index.get(entry.issuer) ?? new Map<string, Map<string, DirectoryEntry>>();
      const ofTenant = ofIssuer.get(entry.tenant) ?? new Map<string, DirectoryEntry>();
      index.set(entry.issuer, ofIssuer.set(entry.tenant, ofTenant.set(entry.principal, entry)));
    }
    this.#entries = index;
  }

  static {
    make = (signed, entries) => new VerifiedDirectory(signed, entries);
  }

  /** The one entry of exactly this issuer, tenant and id. */
  find({ issuer, tenant, id }: Parameters<DirectoryReading['find']>[0]): DirectoryEntry | undefined {
    return this.#entries.get(issuer)?.get(tenant)?.get(id);
  }
}

/** Verifies the signed object. The one that is held already is verified again without being newer. */
export function verifyDirectory(bytes: Uint8Array, { root, highWater, at }: DirectoryContext): Result<SignedDirectory, Rejection> {
  const wrong = judgeRootMark(highWater, root) ?? judgeRootExpiry(root, at);
  if (wrong !== undefined) return fail(wrong);
  const parsed = parseEnvelope('Directory', bytes);
  if (!parsed.ok) return parsed;
  const { directory: role } = root;
  if (role === undefined) return fail(reject('ROOT', `root ${root.number} has no role \`directory\`: nobody may say attributes`));
  const counted = countThreshold('Directory', parsed.value, role);
  if (!counted.ok) return counted;
  const read = readDirectory(parsed.value.payload);
  if (!read.ok) return read;
  const { seq, content, issuedAt } = read.value;
  if (content.bytes > DIRECTORY_BYTES_MAX)
    return fail(reject('SIZE', `the content of the Directory has ${content.bytes} bytes, at most ${DIRECTORY_BYTES_MAX} are read`));
  // Attack: fast-forward by a stolen key, as with statements: the next honest one always has room.
  if (seq > issuedAt) return fail(reject('ROLLBACK', `directory ${seq} is ahead of every honest signer`));
  // Attack: one that is dated ahead would be young for as long as its thief likes.
  if (issuedAt > at + SIGNER_SKEW_MS) return fail(reject('ROLLBACK', `directory ${seq} is dated ahead of the signers' clocks`));
  const digest = digestOfPayload(parsed.value.payload);
  const judged = judgeNumber('directory', { number: seq, digest }, highWater.directory);
  return judged.ok ? ok(makeSigned(read.value, digest, root)) : judged;
}

/** Takes the content that was signed, and no other. */
export function acceptDirectory(signed: SignedDirectory, bytes: Uint8Array): Result<VerifiedDirectory, Rejection> {
  const { content } = signed.payload;
  if (bytes.byteLength !== content.bytes || digestOf(bytes) !== content.digest)
    return fail(reject('DIGEST', 'the content of the Directory is not the one that was signed'));
  const read = readDirectoryContent(bytes);
  if (!read.ok) return read;
  // Attack: a stolen directory key that says what Root never left to it.
  for (const { attributes } of read.value)
    for (const name of Object.keys(attributes))
      if (!signed.root.directoryAttributes.has(name))
        return fail(reject('ROOT', `root ${signed.root.number} leaves no attribute \`${name}\` to the directory`));
  return ok(make(signed, read.value));
}

/** How old it is by the later of two witnesses: a wall clock set back makes it no younger, one set forward only refuses. */
export function directoryAgeMs({ payload }: SignedDirectory, signerTime: Instant, wall: Instant): number {
  return Math.max(0, signerTime - payload.issuedAt, wall - payload.issuedAt);
}
