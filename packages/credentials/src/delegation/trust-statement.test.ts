/** Trust statements with real keys: the one that is believed, and what is as good as none. */

import { encodeBase64Url, utf8 } from '@sallyport/crypto';
import { generateKey, signerFromPem } from '@sallyport/crypto/keys';
import type { Instant, PinnedJwk } from '@sallyport/model';
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { verifyTrustStatement } from './trust-statement.ts';

const NOW = 1_800_000_000_000 as Instant;
const SUBJECT = 'partner.example/helper';

function authority(kid: string): { readonly jwk: PinnedJwk; readonly sign: (input: string) => string } {
  const { privatePem } = generateKey('es256');
  const { x = '', y = '' } = createPublicKey(createPrivateKey(privatePem)).export({ format: 'jwk' });
  const signer = signerFromPem(privatePem);
  return { jwk: { kid, kty: 'EC', crv: 'P-256', x, y }, sign: (input) => encodeBase64Url(signer.sign(utf8(input))) };
}

const assessor = authority('assessor-1');
const other = authority('assessor-1');
const encode = (value: object): string => encodeBase64Url(utf8(JSON.stringify(value)));

function statement(claims: object = {}, header: object = {}, by = assessor): string {
  const head = { alg: 'ES256', kid: 'assessor-1', typ: 'sallyport-trust+jwt', ...header };
  const said = { sub: SUBJECT, tier: 2, iat: NOW / 1_000, exp: NOW / 1_000 + 3_600, ...claims };
  const input = `${encode(head)}.${encode(said)}`;
  return `${input}.${by.sign(input)}`;
}
const tierOf = (token: string, now = NOW): number | undefined =>
  verifyTrustStatement(token, [assessor.jwk], { subject: SUBJECT, now })?.tier;

it('a trust statement of a pinned key says its tier, and by which key', () => {
  expect(verifyTrustStatement(statement(), [other.jwk, assessor.jwk], { subject: SUBJECT, now: NOW })).toEqual({
    tier: 2,
    key: assessor.jwk,
  });
});

describe('a trust statement says nothing', () => {
  const [head = '', said = '', signature = ''] = statement().split('.');
  it.each<[string, string]>([
    ['by a key that nobody pinned, of the same name', statement({}, {}, other)],
    [
      'of another tier than was signed',
      `${head}.${encode({ sub: SUBJECT, tier: 3, iat: NOW / 1_000, exp: NOW / 1_000 + 3_600 })}.${signature}`,
    ],
    ['without a signature', `${head}.${said}.`],
    ['with alg none', statement({}, { alg: 'none' })],
    ['with a key of its own', statement({}, { jwk: assessor.jwk })],
    ['by a key of another name', statement({}, { kid: 'assessor-2' })],
    ['as another kind of token', statement({}, { typ: 'sallyport-hop+jwt' })],
    ['of another agent', statement({ sub: 'partner.example/other' })],
    ['of an agent of the same name elsewhere', statement({ sub: 'evil.example/helper' })],
    ['of an agent without its domain', statement({ sub: 'helper' })],
    ['of no tier', statement({ tier: 0 })],
    ['of a tier beyond all', statement({ tier: 4 })],
    ['of a tier as text', statement({ tier: '2' })],
    ['with a claim more', statement({ roles: ['admin'] })],
    ['that never ends', statement({ exp: undefined })],
    ['that lives longer than one may', statement({ exp: NOW / 1_000 + 2_678_401 })],
    ['of the future', statement({ iat: NOW / 1_000 + 31 })],
    ['that is longer than any', `${statement()}${'A'.repeat(2_048)}`],
    ['that is no token', 'x'],
  ])('%s', (_, token) => expect(tierOf(token)).toBeUndefined());

  it('once it is over, in that very second', () => {
    expect([tierOf(statement(), (NOW + 3_599_999) as Instant), tierOf(statement(), (NOW + 3_600_000) as Instant)]).toEqual([2, undefined]);
  });
});
