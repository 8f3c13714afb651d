/** API keys: who has one, what does not pass for one, and what the bundle's copy is good for. */

import { randomBytes } from '@sallyport/crypto/keys';
import type { ApiKeyEntry, ApiKeyMethod, Instant } from '@sallyport/model';
import { describe, expect, it } from 'vitest';
import { newApiKey } from './api-key.ts';
import { callerMethod } from './caller-methods.ts';
import { replayMemory } from './replay-memory.ts';
import { NOW, aliceIs, at, callerRequest, methodOf, verdict } from '../testing/caller-request.ts';

const DAY = 86_400_000;
const life = { issuedAt: (NOW - DAY) as Instant, expiresAt: (NOW + DAY) as Instant };
const { text: KEY, entry } = newApiKey(randomBytes, life);
const { text: OTHER, entry: otherEntry } = newApiKey(randomBytes, life);
const config: ApiKeyMethod = {
  kind: 'api_key',
  name: 'keys',
  header: 'authorization',
  keys: [entry, otherEntry],
  principals: [aliceIs(entry.id)],
};
const method = methodOf(config);
const bearer = (value: string) => callerRequest({ Authorization: value }, { body: undefined });

describe('an API key', () => {
  it('proves whom it was issued for, since when and until when', async () => {
    expect(await method.verify(bearer(`Bearer ${KEY}`), at())).toMatchObject({
      ok: true,
      value: { subject: entry.id, credentialId: `keys:${entry.id}`, authenticatedAt: life.issuedAt, expiresAt: life.expiresAt },
    });
  });

  const secret = KEY.slice(-43);
  it.each([
    ['the secret of another key', `Bearer ${KEY.replace(secret, OTHER.slice(-43))}`, 'unauthenticated'],
    ['one character of the secret changed', `Bearer ${KEY.slice(0, -2)}${KEY.at(-2) === 'A' ? 'B' : 'A'}${KEY.at(-1)}`, 'unauthenticated'],
    ['the id of another key', `Bearer ${KEY.replace(entry.id, otherEntry.id)}`, 'unauthenticated'],
    ['an unknown id', `Bearer ${KEY.replace(entry.id, '0123456789ab')}`, 'unauthenticated'],
    ['an id that is a member of every object', `Bearer ${KEY.replace(entry.id, 'constructor')}`, 'unauthenticated'],
    ['what the bundle holds of it', `Bearer sp_${entry.id}_${entry.hash}`, 'unauthenticated'],
    ['a hash of zeros under an unknown id', `Bearer sp_0123456789ab_${'A'.repeat(43)}`, 'unauthenticated'],
    ['nothing after the id', `Bearer sp_${entry.id}_`, 'unauthenticated'],
    ['something after the secret', `Bearer ${KEY}x`, 'unauthenticated'],
    ['no scheme', KEY, 'unauthenticated'],
    ['another scheme', `Basic ${KEY}`, 'unauthenticated'],
    ['a key that nobody is mapped to', `Bearer ${OTHER}`, 'no_matching_policy'],
  ])('is refused as %s', async (_, value, code) => {
    expect(await verdict(method, bearer(value))).toBe(code);
  });

  it('ends with its expiry, and a wrong secret does not learn of it', async () => {
    expect(await verdict(method, bearer(`Bearer ${KEY}`), at(life.expiresAt - 1))).toBe('alice@company.com');
    expect(await verdict(method, bearer(`Bearer ${KEY}`), at(life.expiresAt))).toBe('token_expired');
    expect(await verdict(method, bearer(`Bearer ${KEY.replace(secret, 'A'.repeat(43))}`), at(life.expiresAt))).toBe('unauthenticated');
  });

  it('is one only in the header that the bundle names', async () => {
    const own = methodOf({ ...config, header: 'x-api-key' });
    expect(await verdict(own, callerRequest({ 'X-API-Key': KEY }))).toBe('alice@company.com');
    expect(await verdict(own, bearer(`Bearer ${KEY}`))).toBe('unauthenticated');
    expect(await verdict(own, callerRequest({ 'X-API-Key': KEY, 'x-api-key': OTHER }))).toBe('unauthenticated');
    expect(await verdict(method, callerRequest({ 'X-API-Key': KEY }))).toBe('unauthenticated');
  });

  it('is presented beside tokens of issuers only where it begins as one', () => {
    expect(method.isPresented(bearer('Bearer eyJhbGciOi'))).toBe(false);
    expect(method.isPresented(bearer('bearer sp_garbage'))).toBe(true);
    expect(method.judgeHead(bearer('bearer sp_garbage'), at())?.code).toBe('unauthenticated');
  });

  it('stands in no detail of a refusal', async () => {
    const result = await method.verify(bearer(`Bearer ${KEY.replace(entry.id, '0123456789ab')}`), at());
    expect(JSON.stringify(result)).not.toContain(secret.slice(0, 12));
  });
});

describe('a configuration of API keys', () => {
  it.each<[string, readonly ApiKeyEntry[]]>([
    ['a salt that is none', [{ ...entry, salt: '' }]],
    ['a salt too short', [{ ...entry, salt: 'AAAA' }]],
    ['a hash cut short, which would match sooner', [{ ...entry, hash: entry.hash.slice(0, 22) }]],
    ['an id with an underscore, which would move the border of the secret', [{ ...entry, id: 'abc_defghi' }]],
    ['one id twice', [entry, entry]],
    ['an expiry before the issue', [{ ...entry, expiresAt: entry.issuedAt }]],
    ['an expiry that is no instant', [{ ...entry, expiresAt: Number.NaN as Instant }]],
  ])('is refused with %s', (_, keys) => {
    expect(callerMethod({ ...config, keys }, { secretOf: () => undefined, replay: replayMemory({ startedAt: 0 as Instant }) }).ok).toBe(
      false,
    );
  });
});
