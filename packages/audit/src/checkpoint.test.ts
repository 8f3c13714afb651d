import { describe, expect, it } from 'vitest';
import { encodeBase64, pae, utf8 } from '@sallyport/crypto';
import type { VerifyKey } from '@sallyport/crypto';
import { generateKey, signerFromPem } from '@sallyport/crypto/keys';
import type { Instant, StreamId } from '@sallyport/model';
import { signCheckpoint, verifyCheckpoint } from './checkpoint.ts';
import type { Envelope } from './envelope.ts';

const signer = signerFromPem(generateKey('ed25519').privatePem);
const key: VerifyKey = { alg: 'ed25519', raw: signer.publicRaw };
const state = { stream: 'a'.repeat(32) as StreamId, seq: 9, head: new Uint8Array(32).fill(0xab) };
const at = Date.UTC(2026, 10, 20) as Instant;
const sidecar = 'spiffe://prod.example/sidecar/a/b';
const TYPE = 'application/vnd.sallyport.checkpoint.v1+json';

const signed = (): Promise<Envelope> => signCheckpoint(state, { at, sidecar, signer });
/** A checkpoint that this key signed over whatever JSON. */
function signedOver(payload: object): Envelope {
  const bytes = utf8(JSON.stringify(payload));
  return {
    payloadType: TYPE,
    payload: encodeBase64(bytes),
    signatures: [{ keyid: signer.keyId, sig: encodeBase64(signer.sign(pae(TYPE, bytes))) }],
  };
}
const STATEMENT = {
  api_version: 'sallyport.dev/v1',
  kind: 'Checkpoint',
  stream: state.stream,
  seq: 9,
  head: 'ab'.repeat(32),
  at: '2026-11-20T00:00:00.000Z',
  sidecar,
};

describe('a checkpoint', () => {
  it('says where the stream stood, by whose clock, and reads back under the key that signed it', async () => {
    expect(verifyCheckpoint(await signed(), key)).toEqual({
      ok: true,
      value: { stream: state.stream, seq: 9, head: 'ab'.repeat(32), at, sidecar },
    });
    expect(verifyCheckpoint(signedOver(STATEMENT), key).ok).toBe(true);
  });

  it('is not made before the START', () => {
    expect(() => signCheckpoint({ ...state, seq: 0 }, { at, sidecar, signer })).toThrow(/START/);
  });

  it.each([
    ['another payload type', (envelope: Envelope) => ({ ...envelope, payloadType: TYPE.replace('checkpoint', 'freshness') }), 'wrong_type'],
    [
      'another key id, though nobody needs it',
      (envelope: Envelope) => ({ ...envelope, signatures: [{ keyid: '0'.repeat(32), sig: envelope.signatures[0]?.sig ?? '' }] }),
      'wrong_key',
    ],
    ['no signature', (envelope: Envelope) => ({ ...envelope, signatures: [] }), 'malformed'],
    [
      'its signature twice',
      (envelope: Envelope) => ({ ...envelope, signatures: [...envelope.signatures, ...envelope.signatures] }),
      'malformed',
    ],
    ['a payload with other trailing bits', (envelope: Envelope) => ({ ...envelope, payload: `${envelope.payload}=` }), 'malformed'],
    ['another payload', (envelope: Envelope) => ({ ...envelope, payload: encodeBase64(utf8('{}')) }), 'signature_invalid'],
  ])('with %s is refused', async (_, bend, problem) => {
    expect(verifyCheckpoint(bend(await signed()), key)).toEqual({ ok: false, error: problem });
  });

  it('under another key, or a key of another algorithm, is refused', async () => {
    const other = signerFromPem(generateKey('ed25519').privatePem);
    expect(verifyCheckpoint(await signed(), { alg: 'ed25519', raw: other.publicRaw })).toEqual({ ok: false, error: 'wrong_key' });
    expect(verifyCheckpoint(await signed(), { alg: 'es256', raw: signer.publicRaw })).toEqual({ ok: false, error: 'wrong_key' });
  });

  it.each([
    ['a member more', { ...STATEMENT, also: 1 }],
    ['a member less', { ...STATEMENT, at: undefined }],
    ['another kind', { ...STATEMENT, kind: 'Export' }],
    ['another version', { ...STATEMENT, api_version: 'sallyport.dev/v2' }],
    ['a stream that is none', { ...STATEMENT, stream: 'x' }],
    ['place 0', { ...STATEMENT, seq: 0 }],
    ['a head in capitals', { ...STATEMENT, head: 'AB'.repeat(32) }],
    ['a day that does not exist', { ...STATEMENT, at: '2026-02-30T00:00:00.000Z' }],
    ['a writer that is no SPIFFE id', { ...STATEMENT, sidecar: 'https://prod.example/x' }],
  ])('signed over %s is refused', (_, payload) => {
    expect(verifyCheckpoint(signedOver(payload), key)).toEqual({ ok: false, error: 'malformed' });
  });
});
