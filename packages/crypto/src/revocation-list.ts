/**
 * Certificate revocation lists (RFC 5280, section 5), complete and direct ones alone: a list that is a delta, of one
 * distribution point, or of several issuers says so in a critical extension, and is not read.
 */

import { verify as nodeVerify } from 'node:crypto';
import { encodeHex, fromUtf8 } from './bytes.ts';
import { DerError, TAG, contextTag, readBitStringBytes, readBoolean, readMembers, readOid, readOne } from './der.ts';
import type { Tlv } from './der.ts';
import { equalBytes } from './hash.ts';
import { publicKeyObject } from './key-object.ts';
import { SIGNATURE_OIDS } from './spki.ts';
import { parseCertificate } from './x509.ts';
import type { ParsedCertificate } from './x509.ts';

/** A list whose signature is proven. */
export interface RevocationList {
  /** The issuer's name, DER; as `Certificate.issuer` of the certificates that it speaks of. */
  readonly issuer: Uint8Array;
  /** Milliseconds since 1970: it is fresh from the one until before the other. */
  readonly thisUpdate: number;
  readonly nextUpdate: number;
  /** Whether it names this serial, in hex. */
  has(serial: string): boolean;
}

const LIST_BYTES_MAX = 4_194_304;

/**
 * Reads one list in DER that one of these CA certificates (DER) has signed; `undefined` where it is not one, has no
 * `nextUpdate`, marks as critical what is not known here, or is signed by nobody here. Does not judge its time.
 */
export function readRevocationList(der: Uint8Array, issuers: readonly Uint8Array[]): RevocationList | undefined {
  if (der.byteLength > LIST_BYTES_MAX) return undefined;
  try {
    const [tbs, algorithm, signature] = readMembers(readOne(der, TAG.sequence));
    const list = readList(tbs);
    const signatureOid = readOid(readMembers(algorithm)[0]);
    if (signatureOid !== list.signatureOid) return undefined;
    const bytes = readBitStringBytes(signature);
    const isSigned = issuers.some((issuer) => hasSigned(parseCertificate(issuer), list, (tbs as Tlv).raw, bytes));
    if (!isSigned) return undefined;
    const { issuer, thisUpdate, nextUpdate, serials } = list;
    return { issuer, thisUpdate, nextUpdate, has: (serial) => serials.has(shortest(serial)) };
  } catch {
    // Malformed: for the caller there is one answer.
    return undefined;
  }
}

interface ListFields {
  readonly signatureOid: string;
  readonly issuer: Uint8Array;
  readonly thisUpdate: number;
  readonly nextUpdate: number;
  readonly serials: ReadonlySet<string>;
}

function readList(tbs: Tlv | undefined): ListFields {
  const [version, ...fields] = readMembers(tbs);
  if (version?.tag !== TAG.integer || version.content.byteLength !== 1 || version.content[0] !== 1)
    throw new DerError('not a version 2 list');
  const [algorithm, issuer, thisUpdate, nextUpdate, ...optional] = fields;
  if (issuer?.tag !== TAG.sequence) throw new DerError('no issuer');
  const revoked = optional.find((field) => field.tag === TAG.sequence);
  const extensions = optional.find((field) => field.tag === contextTag(0, true));
  if (extensions !== undefined) refuseCritical(readOne(extensions.content, TAG.sequence));
  return {
    signatureOid: readOid(readMembers(algorithm)[0]),
    issuer: Uint8Array.from(issuer.raw),
    thisUpdate: readTime(thisUpdate),
    nextUpdate: readTime(nextUpdate),
    serials: new Set(revoked === undefined ? [] : readMembers(revoked).map(readSerial)),
  };
}

function readSerial(entry: Tlv): string {
  const [serial, , extensions] = readMembers(entry);
  const [first] = serial?.content ?? [];
  // A negative serial has another spelling in hex, and would not be found.
  if (serial?.tag !== TAG.integer || first === undefined || first >= 0x80) throw new DerError('not a serial');
  if (extensions !== undefined) refuseCritical(extensions);
  return shortest(encodeHex(serial.content));
}

/** Known extensions (number, reason, key identifier) are never critical; an unknown one may change what the list means. */
function refuseCritical(list: Tlv): void {
  for (const extension of readMembers(list)) {
    const [, critical] = readMembers(extension);
    if (critical?.tag === TAG.boolean && readBoolean(critical)) throw new DerError('a critical extension');
  }
}

function hasSigned(issuer: ParsedCertificate | undefined, list: ListFields, tbs: Uint8Array, signature: Uint8Array): boolean {
  const key = issuer?.certificate.publicKey;
  if (issuer === undefined || key === undefined || !equalBytes(issuer.subjectDer, list.issuer)) return false;
  if (!issuer.certificate.isCa || !issuer.certificate.keyUsages.includes('cRLSign') || SIGNATURE_OIDS[key.alg] !== list.signatureOid)
    return false;
  const keyObject = publicKeyObject(key);
  if (keyObject === undefined) return false;
  return nodeVerify(key.alg === 'ed25519' ? null : 'sha256', tbs, keyObject, signature);
}

const UTC = /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/;
const GENERALIZED = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/;

/** RFC 5280, section 5.1.2.4: UTCTime through 2049, GeneralizedTime from 2050. */
function readTime(tlv: Tlv | undefined): number {
  const text = tlv === undefined ? undefined : fromUtf8(tlv.content);
  const match = (tlv?.tag === TAG.utcTime ? UTC : tlv?.tag === TAG.generalizedTime ? GENERALIZED : undefined)?.exec(text ?? '');
  if (match === null || match === undefined) throw new DerError('not a time');
  const [, year = '', month = '', day = '', hour = '', minute = '', second = ''] = match;
  const century = year.length === 4 ? '' : Number(year) >= 50 ? '19' : '20';
  const iso = `${century}${year}-${month}-${day}T${hour}:${minute}:${second}.000Z`;
  const ms = Date.parse(iso);
  if (!Number.isFinite(ms) || new Date(ms).toISOString() !== iso) throw new DerError('not a time');
  return ms;
}

/** One spelling of a serial: certificates and lists differ in leading zeros. */
function shortest(hex: string): string {
  return hex.toLowerCase().replace(/^0+/, '');
}
