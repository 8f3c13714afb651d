/** Typed arguments as bytes: for the upstream, and in the one canonical form whose digest approvals and records share. */

import { Bug } from '@sallyport/model';
import type { Digest } from '@sallyport/model';
import type { TypedArguments, TypedValue } from './typed-value.ts';

/** JSON of what was judged, UTF-8, without white space: members in the caller's order, bigints and decimals exactly. */
export function serializeArguments(_args: TypedArguments): Uint8Array {
  throw new Bug('to come');
}

/** JSON text of any typed value, as `serializeArguments` writes it; for dialects that build messages around arguments. */
export function serializeValue(_value: TypedValue): string {
  throw new Bug('to come');
}

/** The canonical form (docs/spec/arguments-v1.md section 5), UTF-8: equal for equal arguments, whatever their spelling. */
export function canonicalArguments(_args: TypedArguments): Uint8Array {
  throw new Bug('to come');
}

/** The canonical form of any typed value as text; equal texts are equal values. */
export function canonicalValue(_value: TypedValue): string {
  throw new Bug('to come');
}

/** SHA-256 over `sallyport-arguments-v1`, a zero byte and the canonical form. */
export function argumentDigest(_args: TypedArguments): Digest {
  throw new Bug('to come');
}
