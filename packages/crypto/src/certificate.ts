/**
 * X.509 certificates as this product reads them (RFC 5280, SPIFFE X509-SVID): what they say. Who signed them is
 * `verifyChain`'s to prove.
 */

import { parseCertificate } from './x509.ts';
import type { CertificateUsage, KeyUsage } from './key-usage.ts';
import type { VerifyKey } from './verify-key.ts';

export interface Certificate {
  /** The exact bytes. */
  readonly der: Uint8Array;
  /** For people; a certificate's name in this product is its SPIFFE ID. */
  readonly subject: string;
  /** The one common name of the subject, printable; `undefined` where there is none or several. */
  readonly commonName: string | undefined;
  /** The issuer's name, DER, to be compared byte for byte. */
  readonly issuer: Uint8Array;
  /** Lower-case hex. */
  readonly serial: string;
  /** The one URI among the subject alternative names, where it is the only one and a valid SPIFFE ID. */
  readonly spiffeId: string | undefined;
  /** All URIs among the subject alternative names. */
  readonly uris: readonly string[];
  readonly dnsNames: readonly string[];
  readonly isCa: boolean;
  /** How many CA certificates may follow below this one; `undefined` where it does not say. */
  readonly pathLengthMax: number | undefined;
  readonly keyUsages: readonly KeyUsage[];
  /** Object identifiers, dotted. */
  readonly extendedKeyUsages: readonly string[];
  /** Our reading of the extended key usages; `undefined` for any other set. */
  readonly usage: CertificateUsage | undefined;
  /** Milliseconds since 1970, both inclusive. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** Where the key is Ed25519 or P-256. */
  readonly publicKey: VerifyKey | undefined;
}

/** Reads one DER certificate and nothing after it; `undefined` where it is not one. Proves nothing about who signed it. */
export function readCertificate(der: Uint8Array): Certificate | undefined {
  return parseCertificate(der)?.certificate;
}
