/** Signatures that are gathered from several machines: nobody crowds out another, and nobody counts twice. */

import { signerFromPem, generateKey } from '@sallyport/crypto/keys';
import { encodeAreaDelegation, joinEnvelopes, keyRecordOf, parseEnvelope, signEnvelope, tallySignatures } from '@sallyport/trust';
import type { Envelope } from '@sallyport/trust';
import type { Area, Instant } from '@sallyport/model';
import { describe, expect, it } from 'vitest';

const [alice, bob, mallory] = [1, 2, 3].map(() => signerFromPem(generateKey('ed25519').privatePem)) as [Signer, Signer, Signer];
type Signer = ReturnType<typeof signerFromPem>;
const keys = [alice, bob].map(({ publicRaw }) => keyRecordOf(publicRaw));
const payload = encodeAreaDelegation({
  number: 1,
  area: 'default' as Area,
  keys,
  publishers: { keyIds: keys.map(({ keyId }) => keyId), threshold: 2 },
  expiresAt: 1_800_000_000_000 as Instant,
});
const signed = async (...signers: readonly Signer[]): Promise<Envelope> => {
  const parsed = parseEnvelope('AreaDelegation', await signEnvelope('AreaDelegation', payload, signers));
  if (!parsed.ok) throw new Error(parsed.error.detail);
  return parsed.value;
};
const joined = (envelopes: readonly [Envelope, ...Envelope[]]): readonly string[] => {
  const one = joinEnvelopes('AreaDelegation', envelopes, keys);
  const parsed = one.ok ? parseEnvelope('AreaDelegation', one.value) : one;
  return parsed.ok ? parsed.value.signatures.map(({ keyId }) => keyId) : [parsed.error.code];
};

describe('joining signatures', () => {
  it('keeps one of each key, in whatever order and number they come', async () => {
    expect(joined([await signed(alice), await signed(bob, alice), await signed(alice)])).toEqual([alice.keyId, bob.keyId]);
  });

  it('garbage under somebody’s id does not crowd out their signature', async () => {
    const honest = await signed(alice);
    const garbage = { ...honest, signatures: Array.from({ length: 40 }, () => ({ keyId: alice.keyId, signature: new Uint8Array(64) })) };
    expect(joined([garbage, honest, await signed(mallory)])).toEqual([alice.keyId]);
  });

  it('strangers alone are nobody, and two objects are never one', async () => {
    expect(joined([await signed(mallory)])).toEqual(['DELEGATION']);
    expect(joined([await signed(alice), { ...(await signed(bob)), payload: new Uint8Array([1]) }])).toEqual(['DELEGATION']);
  });

  it('tells who signed and who did not: one key under two ids is one', async () => {
    const twice = [...keys, { ...keyRecordOf(bob.publicRaw), keyId: 'f'.repeat(32) as never }];
    const tally = tallySignatures('AreaDelegation', await signed(alice, mallory), { keys: twice, threshold: 2 });
    expect([tally.signed.map(({ keyId }) => keyId), tally.missing.length]).toEqual([[alice.keyId], 1]);
  });
});
