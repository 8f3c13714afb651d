/**
 * What somebody outside says of how far an agent can be trusted, and the agent shows to other agents: its claims alone, read
 * strictly. Whose word counts is policy. docs/spec/delegation.md, section 5.
 */

import { type Instant, type JsonObject, type Problem, type Result, fail, isAgentName, ok } from '@sallyport/model';
import { readTokenTimes } from './token-times.ts';

/** The `typ` of a trust statement; refused wherever another kind of token is expected (RFC 8725, section 3.11). */
export const TRUST_STATEMENT_TYP = 'sallyport-trust+jwt';
/** Of the whole token. */
export const TRUST_STATEMENT_BYTES_MAX = 2_048;
/** Longest `exp - iat`: 31 days. */
export const TRUST_STATEMENT_MS_MAX = 2_678_400_000;

export interface TrustStatement {
  /** `<trust domain>/<agent>`. */
  readonly subject: string;
  /** 1 to 3; an agent of whom nobody says anything is of the lowest, 0. */
  readonly tier: number;
  readonly issuedAt: Instant;
  readonly expiresAt: Instant;
}

const CLAIM_NAMES: readonly string[] = ['exp', 'iat', 'sub', 'tier'];
const TIERS: readonly unknown[] = [1, 2, 3];

/** Reads the claims of a statement whose signature and `typ` are proven: exactly these members. Times are read, not judged. */
export function readTrustStatement(claims: JsonObject): Result<TrustStatement, readonly Problem[]> {
  const problems: Problem[] = [];
  for (const name of Object.keys(claims))
    if (!CLAIM_NAMES.includes(name)) problems.push({ path: name, message: 'is not a claim of a trust statement' });
  const { sub, tier } = claims;
  if (typeof sub !== 'string' || !isQualified(sub)) problems.push({ path: 'sub', message: 'is no agent with its trust domain' });
  if (!TIERS.includes(tier)) problems.push({ path: 'tier', message: 'is none of 1, 2 and 3' });
  const times = readTokenTimes(claims);
  if (!times.ok) return fail([...problems, ...times.error]);
  if (problems.length > 0) return fail(problems);
  return ok({ subject: sub as string, tier: tier as number, issuedAt: times.value.issuedAt, expiresAt: times.value.expiresAt });
}

function isQualified(name: string): boolean {
  const [domain = '', agent = '', ...more] = name.split('/');
  return more.length === 0 && /^[a-z0-9._-]{1,255}$/.test(domain) && isAgentName(agent);
}
