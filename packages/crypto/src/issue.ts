/** X.509 making: requests, a workload CA, and the leaf certificates it issues. Loads its library on first use. */

import { encodeBase64 } from './bytes.ts';
import type { CertificateUsage } from './certificate.ts';
import type { VerifyKey } from './verify.ts';

export interface CertificateAuthority {
  /** DER. */
  readonly certificate: Uint8Array;
  /** PKCS#8, PEM. */
  readonly privatePem: string;
}

export interface CaOptions {
  /** Becomes the CA's URI: `spiffe://<trust domain>`. */
  readonly trustDomain: string;
  readonly privatePem: string;
  /** Milliseconds since 1970; certificates hold whole seconds. */
  readonly notBefore: number;
  readonly notAfter: number;
}

export interface IssueOptions {
  readonly ca: CertificateAuthority;
  readonly subjectPublicKey: VerifyKey;
  readonly spiffeId: string;
  readonly usage: CertificateUsage;
  readonly dnsNames?: readonly string[];
  readonly ipAddresses?: readonly string[];
  readonly notBefore: number;
  readonly notAfter: number;
  /** 8 to 20 unpredictable bytes (RFC 5280 section 4.1.2.2). */
  readonly serial: Uint8Array;
}

/** A PKCS#10 request (DER) for the key, signed by it; its subject is empty, since the issuer alone says who it is. */
export function createCsr(_privatePem: string): Promise<Uint8Array> {
  throw new Error('to come');
}

/** The key of a request that its holder has signed (proof of possession); `undefined` for anything else. */
export function readCsr(_der: Uint8Array): Promise<{ readonly publicKey: VerifyKey } | undefined> {
  throw new Error('to come');
}

/** A self-signed CA that may issue leaves and no further CA (path length 0). */
export function createCa(_options: CaOptions): Promise<CertificateAuthority> {
  throw new Error('to come');
}

/** A leaf certificate (DER). Throws `TypeError` or `RangeError` for options that would make a false certificate. */
export function issueCertificate(_options: IssueOptions): Promise<Uint8Array> {
  throw new Error('to come');
}

/** PEM of a DER certificate, as TLS libraries want it. */
export function certificatePem(der: Uint8Array): string {
  const lines = encodeBase64(der).match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}
