/** The verified person, service or `anonymous` on whose behalf a call is made. Only verified credentials make one. */

import type { AttributeValue } from './attribute.ts';
import type { PrincipalId, TenantId } from './ids.ts';
import type { Instant } from './instant.ts';

export interface Principal {
  readonly id: PrincipalId;
  readonly kind: 'person' | 'service' | 'anonymous';
  readonly tenant: TenantId;
  /** The issuer that vouched, as its `iss`; empty for `anonymous`. */
  readonly issuer: string;
  readonly roles: readonly string[];
  /** OAuth scopes of the credential in use. */
  readonly scopes: readonly string[];
  /** Further claims that the issuer's mapping admits, by attribute name. */
  readonly attributes: Readonly<Record<string, AttributeValue>>;
  /** When the person last proved themselves (`auth_time`, else `iat`); revocations compare with it. */
  readonly authenticatedAt: Instant;
  /** How strongly, as the issuer says it (OpenID Connect Core 1.0, section 2: `acr`). */
  readonly acr?: string;
  /** By which methods (`amr`, RFC 8176). */
  readonly amr?: readonly string[];
}
