/** X.509 certificates as this product reads them (RFC 5280, SPIFFE X509-SVID). */

import type { VerifyKey } from './verify.ts';

/** RFC 5280 section 4.2.1.3, spelled as there. */
export type KeyUsage =
  | 'digitalSignature'
  | 'nonRepudiation'
  | 'keyEncipherment'
  | 'dataEncipherment'
  | 'keyAgreement'
  | 'keyCertSign'
  | 'cRLSign'
  | 'encipherOnly'
  | 'decipherOnly';

/** What one of our leaf certificates is for; exactly one of these, never an absent usage that would fit everything. */
export type CertificateUsage = 'tls-client' | 'tls-server' | 'tls-both' | 'audit';

export interface Certificate {
  /** The exact bytes. */
  readonly der: Uint8Array;
  /** RFC 4514-like text, for people. */
  readonly subject: string;
  /** Lower-case hex without leading zero bytes. */
  readonly serial: string;
  /** The one URI among the subject alternative names, where it is the only one and a valid SPIFFE ID. */
  readonly spiffeId: string | undefined;
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
export function readCertificate(_der: Uint8Array): Certificate | undefined {
  throw new Error('to come');
}
