/** Requests that are signed: Slack's way, a generic HMAC, HTTP Message Signatures. Spec: callers, sections 5, 6 and 8. */

import { decodeBase64Url, readVerifyKey } from '@sallyport/crypto';
import { HMAC_TEMPLATE_PARTS_MAX } from '@sallyport/model';
import type { HmacMethod, HmacPart, HttpSignatureKey, HttpSignatureMethod, Json, JsonObject, SlackMethod } from '@sallyport/model';
import { compareText } from '../reader/node.ts';
import type { Node, Problems } from '../reader/node.ts';
import type { Reader } from '../reader/read.ts';
import { duration, fields, formatSpan, list, oneOf, text } from '../reader/read.ts';
import type { Own, Secrets } from './caller-form.ts';
import { callerSecret, encodeSecret, keyId, otherHeader, signedHeader } from './caller-form.ts';

export const SIGNING_WINDOW_MS_MAX = 300_000;
export const CLOCK_SKEW_MS_MAX = 60_000;
export const CALLER_KEYS_MAX = 256;
const CLOCK_SKEW_MS = 30_000;
export const HMAC_TAKES = ['timestamp', 'method', 'target', 'authority', 'key_id', 'body'] as const;

export const readSlack: Reader<Own> = (node, problems) => {
  const secret = fields(node, problems, '`slack`', ['secret!'])?.get('secret', callerSecret);
  return secret === undefined ? undefined : { config: { kind: 'slack', secret: secret.name }, secrets: { [secret.name]: secret.source } };
};

export function encodeSlack({ secret }: SlackMethod, secrets: Secrets): Json {
  return { secret: encodeSecret(secret, secrets) };
}

const HMAC = ['headers!', 'prefix', 'encoding', 'timestamp_unit', 'template!', 'window', 'keys!'];
export const HMAC_PREFIX = '^[\\x21-\\x7e]{1,32}$';
const PREFIX = { test: (value: string) => new RegExp(HMAC_PREFIX).test(value), words: '1 to 32 visible ASCII characters' };

export const readHmac: Reader<Own> = (node, problems) => {
  const declared = fields(node, problems, '`hmac`', HMAC);
  const headers = declared?.get('headers', hmacHeaders);
  const template = declared?.get('template', list('`template`', hmacPart, { min: 1, max: HMAC_TEMPLATE_PARTS_MAX }));
  const keys = declared?.get('keys', list('`keys`', hmacKey, { min: 1, max: CALLER_KEYS_MAX, key: ({ id }) => id }));
  if (declared === undefined || headers === undefined || template === undefined || keys === undefined) return undefined;
  return {
    config: {
      kind: 'hmac',
      headers,
      signaturePrefix: declared.get('prefix', text('a prefix', PREFIX)) ?? '',
      encoding: declared.get('encoding', oneOf('encoding', ['hex', 'base64'])) ?? 'hex',
      timestampUnit: declared.get('timestamp_unit', oneOf('unit of time', ['s', 'ms'])) ?? 's',
      template,
      windowMs: declared.get('window', duration('`window`', SIGNING_WINDOW_MS_MAX)) ?? SIGNING_WINDOW_MS_MAX,
      keys: keys.map(({ id, secret }) => ({ id, secret: secret.name })),
    },
    secrets: Object.fromEntries(keys.map(({ secret }) => [secret.name, secret.source])),
  };
};

const hmacHeaders: Reader<HmacMethod['headers']> = (node, problems) => {
  const declared = fields(node, problems, '`headers`', ['signature!', 'timestamp!', 'key_id']);
  const signature = declared?.get('signature', otherHeader);
  const timestamp = declared?.get('timestamp', otherHeader);
  const named = declared?.get('key_id', otherHeader);
  if (declared === undefined || signature === undefined || timestamp === undefined) return undefined;
  const used = [signature, timestamp, ...(named === undefined ? [] : [named])];
  if (new Set(used).size !== used.length) return problems.add(declared.place, 'one header has two roles');
  return { signature, timestamp, ...(named === undefined ? {} : { keyId: named }) };
};

const hmacPart: Reader<HmacPart> = (node, problems) => {
  const declared = fields(node, problems, 'a part', ['text', 'header', 'take']);
  if (declared === undefined) return undefined;
  if (['text', 'header', 'take'].filter((key) => declared.has(key)).length !== 1)
    return problems.add(declared.place, 'a part has exactly one of `text`, `header` and `take`');
  const header = declared.get('header', signedHeader);
  const take = declared.get('take', oneOf('value of the request', HMAC_TAKES));
  if (header !== undefined) return { header };
  if (take !== undefined) return { take };
  const words = declared.get('text', text('a text', undefined, HMAC_TEXT_CHARS_MAX));
  return words === undefined ? undefined : { text: words };
};

export const HMAC_TEXT_CHARS_MAX = 256;

const hmacKey: Reader<{ readonly id: string; readonly secret: NamedSecret }> = (node, problems) => {
  const declared = fields(node, problems, 'a key', ['id!', 'secret!']);
  const [id, secret] = [declared?.get('id', keyId), declared?.get('secret', callerSecret)];
  return id === undefined || secret === undefined ? undefined : { id, secret };
};

type NamedSecret = Exclude<ReturnType<typeof callerSecret>, undefined>;

export function encodeHmac(config: HmacMethod, secrets: Secrets): Json {
  const { headers, signaturePrefix, encoding, timestampUnit, template, windowMs, keys } = config;
  const { signature, timestamp, keyId: named } = headers;
  return {
    headers: { signature, timestamp, ...(named === undefined ? {} : { key_id: named }) },
    ...(signaturePrefix === '' ? {} : { prefix: signaturePrefix }),
    encoding,
    timestamp_unit: timestampUnit,
    template: template.map((part) => ({ ...part })),
    window: formatSpan(windowMs),
    keys: sorted(keys).map(({ id, secret }) => ({ id, secret: encodeSecret(secret, secrets) })),
  };
}

const HTTP_SIGNATURE = ['tag!', 'max_lifetime', 'clock_skew', 'fields', 'keys!'];
export const SIGNATURE_TAG = '^[A-Za-z0-9._:/-]{1,64}$';
const TAG = { test: (tag: string) => new RegExp(SIGNATURE_TAG).test(tag), words: '1 to 64 of A-Za-z0-9, `.`, `_`, `:`, `/` and `-`' };
export const SIGNED_FIELDS_MAX = 32;

export const readHttpSignature: Reader<Own> = (node, problems) => {
  const declared = fields(node, problems, '`http_signature`', HTTP_SIGNATURE);
  const tag = declared?.get('tag', text('a tag', TAG));
  const keys = declared?.get('keys', list('`keys`', signatureKey, { min: 1, max: CALLER_KEYS_MAX, key: ({ config }) => config.id }));
  if (declared === undefined || tag === undefined || keys === undefined) return undefined;
  const signed = list('`fields`', signedHeader, { max: SIGNED_FIELDS_MAX, key: (name) => name });
  return {
    config: {
      kind: 'http_signature',
      tag,
      lifetimeMsMax: declared.get('max_lifetime', duration('`max_lifetime`', SIGNING_WINDOW_MS_MAX)) ?? SIGNING_WINDOW_MS_MAX,
      clockSkewMsMax: declared.get('clock_skew', duration('`clock_skew`', CLOCK_SKEW_MS_MAX)) ?? CLOCK_SKEW_MS,
      fields: declared.get('fields', signed) ?? [],
      keys: keys.map(({ config }) => config),
    },
    secrets: Object.fromEntries(keys.flatMap(({ secret }) => (secret === undefined ? [] : [[secret.name, secret.source]]))),
  };
};

const KEY_KINDS = ['ed25519', 'ecdsa_p256', 'hmac_sha256'] as const;

const signatureKey: Reader<{ readonly config: HttpSignatureKey; readonly secret?: NamedSecret }> = (node, problems) => {
  const declared = fields(node, problems, 'a key', ['id!', ...KEY_KINDS]);
  const id = declared?.get('id', keyId);
  if (declared === undefined || id === undefined) return undefined;
  if (KEY_KINDS.filter((kind) => declared.has(kind)).length !== 1)
    return problems.add(declared.place, `a key has exactly one of ${KEY_KINDS.map((kind) => `\`${kind}\``).join(', ')}`);
  const secret = declared.get('hmac_sha256', callerSecret);
  if (secret !== undefined) return { config: { id, alg: 'hmac-sha256', secret: secret.name }, secret };
  const alg = declared.has('ed25519') ? 'ed25519' : 'ecdsa-p256-sha256';
  const field = alg === 'ed25519' ? 'ed25519' : 'ecdsa_p256';
  const publicKey = declared.get(field, (inner, found) => publicKeyOf(inner, alg, found));
  return publicKey === undefined ? undefined : { config: { id, alg, publicKey } };
};

/** 32 raw bytes, and a point of 65. */
export const ED25519_KEY = '^[A-Za-z0-9_-]{43}$';
export const P256_KEY = '^[A-Za-z0-9_-]{87}$';

function publicKeyOf(node: Node, alg: 'ed25519' | 'ecdsa-p256-sha256', problems: Problems): string | undefined {
  const encoded = text('a public key')(node, problems);
  if (encoded === undefined) return undefined;
  const raw = new RegExp(alg === 'ed25519' ? ED25519_KEY : P256_KEY).test(encoded) ? decodeBase64Url(encoded) : undefined;
  if (raw !== undefined && readVerifyKey(alg === 'ed25519' ? 'ed25519' : 'es256', raw) !== undefined) return encoded;
  return problems.add(node.place, `this is no public key for \`${alg}\``, { remedy: 'the raw key in base64url' });
}

export function encodeHttpSignature(
  { tag, lifetimeMsMax, clockSkewMsMax, fields: signed, keys }: HttpSignatureMethod,
  secrets: Secrets,
): Json {
  return {
    tag,
    max_lifetime: formatSpan(lifetimeMsMax),
    clock_skew: formatSpan(clockSkewMsMax),
    fields: signed.toSorted(),
    keys: sorted(keys).map((key) => ({ id: key.id, ...encodeKey(key, secrets) })),
  };
}

function encodeKey(key: HttpSignatureKey, secrets: Secrets): JsonObject {
  if (key.alg === 'hmac-sha256') return { hmac_sha256: encodeSecret(key.secret, secrets) };
  return { [key.alg === 'ed25519' ? 'ed25519' : 'ecdsa_p256']: key.publicKey };
}

function sorted<T extends { readonly id: string }>(keys: readonly T[]): readonly T[] {
  return keys.toSorted((a, b) => compareText(a.id, b.id));
}
