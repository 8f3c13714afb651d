/**
 * Proofs of possession for access tokens (DPoP, RFC 9449): one proof for one request, by the key that the token is bound
 * to, spent once. What the memory cannot vouch for is refused: a proof made before this start may have been spent in an
 * earlier one. docs/spec/sessions.md, section 2b.
 */

import { encodeBase64Url, sha256, utf8 } from '@sallyport/crypto';
import { readCompactJws } from '@sallyport/identity';
import {
  type Clock,
  type Denial,
  type Instant,
  type JsonObject,
  type Result,
  type TokenAlgorithm,
  addMs,
  deny,
  fail,
  ok,
} from '@sallyport/model';
import { type JWK, compactVerify, importJWK } from 'jose';
import { type ReplayMemory, replayMemory } from './callers/replay-memory.ts';
import { isTokenAlgorithm, readPublicKey } from './key-set.ts';

/** What a proof must be about. */
export interface Possession {
  /** The header `DPoP` as it came. */
  readonly proof: string | undefined;
  readonly method: string;
  /** Scheme, authority and path of the request, without query. */
  readonly url: string;
}

export interface DpopLimits {
  /** A longer proof is refused unread. */
  readonly proofBytesMax: number;
  /** How long after it was made a proof is good. */
  readonly ageMsMax: number;
  /** How far the clock of the one who proves may run ahead. */
  readonly clockSkewMsMax: number;
  /** Proofs remembered; beyond them everything is refused until one is too old to be good. */
  readonly entriesMax: number;
}

export const DPOP_LIMITS: DpopLimits = { proofBytesMax: 4_096, ageMsMax: 60_000, clockSkewMsMax: 5_000, entriesMax: 100_000 };

export interface DpopProofs {
  /** Why this does not prove, for this request and token, the key of the thumbprint; `undefined` where it does, once. Never rejects. */
  judge(possession: Possession, bound: { readonly token: string; readonly thumbprint: string }, now: Instant): Promise<Denial | undefined>;
}

/** A judge with its own memory; one per sidecar. */
export function dpopProofs(clock: Clock, limits: Partial<DpopLimits> = {}): DpopProofs {
  const bounds = { ...DPOP_LIMITS, ...limits };
  const memory = replayMemory({ startedAt: clock.wall(), entriesMax: bounds.entriesMax });
  return {
    judge: async (possession, bound, now) => {
      const { proof } = possession;
      if (proof === undefined) return refuse('the token is bound to a key, and there is no `DPoP` header');
      if (proof.length > bounds.proofBytesMax) return refuse(`the proof is longer than ${bounds.proofBytesMax} bytes`);
      const read = await readProof(proof, bound.thumbprint);
      if (!read.ok) return refuse(read.error);
      const unfit = unfitFor(read.value, possession, bound.token) ?? untimely(read.value, now, bounds);
      return unfit === undefined ? spend(memory, read.value, { thumbprint: bound.thumbprint, now, bounds }) : refuse(unfit);
    },
  };
}

/** The thumbprint that a token is bound to (RFC 9449, section 6.1); `null` for one that is bound in no way, or a problem. */
export function boundThumbprint(claims: JsonObject): Result<string | null, string> {
  if (!Object.hasOwn(claims, 'cnf')) return ok(null);
  const confirmation = claims['cnf'];
  if (typeof confirmation !== 'object' || confirmation === null || Array.isArray(confirmation)) return fail('`cnf` is no object');
  const { jkt, ...others } = confirmation as JsonObject;
  // Bound to a certificate, or in a way we do not know: taken as less it would be what a thief wants it to be.
  if (Object.keys(others).length > 0 || typeof jkt !== 'string' || !/^[A-Za-z0-9_-]{43}$/.test(jkt))
    return fail('`cnf` binds the token in a way that cannot be proven here');
  return ok(jkt);
}

const HEADER_MEMBERS = new Set(['typ', 'alg', 'jwk']);
const TOKEN_ID_CHARS_MAX = 256;
/** Whole seconds, rounded down. */
const STAMP_MS = 1_000;

/** Steps 2 to 6 of RFC 9449, section 4.3, and that the key is the token's, before anything is verified with it. */
async function readProof(proof: string, thumbprint: string): Promise<Result<JsonObject, string>> {
  const jws = readCompactJws(proof);
  if (!jws.ok) return jws;
  const { header, claims } = jws.value;
  const unknown = Object.keys(header).find((name) => !HEADER_MEMBERS.has(name));
  if (unknown !== undefined) return fail(`header member \`${unknown.slice(0, 32)}\` is not accepted`);
  const { typ, alg, jwk } = header;
  if (typ !== 'dpop+jwt') return fail('`typ` is not that of a proof');
  if (!isTokenAlgorithm(alg)) return fail('`alg` is none of those that are accepted');
  const key = readPublicKey(jwk);
  if (key === undefined || !key.algorithms.includes(alg)) return fail('`jwk` is no public key for `alg`');
  if (thumbprintOf(key.jwk) !== thumbprint) return fail('the proof is by another key than the token is bound to');
  return (await isSignedBy(proof, key.jwk, alg)) ? ok(claims) : fail('the signature is not of the key in the proof');
}

async function isSignedBy(proof: string, jwk: JWK, alg: TokenAlgorithm): Promise<boolean> {
  try {
    await compactVerify(proof, await importJWK(jwk, alg), { algorithms: [alg] });
    return true;
  } catch {
    // A key that cannot be used and a signature that does not fit are the same to whoever sent them.
    return false;
  }
}

/** RFC 7638, section 3: the required members in the order of their names. */
function thumbprintOf({ crv, e, kty, n, x, y }: JWK): string {
  return encodeBase64Url(sha256(utf8(JSON.stringify(kty === 'RSA' ? { e, kty, n } : { crv, kty, x, y }))));
}

/** Steps 8, 9 and 12: this method, this address, this token. */
function unfitFor(claims: JsonObject, { method, url }: Possession, token: string): string | undefined {
  const { htm, htu, ath, jti } = claims;
  if (htm !== method) return '`htm` is not this method';
  if (typeof htu !== 'string' || comparable(htu) !== comparable(url)) return '`htu` is not this address';
  if (ath !== encodeBase64Url(sha256(utf8(token)))) return '`ath` is not of this token';
  if (typeof jti !== 'string' || jti === '' || jti.length > TOKEN_ID_CHARS_MAX) return '`jti` is no id';
  return undefined;
}

/** RFC 3986, section 6.2: host in lower case, the scheme's own port left out. A query is part of no proof. */
function comparable(url: string): string | undefined {
  const match = /^(https?):\/\/([^/?#@]+)(\/[^?#]*)$/i.exec(url);
  if (match === null) return undefined;
  const [, scheme = '', authority = '', path = ''] = match;
  const port = scheme.toLowerCase() === 'https' ? ':443' : ':80';
  const host = authority.toLowerCase();
  return `${scheme.toLowerCase()}://${host.endsWith(port) ? host.slice(0, -port.length) : host}${path}`;
}

/** Step 11. */
function untimely({ iat }: JsonObject, now: Instant, { ageMsMax, clockSkewMsMax }: DpopLimits): string | undefined {
  if (typeof iat !== 'number' || !Number.isFinite(iat) || iat < 0) return '`iat` is no time';
  const madeAt = iat * 1_000;
  if (madeAt > now + clockSkewMsMax) return '`iat` is in the future';
  return now - madeAt >= ageMsMax ? '`iat` is too long ago' : undefined;
}

interface Spending {
  readonly thumbprint: string;
  readonly now: Instant;
  readonly bounds: DpopLimits;
}

function spend(memory: ReplayMemory, { iat, jti }: JsonObject, { thumbprint, now, bounds }: Spending): Denial | undefined {
  const stamped = Math.floor((iat as number) * 1_000) as Instant;
  // A clock that runs ahead stamps what was made before a start as if it were after it; the memory itself allows for a second.
  const madeAt = addMs(stamped, -bounds.clockSkewMsMax - STAMP_MS);
  return memory.spend({ keyId: `dpop ${thumbprint}`, value: jti as string, madeAt, expiresAt: addMs(stamped, bounds.ageMsMax) }, now);
}

function refuse(detail: string): Denial {
  return deny('unauthenticated', `dpop: ${detail}`);
}
