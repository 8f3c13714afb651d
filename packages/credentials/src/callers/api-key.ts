/**
 * API keys, `sp_<id>_<secret>`: 32 random bytes that the bundle knows only as a salted hash. A fast hash is enough for
 * what cannot be guessed; it would not be for a password, which is why the form admits none.
 */

import { readField } from '@sallyport/identity';
import { decodeBase64Url, encodeBase64Url, encodeHex, equalBytes, hmacSha256, utf8 } from '@sallyport/crypto';
import type { ApiKeyEntry, ApiKeyMethod, Denial, Instant, Problem, Random, Result } from '@sallyport/model';
import { ok } from '@sallyport/model';
import type { CallerContext, CallerMethod, CallerProof, CallerRequest } from './caller-method.ts';
import type { MethodParts } from './method-parts.ts';
import { refusalsOf } from './refusal.ts';

interface KnownKey {
  readonly entry: ApiKeyEntry;
  readonly salt: Uint8Array;
  readonly hash: Uint8Array;
}

const FORM = /^sp_([a-z0-9]{8,32})_([A-Za-z0-9_-]{43})$/;
const ID = /^[a-z0-9]{8,32}$/;
const FIELD_NAME = /^[!#$%&'*+.^_`|~0-9a-z-]{1,128}$/;
const BEARER = /^bearer +(sp_.*)$/i;
const [SALT_BYTES, HASH_BYTES, SECRET_BYTES, ID_BYTES] = [16, 32, 32, 6];
/** Compared with where no key has the id, so that an unknown id takes as long as a wrong secret. Never a match. */
const NOBODY = { salt: new Uint8Array(SALT_BYTES), hash: new Uint8Array(HASH_BYTES) };

/** The method of all API keys in one header. Appends to `problems` what its configuration must not say. */
export function apiKeyMethod(config: ApiKeyMethod, { principalOf }: MethodParts, problems: Problem[]): CallerMethod {
  const { name, kind, header } = config;
  if (!FIELD_NAME.test(header)) problems.push({ path: 'header', message: `\`${header.slice(0, 80)}\` is not a lower-case header name` });
  const keys = readKeys(config.keys, problems);
  const refuse = refusalsOf(name);

  const readHead = ({ rawHeaders }: CallerRequest): Result<{ text: string; id: string }, Denial> => {
    const text = keyText(rawHeaders, header);
    if (!text.ok) return refuse('unauthenticated', text.error);
    const id = FORM.exec(text.value ?? '')?.[1];
    if (text.value === undefined || id === undefined) return refuse('unauthenticated', 'not an API key');
    return ok({ text: text.value, id });
  };

  const verify = (request: CallerRequest, { now }: CallerContext): Result<CallerProof, Denial> => {
    const head = readHead(request);
    if (!head.ok) return head;
    const known = keys.get(head.value.id);
    const { salt, hash } = known ?? NOBODY;
    const isProven = equalBytes(hash, hmacSha256(salt, utf8(head.value.text)));
    if (known === undefined || !isProven)
      return refuse('unauthenticated', known === undefined ? 'no key has this id' : 'the secret is not that of the key');
    const { id, issuedAt, expiresAt } = known.entry;
    if (expiresAt !== null && now >= expiresAt) return refuse('token_expired', `key \`${id}\` expired ${now - expiresAt} ms ago`);
    const principal = principalOf(id, issuedAt);
    if (principal === undefined) return refuse('no_matching_policy', `nobody is mapped to key \`${id}\``);
    return ok({ method: name, kind, subject: id, principal, authenticatedAt: issuedAt, credentialId: `${name}:${id}`, expiresAt });
  };

  return {
    name,
    kind,
    needsBody: false,
    isPresented: ({ rawHeaders }) => {
      const text = keyText(rawHeaders, header);
      return !text.ok || text.value !== undefined;
    },
    judgeHead: (request) => {
      const head = readHead(request);
      return head.ok ? undefined : head.error;
    },
    verify,
  };
}

/** A new key and what a bundle keeps of it. The text is shown once and kept nowhere. */
export function newApiKey(
  random: Random,
  life: { readonly issuedAt: Instant; readonly expiresAt: Instant | null },
): { readonly text: string; readonly entry: ApiKeyEntry } {
  const id = encodeHex(random(ID_BYTES));
  const text = `sp_${id}_${encodeBase64Url(random(SECRET_BYTES))}`;
  const salt = random(SALT_BYTES);
  return { text, entry: { id, salt: encodeBase64Url(salt), hash: encodeBase64Url(hmacSha256(salt, utf8(text))), ...life } };
}

/** What stands where a key belongs. In `authorization` only a Bearer value that begins as our keys do: other tokens share the field. */
function keyText(rawHeaders: readonly string[], header: string): Result<string | undefined, string> {
  const read = readField(rawHeaders, header);
  if (!read.ok || read.value === undefined || header !== 'authorization') return read;
  return ok(BEARER.exec(read.value)?.[1]);
}

function readKeys(entries: readonly ApiKeyEntry[], problems: Problem[]): ReadonlyMap<string, KnownKey> {
  const keys = new Map<string, KnownKey>();
  for (const [index, entry] of entries.entries()) {
    const path = `keys[${index}]`;
    const [salt, hash] = [decodeBase64Url(entry.salt), decodeBase64Url(entry.hash)];
    if (!ID.test(entry.id)) problems.push({ path: `${path}.id`, message: 'is not 8 to 32 lower-case letters and digits' });
    if (keys.has(entry.id)) problems.push({ path: `${path}.id`, message: 'stands twice' });
    if (salt === undefined || salt.byteLength < SALT_BYTES)
      problems.push({ path: `${path}.salt`, message: `is not base64url of at least ${SALT_BYTES} bytes` });
    if (hash?.byteLength !== HASH_BYTES) problems.push({ path: `${path}.hash`, message: `is not base64url of ${HASH_BYTES} bytes` });
    if (entry.expiresAt !== null && !(entry.expiresAt > entry.issuedAt))
      problems.push({ path: `${path}.expiresAt`, message: 'is not after `issuedAt`' });
    if (salt !== undefined && hash !== undefined) keys.set(entry.id, { entry, salt, hash });
  }
  return keys;
}
