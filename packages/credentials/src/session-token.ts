/**
 * The tokens for one session, the agent's (`sallyport-session+jwt`) and its client's (`sallyport-client-session+jwt`): minted and verified by the same sidecar, synchronously,
 * with a key that no other process needs to know. docs/spec/sessions.md, section 3.
 */

import { encodeBase64Url, encodeHex, readVerifyKey, sha256, utf8, verify } from '@sallyport/crypto';
import type { Signer } from '@sallyport/crypto/keys';
import {
  CLIENT_SESSION_TOKEN_TYP,
  type Leg,
  SESSION_TOKEN_MS,
  SESSION_TOKEN_TYP,
  type SessionClaims,
  type SessionEpoch,
  type SpiffeId,
  audienceOf,
  epochOf,
  judgeTokenTimes,
  readCompactJws,
  readSessionClaims,
} from '@sallyport/identity';
import {
  type AgentName,
  type Denial,
  type DenialCode,
  type Instant,
  type PrincipalId,
  type Random,
  type Result,
  type SessionId,
  deny,
  fail,
  formatProblem,
  invariant,
  ok,
} from '@sallyport/model';
import { BoundedCache } from './bounded-cache.ts';

export interface SessionTokenOptions {
  /** Ed25519 or ES256. */
  readonly signer: Signer;
  readonly sidecar: SpiffeId;
  /** The start whose sessions these are; a token of another start is `session_expired`. */
  readonly epoch: SessionEpoch;
  readonly random: Random;
  /** Whose tokens these are: the agent's on the outbound leg, the client's on the inbound one. Neither is any good on the other. */
  readonly leg: Leg;
  /** Proven tokens kept by hash. */
  readonly cacheEntriesMax?: number;
}

/** What a token is minted for. */
export interface SessionGrant {
  readonly sessionId: SessionId;
  readonly operator: PrincipalId;
  readonly agent: AgentName;
}

export interface SessionTokens {
  /** A token for 15 minutes from `now`, in whole seconds. */
  mint(grant: SessionGrant, now: Instant): Promise<string>;
  /**
   * Synchronous, so that a call pays no turn for it. `unauthenticated` for what is no token of ours, `session_expired`
   * for one of an earlier start, `signature_invalid`, `token_expired`.
   */
  verify(token: string, now: Instant): Result<SessionClaims, Denial>;
}

const TOKEN_BYTES_MAX = 4096;
const CACHE_ENTRIES_MAX = 10_000;
const TOKEN_ID_BYTES = 16;
/** Our own wall clock may be set back between minting and use. */
const CLOCK_SKEW_MS_MAX = 30_000;

/** Mints and verifies the session tokens of one start of one sidecar. */
export function sessionTokens(options: SessionTokenOptions): SessionTokens {
  const { signer, sidecar, epoch, random, leg } = options;
  const typ = leg === 'outbound' ? SESSION_TOKEN_TYP : CLIENT_SESSION_TOKEN_TYP;
  const key = readVerifyKey(signer.alg, signer.publicRaw);
  invariant(key !== undefined, 'a session key is an Ed25519 or P-256 key');
  const header = { alg: signer.alg === 'ed25519' ? 'EdDSA' : 'ES256', kid: signer.keyId, typ };
  const proven = new BoundedCache<SessionClaims>(options.cacheEntriesMax ?? CACHE_ENTRIES_MAX);

  const prove = (token: string): Result<SessionClaims, Denial> => {
    const jws = readCompactJws(token);
    if (!jws.ok) return refuse('unauthenticated', jws.error);
    if (jws.value.header['typ'] !== typ) return refuse('unauthenticated', '`typ` is not that of a session token of this leg');
    const { sid } = jws.value.claims;
    const claimed = typeof sid === 'string' ? epochOf(sid) : undefined;
    // The key of an earlier start is gone, so this cannot be proven, and need not: either way it is refused.
    if (claimed !== undefined && claimed !== epoch) return refuse('session_expired', 'the session is of another start');
    const isOurs = Object.entries(header).every(([name, value]) => jws.value.header[name] === value);
    if (!isOurs || Object.keys(jws.value.header).length !== Object.keys(header).length)
      return refuse('unauthenticated', 'the header is not ours');
    if (!verify(key, utf8(jws.value.signingInput), jws.value.signature)) return refuse('signature_invalid', 'the signature is not ours');
    const claims = readSessionClaims(jws.value.claims, sidecar, leg);
    return claims.ok ? claims : refuse('unauthenticated', claims.error.map((problem) => formatProblem(problem)).join('; '));
  };

  return {
    mint: async ({ sessionId, operator, agent }, now) => {
      invariant(epochOf(sessionId) === epoch, 'a session is minted for by the start that opened it');
      const iat = Math.floor(now / 1000);
      const exp = iat + SESSION_TOKEN_MS / 1000;
      const jti = encodeBase64Url(random(TOKEN_ID_BYTES));
      const claims = { iss: sidecar, aud: audienceOf(sidecar, leg), sub: operator, agent, sid: sessionId, epoch, jti, iat, exp };
      const signingInput = `${encodeJson(header)}.${encodeJson(claims)}`;
      const signature = await signer.sign(utf8(signingInput));
      return `${signingInput}.${encodeBase64Url(signature)}`;
    },
    verify: (token, now) => {
      if (token.length > TOKEN_BYTES_MAX) return refuse('unauthenticated', `longer than ${TOKEN_BYTES_MAX} bytes`);
      const cacheKey = encodeHex(sha256(utf8(token)));
      let claims = proven.get(cacheKey);
      if (claims === undefined) {
        const fresh = prove(token);
        if (!fresh.ok) return fresh;
        claims = fresh.value;
        proven.set(cacheKey, claims);
      }
      const limits = { clockSkewMsMax: CLOCK_SKEW_MS_MAX, lifetimeMsMax: SESSION_TOKEN_MS };
      const untimely = judgeTokenTimes({ ...claims, notBefore: claims.issuedAt }, now, limits);
      return untimely === undefined ? ok(claims) : fail(untimely);
    },
  };
}

function encodeJson(value: object): string {
  return encodeBase64Url(utf8(JSON.stringify(value)));
}

function refuse(code: DenialCode, detail: string): { readonly ok: false; readonly error: Denial } {
  return fail(deny(code, `session token: ${detail}`));
}
