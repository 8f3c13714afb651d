/** Content-Digest (RFC 9530): over the bytes as they travel, their content coding not undone. */

import { encodeBase64, equalBytes, sha256, sha512 } from '@sallyport/crypto';
import { isInnerList, parseDictionary } from './structured-fields.ts';

const ALGORITHMS: Readonly<Record<string, (bytes: Uint8Array) => Uint8Array>> = { 'sha-256': sha256, 'sha-512': sha512 };

/** The field's value for these bytes, by SHA-256. */
export function contentDigestOf(body: Uint8Array): string {
  return `sha-256=:${encodeBase64(sha256(body))}:`;
}

/**
 * Whether the field is a digest of these bytes: at least one of SHA-256 and SHA-512, and each that is there. Other
 * algorithms are passed over, being broken or unknown.
 */
export function isContentDigest(field: string, body: Uint8Array): boolean {
  const digests = parseDictionary(field);
  if (digests === undefined) return false;
  let verified = 0;
  for (const [name, algorithm] of Object.entries(ALGORITHMS)) {
    const member = digests.get(name);
    if (member === undefined) continue;
    if (isInnerList(member) || !(member.value instanceof Uint8Array) || !equalBytes(member.value, algorithm(body))) return false;
    verified++;
  }
  return verified > 0;
}
