import { trustSimulator } from '@sallyport/testkit';
import { beforeAll, describe, expect, it } from 'vitest';
import { mayCertify } from './certificate-authorities.ts';
import { trustRoot } from './roots.ts';
import type { TrustedRoot } from './roots.ts';

const [WORKLOADS, PEOPLE] = [Uint8Array.of(48, 1, 1), Uint8Array.of(48, 1, 2)];

describe('what a certificate authority may certify', () => {
  let root: TrustedRoot;
  beforeAll(async () => {
    const sim = await trustSimulator();
    await sim.publishRoot({
      edit: (honest) => ({
        ...honest,
        certificateAuthorities: [
          { certificate: WORKLOADS, prefixes: ['/control-plane', '/sidecar/'] },
          { certificate: PEOPLE, prefixes: ['/admin/'] },
        ],
      }),
    });
    const trusted = trustRoot({ pin: sim.pin, chain: sim.chain, allowDevelopmentRoot: true });
    if (!trusted.ok) throw new Error(trusted.error.detail);
    root = trusted.value;
  });

  it.each([
    ['spiffe://sallyport.test/sidecar/support/one', true, false],
    ['spiffe://sallyport.test/control-plane', true, false],
    ['spiffe://sallyport.test/admin/alice', false, true],
    ['spiffe://sallyport.test/control-plane/x', false, false],
    ['spiffe://sallyport.test/control-plane-two', false, false],
    ['spiffe://sallyport.test/sidecar/', false, false],
    ['spiffe://sallyport.test/collector', false, false],
    ['spiffe://elsewhere.test/sidecar/support/one', false, false],
    ['spiffe://sallyport.test.evil/sidecar/support/one', false, false],
    ['https://sallyport.test/sidecar/support/one', false, false],
  ])('%s: workload CA %s, people CA %s', (identity, byWorkloads, byPeople) => {
    expect([mayCertify(root, WORKLOADS, identity), mayCertify(root, PEOPLE, identity)]).toEqual([byWorkloads, byPeople]);
  });
});
