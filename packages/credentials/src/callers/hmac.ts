/**
 * A signed webhook of any sender: HMAC-SHA-256 (RFC 2104) over a template that always has the timestamp and the body. Whom
 * the key stands for is the bundle's to say, never the body's.
 */

import { hasField, readField } from '@sallyport/identity';
import { decodeBase64, decodeHex, encodeHex, equalBytes, hmacSha256 } from '@sallyport/crypto';
import { type Denial, type HmacMethod, type Instant, type Problem, type Result, invariant, judgeHmacTemplate, ok } from '@sallyport/model';
import type { CallerContext, CallerMethod, CallerProof, CallerRequest } from './caller-method.ts';
import { fillTemplate } from './hmac-template.ts';
import type { MethodParts } from './method-parts.ts';
import { refusalsOf } from './refusal.ts';
import { judgeSecret } from './shared-secret.ts';
import { denyTimestamp, readSigningTime } from './signing-time.ts';

interface HmacHead {
  readonly key: HmacMethod['keys'][number];
  readonly timestamp: string;
  readonly signedAt: Instant;
  readonly mac: Uint8Array;
}

const MAC_BYTES = 32;
const WINDOW_MS_MAX = 300_000;
const FIELD_NAME = /^[!#$%&'*+.^_`|~0-9a-z-]{1,128}$/;
export const KEY_ID: RegExp = /^[A-Za-z0-9._-]{1,64}$/;

/** The method of one kind of sender. Appends to `problems` what its configuration must not say. */
export function hmacMethod(config: HmacMethod, parts: MethodParts, problems: Problem[]): CallerMethod {
  judgeConfig(config, problems);
  const { name, kind, headers, windowMs } = config;
  const { secretOf, replay, principalOf } = parts;
  const refuse = refusalsOf(name);
  const keys = new Map(config.keys.map((key) => [key.id, key]));

  const readHead = ({ rawHeaders }: CallerRequest, now: Instant): Result<HmacHead, Denial> => {
    const [signature, timestamp] = [readField(rawHeaders, headers.signature), readField(rawHeaders, headers.timestamp)];
    const keyId = headers.keyId === undefined ? ok(config.keys[0]?.id) : readField(rawHeaders, headers.keyId);
    if (!signature.ok) return refuse('unauthenticated', signature.error);
    if (!timestamp.ok) return refuse('unauthenticated', timestamp.error);
    if (!keyId.ok) return refuse('unauthenticated', keyId.error);
    if (signature.value === undefined || timestamp.value === undefined)
      return refuse('unauthenticated', 'signature or timestamp is missing');
    const key = keys.get(keyId.value ?? '');
    if (key === undefined) return refuse('unauthenticated', 'no key has this id');
    const signedAt = readSigningTime(timestamp.value, config.timestampUnit, windowMs, now);
    if (!signedAt.ok) return denyTimestamp(refuse, signedAt.error);
    const mac = readMac(signature.value, config);
    if (mac === undefined) return refuse('unauthenticated', `\`${headers.signature}\` has not the form of a signature`);
    return ok({ key, timestamp: timestamp.value, signedAt: signedAt.value, mac });
  };

  const verify = (request: CallerRequest, { now, isAgain }: CallerContext): Result<CallerProof, Denial> => {
    const { body } = request;
    invariant(body !== undefined, 'a method that needs the body is asked when it is read');
    const head = readHead(request, now);
    if (!head.ok) return head;
    const { key, timestamp, signedAt, mac } = head.value;
    const secret = judgeSecret(secretOf(key.secret), refuse);
    if (!secret.ok) return secret;
    const signed = fillTemplate(config.template, { ...request, body }, { timestamp, keyId: key.id });
    if (signed === undefined) return refuse('unauthenticated', 'a header that must be signed is missing or stands twice');
    if (!equalBytes(mac, hmacSha256(secret.value, ...signed))) return refuse('signature_invalid', 'the signature is not over this request');
    const principal = principalOf(key.id, signedAt);
    if (principal === undefined) return refuse('no_matching_policy', `nobody is mapped to key \`${key.id}\``);
    const credentialId = `${name}:${key.id}`;
    const expiresAt = (signedAt + windowMs + 1) as Instant;
    const spendable = { keyId: credentialId, value: encodeHex(mac), madeAt: signedAt, expiresAt };
    const spent = isAgain === true ? undefined : replay.spend(spendable, now);
    if (spent !== undefined) return refuse(spent.code, spent.detail);
    return ok({ method: name, kind, subject: key.id, principal, authenticatedAt: signedAt, credentialId, expiresAt: null });
  };

  return {
    name,
    kind,
    needsBody: true,
    isPresented: ({ rawHeaders }) => hasField(rawHeaders, headers.signature),
    judgeHead: (request, { now }) => {
      const head = readHead(request, now);
      return head.ok ? undefined : head.error;
    },
    verify,
  };
}

/** One spelling alone: of two spellings of one signature, a replay memory would know only the first. */
function readMac(text: string, { signaturePrefix, encoding }: HmacMethod): Uint8Array | undefined {
  if (!text.startsWith(signaturePrefix)) return undefined;
  const encoded = text.slice(signaturePrefix.length);
  const mac = encoding === 'hex' ? decodeHex(encoded) : decodeBase64(encoded);
  return mac?.byteLength === MAC_BYTES ? mac : undefined;
}

function judgeConfig(config: HmacMethod, problems: Problem[]): void {
  const { headers, keys, template, windowMs } = config;
  for (const [role, field] of Object.entries(headers)) {
    if (!FIELD_NAME.test(field))
      problems.push({ path: `headers.${role}`, message: `\`${field.slice(0, 80)}\` is not a lower-case header name` });
  }
  if (new Set(Object.values(headers)).size !== Object.keys(headers).length)
    problems.push({ path: 'headers', message: 'one header has two roles' });
  for (const [index, part] of template.entries()) {
    if ('header' in part && !FIELD_NAME.test(part.header))
      problems.push({ path: `template[${index}].header`, message: 'is not a lower-case header name' });
  }
  problems.push(...judgeHmacTemplate(template));
  if (!(windowMs >= 1000 && windowMs <= WINDOW_MS_MAX))
    problems.push({ path: 'windowMs', message: `is not between 1000 and ${WINDOW_MS_MAX}` });
  if (keys.length === 0) problems.push({ path: 'keys', message: 'is empty' });
  if (headers.keyId === undefined && keys.length > 1) problems.push({ path: 'keys', message: 'several keys need a header that names one' });
  for (const [index, { id }] of keys.entries()) {
    if (!KEY_ID.test(id)) problems.push({ path: `keys[${index}].id`, message: 'is not 1 to 64 letters, digits, `.`, `_` or `-`' });
    if (keys.findIndex((key) => key.id === id) !== index) problems.push({ path: `keys[${index}].id`, message: 'stands twice' });
  }
}
