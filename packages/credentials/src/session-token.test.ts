import { randomBytes } from 'node:crypto';
import { generateKey, signerFromPem } from '@sallyport/crypto/keys';
import { type SessionEpoch, type SpiffeId, formatSessionId } from '@sallyport/identity';
import type { AgentName, Digest, Instant, PrincipalId } from '@sallyport/model';
import { tokenIssuer } from '@sallyport/testkit';
import { describe, expect, it } from 'vitest';
import { operatorTokens } from './operator-token.ts';
import { type SessionTokenOptions, type SessionTokens, sessionTokens } from './session-token.ts';

const NOW = 1_800_000_000_500 as Instant;
const EPOCH = '5f0c1d2e3a4b5c6d' as SessionEpoch;
const SIDECAR = 'spiffe://td/sidecar/support/1' as SpiffeId;
const signer = signerFromPem(generateKey('ed25519').privatePem);

const tokensOf = (more: Partial<SessionTokenOptions> = {}): SessionTokens =>
  sessionTokens({
    signer,
    sidecar: SIDECAR,
    epoch: EPOCH,
    leg: 'outbound',
    random: (length) => new Uint8Array(randomBytes(length)),
    ...more,
  });

const grantFor = (epoch: SessionEpoch): Parameters<SessionTokens['mint']>[0] => ({
  sessionId: formatSessionId(epoch, new Uint8Array(randomBytes(16))),
  operator: 'alice@company.com' as PrincipalId,
  agent: 'support' as AgentName,
});
const mint = async (tokens: SessionTokens = tokensOf(), epoch: SessionEpoch = EPOCH): Promise<string> => tokens.mint(grantFor(epoch), NOW);

function verdict(token: string, now: number = NOW, tokens: SessionTokens = tokensOf()): string {
  const result = tokens.verify(token, now as Instant);
  return result.ok ? 'accepted' : result.error.code;
}

/** A token of ours with other claims or another header, signed by our own key. */
async function bent(claims: object, header: object = {}): Promise<string> {
  const [head = '', payload = ''] = (await mint()).split('.');
  const open = (part: string): object => JSON.parse(Buffer.from(part, 'base64url').toString()) as object;
  const close = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const input = `${close({ ...open(head), ...header })}.${close({ ...open(payload), ...claims })}`;
  return `${input}.${Buffer.from(signer.sign(Buffer.from(input))).toString('base64url')}`;
}

describe('the two tokens of one session', () => {
  it.each([
    ['the agent’s', 'outbound', 'sallyport-session+jwt'],
    ['the client’s', 'inbound', 'sallyport-client-session+jwt'],
  ] as const)('say of themselves which they are: %s', async (_, leg, typ) => {
    const [head = '', payload = ''] = (await mint(tokensOf({ leg }))).split('.');
    expect(Buffer.from(head, 'base64url').toString()).toContain(`"typ":"${typ}"`);
    expect(Buffer.from(payload, 'base64url').toString()).toContain(`"aud":"${SIDECAR}#${leg}"`);
  });

  it.each([
    ['outbound', 'outbound', 'accepted'],
    ['inbound', 'inbound', 'accepted'],
    ['inbound', 'outbound', 'unauthenticated'],
    ['outbound', 'inbound', 'unauthenticated'],
  ] as const)('one for the %s leg is on the %s leg %s', async (minted, used, code) => {
    expect(verdict(await mint(tokensOf({ leg: minted })), NOW, tokensOf({ leg: used }))).toBe(code);
  });

  it('a client’s token that calls itself the agent’s has still another audience', async () => {
    expect(verdict(await bent({ aud: `${SIDECAR}#inbound` }, { typ: 'sallyport-session+jwt' }))).toBe('unauthenticated');
    expect(verdict(await bent({}, { typ: 'sallyport-client-session+jwt' }), NOW, tokensOf({ leg: 'inbound' }))).toBe('unauthenticated');
  });
});

describe.each(['ed25519', 'es256'] as const)('a session token by an %s key', (alg) => {
  it('says whose session it is, for 15 minutes', async () => {
    const tokens = tokensOf({ signer: signerFromPem(generateKey(alg).privatePem) });
    const grant = grantFor(EPOCH);
    expect(tokens.verify(await tokens.mint(grant, NOW), NOW)).toEqual({
      ok: true,
      value: {
        ...grant,
        issuer: SIDECAR,
        epoch: EPOCH,
        tokenId: expect.any(String),
        issuedAt: 1_800_000_000_000,
        expiresAt: 1_800_000_900_000,
      },
    });
  });
});

describe('a session token', () => {
  it('expires, also when it is remembered', async () => {
    const tokens = tokensOf();
    const token = await mint(tokens);
    expect(verdict(token, NOW, tokens)).toBe('accepted');
    expect(verdict(token, 1_800_000_899_999, tokens)).toBe('accepted');
    expect(verdict(token, 1_800_000_900_000, tokens)).toBe('token_expired');
  });

  it('of an earlier start is a session that is over, whatever its key was', async () => {
    const earlier = '0000000000000000' as SessionEpoch;
    expect(verdict(await mint(tokensOf({ epoch: earlier }), earlier))).toBe('session_expired');
    const other = signerFromPem(generateKey('ed25519').privatePem);
    expect(verdict(await mint(tokensOf({ epoch: earlier, signer: other }), earlier))).toBe('session_expired');
  });

  it.each<[string, object, object, string]>([
    ['another audience', { aud: `${SIDECAR}#inbound` }, {}, 'unauthenticated'],
    ['another sidecar', { iss: 'spiffe://td/sidecar/support/2' }, {}, 'unauthenticated'],
    ['a claim more', { roles: ['admin'] }, {}, 'unauthenticated'],
    ['a longer life', { exp: 1_800_000_000 + 901 }, {}, 'token_lifetime_exceeded'],
    ['a later issue', { iat: 1_800_000_100, exp: 1_800_000_200 }, {}, 'unauthenticated'],
    ['no kid', {}, { kid: undefined }, 'unauthenticated'],
    ['another kid', {}, { kid: 'x' }, 'unauthenticated'],
    ['alg none', {}, { alg: 'none' }, 'unauthenticated'],
    ['another alg', {}, { alg: 'ES256' }, 'unauthenticated'],
    ['a jwk', {}, { jwk: {} }, 'unauthenticated'],
    ['the typ of a client’s session', {}, { typ: 'sallyport-client-session+jwt' }, 'unauthenticated'],
    ['the typ of an operator’s token', {}, { typ: 'at+jwt' }, 'unauthenticated'],
    ['no typ', {}, { typ: undefined }, 'unauthenticated'],
  ])('is refused with %s, though our own key signed it', async (_, claims, header, code) => {
    expect(verdict(await bent(claims, header))).toBe(code);
  });

  it('is refused when one bit of it is flipped', async () => {
    const token = await mint();
    const [header = '', payload = '', signature = ''] = token.split('.');
    const bytes = Buffer.from(payload, 'base64url');
    bytes[bytes.indexOf('alice')] = 0x62;
    expect(verdict(`${header}.${bytes.toString('base64url')}.${signature}`)).toBe('signature_invalid');
    const flipped = Buffer.from(signature, 'base64url');
    flipped[0] = (flipped[0] ?? 0) ^ 1;
    expect(verdict(`${header}.${payload}.${flipped.toString('base64url')}`)).toBe('signature_invalid');
  });

  it('by another key under our key’s name is refused', async () => {
    const other = { ...signerFromPem(generateKey('ed25519').privatePem), keyId: signer.keyId };
    expect(verdict(await mint(tokensOf({ signer: other })))).toBe('signature_invalid');
  });

  it.each(['', '.', '..', 'a.b', 'x'.repeat(5000), '{}'])('is not %j', (text) => {
    expect(verdict(text)).toBe('unauthenticated');
  });

  it('with a trailing dot, padding or white space is not itself', async () => {
    const token = await mint();
    for (const other of [`${token}.`, `${token}=`, `${token} `, `\n${token}`]) expect(verdict(other)).toBe('unauthenticated');
  });

  it('is no operator’s token, and an operator’s token is no session’s', async () => {
    const idp = tokenIssuer();
    expect(verdict(idp.mint(NOW))).toBe('unauthenticated');
    // Not even `session_expired`: what is no session's token says nothing of sessions.
    expect(verdict(idp.mint(NOW, { claims: { sid: grantFor('0000000000000000' as SessionEpoch).sessionId } }))).toBe('unauthenticated');
    const context = {
      issuers: [idp.trusted({ issuer: SIDECAR, audience: `${SIDECAR}#outbound` })],
      bundle: 'sha256:0' as Digest,
      now: NOW,
    };
    const es256 = signerFromPem(generateKey('es256').privatePem);
    expect(await operatorTokens().verify(await mint(tokensOf({ signer: es256 })), context)).toMatchObject({
      error: { code: 'unauthenticated' },
    });
  });

  it('is not minted for the session of another start', async () => {
    await expect(tokensOf().mint(grantFor('0000000000000000' as SessionEpoch), NOW)).rejects.toThrow('start');
  });
});
