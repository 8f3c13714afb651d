/** API keys as a policy has them: what recognises a key and cannot make it. Spec: callers, section 7. */

import { decodeBase64Url } from '@sallyport/crypto';
import { formatInstant } from '@sallyport/model';
import type { ApiKeyEntry, ApiKeyMethod, Json } from '@sallyport/model';
import { compareText } from '../reader/node.ts';
import { instant } from '../reader/read-more.ts';
import type { Reader } from '../reader/read.ts';
import { fields, list, text } from '../reader/read.ts';
import type { Own } from './caller-form.ts';
import { callerHeader } from './caller-form.ts';

export const API_KEYS_MAX = 10_000;
export const API_KEY_ID = '^[a-z0-9]{8,32}$';
/** 16 to 64 bytes. */
export const API_KEY_SALT = '^[A-Za-z0-9_-]{22,86}$';
/** 32 bytes. */
export const API_KEY_HASH = '^[A-Za-z0-9_-]{43}$';

const ID = { test: (id: string) => new RegExp(API_KEY_ID).test(id), words: 'the id of an API key: 8 to 32 of a-z and 0-9' };
const SALT = { test: (salt: string) => isBytes(salt, API_KEY_SALT), words: 'a salt: 16 to 64 bytes as base64url' };
const HASH = { test: (hash: string) => isBytes(hash, API_KEY_HASH), words: 'a hash: 32 bytes as base64url' };

function isBytes(encoded: string, form: string): boolean {
  return new RegExp(form).test(encoded) && decodeBase64Url(encoded) !== undefined;
}

export const readApiKey: Reader<Own> = (node, problems) => {
  const declared = fields(node, problems, '`api_key`', ['header', 'keys!']);
  const keys = declared?.get('keys', list('`keys`', apiKey, { min: 1, max: API_KEYS_MAX, key: ({ id }) => id }));
  if (declared === undefined || keys === undefined) return undefined;
  return { config: { kind: 'api_key', header: declared.get('header', callerHeader) ?? 'authorization', keys }, secrets: {} };
};

const apiKey: Reader<ApiKeyEntry> = (node, problems) => {
  if (node.kind === 'map') {
    const pasted = [...node.entries.values()].find(({ value }) => value.kind === 'scalar' && /sp_[a-z0-9]{8,32}_/.test(value.text));
    if (pasted !== undefined)
      return problems.add(pasted.key, 'this is an API key itself', {
        remedy: 'keep its hash here, and replace the key: it has been written down',
      });
  }
  const declared = fields(node, problems, 'an API key', ['id!', 'salt!', 'hash!', 'issued_at!', 'expires_at']);
  const id = declared?.get('id', text('an id', ID));
  const [salt, hash] = [declared?.get('salt', text('a salt', SALT)), declared?.get('hash', text('a hash', HASH))];
  const [issuedAt, expiresAt] = [declared?.get('issued_at', instant), declared?.get('expires_at', instant)];
  if (declared === undefined || id === undefined || salt === undefined || hash === undefined || issuedAt === undefined) return undefined;
  // One that cannot be read must not become one without an end.
  if (declared.has('expires_at') && expiresAt === undefined) return undefined;
  if (expiresAt !== undefined && expiresAt <= issuedAt) return problems.add(declared.place, '`expires_at` is not after `issued_at`');
  return { id, salt, hash, issuedAt, expiresAt: expiresAt ?? null };
};

export function encodeApiKey({ header, keys }: ApiKeyMethod): Json {
  return { header, keys: keys.toSorted((a, b) => compareText(a.id, b.id)).map(encodeEntry) };
}

/** One key as a document has it; what `sallyport api-key create` prints beside the key. */
export function encodeEntry({ id, salt, hash, issuedAt, expiresAt }: ApiKeyEntry): Json {
  return {
    id,
    salt,
    hash,
    issued_at: formatInstant(issuedAt),
    ...(expiresAt === null ? {} : { expires_at: formatInstant(expiresAt) }),
  };
}
