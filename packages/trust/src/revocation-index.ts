/**
 * Revocation entries by selector, as a persistent map: adding copies one bucket of many, so that a burst of revocations
 * does not copy the whole log each time, and a reader of the old state is never disturbed.
 */

import { invariant } from '@sallyport/model';
import type { Instant } from '@sallyport/model';
import type { RevocationEntry, Selector } from './objects/revocation.ts';

type Bucket = ReadonlyMap<string, readonly RevocationEntry[]>;

export interface RevocationIndex {
  readonly buckets: readonly Bucket[];
  /** Entries in all buckets. */
  readonly size: number;
}

const BUCKETS = 256;
const EMPTY: Bucket = new Map();

export function noEntries(): RevocationIndex {
  return { buckets: Array.from({ length: BUCKETS }, () => EMPTY), size: 0 };
}

/** Entries for exactly this selector, expired ones included. */
export function entriesOf(index: RevocationIndex, selector: Selector): readonly RevocationEntry[] {
  const key = keyOf(selector);
  return bucketOf(index, key).get(key) ?? [];
}

/** The index with more entries; one that another already covers in reach and time adds nothing. Copies each touched bucket once. */
export function addEntries(index: RevocationIndex, entries: Iterable<RevocationEntry>): RevocationIndex {
  const buckets = [...index.buckets];
  const copied = new Map<number, Map<string, readonly RevocationEntry[]>>();
  let size = index.size;
  for (const entry of entries) {
    const key = keyOf(entry.selector);
    const number = bucketNumber(key);
    const bucket = copied.get(number) ?? new Map(buckets[number]);
    const held = bucket.get(key) ?? [];
    if (held.some((other) => coversEntry(other, entry))) continue;
    const kept = [...held.filter((other) => !coversEntry(entry, other)), entry];
    copied.set(number, bucket.set(key, kept));
    buckets[number] = bucket;
    size += kept.length - held.length;
  }
  return { buckets, size };
}

/** Only what has not expired at `at`. */
export function liveEntries(index: RevocationIndex, at: Instant): RevocationIndex {
  return addEntries(
    noEntries(),
    allEntries(index).filter((entry) => !(at > entry.expiresAt)),
  );
}

/** All entries, in no particular order. */
export function allEntries(index: RevocationIndex): readonly RevocationEntry[] {
  return index.buckets.flatMap((bucket) => [...bucket.values()].flat());
}

/** Whether whatever the second denies the first denies too, for as long. */
export function coversAll(wide: RevocationIndex, narrow: RevocationIndex): boolean {
  return allEntries(narrow).every((entry) => entriesOf(wide, entry.selector).some((other) => coversEntry(other, entry)));
}

function coversEntry(wide: RevocationEntry, narrow: RevocationEntry): boolean {
  const reaches = wide.before === 'never' || (narrow.before !== 'never' && wide.before >= narrow.before);
  return reaches && wide.expiresAt >= narrow.expiresAt;
}

function keyOf({ type, value }: Selector): string {
  return `${type} ${value}`;
}

function bucketOf(index: RevocationIndex, key: string): Bucket {
  const bucket = index.buckets[bucketNumber(key)];
  invariant(bucket !== undefined, 'an index has all its buckets');
  return bucket;
}

/** FNV-1a over UTF-16 units: spreads, and nothing depends on it being hard to steer. */
function bucketNumber(key: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  return (hash >>> 0) % BUCKETS;
}
