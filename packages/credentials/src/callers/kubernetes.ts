/**
 * Projected service-account tokens of a cluster, verified against keys that the bundle pins: for our audience alone, bound to
 * a pod, short-lived. No request goes to the cluster; docs/spec/callers.md, section 10, says what that cannot see.
 */

import { type CompactJws, judgeTokenTimes, readCompactJws, readTokenTimes, readField } from '@sallyport/identity';
import { type Denial, type JsonObject, type KubernetesMethod, type Problem, type Result, fail, formatProblem, ok } from '@sallyport/model';
import { type CryptoKey, compactVerify, errors, importJWK } from 'jose';
import { type IssuerKey, type KeySet, readKeySet } from '../key-set.ts';
import type { CallerContext, CallerMethod, CallerProof, CallerRequest } from './caller-method.ts';
import type { MethodParts } from './method-parts.ts';
import { readWorkload } from './kubernetes-claims.ts';
import { refusalsOf } from './refusal.ts';

const TOKEN_BYTES_MAX = 8192;
const CLOCK_SKEW_MS_MAX = 30_000;
const LIFETIME_MS_MAX = 24 * 3_600_000;
const BEARER = /^bearer +([A-Za-z0-9_.-]+)$/i;
const HEADER_MEMBERS: ReadonlySet<string> = new Set(['alg', 'kid', 'typ']);
/** The API server signs with one of these, by the kind of its key. */
const ALGORITHMS = ['ES256', 'RS256'] as const;

/** The method of one cluster. Appends to `problems` what its configuration must not say. */
export function kubernetesMethod(config: KubernetesMethod, { principalOf }: MethodParts, problems: Problem[]): CallerMethod {
  const { name, kind, issuer, audience, tokenLifetimeMsMax } = config;
  const keys = readKeys(config, problems);
  const refuse = refusalsOf(name);

  const judge = ({ claims }: CompactJws, { now }: CallerContext): Result<CallerProof, Denial> => {
    if (!isOnlyAudience(claims['aud'], audience)) return refuse('unauthenticated', '`aud` is not our audience alone');
    const times = readTokenTimes(claims);
    if (!times.ok) return refuse('unauthenticated', times.error.map((problem) => formatProblem(problem)).join('; '));
    const untimely = judgeTokenTimes(times.value, now, { clockSkewMsMax: CLOCK_SKEW_MS_MAX, lifetimeMsMax: tokenLifetimeMsMax });
    if (untimely !== undefined) return refuse(untimely.code, untimely.detail);
    const workload = readWorkload(claims);
    if (!workload.ok) return refuse('unauthenticated', workload.error);
    const { subject, podUid } = workload.value;
    const { issuedAt: authenticatedAt, expiresAt } = times.value;
    const principal = principalOf(subject, authenticatedAt);
    if (principal === undefined) return refuse('no_matching_policy', `nobody is mapped to \`${subject}\``);
    return ok({ method: name, kind, subject, principal, authenticatedAt, credentialId: `${name}:${podUid}`, expiresAt });
  };

  return {
    name,
    kind,
    needsBody: false,
    isPresented: ({ rawHeaders }) => {
      const token = readToken(rawHeaders);
      const jws = token.ok ? readCompactJws(token.value) : token;
      return jws.ok && jws.value.claims['iss'] === issuer;
    },
    judgeHead: () => undefined,
    verify: async (request: CallerRequest, context) => {
      const token = readToken(request.rawHeaders);
      const jws = token.ok ? readCompactJws(token.value) : token;
      if (!token.ok || !jws.ok) return refuse('unauthenticated', jws.ok ? 'no token' : jws.error);
      if (jws.value.claims['iss'] !== issuer) return refuse('unauthenticated', '`iss` is not the cluster');
      const key = fitKey(jws.value.header, keys);
      if (!key.ok) return refuse('unauthenticated', key.error);
      const problem = await signatureProblem(token.value, key.value);
      if (problem !== undefined)
        return refuse(problem === 'forged' ? 'signature_invalid' : 'unauthenticated', `the signature is ${problem}`);
      return judge(jws.value, context);
    },
  };
}

function readToken(rawHeaders: readonly string[]): Result<string, string> {
  const read = readField(rawHeaders, 'authorization');
  if (!read.ok) return read;
  if (read.value === undefined || read.value.length > TOKEN_BYTES_MAX) return fail(`no token of at most ${TOKEN_BYTES_MAX} bytes`);
  const token = BEARER.exec(read.value)?.[1];
  return token === undefined ? fail('no Bearer token') : ok(token);
}

/** The pinned key that the header names, for the one algorithm of its kind. */
function fitKey(header: JsonObject, keys: KeySet): Result<IssuerKey, string> {
  const unknown = Object.keys(header).some((member) => !HEADER_MEMBERS.has(member));
  if (unknown) return fail('a header member is not accepted');
  const { alg, kid, typ } = header;
  if (typ !== undefined && (typeof typ !== 'string' || typ.toLowerCase() !== 'jwt')) return fail('`typ` is that of another token');
  const key = typeof kid === 'string' ? keys.get(kid) : undefined;
  if (key === undefined) return fail('no key of the cluster has this `kid`');
  return ALGORITHMS.some((algorithm) => algorithm === alg && key.algorithms.includes(algorithm))
    ? ok(key)
    : fail('`alg` is not that of the key');
}

/** Imported keys; gone with the bundle. Written and read by `signatureProblem` alone. */
const importedKeys = new WeakMap<IssuerKey, Promise<CryptoKey | Uint8Array>>();

async function signatureProblem(token: string, key: IssuerKey): Promise<'forged' | 'not verifiable' | undefined> {
  const algorithm = key.jwk.kty === 'RSA' ? 'RS256' : 'ES256';
  const imported = importedKeys.get(key) ?? importJWK(key.jwk, algorithm);
  importedKeys.set(key, imported);
  try {
    await compactVerify(token, await imported, { algorithms: [algorithm] });
    return undefined;
  } catch (error) {
    return error instanceof errors.JWSSignatureVerificationFailed ? 'forged' : 'not verifiable';
  }
}

/** A token that another service accepts as well could be replayed by it. */
function isOnlyAudience(aud: unknown, audience: string): boolean {
  return aud === audience || (Array.isArray(aud) && aud.length === 1 && aud[0] === audience);
}

function readKeys({ keys, issuer, audience, tokenLifetimeMsMax }: KubernetesMethod, problems: Problem[]): KeySet {
  if (issuer === '') problems.push({ path: 'issuer', message: 'is empty' });
  if (audience === '' || audience === issuer) problems.push({ path: 'audience', message: 'is empty, or that of the cluster itself' });
  if (!(tokenLifetimeMsMax >= 60_000 && tokenLifetimeMsMax <= LIFETIME_MS_MAX))
    problems.push({ path: 'tokenLifetimeMsMax', message: `is not between 60000 and ${LIFETIME_MS_MAX}` });
  const read = readKeySet({ keys: keys.map((key) => ({ ...key })) });
  if (read.ok && read.value.size === keys.length) return read.value;
  problems.push({ path: 'keys', message: read.ok ? 'has a key that is neither P-256 nor RSA of 2048 bits or more' : read.error });
  return new Map();
}
