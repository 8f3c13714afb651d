/**
 * An operator's JWT, verified against the keys that the active bundle pins: ES256 alone, no discovery, no key from the
 * token, no clock but the caller's. docs/spec/sessions.md, section 2 (RFC 7519, RFC 8725, RFC 9068).
 */

import { digestOf, encodeHex, sha256, utf8 } from '@sallyport/crypto';
import {
  type Purpose,
  type TokenTimes,
  caseFromClaims,
  judgeTokenTimes,
  principalFromClaims,
  purposeFromClaims,
  readTokenTimes,
} from '@sallyport/identity';
import {
  type Denial,
  type DenialCode,
  type Digest,
  type Instant,
  type Issuer,
  type JsonObject,
  type PinnedJwk,
  type Principal,
  type Problem,
  type Result,
  deny,
  fail,
  formatProblem,
  ok,
} from '@sallyport/model';
import { type CryptoKey, compactVerify, errors, importJWK } from 'jose';
import { BoundedCache } from './bounded-cache.ts';
import { type CompactJws, readCompactJws } from './compact-jws.ts';

/** What a verified token proves. */
export interface VerifiedOperator {
  readonly principal: Principal;
  /** Ties the session to one case; `null` where the token names none. */
  readonly case: string | null;
  /** What the session is for, and the one tool that the token was issued for, where it says so. */
  readonly purpose: Purpose;
  /** `jti`, or `null`; a revocation may name it. */
  readonly tokenId: string | null;
  /** SHA-256 of the signed part. Not of the whole: an ECDSA signature can be altered without the key and still verify. */
  readonly tokenDigest: Digest;
  readonly times: TokenTimes;
}

/** What a token is judged by: the snapshot of the call that carries it. */
export interface OperatorTokenContext {
  /** The issuers of the active release. */
  readonly issuers: readonly Issuer[];
  /** Names those issuers: a token proven under one bundle is proven anew under the next. */
  readonly bundle: Digest;
  readonly now: Instant;
}

export interface OperatorTokenLimits {
  /** A longer token is refused unread. */
  readonly tokenBytesMax: number;
  /** How far an issuer's clock may run ahead; never extends an expiry. */
  readonly clockSkewMsMax: number;
  /** Proven tokens kept by hash. */
  readonly cacheEntriesMax: number;
}

export interface OperatorTokens {
  /** Never rejects: every failure is a denial, its detail for the record alone. Times are judged on every call, cached or not. */
  verify(token: string, context: OperatorTokenContext): Promise<Result<VerifiedOperator, Denial>>;
}

export const OPERATOR_TOKEN_LIMITS: OperatorTokenLimits = { tokenBytesMax: 8192, clockSkewMsMax: 30_000, cacheEntriesMax: 10_000 };

/** A token whose signature and claims are proven; only its times can still refuse it. */
interface Proven {
  readonly operator: VerifiedOperator;
  readonly lifetimeMsMax: number;
}

const HEADER_MEMBERS = new Set(['alg', 'kid', 'typ', 'x5t', 'x5t#S256']);
/** RFC 8725, section 3.11: whatever names itself another kind of token is one, ours above all. */
const ACCEPTED_TYPES = new Set(['jwt', 'at+jwt', 'application/jwt', 'application/at+jwt']);
const TOKEN_ID_CHARS_MAX = 256;

/** A verifier with its own cache; one per sidecar. */
export function operatorTokens(limits: Partial<OperatorTokenLimits> = {}): OperatorTokens {
  const { tokenBytesMax, clockSkewMsMax, cacheEntriesMax } = { ...OPERATOR_TOKEN_LIMITS, ...limits };
  const proven = new BoundedCache<Proven>(cacheEntriesMax);
  return {
    verify: async (token, context) => {
      if (token.length > tokenBytesMax) return refuse('unauthenticated', `the token is longer than ${tokenBytesMax} bytes`);
      const cacheKey = `${encodeHex(sha256(utf8(token)))} ${context.bundle}`;
      let known = proven.get(cacheKey);
      if (known === undefined) {
        const fresh = await prove(token, context.issuers);
        if (!fresh.ok) return fresh;
        known = fresh.value;
        proven.set(cacheKey, known);
      }
      const untimely = judgeTokenTimes(known.operator.times, context.now, { clockSkewMsMax, lifetimeMsMax: known.lifetimeMsMax });
      return untimely === undefined ? ok(known.operator) : fail(untimely);
    },
  };
}

/** Everything that does not change with time, in the order that keeps the cheap refusals cheap. */
async function prove(token: string, issuers: readonly Issuer[]): Promise<Result<Proven, Denial>> {
  const jws = readCompactJws(token);
  if (!jws.ok) return refuse('unauthenticated', jws.error);
  const unfit = unfitHeader(jws.value.header);
  if (unfit !== undefined) return refuse('unauthenticated', unfit);
  const signer = pinnedSigner(jws.value, issuers);
  if (!signer.ok) return signer;
  const { issuer, key } = signer.value;
  const verified = await verifySignature(token, key);
  if (!verified.ok) return verified;
  return readOperator(jws.value, issuer);
}

/** A header may name a pinned key and nothing else: `jku`, `jwk`, `x5u` and `x5c` would bring the attacker's own. */
function unfitHeader(header: JsonObject): string | undefined {
  const unknown = Object.keys(header).find((name) => !HEADER_MEMBERS.has(name));
  if (unknown !== undefined) return `header member \`${unknown.slice(0, 32)}\` is not accepted`;
  // The algorithm is ours to choose (RFC 8725, section 3.1): `none` and an HMAC keyed with a public key end here.
  if (header['alg'] !== 'ES256') return '`alg` is not ES256';
  if (typeof header['kid'] !== 'string') return '`kid` is missing';
  const { typ } = header;
  if (typ !== undefined && (typeof typ !== 'string' || !ACCEPTED_TYPES.has(typ.toLowerCase())))
    return '`typ` is not that of an operator’s token';
  return undefined;
}

function pinnedSigner({ header, claims }: CompactJws, issuers: readonly Issuer[]): Result<{ issuer: Issuer; key: PinnedJwk }, Denial> {
  const issuer = issuers.find((known) => known.issuer === claims['iss']);
  if (issuer === undefined) return refuse('unauthenticated', '`iss` is no pinned issuer');
  const key = issuer.keys.find((known) => known.kid === header['kid']);
  return key === undefined ? refuse('unauthenticated', `no key of \`${issuer.issuer}\` has this \`kid\``) : ok({ issuer, key });
}

async function verifySignature(token: string, jwk: PinnedJwk): Promise<Result<undefined, Denial>> {
  try {
    await compactVerify(token, await importedKey(jwk), { algorithms: ['ES256'] });
    return ok(undefined);
  } catch (error) {
    if (error instanceof errors.JWSSignatureVerificationFailed)
      return refuse('signature_invalid', 'the signature is not of the pinned key');
    return refuse('unauthenticated', `the signature cannot be verified: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function readOperator({ claims, signingInput }: CompactJws, issuer: Issuer): Result<Proven, Denial> {
  const audiences: unknown = claims['aud'];
  const isForUs = audiences === issuer.audience || (Array.isArray(audiences) && audiences.includes(issuer.audience));
  if (!isForUs) return refuse('unauthenticated', '`aud` does not name this audience');
  const tokenId = claims['jti'] ?? null;
  if (tokenId !== null && (typeof tokenId !== 'string' || tokenId === '' || tokenId.length > TOKEN_ID_CHARS_MAX))
    return refuse('unauthenticated', '`jti` is no id');
  const [times, principal] = [readTokenTimes(claims), principalFromClaims(issuer, claims)];
  const [kase, purpose] = [caseFromClaims(issuer, claims), purposeFromClaims(issuer, claims)];
  if (!times.ok || !principal.ok || !kase.ok || !purpose.ok) return refuse('unauthenticated', describe([times, principal, kase, purpose]));
  const tokenDigest = digestOf(utf8(signingInput)) as Digest;
  return ok({
    operator: { principal: principal.value, case: kase.value, purpose: purpose.value, tokenId, tokenDigest, times: times.value },
    lifetimeMsMax: issuer.tokenLifetimeMsMax,
  });
}

/** Imported keys by the pinned key they came from; gone with the bundle. Written and read by `importedKey` alone. */
const importedKeys = new WeakMap<PinnedJwk, Promise<CryptoKey | Uint8Array>>();

async function importedKey(jwk: PinnedJwk): Promise<CryptoKey | Uint8Array> {
  const known = importedKeys.get(jwk);
  if (known !== undefined) return known;
  const { kty, crv, x, y } = jwk;
  const imported = importJWK({ kty, crv, x, y }, 'ES256');
  importedKeys.set(jwk, imported);
  return imported;
}

function describe(results: readonly Result<unknown, readonly Problem[]>[]): string {
  return results.flatMap((result) => (result.ok ? [] : result.error.map((problem) => formatProblem(problem)))).join('; ');
}

function refuse(code: DenialCode, detail: string): { readonly ok: false; readonly error: Denial } {
  return fail(deny(code, `operator token: ${detail}`));
}
