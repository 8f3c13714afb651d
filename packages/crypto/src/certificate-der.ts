/**
 * X.509 version 3 certificates as DER (RFC 5280 section 4.1): the shape alone. What may stand in one is decided by
 * `issue.ts`; tests forge with this what nobody may issue.
 */

import { utf8 } from './bytes.ts';
import { TAG, contextTag, writeInteger, writeOid, writeTlv } from './der.ts';
import type { Signer } from './signer.ts';
import { SIGNATURE_OIDS, spkiOf } from './spki.ts';
import type { VerifyKey } from './verify-key.ts';

export interface Validity {
  /** Milliseconds since 1970; certificates hold whole seconds, so both are rounded down. */
  readonly notBefore: number;
  readonly notAfter: number;
}

export interface CertificateContents {
  readonly validity: Validity;
  readonly serial: Uint8Array;
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  readonly subjectPublicKey: VerifyKey;
  readonly extensions: readonly Uint8Array[];
}

/** A certificate by this signer. Throws `TypeError` or `RangeError` where key, serial or validity cannot stand in one. */
export async function signCertificate(signer: Signer, contents: CertificateContents): Promise<Uint8Array> {
  const spki = spkiOf(contents.subjectPublicKey);
  if (spki === undefined) throw new TypeError('not a key that a certificate could hold');
  const algorithm = sequence(writeOid(SIGNATURE_OIDS[signer.alg]));
  const tbs = sequence(
    writeTlv(contextTag(0, true), writeInteger(Uint8Array.of(2))),
    serialNumber(contents.serial),
    algorithm,
    contents.issuer,
    validity(contents.validity),
    contents.subject,
    spki,
    writeTlv(contextTag(3, true), sequence(...contents.extensions)),
  );
  const raw = await signer.sign(tbs);
  const signature = signer.alg === 'ed25519' ? raw : sequence(writeInteger(raw.subarray(0, 32)), writeInteger(raw.subarray(32)));
  return sequence(tbs, algorithm, writeTlv(TAG.bitString, Uint8Array.of(0), signature));
}

/** A SEQUENCE of these. */
export function sequence(...members: readonly Uint8Array[]): Uint8Array {
  return writeTlv(TAG.sequence, ...members);
}

/** One extension around the DER of its value. */
export function extension(oid: string, value: Uint8Array, weight: 'critical' | 'plain' = 'plain'): Uint8Array {
  const critical = weight === 'critical' ? [writeTlv(TAG.boolean, TRUE)] : [];
  return sequence(writeOid(oid), ...critical, writeTlv(TAG.octetString, value));
}

/** A subject or issuer, for people; 64 characters is the most that a common name holds (RFC 5280 appendix A.1). */
export function nameOf(commonName: string): Uint8Array {
  const attribute = (oid: string, text: string): Uint8Array =>
    writeTlv(TAG.set, sequence(writeOid(oid), writeTlv(TAG.utf8String, utf8(text))));
  return sequence(attribute(ORGANIZATION, 'Sallyport'), attribute(COMMON_NAME, commonName.slice(0, 64)));
}

/** A positive number without leading zeros, whatever the bytes are. */
function serialNumber(serial: Uint8Array): Uint8Array {
  const [first, ...rest] = serial;
  if (first === undefined || serial.byteLength < 8 || serial.byteLength > 20) throw new RangeError('a serial has 8 to 20 bytes');
  return writeInteger(Uint8Array.of((first & 0x7f) | 0x40, ...rest));
}

function validity({ notBefore, notAfter }: Validity): Uint8Array {
  if (!(notBefore < notAfter)) throw new RangeError('a certificate is valid from an instant to a later one');
  return sequence(time(notBefore), time(notAfter));
}

/** UTCTime up to 2049, GeneralizedTime from 2050 (RFC 5280 section 4.1.2.5). */
function time(ms: number): Uint8Array {
  // `toISOString` throws the RangeError for what is no instant.
  const digits = `${new Date(ms).toISOString().slice(0, 19).replaceAll(/[-T:]/g, '')}Z`;
  if (digits.length !== 15 || digits < '1950') throw new RangeError('a certificate is valid between the years 1950 and 9999');
  return digits < '2050' ? writeTlv(TAG.utcTime, utf8(digits.slice(2))) : writeTlv(TAG.generalizedTime, utf8(digits));
}

const ORGANIZATION = '2.5.4.10';
const COMMON_NAME = '2.5.4.3';
export const TRUE: Uint8Array = Uint8Array.of(0xff);
