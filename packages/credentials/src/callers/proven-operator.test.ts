import type { Instant } from '@sallyport/model';
import { describe, expect, it } from 'vitest';
import { aliceIs, callerRequest, at, methodOf } from '../testing/caller-request.ts';
import { newApiKey } from './api-key.ts';
import { operatorOfProof } from './proven-operator.ts';

const random = (bytes: number): Uint8Array => new Uint8Array(bytes).fill(7);

async function provenWith(expiresAt: Instant | null): Promise<ReturnType<typeof operatorOfProof>> {
  const { text, entry } = newApiKey(random, { issuedAt: 5_000 as Instant, expiresAt });
  const method = methodOf({ kind: 'api_key', name: 'keys', header: 'x-api-key', keys: [entry], principals: [aliceIs(entry.id)] });
  const proof = await method.verify(callerRequest({ 'x-api-key': text }), at());
  if (!proof.ok) throw new Error(proof.error.detail);
  return operatorOfProof(proof.value);
}

describe('a caller that a method has proven', () => {
  it('is known by its mapping alone, and by what a revocation would name', async () => {
    const operator = await provenWith(null);
    const origin = { rootKind: 'human', method: 'api_key' };
    expect(operator).toMatchObject({ origin, case: null, purpose: {}, principal: { id: 'alice@company.com', issuer: 'caller:keys' } });
    expect(operator.tokenId).toMatch(/^keys:[a-z0-9]{8,32}$/);
  });

  it('ends when its credential does, and not before where that has no end', async () => {
    expect((await provenWith(1_900_000_000_000 as Instant)).times.expiresAt).toBe(1_900_000_000_000);
    expect((await provenWith(null)).times.expiresAt).toBeGreaterThan(100 * 365 * 86_400_000);
  });
});
