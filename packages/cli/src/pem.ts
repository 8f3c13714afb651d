/** Certificates out of a PEM file (RFC 7468), in order. */

import { decodeBase64 } from '@sallyport/crypto';

const CERTIFICATE = /-----BEGIN CERTIFICATE-----\s+([A-Za-z0-9+/=\s]+?)\s+-----END CERTIFICATE-----/g;

/** DER of every certificate; empty where there is none, or one cannot be read. */
export function pemCertificates(text: string): readonly Uint8Array[] {
  const ders = [...text.matchAll(CERTIFICATE)].map((match) => decodeBase64((match[1] ?? '').replaceAll(/\s+/g, '')));
  return ders.every((der) => der !== undefined) ? ders : [];
}
