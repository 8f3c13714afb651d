/** Delegation with real keys: the list that verifies, and every way to change one. */

import { generateKey, signerFromPem } from '@sallyport/crypto/keys';
import { type DelegationRules, type Hop, type SpiffeId } from '@sallyport/identity';
import type { AgentName, Instant } from '@sallyport/model';
import { testAuthority } from '@sallyport/testkit';
import { describe, expect, it } from 'vitest';
import { type DelegationAuthorities, verifyDelegation } from './hop-token.ts';
import { NOW, OWN, PARTNER, ROOT, a, authorities, b, c, d, hop, line, own, partner, rules, sidecar, x } from '../testing/sidecars.ts';

const [first, second, third] = await line();
const atD = rules(d, c);
const otherFirst = await hop([], a, b, {}, { transaction: 'transaction-2' });
const otherSecond = await hop([otherFirst], b, c);
const expanded = await hop([first, second], c, d, { authority: 'expanded' }, { scopes: ['orders:read'] });
const grown = await hop([first, second], c, d, { scopes: ['orders:read', 'orders:write'] }, { scopes: ['orders:read'] });
const ofOther = await hop([first, second], c, d, { transaction: 'transaction-2' }, { scopes: ['orders:read'] });
const otherRoot = await hop([first, second], c, d, { root: { ...ROOT, subject: 'admin@company.com' } }, { scopes: ['orders:read'] });
const otherKind = await hop([first, second], c, d, { root: { ...ROOT, kind: 'system' } }, { scopes: ['orders:read'] });
const otherTenant = await hop([first, second], c, d, { root: { ...ROOT, tenant: 'bank' } }, { scopes: ['orders:read'] });
const otherTime = await hop([first, second], c, d, { root: { ...ROOT, authenticatedAt: NOW } }, { scopes: ['orders:read'] });
const long = await hop([first, second], c, d, { expiresAt: (NOW + 61_000) as Instant }, { scopes: ['orders:read'] });
const early = await hop(
  [first, second],
  c,
  d,
  { issuedAt: (NOW - 40_000) as Instant, expiresAt: (NOW + 10_000) as Instant },
  { scopes: ['orders:read'] },
);
const ahead = await hop(
  [first, second],
  c,
  d,
  { issuedAt: (NOW + 31_000) as Instant, expiresAt: (NOW + 61_000) as Instant },
  { scopes: ['orders:read'] },
);
const elsewhere = await hop([first, second], c, d, { audience: b.id }, { scopes: ['orders:read'] });
const begun = await hop([first, second], c, d, { previous: null }, { scopes: ['orders:read'] });
const stranger = await testAuthority(OWN);

function verdict(tokens: readonly string[], by: DelegationRules = atD, pinned: DelegationAuthorities = authorities): string {
  const result = verifyDelegation(tokens, pinned, by);
  return result.ok ? 'verified' : result.error.code;
}

/** A hop whose parts are replaced, its signature as it was. */
function bent(token: string, bend: { readonly header?: object; readonly claims?: object }): string {
  const [header = '', claims = '', signature = ''] = token.split('.');
  const merge = (part: string, more: object | undefined): string =>
    more === undefined
      ? part
      : Buffer.from(JSON.stringify({ ...(JSON.parse(Buffer.from(part, 'base64url').toString()) as object), ...more })).toString(
          'base64url',
        );
  return `${merge(header, bend.header)}.${merge(claims, bend.claims)}.${signature}`;
}

describe('a list of hops', () => {
  it('says who began, through whom, and what is left', () => {
    const result = verifyDelegation([first, second, third], authorities, atD);
    expect(result).toMatchObject({
      ok: true,
      value: {
        delegation: {
          root: { ...ROOT, trustDomain: OWN },
          transaction: 'transaction-1',
          scopes: ['orders:read'],
          isThirdParty: false,
          expiresAt: NOW + 60_000,
          steps: [
            { agent: 'agent-a', authority: 'transferred', isThirdParty: false },
            { agent: 'agent-b', authority: 'retained', isThirdParty: false },
            { agent: 'agent-c', authority: 'transferred', isThirdParty: false },
          ],
        },
      },
    });
  });

  it('verifies at each of its ends', () => {
    expect(verdict([first], rules(b, a))).toBe('verified');
    expect(verdict([first, second], rules(c, b))).toBe('verified');
  });

  it.each<[string, readonly string[], string]>([
    ['no hop', [], 'unauthenticated'],
    ['the first hop removed', [second, third], 'unauthenticated'],
    ['a hop in the middle removed', [first, third], 'unauthenticated'],
    ['the last hop removed', [first, second], 'unauthenticated'],
    ['two hops exchanged', [second, first, third], 'unauthenticated'],
    ['a hop repeated', [first, second, second, third], 'unauthenticated'],
    ['the whole in reverse', [third, second, first], 'unauthenticated'],
    ['the first hop of another transaction', [otherFirst, second, third], 'unauthenticated'],
    ['the beginning of another transaction', [otherFirst, otherSecond, third], 'unauthenticated'],
    ['a hop that is no token', [first, second, 'x'], 'unauthenticated'],
    ['a hop of more bytes than any', [first, second, `${third}${'A'.repeat(9000)}`], 'unauthenticated'],
    ['a claim changed', [first, second, bent(third, { claims: { sub: 'agent-c', txn: 'transaction-2' } })], 'signature_invalid'],
    ['a scope written in', [first, second, bent(third, { claims: { scope: ['orders:read', 'orders:write'] } })], 'signature_invalid'],
    ['another typ', [first, second, bent(third, { header: { typ: 'sallyport-assertion+jwt' } })], 'unauthenticated'],
    ['alg none', [first, second, bent(third, { header: { alg: 'none' } })], 'unauthenticated'],
    ['a key in the header', [first, second, bent(third, { header: { jwk: {} } })], 'unauthenticated'],
    ['an address of certificates', [first, second, bent(third, { header: { x5u: 'https://127.0.0.1' } })], 'unauthenticated'],
    [
      'the certificate of another sidecar',
      [first, second, bent(third, { header: { x5c: [Buffer.from(a.signer.chain[0] ?? []).toString('base64')] } })],
      'unauthenticated',
    ],
    ['no certificate', [first, second, bent(third, { header: { x5c: [] } })], 'unauthenticated'],
    [
      'the signature of another hop',
      [first, second, `${third.slice(0, third.lastIndexOf('.'))}${second.slice(second.lastIndexOf('.'))}`],
      'signature_invalid',
    ],
    ['the other spelling of an ECDSA signature, which needs no key', [first, second, malleated(third)], 'signature_invalid'],
  ])('is refused with %s', (_, tokens, code) => {
    expect(verdict(tokens)).toBe(code);
  });

  it.each<[string, string, string]>([
    ['that expands authority', expanded, 'delegation_not_allowed'],
    ['whose scope has grown', grown, 'delegation_not_allowed'],
    ['of another transaction', ofOther, 'unauthenticated'],
    ['that changes the root', otherRoot, 'unauthenticated'],
    ['that changes the kind of root', otherKind, 'unauthenticated'],
    ['that changes the tenant of the root', otherTenant, 'unauthenticated'],
    ['that changes when the root signed in', otherTime, 'unauthenticated'],
    ['that lives longer than a hop may', long, 'token_lifetime_exceeded'],
    ['made before the one before it', early, 'unauthenticated'],
    ['of the future', ahead, 'unauthenticated'],
    ['for another sidecar', elsewhere, 'unauthenticated'],
    ['that says it is the first', begun, 'unauthenticated'],
  ])('is refused with a last hop, well signed, %s', (_, last, code) => {
    expect(verdict([first, second, last])).toBe(code);
  });

  it('is refused with a hop, well signed, by a sidecar that was not called', async () => {
    const e = await sidecar('agent-e');
    const uncalled = { issuer: d.id, agent: 'agent-d' as AgentName };
    const last = await hop([first, second], { ...c, signer: d.signer }, e, uncalled, { scopes: ['orders:read'] });
    expect(verdict([first, second, last], rules(e, d))).toBe('unauthenticated');
    expect(verdict([first, second, await hop([first, second], c, e, {}, { scopes: ['orders:read'] })], rules(e, c))).toBe('verified');
  });

  it('ends with its last hop, not with the earlier ones, which were judged on entry', async () => {
    expect(verdict([first, second, third], rules(d, c, { now: (NOW + 59_999) as Instant }))).toBe('verified');
    expect(verdict([first, second, third], rules(d, c, { now: (NOW + 60_000) as Instant }))).toBe('token_expired');
    const later = (NOW + 600_000) as Instant;
    const afresh = await hop([first, second], c, d, {}, { scopes: ['orders:read'], now: later });
    expect(verdict([first, second, afresh], rules(d, c, { now: later }))).toBe('verified');
    const tooLate = (NOW + 8 * 86_400_000) as Instant;
    const old = await hop([first, second], c, d, {}, { scopes: ['orders:read'], now: tooLate });
    expect(verdict([first, second, old], rules(d, c, { now: tooLate }))).toBe('token_expired');
  });

  it('is no bearer credential: another sidecar that shows it is refused', () => {
    expect(verdict([first, second, third], rules(d, b))).toBe('unauthenticated');
    expect(verdict([first, second, third], rules(d, a))).toBe('unauthenticated');
  });

  it('may be as deep as policy says', () => {
    expect(verdict([first, second, third], rules(d, c, { depthMax: 3 }))).toBe('verified');
    expect(verdict([first, second, third], rules(d, c, { depthMax: 2 }))).toBe('delegation_not_allowed');
    expect(verdict([first, second, third], rules(d, c, { depthMax: Number.NaN }))).toBe('delegation_not_allowed');
    expect(verdict(Array.from({ length: 9 }, () => first))).toBe('delegation_not_allowed');
  });

  it('does not return to an agent, whichever of its sidecars is called', async () => {
    const again: { readonly id: SpiffeId; readonly signer: typeof a.signer } = {
      id: a.id.replace(/1$/, '2') as SpiffeId,
      signer: a.signer,
    };
    const back = await hop([first], b, c, { audience: again.id });
    expect(verdict([first, back], rules(again, b))).toBe('delegation_not_allowed');
    await expect(hop([first], b, a)).rejects.toThrow('stands in the list already');
  });
});

describe('a hop signed with a key', () => {
  const signedBy = async (by: Awaited<ReturnType<typeof sidecar>>, bend: Partial<Hop> = {}): Promise<string> => {
    const last = await hop([first, second], { ...c, signer: by.signer }, d, bend, { scopes: ['orders:read'] });
    return verdict([first, second, last]);
  };
  it.each<[string, () => Promise<string>]>([
    ['of the agent, which is certified for TLS', async () => signedBy(await sidecar('agent-c', own, { usage: 'tls-client' }))],
    ['for audit', async () => signedBy(await sidecar('agent-c', own, { usage: 'audit' }))],
    ['of another agent’s sidecar', async () => signedBy(b)],
    [
      'of another instance of the same agent',
      async () => signedBy({ ...c, signer: c.signer }, { issuer: c.id.replace(/1$/, '2') as SpiffeId }),
    ],
    ['that a CA of the same name certified', async () => signedBy(await sidecar('agent-c', stranger))],
    ['that was certified in another domain', async () => signedBy(await sidecar('agent-c', partner))],
    [
      'whose certificate had ended',
      async () => signedBy(await sidecar('agent-c', own, { notBefore: NOW - 7_200_000, notAfter: NOW - 3_600_000 })),
    ],
    [
      'whose certificate had not begun',
      async () => signedBy(await sidecar('agent-c', own, { notBefore: NOW + 3_600_000, notAfter: NOW + 7_200_000 })),
    ],
  ])('%s is refused', async (_, judged) => {
    expect(await judged()).toBe('unauthenticated');
  });

  it('that is not the certificate’s is refused', async () => {
    const key = signerFromPem(generateKey('es256').privatePem);
    expect(await signedBy({ ...c, signer: { signer: key, chain: c.signer.chain } })).toBe('signature_invalid');
  });

  it('of Ed25519 is called by its own name', async () => {
    const key = signerFromPem(generateKey('ed25519').privatePem);
    expect(await signedBy({ ...c, signer: { signer: key, chain: c.signer.chain } })).toBe('unauthenticated');
  });
});

describe('a foreign trust domain', () => {
  it('is third-party, its root external, and its scopes only intersect', async () => {
    const foreign = await hop([], x, b);
    expect(verifyDelegation([foreign], authorities, rules(b, x))).toMatchObject({
      ok: true,
      value: {
        delegation: {
          root: { ...ROOT, kind: 'external', trustDomain: PARTNER },
          scopes: ['orders:read'],
          isThirdParty: true,
          steps: [{ agent: 'agent-x', trustDomain: PARTNER, isThirdParty: true }],
        },
      },
    });
  });

  it('in the middle marks the list, and keeps our root', async () => {
    const there = await hop([], a, x);
    const back = await hop([there], x, b);
    expect(verifyDelegation([there, back], authorities, rules(b, x))).toMatchObject({
      ok: true,
      value: { delegation: { root: { kind: 'human', trustDomain: OWN }, scopes: ['orders:read'], isThirdParty: true } },
    });
  });

  it('that is not pinned is nobody', async () => {
    const foreign = await hop([], x, b);
    expect(verdict([foreign], rules(b, x), new Map([[OWN, [own.ca.certificate]]]))).toBe('unauthenticated');
  });

  it('cannot vouch for a sidecar of ours', async () => {
    const posing = await sidecar('agent-a', partner);
    const posed = await hop([], { id: a.id, signer: posing.signer }, b);
    expect(verdict([posed], rules(b, a))).toBe('unauthenticated');
  });
});

/** The other signature of the same hop: n - s for s. */
function malleated(token: string): string {
  const at = token.lastIndexOf('.') + 1;
  const raw = Buffer.from(token.slice(at), 'base64url');
  const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
  const s = order - BigInt(`0x${raw.subarray(32).toString('hex')}`);
  return `${token.slice(0, at)}${Buffer.concat([raw.subarray(0, 32), Buffer.from(s.toString(16).padStart(64, '0'), 'hex')]).toString('base64url')}`;
}
