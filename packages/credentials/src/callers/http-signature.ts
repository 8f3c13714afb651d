/**
 * HTTP Message Signatures (RFC 9421) under a policy of this product: one signature with our tag, over method, authority,
 * path, query and content digest, with an end, a nonce and a key that the bundle holds. docs/spec/callers.md, section 8.
 */

import { type VerifyKey, decodeBase64Url, equalBytes, hmacSha256, readVerifyKey, verify as verifySignature } from '@sallyport/crypto';
import {
  coveredNames,
  findSignature,
  hasField,
  isContentDigest,
  readField,
  readSignatureParameters,
  signatureBase,
  type SignatureParameters,
} from '@sallyport/identity';
import { type Denial, type HttpSignatureKey, type HttpSignatureMethod, type Problem, type Result, invariant, ok } from '@sallyport/model';
import type { CallerContext, CallerMethod, CallerProof, CallerRequest } from './caller-method.ts';
import type { MethodParts } from './method-parts.ts';
import { refusalsOf } from './refusal.ts';
import { judgeSecret } from './shared-secret.ts';
import { judgeSignatureTimes } from './signature-times.ts';

interface KnownKey {
  readonly config: HttpSignatureKey;
  /** Of a public key. */
  readonly verifyKey: VerifyKey | undefined;
}

/** A signature that verifies over the head; the body and the nonce are still to judge. */
interface ProvenHead {
  readonly key: HttpSignatureKey;
  readonly parameters: SignatureParameters;
  readonly contentDigest: string;
}

const REQUIRED: readonly string[] = ['@method', '@authority', '@path', '@query', 'content-digest'];
const [LIFETIME_MS_MAX, CLOCK_SKEW_MS_MAX] = [300_000, 60_000];
const KEY_ID = /^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/;
const TAG = /^[A-Za-z0-9._:/-]{1,64}$/;
const FIELD_NAME = /^[!#$%&'*+.^_`|~0-9a-z-]{1,128}$/;

/** The method of all signers under one tag. Appends to `problems` what its configuration must not say. */
export function httpSignatureMethod(config: HttpSignatureMethod, parts: MethodParts, problems: Problem[]): CallerMethod {
  judgeConfig(config, problems);
  const { name, kind, tag } = config;
  const { secretOf, replay, principalOf } = parts;
  const keys = readKeys(config.keys, problems);
  const required = [...REQUIRED, ...config.fields];
  const refuse = refusalsOf(name);

  const proveHead = (request: CallerRequest, { now }: CallerContext): Result<ProvenHead, Denial> => {
    const found = findSignature(request.rawHeaders, tag);
    if (!found.ok) return refuse('unauthenticated', found.error);
    const { input, signature } = found.value;
    const parameters = readSignatureParameters(input);
    if (!parameters.ok) return refuse('unauthenticated', parameters.error);
    const key = keys.get(parameters.value.keyId);
    if (key === undefined) return refuse('unauthenticated', 'no key has this id');
    // The key names its algorithm; a signature may repeat it, not choose it (RFC 9421, section 3.2).
    if (parameters.value.alg !== undefined && parameters.value.alg !== key.config.alg)
      return refuse('unauthenticated', '`alg` is not that of the key');
    const untimely = judgeSignatureTimes(parameters.value, now, config);
    if (untimely !== undefined) return refuse(untimely.code, untimely.detail);
    const names = coveredNames(input);
    if (!names.ok) return refuse('unauthenticated', names.error);
    const missing = required.find((component) => !names.value.includes(component));
    if (missing !== undefined) return refuse('unauthenticated', `\`${missing}\` is not signed`);
    const base = signatureBase(request, names.value, input);
    if (!base.ok) return refuse('unauthenticated', base.error);
    const contentDigest = readField(request.rawHeaders, 'content-digest');
    if (!contentDigest.ok || contentDigest.value === undefined) return refuse('unauthenticated', '`content-digest` is not there once');
    const isProven = proves(key, base.value, signature);
    if (!isProven.ok) return isProven;
    return isProven.value
      ? ok({ key: key.config, parameters: parameters.value, contentDigest: contentDigest.value })
      : refuse('signature_invalid', `the signature is not that of key \`${key.config.id}\` over this request`);
  };

  const proves = ({ config: key, verifyKey }: KnownKey, base: Uint8Array, signature: Uint8Array): Result<boolean, Denial> => {
    if (key.alg !== 'hmac-sha256') return ok(verifyKey !== undefined && verifySignature(verifyKey, base, signature));
    const secret = judgeSecret(secretOf(key.secret), refuse);
    return secret.ok ? ok(equalBytes(signature, hmacSha256(secret.value, base))) : secret;
  };

  const verify = (request: CallerRequest, context: CallerContext): Result<CallerProof, Denial> => {
    const { body } = request;
    invariant(body !== undefined, 'a method that needs the body is asked when it is read');
    const head = proveHead(request, context);
    if (!head.ok) return head;
    const { key, parameters, contentDigest } = head.value;
    if (!isContentDigest(contentDigest, body)) return refuse('signature_invalid', '`content-digest` is not that of the body');
    const { createdAt, expiresAt, nonce } = parameters;
    const principal = principalOf(key.id, createdAt);
    if (principal === undefined) return refuse('no_matching_policy', `nobody is mapped to key \`${key.id}\``);
    const credentialId = `${name}:${key.id}`;
    const spendable = { keyId: credentialId, value: nonce, madeAt: createdAt, expiresAt };
    const spent = context.isAgain === true ? undefined : replay.spend(spendable, context.now);
    if (spent !== undefined) return refuse(spent.code, spent.detail);
    return ok({ method: name, kind, subject: key.id, principal, authenticatedAt: createdAt, credentialId, expiresAt: null });
  };

  return {
    name,
    kind,
    needsBody: true,
    isPresented: ({ rawHeaders }) => hasField(rawHeaders, 'signature-input') || hasField(rawHeaders, 'signature'),
    judgeHead: (request, context) => {
      const head = proveHead(request, context);
      return head.ok ? undefined : head.error;
    },
    verify,
  };
}

function readKeys(configs: readonly HttpSignatureKey[], problems: Problem[]): ReadonlyMap<string, KnownKey> {
  const keys = new Map<string, KnownKey>();
  for (const [index, config] of configs.entries()) {
    const path = `keys[${index}]`;
    if (!KEY_ID.test(config.id)) problems.push({ path: `${path}.id`, message: 'is not 1 to 256 printable characters' });
    if (keys.has(config.id)) problems.push({ path: `${path}.id`, message: 'stands twice' });
    const verifyKey = config.alg === 'hmac-sha256' ? undefined : publicKeyOf(config);
    if (config.alg !== 'hmac-sha256' && verifyKey === undefined)
      problems.push({ path: `${path}.publicKey`, message: `is not a key for ${config.alg}` });
    keys.set(config.id, { config, verifyKey });
  }
  return keys;
}

function publicKeyOf({ alg, publicKey }: Exclude<HttpSignatureKey, { readonly alg: 'hmac-sha256' }>): VerifyKey | undefined {
  const raw = decodeBase64Url(publicKey);
  return raw === undefined ? undefined : readVerifyKey(alg === 'ed25519' ? 'ed25519' : 'es256', raw);
}

function judgeConfig({ tag, lifetimeMsMax, clockSkewMsMax, fields }: HttpSignatureMethod, problems: Problem[]): void {
  if (!TAG.test(tag)) problems.push({ path: 'tag', message: 'is not 1 to 64 letters, digits and `._:/-`' });
  if (!(lifetimeMsMax >= 1000 && lifetimeMsMax <= LIFETIME_MS_MAX))
    problems.push({ path: 'lifetimeMsMax', message: `is not between 1000 and ${LIFETIME_MS_MAX}` });
  if (!(clockSkewMsMax >= 0 && clockSkewMsMax <= CLOCK_SKEW_MS_MAX))
    problems.push({ path: 'clockSkewMsMax', message: `is not between 0 and ${CLOCK_SKEW_MS_MAX}` });
  for (const [index, field] of fields.entries())
    if (!FIELD_NAME.test(field)) problems.push({ path: `fields[${index}]`, message: 'is not a lower-case header name' });
}
