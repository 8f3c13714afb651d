/**
 * An operator's access token, a JWT, verified with keys that the active bundle pins or that its issuer publishes where the
 * bundle says: no key from the token, no algorithm but the issuer's, no clock but the caller's. docs/spec/sessions.md,
 * section 2 (RFC 7519, RFC 8725, RFC 9068). What cannot be verified now is `identity_unavailable`, never accepted.
 */

import { digestOf, encodeHex, sha256, utf8 } from '@sallyport/crypto';
import {
  type CompactJws,
  type Purpose,
  type TokenTimes,
  caseFromClaims,
  judgeIssuerTerms,
  judgeTokenTimes,
  originFromClaims,
  principalFromClaims,
  purposeFromClaims,
  readCompactJws,
  readTokenTimes,
} from '@sallyport/identity';
import {
  type BootMs,
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
  type SessionOrigin,
  type TokenAlgorithm,
  algorithmsOf,
  deny,
  fail,
  formatProblem,
  ok,
} from '@sallyport/model';
import { type CryptoKey, compactVerify, errors, importJWK } from 'jose';
import { BoundedCache } from './bounded-cache.ts';
import { type DpopProofs, type Possession, boundThumbprint } from './dpop.ts';
import { type IssuerKey, isTokenAlgorithm, pinnedKey } from './key-set.ts';
import type { FetchedIssuer, KeySets } from './key-sets.ts';
import type { IntrospectedIssuer, TokenIntrospection } from './introspection.ts';

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
  /** How a session that it opens begins. */
  readonly origin: SessionOrigin;
}

/** What a token is judged by: the snapshot of the call that carries it. */
export interface OperatorTokenContext {
  /** The issuers of the active release. */
  readonly issuers: readonly Issuer[];
  /** Names those issuers: a token proven under one bundle is proven anew under the next. */
  readonly bundle: Digest;
  readonly now: Instant;
  /**
   * How it was presented: absent, as a bearer's. `proven`: the same request's proof has been taken already, and can be
   * taken once only.
   */
  readonly possession?: Possession | 'proven';
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

/** A token whose signature and claims are proven; only its times, and keys that are no longer there, can still refuse it. */
interface Proven {
  readonly operator: VerifiedOperator;
  readonly issuer: Issuer;
  /** Of the fetched keys that it was proven with; `undefined` for keys of the bundle. */
  readonly generation: number | undefined;
  /** Of the key that whoever presents it must prove; `null` for a bearer's. */
  readonly thumbprint: string | null;
  /** When its issuer was asked about it, where it says nothing by itself. */
  readonly askedAt?: BootMs;
}

/** What a verifier needs for more than pinned keys and bearers. */
export interface OperatorTokenPorts {
  /** Without it, issuers whose keys would be fetched cannot be verified. */
  readonly keySets?: KeySets;
  /** Without it, tokens that are bound to a key are refused. */
  readonly dpop?: DpopProofs;
  /** Without it, tokens that say nothing by themselves are refused. */
  readonly introspection?: TokenIntrospection;
}

const HEADER_MEMBERS = new Set(['alg', 'kid', 'typ', 'x5t', 'x5t#S256']);
/** RFC 8725, section 3.11: whatever names itself another kind of token is one, ours above all. */
const ACCEPTED_TYPES = new Set(['jwt', 'at+jwt', 'application/jwt', 'application/at+jwt']);
const TOKEN_ID_CHARS_MAX = 256;

/** A verifier with its own cache; one per sidecar. */
export function operatorTokens(
  limits: Partial<OperatorTokenLimits> = {},
  { keySets, dpop, introspection }: OperatorTokenPorts = {},
): OperatorTokens {
  const { tokenBytesMax, clockSkewMsMax, cacheEntriesMax } = { ...OPERATOR_TOKEN_LIMITS, ...limits };
  const proven = new BoundedCache<Proven>(cacheEntriesMax);
  return {
    verify: async (token, context) => {
      if (token.length > tokenBytesMax) return refuse('unauthenticated', `the token is longer than ${tokenBytesMax} bytes`);
      const cacheKey = `${encodeHex(sha256(utf8(token)))} ${context.bundle}`;
      let known = proven.get(cacheKey);
      // Keys that were withdrawn, or are too old, take back what was proven with them.
      if (known === undefined || !isStillKeyed(known, keySets) || !isStillTold(known, introspection)) {
        const fresh = await prove(token, { issuers: context.issuers, keySets, introspection, now: context.now, clockSkewMsMax });
        if (!fresh.ok) return fresh;
        known = fresh.value;
        proven.set(cacheKey, known);
      }
      const { operator, issuer } = known;
      const untimely = judgeTokenTimes(operator.times, context.now, { clockSkewMsMax, lifetimeMsMax: issuer.tokenLifetimeMsMax });
      // Last of all, since a proof is spent by being looked at.
      const unproven = untimely ?? (await judgePossession(token, known.thumbprint, { context, dpop }));
      return unproven === undefined ? ok(operator) : fail(unproven);
    },
  };
}

/** A bound token is no bearer's, and a bearer's token is not to be presented as a bound one (RFC 9449, section 7.1). */
async function judgePossession(
  token: string,
  thumbprint: string | null,
  { context: { possession, now }, dpop }: { readonly context: OperatorTokenContext; readonly dpop: DpopProofs | undefined },
): Promise<Denial | undefined> {
  if (thumbprint === null)
    return possession === undefined ? undefined : deny('unauthenticated', 'operator token: presented by DPoP and bound to no key');
  if (possession === 'proven') return undefined;
  if (possession === undefined || dpop === undefined)
    return deny('unauthenticated', 'operator token: bound to a key that nobody has proven here');
  return dpop.judge(possession, { token, thumbprint }, now);
}

function isStillKeyed({ issuer, generation }: Proven, keySets: KeySets | undefined): boolean {
  if (!isFetched(issuer)) return true;
  return generation !== undefined && keySets?.generation(issuer) === generation;
}

/** What an issuer said of a token is believed for a while. */
function isStillTold({ issuer, askedAt }: Proven, introspection: TokenIntrospection | undefined): boolean {
  return askedAt === undefined || (isIntrospected(issuer) && introspection?.isYoung(askedAt, issuer) === true);
}

function isIntrospected(issuer: Issuer): issuer is IntrospectedIssuer {
  return issuer.introspection !== undefined;
}

function isFetched(issuer: Issuer): issuer is FetchedIssuer {
  return issuer.keySource !== undefined;
}

interface Proving {
  readonly issuers: readonly Issuer[];
  readonly keySets: KeySets | undefined;
  readonly introspection: TokenIntrospection | undefined;
  readonly now: Instant;
  readonly clockSkewMsMax: number;
}

/** Why a token would be refused whatever key it was signed with: that none can be had now must not make it look better. */
function hopeless(jws: CompactJws, issuer: Issuer, { now, clockSkewMsMax }: Pick<Proving, 'now' | 'clockSkewMsMax'>): Denial | undefined {
  const said = readOperator(jws, issuer);
  return said.ok ? judgeTokenTimes(said.value.times, now, { clockSkewMsMax, lifetimeMsMax: issuer.tokenLifetimeMsMax }) : said.error;
}

/** Everything that does not change with time, in the order that keeps the cheap refusals cheap. */
async function prove(token: string, proving: Proving): Promise<Result<Proven, Denial>> {
  const { issuers, keySets, now, clockSkewMsMax } = proving;
  const jws = readCompactJws(token);
  if (!jws.ok) return told(token, jws.error, proving);
  const header = readHeader(jws.value.header);
  if (typeof header === 'string') return refuse('unauthenticated', header);
  const issuer = issuers.find((known) => known.issuer === jws.value.claims['iss']);
  if (issuer === undefined) return refuse('unauthenticated', '`iss` is no pinned issuer');
  // Before a key is looked for: a token of another algorithm must not make us ask anybody.
  if (!algorithmsOf(issuer).includes(header.alg)) return refuse('unauthenticated', `\`alg\` is not one of \`${issuer.issuer}\``);
  const signer = await signerOf(issuer, header, keySets);
  if (!signer.ok) return fail(hopeless(jws.value, issuer, { now, clockSkewMsMax }) ?? signer.error);
  const verified = await verifySignature(token, header.alg, signer.value.key);
  if (!verified.ok) return verified;
  const thumbprint = boundThumbprint(jws.value.claims);
  if (!thumbprint.ok) return refuse('unauthenticated', thumbprint.error);
  const operator = readOperator(jws.value, issuer);
  if (!operator.ok) return operator;
  return ok({ operator: operator.value, issuer, generation: signer.value.generation, thumbprint: thumbprint.value });
}

/** Of a token that is no JWT: by the one issuer that is asked about such, and by nobody where there is none. */
async function told(token: string, unread: string, { issuers, introspection }: Proving): Promise<Result<Proven, Denial>> {
  const issuer = issuers.find(isIntrospected);
  if (issuer === undefined) return refuse('unauthenticated', unread);
  const said = (await introspection?.ask(token, issuer)) ?? { state: 'unavailable', why: 'no issuer is asked here' };
  if (said.state === 'unavailable') return refuse('identity_unavailable', `\`${issuer.issuer}\` cannot be asked: ${said.why}`);
  if (said.state === 'inactive') return refuse('unauthenticated', `\`${issuer.issuer}\` does not know the token, or not any more`);
  const { claims, askedAt } = said;
  if (claims['iss'] !== undefined && claims['iss'] !== issuer.issuer) return refuse('unauthenticated', '`iss` is another issuer’s');
  const thumbprint = boundThumbprint(claims);
  if (!thumbprint.ok) return refuse('unauthenticated', thumbprint.error);
  const operator = readOperator({ claims, signingInput: token }, issuer);
  if (!operator.ok) return operator;
  return ok({ operator: operator.value, issuer, generation: undefined, thumbprint: thumbprint.value, askedAt });
}

interface Header {
  readonly alg: TokenAlgorithm;
  readonly kid: string;
}

/** A header may name a key of the issuer and nothing else: `jku`, `jwk`, `x5u` and `x5c` would bring the attacker's own. */
function readHeader(header: JsonObject): Header | string {
  const unknown = Object.keys(header).find((name) => !HEADER_MEMBERS.has(name));
  if (unknown !== undefined) return `header member \`${unknown.slice(0, 32)}\` is not accepted`;
  const { alg, kid, typ } = header;
  // The algorithm is ours to choose (RFC 8725, section 3.1): `none` and an HMAC keyed with a public key end here.
  if (!isTokenAlgorithm(alg)) return '`alg` is none of those that are accepted';
  if (typeof kid !== 'string') return '`kid` is missing';
  if (typ !== undefined && (typeof typ !== 'string' || !ACCEPTED_TYPES.has(typ.toLowerCase())))
    return '`typ` is not that of an operator’s token';
  return { alg, kid };
}

interface Signer {
  readonly key: IssuerKey;
  readonly generation: number | undefined;
}

async function signerOf(issuer: Issuer, { alg, kid }: Header, keySets: KeySets | undefined): Promise<Result<Signer, Denial>> {
  let key: IssuerKey | undefined;
  let generation: number | undefined;
  if (isFetched(issuer)) {
    const found = (await keySets?.find(issuer, kid)) ?? { state: 'unavailable', why: 'keys are not fetched here' };
    if (found.state === 'unavailable') return refuse('identity_unavailable', `no keys of \`${issuer.issuer}\`: ${found.why}`);
    if (found.state === 'known') ({ key, generation } = found);
  } else {
    const pinned = issuer.keys.find((known) => known.kid === kid);
    if (pinned !== undefined) key = keyOfPinned(pinned);
  }
  if (key === undefined) return refuse('unauthenticated', `no key of \`${issuer.issuer}\` has this \`kid\``);
  // RFC 8725, section 3.1: each key with its own algorithm alone.
  if (!key.algorithms.includes(alg)) return refuse('unauthenticated', '`alg` is not that of the key');
  return ok({ key, generation });
}

async function verifySignature(token: string, alg: TokenAlgorithm, key: IssuerKey): Promise<Result<undefined, Denial>> {
  try {
    await compactVerify(token, await importedKey(key, alg), { algorithms: [alg] });
    return ok(undefined);
  } catch (error) {
    if (error instanceof errors.JWSSignatureVerificationFailed)
      return refuse('signature_invalid', 'the signature is not of the key that `kid` names');
    return refuse('unauthenticated', `the signature cannot be verified: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function readOperator(
  { claims, signingInput }: Pick<CompactJws, 'claims' | 'signingInput'>,
  issuer: Issuer,
): Result<VerifiedOperator, Denial> {
  const audiences: unknown = claims['aud'];
  const isForUs = audiences === issuer.audience || (Array.isArray(audiences) && audiences.includes(issuer.audience));
  if (!isForUs) return refuse('unauthenticated', '`aud` does not name this audience');
  const unfit = judgeIssuerTerms(issuer, claims);
  if (unfit !== undefined) return fail(unfit);
  const tokenId = claims['jti'] ?? null;
  if (tokenId !== null && (typeof tokenId !== 'string' || tokenId === '' || tokenId.length > TOKEN_ID_CHARS_MAX))
    return refuse('unauthenticated', '`jti` is no id');
  const [times, principal] = [readTokenTimes(claims), principalFromClaims(issuer, claims)];
  const [kase, purpose, said] = [caseFromClaims(issuer, claims), purposeFromClaims(issuer, claims), originFromClaims(issuer, claims)];
  if (!times.ok || !principal.ok || !kase.ok || !purpose.ok || !said.ok)
    return refuse('unauthenticated', describe([times, principal, kase, purpose, said]));
  const tokenDigest = digestOf(utf8(signingInput)) as Digest;
  const origin: SessionOrigin = { rootKind: 'human', method: methodOf(principal.value), ...said.value, hops: [] };
  return ok({ principal: principal.value, case: kase.value, purpose: purpose.value, tokenId, tokenDigest, times: times.value, origin });
}

/** With what the issuer says of how it knew the person, so that records repeat it. */
function methodOf({ acr, amr = [] }: Principal): string {
  return ['access_token', ...(acr === undefined ? [] : [`acr=${acr}`]), ...(amr.length === 0 ? [] : [`amr=${amr.join(',')}`])].join(' ');
}

/** Pinned keys in the form of fetched ones; gone with the bundle. Written and read by `keyOfPinned` alone. */
const pinnedKeys = new WeakMap<PinnedJwk, IssuerKey>();

function keyOfPinned(pinned: PinnedJwk): IssuerKey {
  const known = pinnedKeys.get(pinned);
  if (known !== undefined) return known;
  const key = pinnedKey(pinned);
  pinnedKeys.set(pinned, key);
  return key;
}

type Imported = Promise<CryptoKey | Uint8Array>;

/** Imported keys, one for each algorithm of a key; gone with the key set. Written and read by `importedKey` alone. */
const importedKeys = new WeakMap<IssuerKey, Map<TokenAlgorithm, Imported>>();

async function importedKey(key: IssuerKey, alg: TokenAlgorithm): Imported {
  const known = importedKeys.get(key) ?? new Map<TokenAlgorithm, Imported>();
  importedKeys.set(key, known);
  const imported = known.get(alg) ?? importJWK(key.jwk, alg);
  known.set(alg, imported);
  return imported;
}

function describe(results: readonly Result<unknown, readonly Problem[]>[]): string {
  return results.flatMap((result) => (result.ok ? [] : result.error.map((problem) => formatProblem(problem)))).join('; ');
}

function refuse(code: DenialCode, detail: string): { readonly ok: false; readonly error: Denial } {
  return fail(deny(code, `operator token: ${detail}`));
}
