/** Bound tokens in the hands of a thief: each way to present one without the key, or with a proof that was for something else. */

import type { Digest, Instant } from '@sallyport/model';
import { type FakeClock, dpopProof, fakeClock, issuerKeyPair, type ProofOf, thumbprintOf, tokenIssuer } from '@sallyport/testkit';
import { beforeEach, describe, expect, it } from 'vitest';
import { DPOP_LIMITS, type DpopLimits, dpopProofs } from './dpop.ts';
import { type OperatorTokenContext, type OperatorTokens, operatorTokens } from './operator-token.ts';

const NOW = 1_800_000_000_000 as Instant;
const BUNDLE = `sha256:${'0'.repeat(64)}` as Digest;
const METHOD = 'POST';
const URL = 'http://127.0.0.1:15001/session';

const idp = tokenIssuer();
const holder = issuerKeyPair('ES256', 'holder');
const thief = issuerKeyPair('ES256', 'thief');
const rsaHolder = issuerKeyPair('RS256', 'rsa-holder');

let clock: FakeClock;
let tokens: OperatorTokens;

function start(limits: Partial<DpopLimits> = {}): void {
  tokens = operatorTokens({}, { dpop: dpopProofs(clock, limits) });
}

beforeEach(async () => {
  clock = fakeClock({ wall: NOW });
  start();
  await clock.advance(10_000);
});

const bound = (claims: object = { cnf: { jkt: thumbprintOf(holder) } }): string =>
  idp.mint(clock.wall(), { claims: { exp: NOW / 1000 + 3_000, ...claims } });
const good = (token: string, over: Partial<ProofOf> = {}): string =>
  dpopProof(holder, { method: METHOD, url: URL, madeAt: clock.wall(), token, ...over });

async function verdict(token: string, possession?: OperatorTokenContext['possession']): Promise<string> {
  const how = possession === undefined ? {} : { possession };
  const result = await tokens.verify(token, { issuers: [idp.trusted()], bundle: BUNDLE, now: clock.wall(), ...how });
  return result.ok ? 'accepted' : result.error.code;
}
const withProof = (token: string, proof: string | undefined, over: { method?: string; url?: string } = {}): Promise<string> =>
  verdict(token, { proof, method: METHOD, url: URL, ...over });

describe('a token that is bound to a key', () => {
  it('is good with a proof by that key, and each proof once', async () => {
    const token = bound();
    const proof = good(token);
    expect(await withProof(token, proof)).toBe('accepted');
    expect(await withProof(token, proof)).toBe('replay_detected');
    expect(await withProof(token, good(token))).toBe('accepted');
  });

  it('is good for an RSA key and an Ed25519 one as well', async () => {
    for (const key of [rsaHolder, issuerKeyPair('EdDSA', 'ed')]) {
      const token = bound({ cnf: { jkt: thumbprintOf(key) } });
      expect(await withProof(token, dpopProof(key, { method: METHOD, url: URL, madeAt: clock.wall(), token }))).toBe('accepted');
    }
  });

  it('is no bearer’s token, with or without a verifier of proofs', async () => {
    expect(await verdict(bound())).toBe('unauthenticated');
    tokens = operatorTokens();
    expect(await verdict(bound())).toBe('unauthenticated');
    const token = bound();
    expect(await withProof(token, good(token))).toBe('unauthenticated');
  });

  it.each<[string, object]>([
    ['to a certificate', { cnf: { 'x5t#S256': 'A'.repeat(43) } }],
    ['to a key and a certificate', { cnf: { jkt: thumbprintOf(holder), 'x5t#S256': 'A'.repeat(43) } }],
    ['to nothing', { cnf: {} }],
    ['to null', { cnf: null }],
    ['to a text', { cnf: thumbprintOf(holder) }],
    ['to a thumbprint of another length', { cnf: { jkt: 'AAAA' } }],
  ])('is refused where it is bound %s', async (_, claims) => {
    const token = bound(claims);
    expect([await verdict(token), await withProof(token, good(token))]).toEqual(['unauthenticated', 'unauthenticated']);
  });

  it('is not what an unbound token becomes by being presented so', async () => {
    const token = bound({});
    expect(await verdict(token)).toBe('accepted');
    expect(await withProof(token, good(token))).toBe('unauthenticated');
  });

  it('expires like any other, and its proof is then not spent', async () => {
    const token = bound({ exp: NOW / 1000 + 20 });
    await clock.advance(10_000);
    expect(await withProof(token, good(token))).toBe('token_expired');
  });
});

describe('a proof', () => {
  const key = (pair: typeof holder): object => pair.publicKey.export({ format: 'jwk' });
  it.each<[string, (token: string) => string | undefined]>([
    ['that is missing', () => undefined],
    ['by another key', (token) => dpopProof(thief, { method: METHOD, url: URL, madeAt: clock.wall(), token })],
    [
      'by another key that names the holder’s',
      (token) => dpopProof(thief, { method: METHOD, url: URL, madeAt: clock.wall(), token, header: { jwk: key(holder) } }),
    ],
    ['with the private key in it', (token) => good(token, { header: { jwk: holder.privateKey.export({ format: 'jwk' }) } })],
    ['without a key', (token) => good(token, { header: { jwk: undefined } })],
    ['for another method', (token) => good(token, { method: 'GET' })],
    ['for the method in another case', (token) => good(token, { method: 'post' })],
    ['for another path', (token) => good(token, { url: 'http://127.0.0.1:15001/tools/orders/get' })],
    ['for another host', (token) => good(token, { url: 'http://evil.test/session' })],
    ['for another port', (token) => good(token, { url: 'http://127.0.0.1:15002/session' })],
    ['for another scheme', (token) => good(token, { url: 'https://127.0.0.1:15001/session' })],
    ['for an address with a user', (token) => good(token, { url: 'http://127.0.0.1:15001@evil.test/session' })],
    ['for an address with a query', (token) => good(token, { url: `${URL}?a=b` })],
    ['for no address', (token) => good(token, { claims: { htu: undefined } })],
    ['for another token', () => good(bound({ jti: 'another' }))],
    ['for no token', (token) => good(token, { claims: { ath: undefined } })],
    ['without an id', (token) => good(token, { claims: { jti: undefined } })],
    ['with an endless id', (token) => good(token, { claims: { jti: 'x'.repeat(257) } })],
    ['without a time', (token) => good(token, { claims: { iat: undefined } })],
    ['with a time that is text', (token) => good(token, { claims: { iat: '1' } })],
    ['of alg none', (token) => good(token, { header: { alg: 'none' } })],
    ['with an algorithm that is not its key’s', (token) => good(token, { header: { alg: 'ES384' } })],
    ['of the type of an access token', (token) => good(token, { header: { typ: 'at+jwt' } })],
    ['of no type', (token) => good(token, { header: { typ: undefined } })],
    ['that names a key elsewhere', (token) => good(token, { header: { jku: 'http://127.0.0.1:9/' } })],
    ['that names a kid', (token) => good(token, { header: { kid: 'holder' } })],
    ['that is longer than any', (token) => good(token, { claims: { filler: 'x'.repeat(5_000) } })],
    ['that is no JWS', () => 'x.y'],
    ['with a signature flipped in a bit', (token) => good(token).replace(/.{4}$/, 'AAAA')],
  ])('%s is refused', async (_, proof) => {
    const token = bound();
    expect(await withProof(token, proof(token))).toBe('unauthenticated');
  });

  it.each([
    ['made a second less ago than it may be', -DPOP_LIMITS.ageMsMax + 1_000, 'accepted'],
    ['made as long ago as none may be', -DPOP_LIMITS.ageMsMax, 'unauthenticated'],
    ['made by a clock that runs ahead as far as it may', DPOP_LIMITS.clockSkewMsMax, 'accepted'],
    ['made a second further ahead', DPOP_LIMITS.clockSkewMsMax + 1_000, 'unauthenticated'],
  ])('%s: %s', async (_, offsetMs, outcome) => {
    await clock.advance(120_000);
    const token = bound();
    expect(await withProof(token, good(token, { madeAt: clock.wall() + offsetMs }))).toBe(outcome);
  });

  it('is taken for its address whatever the case of the host, and with the scheme’s port or without', async () => {
    const token = bound();
    const proof = (): string => good(token, { url: 'http://LocalHost:80/session' });
    expect(await withProof(token, proof(), { url: 'http://localhost/session' })).toBe('accepted');
  });

  it('of an id that was spent is refused for as long as it could be good, also in a younger proof', async () => {
    const token = bound();
    const proof = good(token, { claims: { jti: 'one' } });
    expect(await withProof(token, proof)).toBe('accepted');
    await clock.advance(DPOP_LIMITS.ageMsMax - 1_000);
    expect(await withProof(token, proof)).toBe('replay_detected');
    await clock.advance(1_000);
    expect(await withProof(token, proof)).toBe('unauthenticated');
  });

  it('is not spent by one that does not verify: nobody can use up another’s', async () => {
    const token = bound();
    const forged = dpopProof(thief, {
      method: METHOD,
      url: URL,
      madeAt: clock.wall(),
      token,
      claims: { jti: 'one' },
      header: { jwk: key(holder) },
    });
    expect(await withProof(token, forged)).toBe('unauthenticated');
    expect(await withProof(token, good(token, { claims: { jti: 'one' } }))).toBe('accepted');
  });

  it('that was spent before a restart is refused after it, also one stamped by a clock that runs ahead', async () => {
    const token = bound();
    const [spent, ahead] = [good(token), good(token, { madeAt: clock.wall() + DPOP_LIMITS.clockSkewMsMax })];
    expect([await withProof(token, spent), await withProof(token, ahead)]).toEqual(['accepted', 'accepted']);
    await clock.advance(1);
    start();
    expect([await withProof(token, spent), await withProof(token, ahead)]).toEqual(['replay_detected', 'replay_detected']);
    await clock.advance(DPOP_LIMITS.clockSkewMsMax + 1_000);
    expect(await withProof(token, good(token))).toBe('accepted');
  });

  it('is refused when the memory is full, rather than another forgotten', async () => {
    start({ entriesMax: 2 });
    await clock.advance(10_000);
    const token = bound();
    const first = good(token);
    for (const proof of [first, good(token)]) expect(await withProof(token, proof)).toBe('accepted');
    expect(await withProof(token, good(token))).toBe('identity_unavailable');
    expect(await withProof(token, first)).toBe('replay_detected');
    await clock.advance(DPOP_LIMITS.ageMsMax + 10_000);
    expect(await withProof(token, good(token))).toBe('accepted');
  });
});
