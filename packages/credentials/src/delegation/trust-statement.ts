/** Trust statements on the wire: believed by a pinned key, or as good as none. docs/spec/delegation.md, section 5. */

import { readP256Jwk, utf8, verify } from '@sallyport/crypto';
import {
  TRUST_STATEMENT_BYTES_MAX,
  TRUST_STATEMENT_MS_MAX,
  TRUST_STATEMENT_TYP,
  readCompactJws,
  readTrustStatement,
} from '@sallyport/identity';
import type { Instant, PinnedJwk } from '@sallyport/model';

/** What a key that is pinned says of an agent now. */
export interface ProvenTrust {
  readonly tier: number;
  readonly key: PinnedJwk;
}

const HEADER_MEMBERS: readonly string[] = ['alg', 'kid', 'typ'];
const CLOCK_SKEW_MS_MAX = 30_000;

/**
 * What the statement says of `subject` (`<trust domain>/<agent>`) at this instant, by one of the keys. `undefined` for whatever
 * is not: forged, about another agent, over, of the future, or longer than one may live.
 */
export function verifyTrustStatement(
  token: string,
  keys: readonly PinnedJwk[],
  { subject, now }: { readonly subject: string; readonly now: Instant },
): ProvenTrust | undefined {
  const jws = token.length > TRUST_STATEMENT_BYTES_MAX ? undefined : readCompactJws(token);
  if (jws?.ok !== true) return undefined;
  const { header, claims, signingInput, signature } = jws.value;
  const names = Object.keys(header);
  if (names.length !== HEADER_MEMBERS.length || !HEADER_MEMBERS.every((name) => names.includes(name))) return undefined;
  if (header['typ'] !== TRUST_STATEMENT_TYP || header['alg'] !== 'ES256') return undefined;
  const statement = readTrustStatement(claims);
  if (!statement.ok || statement.value.subject !== subject) return undefined;
  const { tier, issuedAt, expiresAt } = statement.value;
  if (now >= expiresAt || issuedAt > now + CLOCK_SKEW_MS_MAX || expiresAt - issuedAt > TRUST_STATEMENT_MS_MAX) return undefined;
  // Two authorities may call their keys alike: each key of that name is tried.
  const key = keys.find((one) => one.kid === header['kid'] && isSignedBy(one, utf8(signingInput), signature));
  return key === undefined ? undefined : { tier, key };
}

function isSignedBy({ x, y }: PinnedJwk, input: Uint8Array, signature: Uint8Array): boolean {
  const key = readP256Jwk(x, y);
  return key !== undefined && verify(key, input, signature);
}
