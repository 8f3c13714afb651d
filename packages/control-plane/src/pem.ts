/** Reading a certificate out of a PEM file (RFC 7468): the first one, and nothing else of the file. */

import { decodeBase64, fromUtf8 } from '@sallyport/crypto';

const CERTIFICATE = /-----BEGIN CERTIFICATE-----\s+([A-Za-z0-9+/=\s]+?)\s+-----END CERTIFICATE-----/;

/** The DER bytes, or `undefined` where there is no certificate. */
export function pemCertificate(file: Uint8Array): Uint8Array | undefined {
  const base64 = CERTIFICATE.exec(fromUtf8(file) ?? '')?.[1];
  return base64 === undefined ? undefined : decodeBase64(base64.replaceAll(/\s+/g, ''));
}
