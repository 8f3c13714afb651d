/** How one hop names another. */

import { encodeBase64Url, sha256, utf8 } from '@sallyport/crypto';

/** SHA-256 of the compact form, signature included, base64url: what the next hop's `prev` says. */
export function digestOfHop(token: string): string {
  return encodeBase64Url(sha256(utf8(token)));
}
