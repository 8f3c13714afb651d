import { beforeAll, describe, expect, test } from 'vitest';
import type { CertificateUsage } from '@sallyport/crypto';
import type { Instant } from '@sallyport/model';
import { testAuthority, type TestAuthority } from '@sallyport/testkit';
import { systemClock } from '@sallyport/runtime';
import { type PeerTerms, verifyPeer } from './tls.ts';

/** OpenSSL reads the machine's clock, so certificates are made for it. */
const realNow = (): Instant => systemClock().wall();

let authority: TestAuthority;
beforeAll(async () => {
  authority = await testAuthority();
});
const now = realNow();
const terms = (more: Partial<PeerTerms> = {}): PeerTerms => ({
  authorities: [authority.ca.certificate],
  trustDomain: authority.trustDomain,
  usage: 'tls-client',
  now,
  ...more,
});
async function leaf(path: string, more: Parameters<TestAuthority['issue']>[1] = {}): Promise<Uint8Array> {
  const { chain } = await authority.issue(path, more);
  return chain[0] ?? new Uint8Array();
}

describe('which certificate serves which side of TLS', () => {
  test.each<[CertificateUsage, PeerTerms['usage'], boolean]>([
    ['tls-client', 'tls-client', true],
    ['tls-server', 'tls-server', true],
    ['tls-both', 'tls-client', true],
    ['tls-both', 'tls-server', true],
    ['tls-server', 'tls-client', false],
    ['tls-client', 'tls-server', false],
    ['audit', 'tls-client', false],
    ['audit', 'tls-server', false],
    ['assertion', 'tls-client', false],
    ['assertion', 'tls-server', false],
  ])('%s as %s: %s', async (usage, wanted, isAccepted) => {
    const peer = verifyPeer(await leaf('/sidecar/support/1', { usage }), terms({ usage: wanted }));
    expect(peer.ok).toBe(isAccepted);
  });
});

test.each([
  ['/control-plane', 'control_plane'],
  ['/collector', 'collector'],
  ['/sidecar/support/1', 'sidecar'],
  ['/admin/ada', 'admin'],
  ['/control-plane/extra', undefined],
  ['/sidecar/support', undefined],
  ['/sidecar', undefined],
  ['/admin', undefined],
  ['/admin/ada/extra', undefined],
  ['/Control-Plane', undefined],
  ['/other', undefined],
])('the path %s has the purpose %s', async (path, purpose) => {
  const peer = verifyPeer(await leaf(path), terms());
  expect(peer.ok ? peer.value.purpose : undefined).toBe(purpose);
});

test.each([
  ['before its life', { now: (now - 25 * 365 * 86_400_000) as Instant }, 'not_yet_valid'],
  ['after its life', { now: (now + 25 * 365 * 86_400_000) as Instant }, 'expired'],
  ['under no authority', { authorities: [] }, 'untrusted'],
  ['in another trust domain', { trustDomain: 'other.dev' }, 'trust domain'],
])('a certificate is refused %s', async (_what, more, why) => {
  const peer = verifyPeer(await leaf('/sidecar/support/1'), terms(more));
  expect(peer.ok ? 'accepted' : peer.error).toContain(why);
});

test('the CA itself is no peer, and neither are bytes that are no certificate', () => {
  expect(verifyPeer(authority.ca.certificate, terms()).ok).toBe(false);
  expect(verifyPeer(new Uint8Array([0x30, 0x00]), terms()).ok).toBe(false);
});
