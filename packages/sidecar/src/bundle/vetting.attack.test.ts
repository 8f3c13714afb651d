/** A well-signed bundle that eats memory, stalls, or contradicts itself: it is refused in its own worker, and what is enforced stays and ages. */

import type { PartName } from '@sallyport/model';
import { trustSimulator, type PublishedBundle, type TrustSimulator } from '@sallyport/testkit';
import { beforeEach, describe, expect, it } from 'vitest';
import { publishPolicy, servingSide, type BundleSide } from '../testing/bundle-side.ts';
import { vetInWorker, workerVet, type Vet } from './vetting.ts';

describe('vetting', () => {
  let sim: TrustSimulator;
  let side: BundleSide;
  let vet: Vet;
  beforeEach(async () => {
    sim = await trustSimulator();
    vet = vetInWorker;
    ({ side } = await servingSide(sim, { vet: (parts) => vet(parts) }));
    expect(side.serves()).toBe('release 1');
  });
  const staysAndAges = async (): Promise<void> => {
    expect(side.serves()).toBe('release 1');
    await side.run(sim.freshnessTtlMs);
    expect(side.serves()).toBe('denies (expired)');
  };
  const withPart = async (name: PartName, edit: (part: Record<string, unknown>) => unknown): Promise<PublishedBundle> => {
    const { parts } = await publishPolicy(sim, { version: 2 });
    const part = JSON.parse(new TextDecoder().decode(parts[name])) as Record<string, unknown>;
    return sim.publishBundle({ parts: { ...parts, [name]: new TextEncoder().encode(JSON.stringify(edit(part))) } });
  };

  it('running out of memory is RESOURCE, and takes no process with it', async () => {
    vet = workerVet({ heapMbMax: 24 });
    const { parts } = await publishPolicy(sim, { version: 2 });
    // Four megabytes of the smallest values there are, well signed.
    const catalog = new TextEncoder().encode(
      `{"api_version":"sallyport.dev/v1","kind":"CatalogPart","servers":[],"tools":[${'{},'.repeat(1_300_000)}{}]}`,
    );
    expect(await side.offerBundle(await sim.publishBundle({ parts: { ...parts, catalog } }))).toMatchObject({
      error: { code: 'RESOURCE' },
    });
    await staysAndAges();
  });

  it('a self-test with another answer here is SELFTEST, with the test that says so', async () => {
    const wrong = await withPart(
      'tests',
      (part) => JSON.parse(JSON.stringify(part).replace('"expect":"allow"', '"expect":"no_matching_policy"')) as unknown,
    );
    const refused = await side.offerBundle(wrong);
    expect(refused).toMatchObject({ error: { code: 'SELFTEST' } });
    expect(refused.ok ? [] : refused.error.problems).not.toEqual([]);
    await staysAndAges();
  });

  it('a policy that names what is not there is COMPILE', async () => {
    const wrong = await withPart(
      'policy',
      (part) => JSON.parse(JSON.stringify(part).replaceAll('orders/get_order', 'orders/drop_orders')) as unknown,
    );
    expect(await side.offerBundle(wrong)).toMatchObject({ error: { code: 'COMPILE' } });
    await staysAndAges();
  });

  it('a good bundle is staged by the same worker', async () => {
    expect(await side.offerBundle(await publishPolicy(sim, { version: 2 }))).toEqual({ ok: true, value: 'staged' });
  });
});
