/** The claims of a hop, read strictly, and the next hop, which never says more than the one before. */

import type { Instant, JsonObject } from '@sallyport/model';
import { describe, expect, it } from 'vitest';
import { hopClaims, readHop } from './hop.ts';
import { type HopGrant, nextHop } from './next-hop.ts';
import type { SpiffeId } from './spiffe.ts';

const NOW = 1_800_000_000_500 as Instant;
const [A, B, C] = ['a', 'b', 'c'].map((agent) => `spiffe://example.org/sidecar/${agent}/1` as SpiffeId) as [SpiffeId, SpiffeId, SpiffeId];
const ROOT = { kind: 'human', sub: 'alice@company.com', tenant: 'acme', auth_time: 1_799_999_940 };
const CLAIMS: JsonObject = {
  iss: A,
  sub: 'a',
  aud: B,
  prev: null,
  txn: 'transaction-1',
  root: ROOT,
  scope: ['orders:read', 'orders:write'],
  authority: 'transferred',
  iat: 1_800_000_000,
  exp: 1_800_000_060,
};

describe('the claims of a hop', () => {
  it('are read back as they are written', () => {
    const hop = readHop(CLAIMS);
    expect(hop.ok && hopClaims(hop.value)).toEqual(CLAIMS);
  });

  it.each<[string, JsonObject]>([
    ['an agent that is not the issuer’s', { sub: 'b' }],
    ['an issuer that is the control plane', { iss: 'spiffe://example.org/control-plane' }],
    ['an issuer in another spelling', { iss: 'spiffe://Example.org/sidecar/a/1' }],
    ['an audience that is no sidecar', { aud: 'spiffe://example.org/collector' }],
    ['a list of audiences', { aud: [B, C] }],
    ['the audience of a session', { aud: `${B}#outbound` }],
    ['a predecessor that is no digest', { prev: 'x' }],
    ['an empty predecessor', { prev: '' }],
    ['no transaction', { txn: '' }],
    ['a root of an unknown kind', { root: { ...ROOT, kind: 'robot' } }],
    ['a root without a subject', { root: { ...ROOT, sub: '' } }],
    ['a root with a line feed', { root: { ...ROOT, sub: 'alice\nbob' } }],
    ['a root that says more', { root: { ...ROOT, roles: ['admin'] } }],
    ['a root of no tenant', { root: { kind: 'human', sub: 'alice', auth_time: 1 } }],
    ['a root of an empty tenant', { root: { ...ROOT, tenant: '' } }],
    ['a root that signed in at no time', { root: { ...ROOT, auth_time: '1' } }],
    ['a root that signed in between two seconds', { root: { ...ROOT, auth_time: 1.5 } }],
    ['a root that signed in before time began', { root: { ...ROOT, auth_time: -1 } }],
    ['a root that signed in after all records', { root: { ...ROOT, auth_time: 253_402_300_800 } }],
    ['a root that is a list', { root: ['human', 'alice'] }],
    ['an unknown authority', { authority: 'all' }],
    ['scopes as one text', { scope: 'orders:read orders:write' }],
    ['scopes out of order', { scope: ['orders:write', 'orders:read'] }],
    ['a scope twice', { scope: ['orders:read', 'orders:read'] }],
    ['a scope with a space, which is two', { scope: ['orders:read orders:write'] }],
    ['more scopes than any', { scope: Array.from({ length: 65 }, (_, i) => `s${String(i).padStart(3, '0')}`) }],
    ['a claim of another token', { sid: 'x' }],
    ['an end before its beginning', { exp: 1_799_999_999 }],
    ['an expiry that is text', { exp: '1800000060' }],
  ])('are refused with %s', (_, bend) => {
    expect(readHop({ ...CLAIMS, ...bend }).ok).toBe(false);
  });

  it.each(Object.keys(CLAIMS))('are refused without `%s`', (name) => {
    expect(readHop(Object.fromEntries(Object.entries(CLAIMS).filter(([key]) => key !== name))).ok).toBe(false);
  });
});

describe('the next hop', () => {
  const read = readHop({ ...CLAIMS, scope: ['orders:read'] });
  if (!read.ok) throw new Error('the claims are good');
  const before = { hop: read.value, digest: 'd'.repeat(43) };
  const grant: HopGrant = {
    entered: [before],
    self: B,
    audience: C,
    transaction: 'another-one',
    root: { kind: 'system', subject: 'somebody else', tenant: 'bank', authenticatedAt: NOW },
    scopes: ['orders:read'],
    authority: 'retained',
    depthMax: 2,
    now: NOW,
  };

  it('answers to the one before, and keeps its transaction and root', () => {
    expect(nextHop(grant)).toMatchObject({
      ok: true,
      value: {
        issuer: B,
        agent: 'b',
        audience: C,
        previous: before.digest,
        transaction: 'transaction-1',
        root: { kind: 'human', subject: 'alice@company.com', tenant: 'acme', authenticatedAt: 1_799_999_940_000 },
        issuedAt: 1_800_000_000_000,
        expiresAt: 1_800_000_060_000,
      },
    });
  });

  it('has its scopes in order, once', () => {
    const made = nextHop({ ...grant, entered: [], self: A, audience: B, scopes: ['z', 'a', 'z'] });
    expect(made.ok && made.value.scopes).toEqual(['a', 'z']);
    expect(made.ok && readHop(hopClaims(made.value)).ok).toBe(true);
  });

  it.each<[string, Partial<HopGrant>]>([
    ['a scope that was not delegated', { scopes: ['orders:read', 'orders:write'] }],
    ['one hop more than policy says', { depthMax: 1 }],
    ['a depth that is no number', { depthMax: Number.NaN }],
    ['a call back to the agent that began', { audience: A }],
    ['a call to another sidecar of the agent that began', { audience: A.replace(/1$/, '2') as SpiffeId }],
    ['a call to itself', { audience: B.replace(/1$/, '2') as SpiffeId }],
  ])('is not made for %s', (_, bend) => {
    const made = nextHop({ ...grant, ...bend });
    expect(made.ok ? 'made' : made.error.code).toBe('delegation_not_allowed');
  });

  it('is not made from a list that ends elsewhere', () => {
    expect(() => nextHop({ ...grant, self: C, audience: A })).toThrow('ends here');
  });
});
