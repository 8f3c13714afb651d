/** What several services read from messages: whole numbers, instants and ids, each a value or `undefined`. */

import { isDigest } from '@sallyport/model';
import type { Digest, Instant } from '@sallyport/model';

/** A 64-bit number of the wire as a number that is exact; `undefined` beyond that. */
export function safeNumber(value: bigint): number | undefined {
  return value >= 0n && value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : undefined;
}

/** Milliseconds since 1970 of the wire; 0 and what no date can hold are `undefined`. */
export function instantOf(value: bigint): Instant | undefined {
  return value > 0n && value <= 8_640_000_000_000_000n ? (Number(value) as Instant) : undefined;
}

export function digestOfText(text: string): Digest | undefined {
  return isDigest(text) ? text : undefined;
}
