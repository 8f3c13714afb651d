import { beforeEach, expect, test } from 'vitest';
import { readCertificate } from '@sallyport/crypto';
import type { Instant } from '@sallyport/model';
import type { Peer } from '@sallyport/net';
import { trustRoot } from '@sallyport/trust';
import type { CaPrefix, TrustedRoot } from '@sallyport/trust';
import { fakeClock, testAuthority, trustSimulator } from '@sallyport/testkit';
import type { FakeClock, TestAuthority } from '@sallyport/testkit';
import { callers } from './callers.ts';

const HOUR_MS = 3_600_000;

let clock: FakeClock;
let authority: TestAuthority;
beforeEach(async () => {
  clock = fakeClock();
  authority = await testAuthority('sallyport.test');
});

async function rootWith(...prefixes: readonly CaPrefix[]): Promise<TrustedRoot> {
  const simulator = await trustSimulator({ at: clock.wall() });
  await simulator.publishRoot({
    edit: (root) => ({ ...root, certificateAuthorities: [{ certificate: authority.ca.certificate, prefixes }] }),
  });
  const root = trustRoot({ pin: simulator.pin, chain: simulator.chain, allowDevelopmentRoot: true });
  if (!root.ok) throw new Error(root.error.detail);
  return root.value;
}

async function peer(path: string): Promise<Peer> {
  const notAfter = clock.wall() + HOUR_MS;
  const { chain } = await authority.issue(path, { usage: 'tls-client', notBefore: clock.wall() - 1_000, notAfter });
  const [certificate = new Uint8Array()] = chain;
  const spiffeId = readCertificate(certificate)?.spiffeId ?? '';
  return { spiffeId, purpose: 'sidecar', certificate, notAfter: notAfter as Instant };
}

test('a caller is who its certificate names, for as long as the certificate lives, also when it was seen before', async () => {
  const prove = callers({ root: await rootWith('/sidecar/'), clock });
  const sidecar = await peer('/sidecar/support/one');
  expect(prove(sidecar)).toMatchObject({
    spiffeId: 'spiffe://sallyport.test/sidecar/support/one',
    purpose: { kind: 'sidecar', agent: 'support', instance: 'one' },
  });
  await clock.advance(HOUR_MS - 1_000);
  expect(prove(sidecar)).toBeDefined();
  await clock.advance(2_000);
  expect(prove(sidecar)).toBeUndefined();
});

test.each([
  ['no certificate', async (): Promise<Peer | undefined> => Promise.resolve(undefined)],
  ['a path that Root does not let this CA certify', async (): Promise<Peer | undefined> => peer('/admin/alice')],
  [
    'a name that its certificate does not have',
    async (): Promise<Peer | undefined> => ({
      ...(await peer('/sidecar/support/one')),
      spiffeId: 'spiffe://sallyport.test/sidecar/support/two',
    }),
  ],
  [
    'another trust domain',
    async (): Promise<Peer | undefined> => ({
      ...(await peer('/sidecar/support/one')),
      spiffeId: 'spiffe://elsewhere.test/sidecar/support/one',
    }),
  ],
])('%s proves nobody', async (_what, whom) => {
  expect(callers({ root: await rootWith('/sidecar/'), clock })(await whom())).toBeUndefined();
});
