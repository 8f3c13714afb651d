/**
 * Believes an assertion, or says why not: offline, by the pinned workload CA alone. The order is that of the spec: form,
 * then who signed, then for whom and when. docs/spec/assertions-v1.md, section 4.
 */

import { type VerifyKey, utf8, verify } from '@sallyport/crypto';
import { ASSERTION_BYTES_MAX, ASSERTION_MS, ASSERTION_TYP, parseSpiffeId, readAssertionClaims, readCompactJws } from '@sallyport/identity';
import type { AssertionClaims, CompactJws } from '@sallyport/identity';
import { type Instant, type Result, fail, formatProblem, ok } from '@sallyport/model';
import type { AssertionFailure } from './failure.ts';
import { digestOfJsonArguments } from './json-arguments.ts';
import { systemNow } from './now.ts';
import { provenCertificate, readAuthorities, readX5c } from './signing-certificate.ts';

/** What the tool knows of itself. */
export interface VerifyOptions {
  /** `prod.company.com`: whose sidecars may call. */
  readonly trustDomain: string;
  /** The workload CA in PEM, one text or several; pinned by the tool's owner, never taken from a call. */
  readonly authorities: string | readonly string[];
  /** Of this service, as the catalog declares it. */
  readonly audience: string;
  /** The full name of the tool that is called; `undefined` only for what calls none, such as an MCP handshake. */
  readonly tool: string | undefined;
  /** Agents that may have handed the call on to the one that acts; by default none, so that nobody serves them unawares. */
  readonly hopsMax?: number;
  /** Milliseconds since 1970; by default the machine's clock. */
  readonly now?: number;
  /** The arguments as received: a JSON text, or what `JSON.parse` made of it. Then the assertion must be for exactly these. */
  readonly arguments?: string | Uint8Array | object;
  /** For a tool whose arguments are asserted: each assertion is good once. Others are reused for half of their life. */
  readonly replay?: ReplayMemory;
}

export interface ReplayMemory {
  /** Whether this is the first use of the id, which is remembered until then (milliseconds since 1970). When in doubt, no. */
  isFirst(tokenId: string, expiresAt: number, now: number): boolean;
}

/** What a believed assertion says; times in milliseconds since 1970. */
export interface Assertion extends AssertionClaims {
  /** The `kid` of the key that signed. */
  readonly keyId: string;
}

export interface NotBelieved {
  readonly code: AssertionFailure;
  /** For the tool's own log; never for the caller. */
  readonly detail: string;
}

export type Verification =
  | { readonly ok: true; readonly assertion: Assertion }
  | { readonly ok: false; readonly code: AssertionFailure; readonly detail: string };

/** How far the sidecar's clock may run ahead of the tool's. An expiry is never extended: what arrives has half of its life before it. */
export const CLOCK_SKEW_MS_MAX = 5_000;

/** Never throws for anything in the token; throws `TypeError` for options that would believe nobody or everybody. */
export function verifyAssertion(token: string | undefined, options: VerifyOptions): Verification {
  const judged = judgeAssertion(token, options);
  return judged.ok ? { ok: true, assertion: judged.value.assertion } : { ok: false, ...judged.error };
}

/** A believed assertion, and the key that signed it. */
export interface Believed {
  readonly assertion: Assertion;
  readonly key: VerifyKey;
}

/** As `verifyAssertion`. */
export function judgeAssertion(token: string | undefined, options: VerifyOptions): Result<Believed, NotBelieved> {
  if (options.audience === '' || options.trustDomain === '') throw new TypeError('`audience` and `trustDomain` are not empty');
  // Forgotten it would mean any tool; `undefined` is for whoever says so.
  if (!Object.hasOwn(options, 'tool')) throw new TypeError('`tool` is missing: name it, or say `undefined` for what calls none');
  const authorities = readAuthorities(options.authorities);
  const read = readToken(token);
  if (!read.ok) return read;
  const { jws, chain, claims } = read.value;
  const certificate = provenCertificate(chain, { authorities, kid: jws.header['kid'], at: claims.issuedAt });
  if (!certificate.ok) return certificate;
  if (!verify(certificate.value.key, utf8(jws.signingInput), jws.signature))
    return no('signature_invalid', 'not by the key of the certificate');
  const problem = problemOfSigner(claims, certificate.value.spiffeId, options) ?? problemOfUse(claims, options);
  if (problem !== undefined) return fail(problem);
  return ok({ assertion: { ...claims, keyId: certificate.value.keyId }, key: certificate.value.key });
}

interface ReadToken {
  readonly jws: CompactJws;
  readonly chain: readonly Uint8Array[];
  /** Read, and not yet proven. */
  readonly claims: AssertionClaims;
}

/** The claims, the acting agent, and as many behind it as there may be. */
const DEPTH_MAX = 12;
const HEADER_MEMBERS: readonly string[] = ['alg', 'kid', 'typ', 'x5c'];

function readToken(token: string | undefined): Result<ReadToken, NotBelieved> {
  if (token === undefined || token === '') return no('assertion_missing', 'no token');
  if (token.length > ASSERTION_BYTES_MAX) return no('too_large', `longer than ${ASSERTION_BYTES_MAX} bytes`);
  const jws = readCompactJws(token, { depthMax: DEPTH_MAX });
  if (!jws.ok) return no('malformed', jws.error);
  const { header } = jws.value;
  if (header['typ'] !== ASSERTION_TYP) return no('wrong_type', `typ is not ${ASSERTION_TYP}`);
  if (header['alg'] !== 'ES256') return no('algorithm_refused', 'alg is not ES256');
  // A key or an address of one (`jwk`, `jku`, `x5u`) is the sender's own word; `crit` asks for what is not done here.
  const stray = Object.keys(header).find((name) => !HEADER_MEMBERS.includes(name));
  if (stray !== undefined) return no('header_refused', `\`${stray.slice(0, 64)}\``);
  const chain = readX5c(header['x5c']);
  if (chain === undefined) return no('header_refused', '`x5c` is not a list of certificates');
  const claims = readAssertionClaims(jws.value.claims);
  if (!claims.ok) return no('claims_invalid', claims.error.map((problem) => formatProblem(problem)).join('; '));
  return ok({ jws: jws.value, chain, claims: claims.value });
}

/** Only the sidecar beside the acting agent may say that this agent acts. */
function problemOfSigner(claims: AssertionClaims, spiffeId: string, { trustDomain }: VerifyOptions): NotBelieved | undefined {
  if (claims.issuer !== spiffeId) return { code: 'issuer_mismatch', detail: `signed by ${spiffeId}` };
  const workload = parseSpiffeId(spiffeId);
  if (!workload.ok || workload.value.trustDomain !== trustDomain)
    return { code: 'issuer_mismatch', detail: `${spiffeId} is of another domain` };
  const { purpose } = workload.value;
  if (purpose.kind !== 'sidecar' || purpose.agent !== claims.agent) return { code: 'actor_mismatch', detail: `signed by ${spiffeId}` };
  return undefined;
}

function problemOfUse(claims: AssertionClaims, options: VerifyOptions): NotBelieved | undefined {
  const now = options.now ?? systemNow();
  if (!Number.isFinite(now)) throw new TypeError('`now` is not an instant');
  const untimely = problemOfTimes(claims, now as Instant);
  if (untimely !== undefined) return untimely;
  if (claims.audience !== options.audience) return { code: 'audience_mismatch', detail: `for ${claims.audience}` };
  if (options.tool !== undefined && claims.tool !== options.tool) return { code: 'tool_mismatch', detail: `for ${claims.tool}` };
  // Written so that a bound that is no number refuses.
  if (!(claims.chain.length <= (options.hopsMax ?? 0)))
    return { code: 'delegation_refused', detail: `through ${claims.chain.map(({ agent }) => agent).join(', ')}` };
  if (options.arguments !== undefined && !isFor(claims, options.arguments))
    return { code: 'arguments_mismatch', detail: claims.argumentsDigest === undefined ? 'it names no arguments' : 'the digests differ' };
  // Nothing but a plain yes: a memory that answers later, or not at all, has not said that this is the first use.
  const isFirst: unknown = options.replay === undefined || options.replay.isFirst(claims.tokenId, claims.expiresAt, now);
  if (isFirst !== true) return { code: 'replayed', detail: claims.tokenId };
  return undefined;
}

function problemOfTimes({ issuedAt, expiresAt }: AssertionClaims, now: Instant): NotBelieved | undefined {
  const lifeMs = expiresAt - issuedAt;
  if (lifeMs > ASSERTION_MS) return { code: 'lifetime_exceeded', detail: `${lifeMs} ms of at most ${ASSERTION_MS}` };
  if (issuedAt > now + CLOCK_SKEW_MS_MAX) return { code: 'not_yet_valid', detail: `issued ${issuedAt - now} ms in the future` };
  if (now >= expiresAt) return { code: 'expired', detail: `${now - expiresAt} ms ago` };
  return undefined;
}

function isFor({ argumentsDigest }: AssertionClaims, args: string | Uint8Array | object): boolean {
  return argumentsDigest !== undefined && argumentsDigest === digestOfJsonArguments(args);
}

function no(code: AssertionFailure, detail: string): { readonly ok: false; readonly error: NotBelieved } {
  return fail({ code, detail });
}
