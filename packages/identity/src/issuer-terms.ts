/**
 * What an issuer's entry in the bundle asks of a token beyond who it speaks of: the environment it was made for, and a set
 * of scopes that is still in force. docs/spec/sessions.md, section 2. Verifies nothing; the caller holds a proven signature.
 */

import { type Denial, type Issuer, type JsonObject, deny } from '@sallyport/model';

/** The reason why a token with these claims is not for here, or `undefined`. Members of the prototype are not claims. */
export function judgeIssuerTerms({ environment, scopeVersion }: Issuer, claims: JsonObject): Denial | undefined {
  if (environment !== undefined && (!Object.hasOwn(claims, environment.claim) || claims[environment.claim] !== environment.is))
    return deny('unauthenticated', `\`${environment.claim}\` is not this environment`);
  if (scopeVersion === undefined) return undefined;
  const version = Object.hasOwn(claims, scopeVersion.claim) ? claims[scopeVersion.claim] : undefined;
  // A token that does not say was issued before there were versions.
  if (version === undefined) return deny('token_outdated', `\`${scopeVersion.claim}\` is missing`);
  if (typeof version !== 'number' || !Number.isSafeInteger(version))
    return deny('unauthenticated', `\`${scopeVersion.claim}\` is no version`);
  return version >= scopeVersion.min
    ? undefined
    : deny('token_outdated', `\`${scopeVersion.claim}\` is ${version} of at least ${scopeVersion.min}`);
}
