/**
 * X.509 issuing (RFC 5280, SPIFFE X509-SVID): a workload CA and the leaf certificates it signs, two fixed shapes written
 * as DER. Tests have node:crypto and openssl read what is written here. No revocation lists: leaves live an hour.
 */

import { encodeBase64, utf8 } from './bytes.ts';
import { TRUE, extension, nameOf, sequence, signCertificate } from './certificate-der.ts';
import type { Validity } from './certificate-der.ts';
import { TAG, contextTag, writeInteger, writeOid, writeTlv } from './der.ts';
import { equalBytes, sha256 } from './hash.ts';
import { ipAddressBytes } from './ip-address.ts';
import { EXTENDED_KEY_USAGES } from './key-usage.ts';
import type { CertificateUsage } from './key-usage.ts';
import { randomBytes, signerFromPem } from './signer.ts';
import type { Signer } from './signer.ts';
import { parseSpiffeId } from './spiffe.ts';
import type { VerifyKey } from './verify-key.ts';
import { parseCertificate } from './x509.ts';
import type { ParsedCertificate } from './x509.ts';

export interface CertificateAuthority {
  /** DER. */
  readonly certificate: Uint8Array;
  /** PKCS#8, PEM. */
  readonly privatePem: string;
}

export interface CaOptions extends Validity {
  /** Becomes the CA's URI: `spiffe://<trust domain>`. */
  readonly trustDomain: string;
  readonly privatePem: string;
  /** 8 to 20 unpredictable bytes (RFC 5280 section 4.1.2.2); by default from the system. */
  readonly serial?: Uint8Array;
}

export interface IssueOptions extends Validity {
  readonly ca: CertificateAuthority;
  readonly subjectPublicKey: VerifyKey;
  readonly spiffeId: string;
  readonly usage: CertificateUsage;
  readonly dnsNames?: readonly string[];
  readonly ipAddresses?: readonly string[];
  /** 8 to 20 unpredictable bytes (RFC 5280 section 4.1.2.2). */
  readonly serial: Uint8Array;
}

/** A self-signed CA that may issue leaves and no further CA (path length 0). Throws as `issueCertificate` does. */
export async function createCa(options: CaOptions): Promise<CertificateAuthority> {
  const { trustDomain, privatePem } = options;
  const uri = `spiffe://${trustDomain}`;
  if (parseSpiffeId(uri)?.path !== '') throw new TypeError(`\`${trustDomain}\` is not a trust domain`);
  const signer = signerFromPem(privatePem);
  const name = nameOf(trustDomain);
  const certificate = await signCertificate(signer, {
    validity: options,
    serial: options.serial ?? randomBytes(16),
    issuer: name,
    subject: name,
    subjectPublicKey: { alg: signer.alg, raw: signer.publicRaw },
    extensions: [
      extension(EXTENSION.basicConstraints, sequence(writeTlv(TAG.boolean, TRUE), writeInteger(Uint8Array.of(0))), 'critical'),
      extension(EXTENSION.keyUsage, KEY_USAGE_CA, 'critical'),
      extension(EXTENSION.subjectAltName, sequence(writeTlv(GENERAL_NAME.uri, utf8(uri)))),
      extension(EXTENSION.subjectKeyId, writeTlv(TAG.octetString, keyIdentifierOf(signer.publicRaw))),
    ],
  });
  return { certificate, privatePem };
}

/**
 * A leaf certificate (DER). Throws `TypeError` or `RangeError` for options that would make a false certificate: a name
 * outside the CA's trust domain, a life beyond the CA's, a key that `verify` would refuse, a CA and key that do not fit.
 */
export async function issueCertificate(options: IssueOptions): Promise<Uint8Array> {
  const { ca, spiffeId, usage, subjectPublicKey } = options;
  const signer = signerFromPem(ca.privatePem);
  const { certificate: caCertificate, subjectDer, subjectKeyId } = authorityOf(ca, signer);
  const trustDomain = parseSpiffeId(spiffeId)?.trustDomain;
  if (trustDomain === undefined || caCertificate.spiffeId !== `spiffe://${trustDomain}`) {
    throw new TypeError(`\`${spiffeId}\` is not a name in the trust domain of this CA`);
  }
  if (Math.floor(options.notAfter / 1000) * 1000 > caCertificate.notAfter) throw new RangeError('the certificate would outlive its CA');
  const authorityKeyId = writeTlv(contextTag(0, false), subjectKeyId ?? keyIdentifierOf(signer.publicRaw));
  return signCertificate(signer, {
    validity: options,
    serial: options.serial,
    issuer: subjectDer,
    subject: nameOf(usage),
    subjectPublicKey,
    extensions: [
      extension(EXTENSION.basicConstraints, sequence(), 'critical'),
      extension(EXTENSION.keyUsage, KEY_USAGE_LEAF, 'critical'),
      // Never absent: without it a certificate would serve every purpose, an audit key a TLS connection.
      extension(
        EXTENSION.extendedKeyUsage,
        sequence(...EXTENDED_KEY_USAGES[usage].map(writeOid)),
        usage === 'audit' || usage === 'assertion' ? 'critical' : 'plain',
      ),
      extension(EXTENSION.subjectAltName, sequence(...alternativeNames(options))),
      extension(EXTENSION.subjectKeyId, writeTlv(TAG.octetString, keyIdentifierOf(subjectPublicKey.raw))),
      extension(EXTENSION.authorityKeyId, sequence(authorityKeyId)),
    ],
  });
}

/** PEM of a DER certificate, as TLS libraries want it. */
export function certificatePem(der: Uint8Array): string {
  const lines = encodeBase64(der).match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

const EXTENSION = {
  subjectKeyId: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyId: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
} as const;
/** RFC 5280 section 4.2.1.6. */
const GENERAL_NAME = { dns: contextTag(2, false), uri: contextTag(6, false), ip: contextTag(7, false) } as const;
/** digitalSignature: the first bit, seven unused. */
const KEY_USAGE_LEAF = writeTlv(TAG.bitString, Uint8Array.of(7, 0x80));
/** keyCertSign and cRLSign: the sixth and seventh bit, one unused. */
const KEY_USAGE_CA = writeTlv(TAG.bitString, Uint8Array.of(1, 0x06));

function authorityOf(ca: CertificateAuthority, signer: Signer): ParsedCertificate {
  const parsed = parseCertificate(ca.certificate);
  if (parsed?.certificate.publicKey === undefined || !parsed.certificate.isCa) throw new TypeError('the CA certificate is not one');
  if (!equalBytes(parsed.certificate.publicKey.raw, signer.publicRaw)) throw new TypeError('the CA certificate is of another key');
  return parsed;
}

/** RFC 7093 section 2, method 1: the key's raw bytes are what the bit string of its SPKI holds. */
function keyIdentifierOf(raw: Uint8Array): Uint8Array {
  return sha256(raw).subarray(0, 20);
}

/** RFC 1123 labels; no wildcard is ever issued. */
const DNS_NAME = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/;

function alternativeNames({ spiffeId, dnsNames = [], ipAddresses = [] }: IssueOptions): Uint8Array[] {
  return [
    writeTlv(GENERAL_NAME.uri, utf8(spiffeId)),
    ...dnsNames.map((name) => {
      if (!DNS_NAME.test(name)) throw new TypeError(`\`${name}\` is not a DNS name`);
      return writeTlv(GENERAL_NAME.dns, utf8(name));
    }),
    ...ipAddresses.map((address) => {
      const bytes = ipAddressBytes(address);
      if (bytes === undefined) throw new TypeError(`\`${address}\` is not an IP address`);
      return writeTlv(GENERAL_NAME.ip, bytes);
    }),
  ];
}
