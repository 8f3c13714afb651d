/**
 * The little DER (X.690) that certificates and requests need beside node:crypto: which extensions there are, what is
 * critical, and the parts of a request. Strict: definite, shortest lengths, nothing after the end. Failures throw
 * `DerError`, which the readers of whole structures turn into their `undefined`.
 */

import { concatBytes, encodeHex } from './bytes.ts';

/** Malformed DER; never leaves this package. */
export class DerError extends Error {
  override readonly name = 'DerError';
}

export interface Tlv {
  readonly tag: number;
  readonly content: Uint8Array;
  /** Tag, length and content. */
  readonly raw: Uint8Array;
}

/** Universal tags, with the constructed bit where DER sets it. */
export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** The tag of `[number]` of a context, constructed or primitive. */
export const contextTag = (number: number, isConstructed: boolean): number => 0x80 | (isConstructed ? 0x20 : 0) | number;

/** Exactly one value with that tag and nothing after it. */
export function readOne(bytes: Uint8Array, tag: number): Tlv {
  const tlv = readTlv(bytes);
  if (tlv.tag !== tag || tlv.raw.byteLength !== bytes.byteLength) throw new DerError('unexpected value or trailing bytes');
  return tlv;
}

/** The values that a SEQUENCE holds. */
export function readMembers(parent: Tlv | undefined): Tlv[] {
  if (parent?.tag !== TAG.sequence) throw new DerError('expected a sequence');
  const members: Tlv[] = [];
  for (let rest = parent.content; rest.byteLength > 0;) {
    const member = readTlv(rest);
    members.push(member);
    rest = rest.subarray(member.raw.byteLength);
  }
  return members;
}

/** The dotted text of an object identifier, arcs of any size. */
export function readOid(tlv: Tlv | undefined): string {
  if (tlv?.tag !== TAG.oid || tlv.content.byteLength === 0) throw new DerError('expected an object identifier');
  const arcs: bigint[] = [];
  let arc = 0n;
  let isInside = false;
  for (const byte of tlv.content) {
    if (!isInside && byte === 0x80) throw new DerError('an arc has leading zeros');
    arc = arc * 128n + BigInt(byte & 0x7f);
    isInside = byte >= 0x80;
    if (isInside) continue;
    arcs.push(arc);
    arc = 0n;
  }
  if (isInside) throw new DerError('an arc does not end');
  const [head = 0n, ...rest] = arcs;
  const root = head < 80n ? head / 40n : 2n;
  return [root, head - root * 40n, ...rest].join('.');
}

/** A BOOLEAN; DER knows only 00 and FF. */
export function readBoolean(tlv: Tlv): boolean {
  const [byte] = tlv.content;
  if (tlv.tag !== TAG.boolean || tlv.content.byteLength !== 1 || (byte !== 0 && byte !== 0xff)) throw new DerError('expected a boolean');
  return byte === 0xff;
}

/** A small non-negative INTEGER. */
export function readCount(tlv: Tlv): number {
  const [first, second] = tlv.content;
  if (tlv.tag !== TAG.integer || first === undefined || first >= 0x80 || tlv.content.byteLength > 4)
    throw new DerError('expected a small number');
  if (first === 0 && second !== undefined && second < 0x80) throw new DerError('a number has leading zeros');
  return Number.parseInt(encodeHex(tlv.content), 16);
}

/** The bytes of a BIT STRING of whole bytes. */
export function readBitStringBytes(tlv: Tlv | undefined): Uint8Array {
  if (tlv?.tag !== TAG.bitString || tlv.content[0] !== 0) throw new DerError('expected a bit string of whole bytes');
  return tlv.content.subarray(1);
}

/** One value of `tag` around the given contents. */
export function writeTlv(tag: number, ...contents: readonly Uint8Array[]): Uint8Array {
  const content = concatBytes(...contents);
  const length = content.byteLength;
  if (length < 0x80) return concatBytes(Uint8Array.of(tag, length), content);
  const lengthBytes = length < 0x100 ? [length] : [length >> 8, length & 0xff];
  if (length > 0xffff) throw new DerError('a value is larger than anything written here');
  return concatBytes(Uint8Array.of(tag, 0x80 | lengthBytes.length, ...lengthBytes), content);
}

/** The INTEGER of unsigned big-endian bytes. */
export function writeInteger(unsigned: Uint8Array): Uint8Array {
  const first = unsigned.findIndex((byte) => byte !== 0);
  const digits = first === -1 ? Uint8Array.of(0) : unsigned.subarray(first);
  // A set top bit would make it negative.
  return (digits[0] as number) >= 0x80 ? writeTlv(TAG.integer, Uint8Array.of(0), digits) : writeTlv(TAG.integer, digits);
}

/** An object identifier from its dotted text. */
export function writeOid(dotted: string): Uint8Array {
  const [root = 0n, second = 0n, ...rest] = dotted.split('.').map(BigInt);
  const bytes = [root * 40n + second, ...rest].flatMap((arc) => {
    const digits = [Number(arc & 0x7fn)];
    for (let left = arc >> 7n; left > 0n; left >>= 7n) digits.unshift(Number(left & 0x7fn) | 0x80);
    return digits;
  });
  return writeTlv(TAG.oid, Uint8Array.from(bytes));
}

function readTlv(bytes: Uint8Array): Tlv {
  const [tag, first] = bytes;
  if (tag === undefined || first === undefined || (tag & 0x1f) === 0x1f) throw new DerError('not a value');
  let length = first;
  let start = 2;
  if (first >= 0x80) {
    const lengthBytes = first & 0x7f;
    // Indefinite lengths are BER, and nothing read here is near four gigabytes.
    if (lengthBytes === 0 || lengthBytes > 3) throw new DerError('a length is not of this form');
    length = 0;
    for (const byte of bytes.subarray(2, 2 + lengthBytes)) length = length * 256 + byte;
    start += lengthBytes;
    if (length < 0x80 || length < 256 ** (lengthBytes - 1)) throw new DerError('a length is longer than needed');
  }
  if (start + length > bytes.byteLength) throw new DerError('a value ends early');
  return { tag, content: bytes.subarray(start, start + length), raw: bytes.subarray(0, start + length) };
}
