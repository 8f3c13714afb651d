/** Which certificates a root lets a CA issue: an online CA must not be able to make up an administrator. Spec section 4.1. */

import { equalBytes } from '@sallyport/crypto';
import type { TrustedRoot } from './roots.ts';

/** DER of every CA that may certify the identity; empty means that nobody may. */
export function authoritiesFor(root: TrustedRoot, spiffeId: string): readonly Uint8Array[] {
  const base = `spiffe://${root.trustDomain}`;
  if (!spiffeId.startsWith(`${base}/`)) return [];
  const path = spiffeId.slice(base.length);
  return root.certificateAuthorities
    .filter(({ prefixes }) =>
      prefixes.some((prefix) => (prefix.endsWith('/') ? path.startsWith(prefix) && path.length > prefix.length : path === prefix)),
    )
    .map(({ certificate }) => certificate);
}

/** Whether this CA (DER) may certify the identity. */
export function mayCertify(root: TrustedRoot, certificate: Uint8Array, spiffeId: string): boolean {
  return authoritiesFor(root, spiffeId).some((allowed) => equalBytes(allowed, certificate));
}
