/**
 * Directory: what an online key says of principals' attributes. The signed object is small and names its content by digest, so that
 * saying the same again moves few bytes. Shape only; `directory.ts` decides what is trusted. Spec section 4.10.
 */

import { equalBytes, utf8 } from '@sallyport/crypto';
import { fail, formatInstant, ok } from '@sallyport/model';
import type { AttributeValue, Digest, DirectoryEntry, Instant, Json, Problem, Result } from '@sallyport/model';
import * as z from 'zod/mini';
import { API_VERSION } from '../kinds.ts';
import {
  DIRECTORY_ATTRIBUTES_MAX,
  DIRECTORY_BYTES_MAX,
  DIRECTORY_ENTRIES_MAX,
  DIRECTORY_LIST_MAX,
  DIRECTORY_TEXT_CHARS_MAX,
} from '../limits.ts';
import { encodePayload, readJson, readPayload, readShape } from '../payload.ts';
import { reject } from '../rejection.ts';
import type { Rejection } from '../rejection.ts';
import { digest, head, instant, isAttributeName, jsonOf, positive, textOf } from '../shapes.ts';

export interface Directory {
  /** Rises with every one that is signed, also where the content is the same. */
  readonly seq: number;
  readonly content: { readonly digest: Digest; readonly bytes: number };
  readonly issuedAt: Instant;
}

const shape: z.ZodMiniType<Directory> = z.pipe(
  z.strictObject({
    ...head('Directory'),
    seq: positive,
    content: z.strictObject({ digest, bytes: positive }),
    issued_at: instant,
  }),
  z.transform((wire): Directory => ({ seq: wire.seq, content: wire.content, issuedAt: wire.issued_at })),
);

/** Control characters, line separators and bidi overrides: nothing that could forge a line or a look. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;
const isPrintable = (value: unknown): value is string =>
  typeof value === 'string' && value.length <= DIRECTORY_TEXT_CHARS_MAX && !UNPRINTABLE.test(value);
/** As identities read subjects and tenants: `-` is how a record writes "unknown". */
const named: z.ZodMiniType<string> = textOf(
  (name) => (name === '' || name === '-' || name !== name.trim() || !isPrintable(name) ? undefined : name),
  `a name of 1 to ${DIRECTORY_TEXT_CHARS_MAX} printable characters`,
);

const entry: z.ZodMiniType<DirectoryEntry> = z.strictObject({
  issuer: named,
  tenant: named,
  principal: named,
  attributes: jsonOf(attributesOf, `at most ${DIRECTORY_ATTRIBUTES_MAX} attributes, each a text, number, boolean or list of texts`),
});

/** A name may be a prototype's in JSON, and then is none of an attribute. */
function attributesOf(json: unknown): DirectoryEntry['attributes'] | undefined {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return undefined;
  const members = Object.entries(json as Readonly<Record<string, unknown>>);
  const fits = members.length <= DIRECTORY_ATTRIBUTES_MAX && members.every(([name, value]) => isAttributeName(name) && isValue(value));
  return fits ? (Object.fromEntries(members) as Record<string, AttributeValue>) : undefined;
}

function isValue(value: unknown): value is AttributeValue {
  if (Array.isArray(value)) return value.length <= DIRECTORY_LIST_MAX && value.every((item) => isPrintable(item));
  return typeof value === 'number' || typeof value === 'boolean' || isPrintable(value);
}

const CONTENT = 'DirectoryContent';
const content: z.ZodMiniType<readonly DirectoryEntry[]> = z.pipe(
  z.strictObject({
    api_version: z.literal(API_VERSION),
    kind: z.literal(CONTENT),
    entries: z.array(entry).check(z.maxLength(DIRECTORY_ENTRIES_MAX)),
  }),
  z.transform((wire): readonly DirectoryEntry[] => wire.entries),
);

export function readDirectory(payload: Uint8Array): Result<Directory, Rejection> {
  return readPayload('Directory', payload, shape);
}

/** The payload bytes to sign. */
export function encodeDirectory({ seq, content: { digest: ofContent, bytes }, issuedAt }: Directory): Uint8Array {
  return encodePayload('Directory', { seq, content: { digest: ofContent, bytes }, issued_at: formatInstant(issuedAt) });
}

/** One entry as an administrator hands it in, with every problem and its path. */
export function readDirectoryEntry(json: Json): Result<DirectoryEntry, readonly Problem[]> {
  const read = readShape('Directory', json, entry);
  return read.ok ? read : fail(read.error.problems);
}

/** Of one principal: no two entries may have the same. */
export function directoryKeyOf({ issuer, tenant, principal }: DirectoryEntry): string {
  return JSON.stringify([issuer, tenant, principal]);
}

/** Content whose digest was compared. Its entries are in the one order that they may have, each principal once. */
export function readDirectoryContent(bytes: Uint8Array): Result<readonly DirectoryEntry[], Rejection> {
  const json = readJson(bytes, DIRECTORY_BYTES_MAX);
  if (!json.ok) return fail(reject('SIGNATURE', 'the content of the Directory is not strict JSON', json.error));
  const read = readShape('Directory', json.value, content);
  if (!read.ok) return read;
  for (const [index, one] of read.value.entries()) {
    const before = read.value[index - 1];
    // One order: two rows for one principal stand beside each other, and are refused.
    if (before !== undefined && compareEntries(before, one) >= 0)
      return fail(reject('SIGNATURE', `the content of the Directory has entry ${index + 1} out of order, or twice`));
  }
  // One spelling: what a reader passes over (`1.0`, a member named `__proto__`) could be signed and never be seen.
  if (!equalBytes(encodeDirectoryContent(read.value), bytes))
    return fail(reject('SIGNATURE', 'the content of the Directory is not in its one spelling'));
  return ok(read.value);
}

/** The content's bytes: entries and attributes sorted, so that the same directory has the same digest. */
export function encodeDirectoryContent(entries: readonly DirectoryEntry[]): Uint8Array {
  const sorted = entries.toSorted(compareEntries).map(({ issuer, tenant, principal, attributes }) => ({
    issuer,
    tenant,
    principal,
    attributes: Object.fromEntries(Object.entries(attributes).toSorted(([a], [b]) => compare(a, b))),
  }));
  return utf8(JSON.stringify({ api_version: API_VERSION, kind: CONTENT, entries: sorted }));
}

function compareEntries(a: DirectoryEntry, b: DirectoryEntry): number {
  return compare(a.issuer, b.issuer) || compare(a.tenant, b.tenant) || compare(a.principal, b.principal);
}

/** By UTF-16 code units, which no locale changes. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
