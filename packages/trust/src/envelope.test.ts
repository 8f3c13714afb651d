import { bendEnvelope, trustSimulator } from '@sallyport/testkit';
import type { TrustSimulator } from '@sallyport/testkit';
import { beforeAll, describe, expect, it } from 'vitest';
import { cosignEnvelope, digestOfPayload, encodeEnvelope, parseEnvelope, signEnvelope } from './envelope.ts';
import { SIGNED_KINDS, payloadTypeOf } from './kinds.ts';
import { keyRecordOf } from './objects/keys.ts';
import { countThreshold } from './threshold.ts';

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const codeOf = (bytes: Uint8Array): string => {
  const parsed = parseEnvelope('Release', bytes);
  return parsed.ok ? 'accepted' : parsed.error.code;
};

describe('envelope', () => {
  let sim: TrustSimulator;
  let envelope: Uint8Array;
  beforeAll(async () => {
    sim = await trustSimulator();
    envelope = await signEnvelope('Release', utf8('{}'), [sim.signer('one')]);
  });

  it('names one payload type for each kind', () => {
    expect(SIGNED_KINDS.map(payloadTypeOf)).toEqual([
      'application/vnd.sallyport.root.v1+json',
      'application/vnd.sallyport.area-delegation.v1+json',
      'application/vnd.sallyport.bundle.v1+json',
      'application/vnd.sallyport.release.v1+json',
      'application/vnd.sallyport.online-keys.v1+json',
      'application/vnd.sallyport.freshness.v1+json',
      'application/vnd.sallyport.live-proof.v1+json',
      'application/vnd.sallyport.extension.v1+json',
      'application/vnd.sallyport.revocation.v1+json',
      'application/vnd.sallyport.revocation-snapshot.v1+json',
      'application/vnd.sallyport.directory.v1+json',
    ]);
  });

  it('keeps the exact payload bytes through writing and reading', () => {
    const parsed = parseEnvelope('Release', envelope);
    if (!parsed.ok) throw new Error(parsed.error.detail);
    expect(parsed.value.payload).toEqual(utf8('{}'));
    expect(encodeEnvelope(parsed.value)).toEqual(envelope);
  });

  it.each([
    ['an unknown member', (outer: Record<string, unknown>) => (outer['alg'] = 'none')],
    ['no signature', (outer: Record<string, unknown>) => (outer['signatures'] = [])],
    [
      'an unknown member of a signature',
      (outer: Record<string, unknown>) => (outer['signatures'] = [{ keyid: '', sig: 'AA==', cert: '' }]),
    ],
    ['a signature in base64url', (outer: Record<string, unknown>) => (outer['signatures'] = [{ keyid: '', sig: '-_-_' }])],
    ['a payload with white space', (outer: Record<string, unknown>) => (outer['payload'] = 'e3 0=')],
    ['a payload without padding', (outer: Record<string, unknown>) => (outer['payload'] = 'e30')],
    ['another payload type', (outer: Record<string, unknown>) => (outer['payloadType'] = payloadTypeOf('Bundle'))],
    [
      'seventeen signatures',
      (outer: Record<string, unknown>) => (outer['signatures'] = Array.from({ length: 17 }, () => ({ keyid: '', sig: '' }))),
    ],
  ])('refuses %s', (_name, edit) => {
    expect(codeOf(bendEnvelope(envelope, edit))).toBe('SIGNATURE');
  });

  it.each(['', '{', '[]', 'null', '{"payloadType":1}', '{"payload":"e30=","payload":"e30="}'])('refuses %j', (text) => {
    expect(codeOf(utf8(text))).toBe('SIGNATURE');
  });

  it('collects signatures of people who never sit at one machine; a second one by the same key replaces the first', async () => {
    const [one, two] = [sim.signer('one'), sim.signer('two')];
    const cosigned = await cosignEnvelope('Release', envelope, [two, one]);
    if (!cosigned.ok) throw new Error(cosigned.error.detail);
    const parsed = parseEnvelope('Release', cosigned.value);
    if (!parsed.ok) throw new Error(parsed.error.detail);
    expect(parsed.value.signatures).toHaveLength(2);
    const role = { keys: [one, two].map((signer) => keyRecordOf(signer.publicRaw)), threshold: 2 };
    expect(countThreshold('Release', parsed.value, role)).toEqual({ ok: true, value: 2 });
    expect(countThreshold('Bundle', parsed.value, role)).toMatchObject({ ok: false, error: { code: 'SIGNATURE' } });
    expect(digestOfPayload(parsed.value.payload)).toBe(digestOfPayload(utf8('{}')));
  });
});
