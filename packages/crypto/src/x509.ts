/**
 * The parsing behind certificates and chains. OpenSSL, through node:crypto, parses and verifies; extensions are read here
 * from the DER, because Node renders names as one text in which a crafted name can pose as another, and does not tell
 * which extensions are critical.
 */

import { X509Certificate } from 'node:crypto';
import { fromUtf8 } from './bytes.ts';
import type { Certificate } from './certificate.ts';
import { DerError, TAG, contextTag, readBoolean, readCount, readMembers, readOid, readOne } from './der.ts';
import type { Tlv } from './der.ts';
import { publicKeyOf } from './key-object.ts';
import { EXTENDED_KEY_USAGES, KEY_USAGES } from './key-usage.ts';
import type { CertificateUsage } from './key-usage.ts';
import { parseSpiffeId } from './spiffe.ts';

/** A certificate with what only chain verification needs. */
export interface ParsedCertificate {
  readonly certificate: Certificate;
  readonly x509: X509Certificate;
  readonly issuerDer: Uint8Array;
  readonly subjectDer: Uint8Array;
  readonly signatureOid: string;
  readonly hasUnknownCritical: boolean;
  readonly subjectKeyId: Uint8Array | undefined;
}

const CERTIFICATE_BYTES_MAX = 16_384;

/** As `readCertificate`, with the parts that `verifyChain` needs. */
export function parseCertificate(source: Uint8Array): ParsedCertificate | undefined {
  if (source.byteLength > CERTIFICATE_BYTES_MAX) return undefined;
  const der = Uint8Array.from(source);
  try {
    const fields = readFields(der);
    const x509 = new X509Certificate(der);
    const [notBefore, notAfter] = [x509.validFromDate.getTime(), x509.validToDate.getTime()];
    if (!Number.isFinite(notBefore) || !Number.isFinite(notAfter)) return undefined;
    const { extensions, ...rest } = fields;
    const certificate: Certificate = {
      der,
      subject: (x509.subject ?? '').replaceAll('\n', ', '),
      commonName: commonNameOf(fields.subjectDer),
      issuer: fields.issuerDer,
      serial: x509.serialNumber.toLowerCase(),
      ...extensions,
      usage: usageOf(extensions.extendedKeyUsages),
      notBefore,
      notAfter,
      publicKey: publicKeyOf(x509.publicKey),
    };
    return { certificate, x509, ...rest };
  } catch {
    // Malformed in OpenSSL's eyes or ours: for the caller there is one answer.
    return undefined;
  }
}

const COMMON_NAME = '2.5.4.3';
/** UTF8String, PrintableString and IA5String: what has one reading as text. */
const TEXT_TAGS: readonly number[] = [0x0c, 0x13, 0x16];

/** Read from the DER: in Node's one text, a line feed inside a name begins another attribute. */
function commonNameOf(subjectDer: Uint8Array): string | undefined {
  const names: (string | undefined)[] = [];
  for (const set of readMembers(readOne(subjectDer, TAG.sequence))) {
    for (const attribute of readMembers({ ...set, tag: set.tag === TAG.set ? TAG.sequence : set.tag })) {
      const [type, value] = readMembers(attribute);
      if (readOid(type) !== COMMON_NAME || value === undefined) continue;
      names.push(TEXT_TAGS.includes(value.tag) ? fromUtf8(value.content) : undefined);
    }
  }
  const [name] = names;
  return names.length === 1 && name !== undefined && !/[\p{Cc}\p{Cf}]/u.test(name) ? name : undefined;
}

function usageOf(oids: readonly string[]): CertificateUsage | undefined {
  const sorted = oids.toSorted().join(' ');
  const usages = Object.keys(EXTENDED_KEY_USAGES) as CertificateUsage[];
  return usages.find((usage) => EXTENDED_KEY_USAGES[usage].toSorted().join(' ') === sorted);
}

type Fields = Omit<ParsedCertificate, 'certificate' | 'x509'> & {
  readonly extensions: Pick<Certificate, 'spiffeId' | 'uris' | 'dnsNames' | 'isCa' | 'pathLengthMax' | 'keyUsages' | 'extendedKeyUsages'>;
};

/** RFC 5280 section 4.1, version 3. */
function readFields(der: Uint8Array): Fields {
  const [tbs, outerAlgorithm] = readMembers(readOne(der, TAG.sequence));
  if (tbs === undefined || outerAlgorithm === undefined) throw new DerError('not a certificate');
  const [version, , algorithm, issuer, , subject, , ...optional] = readMembers(tbs);
  if (version?.tag !== contextTag(0, true) || algorithm === undefined || issuer === undefined || subject === undefined) {
    throw new DerError('not a version 3 certificate');
  }
  const signatureOid = readOid(readMembers(algorithm)[0]);
  if (signatureOid !== readOid(readMembers(outerAlgorithm)[0])) throw new DerError('two signature algorithms');
  const wrapper = optional.find((field) => field.tag === contextTag(3, true));
  const list = wrapper === undefined ? [] : readMembers(readOne(wrapper.content, TAG.sequence));
  return { issuerDer: issuer.raw, subjectDer: subject.raw, signatureOid, ...readExtensions(list) };
}

/** Extensions that are understood, and so may be critical. */
const READERS: Readonly<Record<string, (value: Uint8Array) => Partial<Fields['extensions']>>> = {
  '2.5.29.15': readKeyUsage,
  '2.5.29.17': readAlternativeNames,
  '2.5.29.19': readBasicConstraints,
  '2.5.29.37': readExtendedKeyUsage,
};

const SUBJECT_KEY_ID = '2.5.29.14';

function readExtensions(list: readonly Tlv[]): Pick<Fields, 'extensions' | 'hasUnknownCritical' | 'subjectKeyId'> {
  const seen = new Set<string>();
  let hasUnknownCritical = false;
  let subjectKeyId: Uint8Array | undefined;
  let extensions: Fields['extensions'] = {
    spiffeId: undefined,
    uris: [],
    dnsNames: [],
    isCa: false,
    pathLengthMax: undefined,
    keyUsages: [],
    extendedKeyUsages: [],
  };
  for (const extension of list) {
    const [id, ...rest] = readMembers(extension);
    const oid = readOid(id);
    // Of two extensions with one name, two readers may take different ones (RFC 5280 section 4.2).
    if (seen.has(oid)) throw new DerError('an extension stands twice');
    seen.add(oid);
    const [first, second] = rest;
    const isCritical = first?.tag === TAG.boolean && readBoolean(first);
    const value = first?.tag === TAG.boolean ? second : first;
    if (value?.tag !== TAG.octetString) throw new DerError('an extension has no value');
    const reader = READERS[oid];
    if (reader !== undefined) extensions = { ...extensions, ...reader(value.content) };
    else if (oid === SUBJECT_KEY_ID) subjectKeyId = readOne(value.content, TAG.octetString).content;
    else if (isCritical) hasUnknownCritical = true;
  }
  return { extensions, hasUnknownCritical, subjectKeyId };
}

function readBasicConstraints(value: Uint8Array): Pick<Certificate, 'isCa' | 'pathLengthMax'> {
  const [first, second] = readMembers(readOne(value, TAG.sequence));
  const isCa = first?.tag === TAG.boolean && readBoolean(first);
  const pathLength = first?.tag === TAG.boolean ? second : first;
  return { isCa, pathLengthMax: pathLength === undefined ? undefined : readCount(pathLength) };
}

function readKeyUsage(value: Uint8Array): Pick<Certificate, 'keyUsages'> {
  const [, ...bytes] = readOne(value, TAG.bitString).content;
  return { keyUsages: KEY_USAGES.filter((_, bit) => (((bytes[bit >> 3] ?? 0) << (bit & 7)) & 0x80) !== 0) };
}

function readExtendedKeyUsage(value: Uint8Array): Pick<Certificate, 'extendedKeyUsages'> {
  return { extendedKeyUsages: readMembers(readOne(value, TAG.sequence)).map(readOid) };
}

function readAlternativeNames(value: Uint8Array): Pick<Certificate, 'spiffeId' | 'uris' | 'dnsNames'> {
  const names = readMembers(readOne(value, TAG.sequence));
  const textsOf = (kind: number): string[] =>
    names.filter((name) => name.tag === contextTag(kind, false)).map((name) => fromUtf8(name.content) ?? '');
  const [uri, ...more] = textsOf(6);
  // X509-SVID section 2: more than one URI makes the identity ambiguous, and the certificate none.
  const isOne = uri !== undefined && more.length === 0 && parseSpiffeId(uri) !== undefined;
  return { spiffeId: isOne ? uri : undefined, uris: textsOf(6), dnsNames: textsOf(2) };
}
