/** Typed arguments as bytes: for the upstream, and in the one canonical form whose digest approvals and records share. */

import { concatBytes, digestOf, utf8 } from '@sallyport/crypto';
import { Decimal, invariant } from '@sallyport/model';
import type { Digest } from '@sallyport/model';
import { plainNumber } from './number-text.ts';
import type { TypedArguments, TypedRecord, TypedValue } from './typed-value.ts';

/** JSON of what was judged, UTF-8, without white space: members in the caller's order, bigints and decimals exactly. */
export function serializeArguments(args: TypedArguments): Uint8Array {
  return utf8(serializeValue(args));
}

/** JSON text of any typed value, as `serializeArguments` writes it; for dialects that build messages around arguments. */
export function serializeValue(value: TypedValue): string {
  return write(value, (number) => String(number), Object.keys);
}

/** The canonical form (docs/spec/arguments-v1.md section 5), UTF-8: equal for equal arguments, whatever their spelling. */
export function canonicalArguments(args: TypedArguments): Uint8Array {
  return utf8(canonicalValue(args));
}

/** The canonical form of any typed value as text; equal texts are equal values. */
export function canonicalValue(value: TypedValue): string {
  return write(value, canonicalNumber, (record) => Object.keys(record).toSorted(byCodePoint));
}

/** Names the use, so that the digest of a call can never be taken for the digest of anything else. */
const DOMAIN = utf8('sallyport-arguments-v1\0');

/** SHA-256 over `sallyport-arguments-v1`, a zero byte and the canonical form. */
export function argumentDigest(args: TypedArguments): Digest {
  return digestOf(concatBytes(DOMAIN, canonicalArguments(args))) as Digest;
}

function write(value: TypedValue, writeNumber: (value: number) => string, keysOf: (record: TypedRecord) => string[]): string {
  const visit = (value: TypedValue): string => {
    if (typeof value === 'string') return writeString(value);
    if (typeof value === 'number') {
      invariant(Number.isFinite(value), 'a typed number is finite');
      return writeNumber(value);
    }
    if (typeof value !== 'object' || value === null) return String(value);
    if (value instanceof Decimal) return value.toString();
    if (isList(value)) return `[${value.map(visit).join(',')}]`;
    const members = keysOf(value).map((key) => `${writeString(key)}:${visit(value[key] as TypedValue)}`);
    return `{${members.join(',')}}`;
  };
  return visit(value);
}

function writeString(text: string): string {
  // Escaping would hide half a surrogate pair behind valid JSON, and two readers would repair it differently.
  invariant(text.isWellFormed(), 'typed text holds no lone surrogate');
  return JSON.stringify(text);
}

/** A double in the notation of a decimal, so that one number has one spelling whatever its type. */
function canonicalNumber(value: number): string {
  const plain = plainNumber(String(value));
  invariant(plain !== undefined, 'a finite double has a plain notation');
  return plain;
}

/** Unicode order. JavaScript's own compares UTF-16 units and puts U+1F600 before U+FF21. */
function byCodePoint(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const [unitA, unitB] = [a.charCodeAt(i), b.charCodeAt(i)];
    if (unitA === unitB) continue;
    const [isHighA, isHighB] = [isSurrogate(unitA), isSurrogate(unitB)];
    // Where they first differ, a surrogate stands for a code point above every unit that is not one.
    if (isHighA !== isHighB) return isHighA ? 1 : -1;
    return unitA - unitB;
  }
  return a.length - b.length;
}

const isSurrogate = (unit: number): boolean => unit >= 0xd800 && unit <= 0xdfff;
const isList = (value: TypedValue): value is readonly TypedValue[] => Array.isArray(value);
