/**
 * The names of signed objects in a folder that is carried to a receiver: one folder for one area and ring, and no folders in
 * it, as a ConfigMap has none. A name says what a file claims to be, and proves nothing. docs/spec/watched-directory.md.
 */

import { encodeHex } from '@sallyport/crypto';
import type { Digest } from '@sallyport/model';
import { BUNDLE_FILE_BYTES_MAX } from './bundle-file.ts';
import { DIRECTORY_FILE_BYTES_MAX } from './directory-file.ts';
import { ENVELOPE_BYTES_MAX, RELEASE_BUNDLES_MAX } from './limits.ts';

/** What lies there, in the order in which a receiver has to take it: each may need those before it. */
export const CARRIED_KINDS = [
  'root',
  'online_keys',
  'revocation_snapshot',
  'bundle',
  'proof',
  'freshness',
  'extension',
  'directory',
  'release',
] as const;
export type CarriedKind = (typeof CARRIED_KINDS)[number];

interface CarriedForm {
  readonly pattern: RegExp;
  readonly bytesMax: number;
  /** Files of this kind. */
  readonly filesMax: number;
}

/** Base64 and the entries beside a few statements. */
const STATEMENTS_BYTES_MAX = 131_072;
const ROOT_FILES_MAX = 256;

const FORMS: Readonly<Record<CarriedKind, CarriedForm>> = {
  root: { pattern: /^root-[1-9][0-9]{0,5}\.json$/, bytesMax: ENVELOPE_BYTES_MAX.Root, filesMax: ROOT_FILES_MAX },
  online_keys: { pattern: /^online-keys\.json$/, bytesMax: ENVELOPE_BYTES_MAX.OnlineKeys, filesMax: 1 },
  revocation_snapshot: { pattern: /^revocation-snapshot\.json$/, bytesMax: ENVELOPE_BYTES_MAX.RevocationSnapshot, filesMax: 1 },
  bundle: { pattern: /^bundle-[0-9a-f]{64}\.json$/, bytesMax: BUNDLE_FILE_BYTES_MAX, filesMax: RELEASE_BUNDLES_MAX },
  proof: { pattern: /^proof-[0-9a-f]{64}\.json$/, bytesMax: STATEMENTS_BYTES_MAX, filesMax: 1 },
  freshness: { pattern: /^freshness\.json$/, bytesMax: STATEMENTS_BYTES_MAX, filesMax: 1 },
  extension: { pattern: /^extension\.json$/, bytesMax: ENVELOPE_BYTES_MAX.Extension, filesMax: 1 },
  directory: { pattern: /^directory\.json$/, bytesMax: DIRECTORY_FILE_BYTES_MAX, filesMax: 1 },
  release: { pattern: /^release\.json$/, bytesMax: ENVELOPE_BYTES_MAX.Release, filesMax: 1 },
};

export interface CarriedName {
  readonly name: string;
  readonly kind: CarriedKind;
  readonly bytesMax: number;
}

/** What a name claims; `undefined` for a file that is none of ours. */
export function readCarriedName(name: string): CarriedName | undefined {
  const kind = CARRIED_KINDS.find((one) => FORMS[one].pattern.test(name));
  return kind === undefined ? undefined : { name, kind, bytesMax: FORMS[kind].bytesMax };
}

/** The files in the order in which they have to be taken, and the kinds of which there are too many, which are left out. */
export function orderCarried(files: readonly CarriedName[]): {
  readonly files: readonly CarriedName[];
  readonly tooMany: readonly CarriedKind[];
} {
  const tooMany = CARRIED_KINDS.filter((kind) => files.filter((file) => file.kind === kind).length > FORMS[kind].filesMax);
  const place = ({ kind, name }: CarriedName): number => CARRIED_KINDS.indexOf(kind) * 1_000_000 + rootNumberOf(name);
  return {
    files: files.filter(({ kind }) => !tooMany.includes(kind)).toSorted((a, b) => place(a) - place(b)),
    tooMany,
  };
}

/** The number that the name of a root claims; 0 for other files. */
export function rootNumberOf(name: string): number {
  return Number(/^root-([1-9][0-9]{0,5})\.json$/.exec(name)?.[1] ?? 0);
}

export function rootFileName(number: number): string {
  return `root-${number}.json`;
}

export function bundleFileName(digest: Digest): string {
  return `bundle-${digest.slice('sha256:'.length)}.json`;
}

/** The name under which the proof over this question is looked for, and no other. */
export function proofFileName(nonce: Uint8Array): string {
  return `proof-${encodeHex(nonce)}.json`;
}

/** Names of which there is one. */
export const ONLINE_KEYS_FILE = 'online-keys.json';
export const REVOCATION_SNAPSHOT_FILE = 'revocation-snapshot.json';
export const FRESHNESS_FILE = 'freshness.json';
export const EXTENSION_FILE = 'extension.json';
export const DIRECTORY_FILE = 'directory.json';
export const RELEASE_FILE = 'release.json';
