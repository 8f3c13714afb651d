/** Request headers as they came: one meaning each, or a refusal. Node alone lets duplicates of most of these pass. */

import { Bug } from '@sallyport/model';
import type { Denial, Result } from '@sallyport/model';

export interface HeaderLimits {
  readonly countMax: number;
  readonly nameBytesMax: number;
  readonly valueBytesMax: number;
  /** Names, values and four bytes of punctuation for each field. */
  readonly totalBytesMax: number;
}

export const HEADER_LIMITS: HeaderLimits = { countMax: 100, nameBytesMax: 128, valueBytesMax: 8_192, totalBytesMax: 32_768 };

/** Request headers by lower-case name. A repeated list field is joined by `, ` (RFC 9110 section 5.3), `cookie` by `; `. */
export interface HeaderLookup {
  get(name: string): string | undefined;
  has(name: string): boolean;
  /** In the order of first appearance. */
  entries(): IterableIterator<[name: string, value: string]>;
}

/** Reads Node's `rawHeaders` (name, value, name, value, ...). Refusals: `malformed_request`, `headers_too_large`. */
export function readHeaders(_rawHeaders: readonly string[], _limits: HeaderLimits = HEADER_LIMITS): Result<HeaderLookup, Denial> {
  throw new Bug('to come');
}
