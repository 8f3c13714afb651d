/** The demo's own identity provider: one key, made now; the policy pins its public half, and nothing else is trusted. */

import { encodeBase64Url, utf8 } from '@sallyport/crypto';
import { generateKey, signerFromPem } from '@sallyport/crypto/keys';
import type { Instant, Random } from '@sallyport/model';

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

const KEY_ID = 'demo-1';
const LIFETIME_S = 300;

export function identityProvider(options: {
  readonly issuer: string;
  readonly audience: string;
  readonly random: Random;
}): IdentityProvider {
  const { privatePem, publicRaw } = generateKey('es256');
  const signer = signerFromPem(privatePem);
  const coordinate = (from: number): string => encodeBase64Url(publicRaw.subarray(from, from + 32));
  const key = { kid: KEY_ID, kty: 'EC', crv: 'P-256', x: coordinate(1), y: coordinate(33), use: 'sig', alg: 'ES256' };
  const encode = (json: object): string => encodeBase64Url(utf8(JSON.stringify(json)));
  return {
    keySet: `${JSON.stringify({ keys: [key] }, undefined, 2)}\n`,
    token({ subject, tenant, roles, scopes, ticket }, now) {
      const iat = Math.floor(now / 1_000);
      const claims = {
        iss: options.issuer,
        aud: options.audience,
        sub: subject,
        tenant_id: tenant,
        roles,
        scope: scopes.join(' '),
        ticket_id: ticket,
        jti: encodeBase64Url(options.random(16)),
        iat,
        exp: iat + LIFETIME_S,
      };
      const input = `${encode({ alg: 'ES256', typ: 'JWT', kid: KEY_ID })}.${encode(claims)}`;
      return `${input}.${encodeBase64Url(signer.sign(utf8(input)))}`;
    },
  };
}
