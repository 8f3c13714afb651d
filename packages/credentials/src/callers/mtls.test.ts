/** Client certificates: a company's own CA, what it did not mean for us, and what it took back. */

import { encodeBase64 } from '@sallyport/crypto';
import type { Instant, MtlsMethod } from '@sallyport/model';
import { type ForeignLeaf, foreignAuthority } from '@sallyport/testkit';
import { describe, expect, it } from 'vitest';
import { callerMethod } from './caller-methods.ts';
import { replayMemory } from './replay-memory.ts';
import { NOW, aliceIs, at, callerRequest, methodOf, verdict } from '../testing/caller-request.ts';

const HOUR = 3_600_000;
const [company, other] = [foreignAuthority('company', NOW), foreignAuthority('company', NOW)];
const SERIAL = Uint8Array.of(0x8a, 1, 2, 3, 4, 5, 6, 7);
const config: MtlsMethod = {
  kind: 'mtls',
  name: 'clients',
  authorities: [encodeBase64(company.certificate)],
  revocationLists: [],
  requiresRevocationList: false,
  principals: ['uri:spiffe://company/svc-a', 'dns:svc-a.company.com', 'cn:svc-a'].map(aliceIs),
};
const fresh = { serials: [], thisUpdate: NOW - HOUR, nextUpdate: NOW + HOUR };
const withList = (list: Parameters<typeof company.list>[0], more: Partial<MtlsMethod> = {}): MtlsMethod => ({
  ...config,
  revocationLists: [encodeBase64(company.list(list))],
  ...more,
});

const shown = (...chain: readonly Uint8Array[]) => callerRequest({}, { peerCertificate: chain, body: undefined });
const leaf = (more: ForeignLeaf = {}): Uint8Array => company.issue({ uris: ['spiffe://company/svc-a'], serial: SERIAL, ...more });
const judged = (certificate: Uint8Array, made: MtlsMethod = config, now: number = NOW): Promise<string> =>
  verdict(methodOf(made), shown(certificate), at(now));

describe('a client certificate', () => {
  it('proves who its name is mapped to, from its beginning to its end', async () => {
    expect(await methodOf(config).verify(shown(leaf()), at())).toMatchObject({
      ok: true,
      value: {
        subject: 'uri:spiffe://company/svc-a',
        credentialId: 'clients:8a01020304050607',
        authenticatedAt: NOW - 180 * 24 * HOUR,
        expiresAt: NOW + 180 * 24 * HOUR,
      },
    });
  });

  it.each<[string, ForeignLeaf]>([
    ['a DNS name', { uris: [], dnsNames: ['svc-a.company.com'] }],
    ['a common name, having no other', { uris: [], commonNames: ['svc-a'] }],
    ['one mapped name beside one that is not', { uris: ['spiffe://company/svc-a', 'urn:x'] }],
    ['further usages', { extendedKeyUsages: ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'] }],
  ])('is accepted with %s', async (_, more) => {
    expect(await judged(leaf(more))).toBe('alice@company.com');
  });

  it.each<[string, Uint8Array, string]>([
    ['of another CA of the same name', other.issue({ uris: ['spiffe://company/svc-a'] }), 'unauthenticated'],
    ['that is expired', leaf({ notAfter: NOW - 1000 }), 'token_expired'],
    ['that is not yet valid', leaf({ notBefore: NOW + 1000 }), 'unauthenticated'],
    ['for servers', leaf({ extendedKeyUsages: ['1.3.6.1.5.5.7.3.1'] }), 'unauthenticated'],
    ['for no stated purpose', leaf({ extendedKeyUsages: [] }), 'unauthenticated'],
    ['that is the CA itself', company.certificate, 'unauthenticated'],
    ['that is none', Uint8Array.of(0x30, 0), 'unauthenticated'],
    ['with a name that is not mapped', leaf({ uris: ['spiffe://company/svc-b'] }), 'no_matching_policy'],
    ['without any name', leaf({ uris: [] }), 'no_matching_policy'],
    ['whose mapped common name stands beside another name', leaf({ uris: ['urn:x'], commonNames: ['svc-a'] }), 'no_matching_policy'],
    ['with two common names', leaf({ uris: [], commonNames: ['svc-b', 'svc-a'] }), 'no_matching_policy'],
    [
      'whose common name spells another attribute after a line feed',
      leaf({ uris: [], commonNames: ['svc-b\nCN=svc-a'] }),
      'no_matching_policy',
    ],
    ['whose DNS name spells a URI', leaf({ uris: [], dnsNames: ['svc-b, URI:spiffe://company/svc-a'] }), 'no_matching_policy'],
    ['with two mapped names', leaf({ dnsNames: ['svc-a.company.com'] }), 'no_matching_policy'],
  ])('%s is refused', async (_, certificate, code) => {
    expect(await judged(certificate)).toBe(code);
  });

  it('that is not there is no credential', async () => {
    const method = methodOf(config);
    expect(method.isPresented(callerRequest({}))).toBe(false);
    expect(await verdict(method, callerRequest({}))).toBe('unauthenticated');
    expect(await verdict(method, shown())).toBe('unauthenticated');
  });
});

describe('a revocation list', () => {
  it('revokes whom it names, and nobody else', async () => {
    const list = withList({ ...fresh, serials: [Uint8Array.of(9), SERIAL] });
    expect(await judged(leaf(), list)).toBe('token_revoked');
    expect(await judged(leaf({ serial: Uint8Array.of(8) }), list)).toBe('alice@company.com');
  });

  it('that has ended still revokes, and clears nobody', async () => {
    const list = withList({ ...fresh, serials: [SERIAL] });
    expect(await judged(leaf(), list, fresh.nextUpdate)).toBe('token_revoked');
    expect(await judged(leaf({ serial: Uint8Array.of(8) }), list, fresh.nextUpdate)).toBe('identity_unavailable');
    expect(await judged(leaf({ serial: Uint8Array.of(8) }), list, fresh.nextUpdate - 1)).toBe('alice@company.com');
  });

  it('of the future clears nobody', async () => {
    expect(await judged(leaf(), withList({ ...fresh, thisUpdate: NOW + HOUR, nextUpdate: NOW + 2 * HOUR }))).toBe('identity_unavailable');
  });

  it('that is required and missing refuses', async () => {
    expect(await judged(leaf(), { ...config, requiresRevocationList: true })).toBe('identity_unavailable');
    expect(await judged(leaf(), withList(fresh, { requiresRevocationList: true }))).toBe('alice@company.com');
  });

  it.each<[string, Uint8Array]>([
    ['signed by another CA of the same name', other.list(fresh)],
    ['without an end', company.list({ ...fresh, nextUpdate: null })],
    ['that is a delta', company.list({ ...fresh, critical: ['2.5.29.27'] })],
    ['of one distribution point', company.list({ ...fresh, critical: ['2.5.29.28'] })],
    ['with one bit changed', flipped(company.list({ ...fresh, serials: [SERIAL] }))],
    ['that is a certificate', company.certificate],
    ['that is nothing', new Uint8Array()],
  ])('%s is refused with its bundle', (_, list) => {
    expect(isRefused({ ...config, revocationLists: [encodeBase64(list)] })).toBe(true);
  });

  it('of a CA that may not sign lists is refused', () => {
    const weak = foreignAuthority('weak', NOW, { mayList: false });
    expect(isRefused({ ...config, authorities: [encodeBase64(weak.certificate)], revocationLists: [encodeBase64(weak.list(fresh))] })).toBe(
      true,
    );
  });
});

describe('a configuration of certificates', () => {
  it.each<[string, Partial<MtlsMethod>]>([
    ['without authorities', { authorities: [] }],
    ['with a leaf as authority', { authorities: [encodeBase64(leaf())] }],
    ['with an authority that is not base64', { authorities: ['-----BEGIN CERTIFICATE-----'] }],
  ])('%s is refused', (_, overrides) => {
    expect(isRefused({ ...config, ...overrides })).toBe(true);
  });
});

function isRefused(made: MtlsMethod): boolean {
  return !callerMethod(made, { secretOf: () => undefined, replay: replayMemory({ startedAt: 0 as Instant }) }).ok;
}

/** The revoked serial, changed by one bit: the list would revoke somebody else. */
function flipped(list: Uint8Array): Uint8Array {
  const bytes = Buffer.from(list);
  const place = bytes.indexOf(Buffer.from(SERIAL)) + SERIAL.length - 1;
  bytes[place] = (bytes[place] ?? 0) ^ 1;
  return Uint8Array.from(bytes);
}
