import { createHash } from 'node:crypto';
import type { Digest, Instant, Issuer } from '@sallyport/model';
import { BENT_TOKENS, signJws, tokenIssuer } from '@sallyport/testkit';
import { describe, expect, it } from 'vitest';
import { type OperatorTokenContext, operatorTokens } from './operator-token.ts';

const NOW = 1_800_000_000_000 as Instant;
const BUNDLE = `sha256:${'0'.repeat(64)}` as Digest;
const idp = tokenIssuer();
const context = (now: number = NOW, issuers: readonly Issuer[] = [idp.trusted()]): OperatorTokenContext => ({
  issuers,
  bundle: BUNDLE,
  now: now as Instant,
});

/** The code of a refusal, or `accepted`. */
async function verdict(token: string, judgedBy: OperatorTokenContext = context()): Promise<string> {
  const result = await operatorTokens().verify(token, judgedBy);
  return result.ok ? 'accepted' : result.error.code;
}

/** What is not here is `unauthenticated`. */
const OTHER_CODES: Readonly<Record<string, string>> = {
  'one bit of the payload flipped': 'signature_invalid',
  'a signature flipped in one bit': 'signature_invalid',
  'a signature of zeros': 'signature_invalid',
  'no signature': 'signature_invalid',
  'another key under the same kid': 'signature_invalid',
  expired: 'token_expired',
  'a life longer than accepted': 'token_lifetime_exceeded',
};

describe('an operator’s token', () => {
  it('proves a principal, a case, and names for revoking it', async () => {
    const token = idp.mint(NOW, { claims: { ticket_id: 'T-7', jti: 'token-1' } });
    expect(await operatorTokens().verify(token, context())).toEqual({
      ok: true,
      value: {
        principal: {
          id: 'alice@company.com',
          kind: 'person',
          tenant: 'acme',
          issuer: 'https://idp.test',
          roles: ['support-rep'],
          scopes: ['orders:read'],
          attributes: {},
          authenticatedAt: NOW,
        },
        case: 'T-7',
        tokenId: 'token-1',
        purpose: {},
        origin: { rootKind: 'human', method: 'access_token', hops: [] },
        tokenDigest: `sha256:${createHash('sha256')
          .update(token.slice(0, token.lastIndexOf('.')))
          .digest('hex')}`,
        times: { issuedAt: NOW, notBefore: NOW, expiresAt: NOW + 300_000 },
      },
    });
  });

  it.each(Object.entries(BENT_TOKENS))('is refused with %s', async (name, bend) => {
    expect(await verdict(bend(idp, NOW))).toBe(OTHER_CODES[name] ?? 'unauthenticated');
  });

  it.each([
    ['no typ', { typ: undefined }],
    ['JWT', { typ: 'JWT' }],
    ['at+jwt with its media type prefix', { typ: 'application/AT+JWT' }],
    ['a certificate’s thumbprint, which brings no key', { 'x5t#S256': 'AAAA' }],
  ])('is accepted with %s', async (_, header) => {
    expect(await verdict(idp.mint(NOW, { header }))).toBe('accepted');
  });

  it('is accepted for a list of audiences that has ours', async () => {
    expect(await verdict(idp.mint(NOW, { claims: { aud: ['other', idp.audience] } }))).toBe('accepted');
  });

  it.each(['logout+jwt', 'dpop+jwt', 'sallyport-hop+jwt', 'sallyport-client-session+jwt', 'JOSE', ''])(
    'of typ %j is another kind of token',
    async (typ) => {
      expect(await verdict(idp.mint(NOW, { header: { typ } }))).toBe('unauthenticated');
    },
  );

  it('cannot be given another name by changing its signature without the key', async () => {
    const tokens = operatorTokens();
    const token = idp.mint(NOW);
    const altered = withOtherSignature(token);
    expect(altered).not.toBe(token);
    const [one, other] = [await tokens.verify(token, context()), await tokens.verify(altered, context())];
    expect(one.ok && other.ok && one.value.tokenDigest === other.value.tokenDigest).toBe(true);
  });

  it('is never told why, beyond its code', async () => {
    const result = await operatorTokens().verify(idp.mint(NOW, { header: { kid: 'key-2' } }), context());
    expect(result).toMatchObject({ error: { code: 'unauthenticated', detail: expect.stringContaining('kid') } });
  });
});

describe('one issuer’s token', () => {
  const other = tokenIssuer({ issuer: 'https://other.test' });
  const both = [idp.trusted(), other.trusted()];

  it('is verified with that issuer’s keys alone, though another is trusted too', async () => {
    expect(await verdict(idp.mint(NOW), context(NOW, both))).toBe('accepted');
    expect(await verdict(other.mint(NOW), context(NOW, both))).toBe('accepted');
    expect(await verdict(other.mint(NOW, { claims: { iss: idp.issuer } }), context(NOW, both))).toBe('signature_invalid');
  });

  it('is refused when its key is not one', async () => {
    const keys = [{ ...idp.jwk, y: idp.jwk.x }];
    expect(await verdict(idp.mint(NOW), context(NOW, [idp.trusted({ keys })]))).toBe('unauthenticated');
  });
});

describe('a remembered token', () => {
  const tokens = operatorTokens({ cacheEntriesMax: 1 });
  const token = idp.mint(NOW);

  it('expires like any other', async () => {
    expect((await tokens.verify(token, context())).ok).toBe(true);
    expect(await tokens.verify(token, context(NOW + 300_000))).toMatchObject({ error: { code: 'token_expired' } });
    expect((await tokens.verify(token, context())).ok).toBe(true);
  });

  it('is proven anew under another bundle, whose keys may be other ones', async () => {
    const next = { ...context(NOW, [tokenIssuer().trusted()]), bundle: `sha256:${'1'.repeat(64)}` as Digest };
    expect((await tokens.verify(token, context())).ok).toBe(true);
    expect(await tokens.verify(token, next)).toMatchObject({ error: { code: 'signature_invalid' } });
  });

  it('does not lend its verdict to one with another signature', async () => {
    const [header = '', payload = ''] = token.split('.');
    const forged = `${header}.${payload}.${Buffer.alloc(64, 1).toString('base64url')}`;
    expect((await tokens.verify(token, context())).ok).toBe(true);
    expect(await tokens.verify(forged, context())).toMatchObject({ error: { code: 'signature_invalid' } });
  });

  it('is forgotten for a newer one, and then proven again', async () => {
    expect((await tokens.verify(idp.mint(NOW), context())).ok).toBe(true);
    expect((await tokens.verify(token, context())).ok).toBe(true);
  });
});

it('a token for whose key the header brings a certificate or a URL opens no connection and no door', async () => {
  for (const header of [{ jku: idp.issuer }, { x5u: idp.issuer }, { x5c: [] }, { jwk: tokenIssuer().jwk }])
    expect(await verdict(signJws({ alg: 'ES256', kid: idp.jwk.kid, ...header }, '{}', idp.privateKey))).toBe('unauthenticated');
});

/** The same signature's other form: s replaced by n - s verifies as well (FIPS 186-5 allows both). */
function withOtherSignature(token: string): string {
  const n = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
  const at = token.lastIndexOf('.') + 1;
  const signature = Buffer.from(token.slice(at), 'base64url');
  const s = n - BigInt(`0x${signature.subarray(32).toString('hex')}`);
  const altered = Buffer.concat([signature.subarray(0, 32), Buffer.from(s.toString(16).padStart(64, '0'), 'hex')]);
  return token.slice(0, at) + altered.toString('base64url');
}
