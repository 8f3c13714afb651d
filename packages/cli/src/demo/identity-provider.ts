/** The demo's own identity provider: one key, made now; the policy pins its public half, and nothing else is trusted. */

import type { Instant, Random } from '@sallyport/model';
import { operatorToken, passingIssuer } from '../onboard/dev-issuer.ts';
import type { IssuerNames } from '../onboard/dev-issuer.ts';

export interface Operator {
  readonly subject: string;
  readonly tenant: string;
  readonly roles: readonly string[];
  readonly scopes: readonly string[];
  /** The case that the operator works on. */
  readonly ticket: string;
}

export interface IdentityProvider {
  /** The key set, as `keys_file` of the policy holds it. */
  readonly keySet: string;
  /** A signed token (JWT, ES256) that is good for five minutes. */
  token(operator: Operator, now: Instant): string;
}

export function identityProvider({ random, ...names }: IssuerNames & { readonly random: Random }): IdentityProvider {
  const issuer = passingIssuer(names);
  return {
    keySet: issuer.keySet,
    token: ({ subject, tenant, roles, scopes, ticket }, now) =>
      operatorToken(issuer, { subject, roles, scopes, attributes: { tenant_id: tenant, ticket_id: ticket } }, { now, random }),
  };
}
