/**
 * Releases that join several areas: an organisation's ceilings, a catalog, and a team, each signed by its own publishers.
 * Whoever signs one layer, holds one release key, or stands between signers and sidecar cannot undo another's word.
 */

import type { Digest, Revision } from '@sallyport/model';
import type { FileSystem } from '@sallyport/runtime';
import {
  everyPowerLoss,
  simulatedDisk,
  trustSimulator,
  type Published,
  type PublishedBundle,
  type SimulatedDisk,
  type TrustSimulator,
} from '@sallyport/testkit';
import { digestOfJoined, type Release } from '@sallyport/trust';
import { beforeEach, describe, expect, it } from 'vitest';
import { nextBoot, publishLayer, startBundleSide, startClock, type BundleSide } from '../testing/bundle-side.ts';
import { vetInWorker } from './vetting.ts';

const COMPANY = 'company';
const CATALOG = 'company/tools';
const TEAM = 'company/tools/support';

const ISSUER = `kind: Issuer
issuer: https://idp.example
audience: sallyport
keys: [{ kid: k1, kty: EC, crv: P-256, x: f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU, y: x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0 }]
`;

const company = (rules = 'deny: [{ class: money }], when: args.amount > 500'): string => `apiVersion: sallyport.dev/v1
${ISSUER}---
kind: Policy
agents: "*"
rules:
  - { id: company-ceiling, ${rules} }
`;

const catalog = (effect = 'write'): string => `apiVersion: sallyport.dev/v1
kind: ToolServer
name: orders
http: { url: "http://127.0.0.1:9" }
network: loopback
---
kind: Tool
name: orders/refund
route: { method: POST, path: /refunds }
effect: ${effect}
classes: [money]
description: Gives money back.
arguments: { required: [amount], properties: { amount: { type: integer } } }
`;

const team = (more = ''): string => `apiVersion: sallyport.dev/v1
kind: Agent
name: support-triage
owner: team-support
uses: [orders]
---
kind: Policy
agent: support-triage
rules:
  - { id: team-refunds, allow: [orders/refund], for: { roles: [support-rep] } }
---
kind: Test
given: { roles: [support-rep] }
cases:
  - { call: orders/refund, args: { amount: 20 }, expect: allow }
  - { call: orders/refund, args: { amount: 600 }, expect: no_matching_policy }
${more}`;

interface Set {
  readonly company: PublishedBundle;
  readonly catalog: PublishedBundle;
  readonly team: PublishedBundle;
}

const all = (set: Set): readonly PublishedBundle[] => [set.company, set.catalog, set.team];

async function publishSet(sim: TrustSimulator, texts: { company?: string; catalog?: string; team?: string } = {}): Promise<Set> {
  const top = await publishLayer(sim, COMPANY, { text: texts.company ?? company() });
  const tools = await publishLayer(sim, CATALOG, { text: texts.catalog ?? catalog(), above: [top] });
  const own = await publishLayer(sim, TEAM, { text: texts.team ?? team(), above: [top, tools] });
  return { company: top, catalog: tools, team: own };
}

async function begin(side: BundleSide, sim: TrustSimulator): Promise<void> {
  for (const envelope of sim.chain) await side.offer({ kind: 'root', envelope });
  await side.offer({ kind: 'online_keys', envelope: sim.onlineKeys.envelope });
}

async function stage(side: BundleSide, bundles: readonly PublishedBundle[]): Promise<void> {
  for (const bundle of bundles) expect(await side.offerBundle(bundle)).toMatchObject({ ok: true });
}

/** What the rules that are enforced are called. */
function rulesOf(side: BundleSide): readonly string[] {
  const held = side.holder.read();
  return held.state === 'fresh' ? held.snapshot.policy.parts.rules.map(({ id }) => id) : [];
}

describe('a release that joins several areas', () => {
  let sim: TrustSimulator;
  let disk: SimulatedDisk;
  let side: BundleSide;
  let set: Set;
  let first: Published<Release>;
  beforeEach(async () => {
    sim = await trustSimulator({ area: TEAM });
    disk = simulatedDisk();
    side = await startBundleSide({ simulator: sim, fs: disk.fs });
    await begin(side, sim);
    set = await publishSet(sim);
    await stage(side, all(set));
    first = await sim.publishRelease(all(set));
    expect(await side.offerRelease(first)).toEqual({ ok: true, value: 'active' });
    await side.prove(sim);
    expect([side.serves(), rulesOf(side)]).toEqual(['release 1', ['company-ceiling', 'team-refunds']]);
  });
  const restart = (): Promise<BundleSide> =>
    startBundleSide({ simulator: sim, fs: disk.restart('killed'), clock: nextBoot(side.clock), vet: neverVets });
  const stays = (): void => expect([side.serves(), rulesOf(side)]).toEqual(['release 1', ['company-ceiling', 'team-refunds']]);

  it('is joined again from its cache on every start, and named by what it joins', async () => {
    const held = side.holder.read();
    const named = held.state === 'fresh' ? held.snapshot.policyDigest : undefined;
    expect(named).toBe(digestOfJoined(all(set).map(({ payload, digest }) => ({ area: payload.area, digest }))));
    expect(all(set).map(({ digest }) => digest as Digest | undefined)).not.toContain(named);
    const again = await restart();
    expect([again.serves(), rulesOf(again), again.refusals]).toEqual(['release 1', ['company-ceiling', 'team-refunds'], []]);
  });

  it('is vetted in the worker as one bundle is', async () => {
    const other = simulatedDisk();
    const fresh = await startBundleSide({ simulator: sim, fs: other.fs, vet: vetInWorker });
    await begin(fresh, sim);
    await stage(fresh, all(set));
    expect(await fresh.offerRelease(first)).toEqual({ ok: true, value: 'active' });
  });

  it('goes on under a new root, from a restart on', async () => {
    const again = await restart();
    const root = await sim.publishRoot({ signers: ['root-1', 'root-2'] });
    expect(await again.offer({ kind: 'root', envelope: root.envelope })).toMatchObject({ ok: true });
    await again.offer({ kind: 'online_keys', envelope: sim.onlineKeys.envelope });
    await again.hear(sim);
    expect([again.serves(), rulesOf(again)]).toEqual(['release 1', ['company-ceiling', 'team-refunds']]);
  });

  it('one layer changes: a later release takes it up beside the others', async () => {
    const stricter = await publishLayer(sim, COMPANY, { text: company('deny: [{ class: money }], when: args.amount > 100') });
    await stage(side, [stricter]);
    expect(await side.offerRelease(await sim.publishRelease([stricter, set.catalog, set.team]))).toEqual({ ok: true, value: 'active' });
    await side.hear(sim);
    expect(side.serves()).toBe('release 2');
  });

  describe('LAYER, and what is enforced stays', () => {
    const RULE = `---
kind: Policy
agents: "*"
rules:
  - { id: company-ceiling, require: [orders/refund], for: { roles: [support-rep] }, scopes: [refund] }
`;
    const [, ...documents] = team().split('\n');
    const own = documents.join('\n');
    // Built beneath other layers than the release joins: what no honest builder makes, and what no sidecar may rely on.
    it.each<[name: string, forge: () => Promise<PublishedBundle>, says: RegExp]>([
      [
        'that redefines a rule under its name',
        async () => publishLayer(sim, TEAM, { text: team(RULE), above: [await publishLayer(sim, CATALOG, { text: catalog() })] }),
        /rule `company-ceiling` anew/,
      ],
      [
        'that redefines a server and its tool as harmless',
        async () => publishLayer(sim, TEAM, { text: `${catalog('read')}---\n${own}`, above: [] }),
        /`orders`/,
      ],
      [
        'that brings an issuer of its own',
        async () =>
          publishLayer(sim, TEAM, { text: `${team()}---\n${ISSUER}`, above: [await publishLayer(sim, CATALOG, { text: catalog() })] }),
        /issuers/,
      ],
    ])('a lower layer %s', async (_name, forge, says) => {
      const forged = await forge();
      await stage(side, [forged]);
      const refused = await side.offerRelease(await sim.publishRelease([set.company, set.catalog, forged]));
      expect(refused).toMatchObject({ ok: false, error: { code: 'LAYER' } });
      expect(refused.ok ? '' : refused.error.detail).toMatch(says);
      stays();
    });

    it('a catalog that allows an agent of the layer below what only its own layer may', async () => {
      const granting = `${catalog()}---
kind: Agent
name: support-triage
owner: catalog
uses: [orders]
---
kind: Policy
agent: support-triage
rules:
  - { id: catalog-grants, allow: [orders/refund], for: { roles: [anybody] } }
`;
      const forged = await publishLayer(sim, CATALOG, { text: granting, above: [set.company] });
      await stage(side, [forged]);
      expect(await side.offerRelease(await sim.publishRelease([set.company, forged, set.team]))).toMatchObject({
        error: { code: 'LAYER' },
      });
      stays();
    });

    it('a team put above its organisation by whoever releases', async () => {
      expect(await side.offerRelease(await sim.publishRelease([set.team, set.company, set.catalog]))).toMatchObject({
        error: { code: 'LAYER' },
      });
      stays();
    });
  });

  it('a layer left out by one release key is a return, and needs two and a reason', async () => {
    const without = await sim.publishRelease([set.catalog, set.team]);
    expect(await side.offerRelease(without)).toMatchObject({ error: { code: 'ROLLBACK' } });
    stays();
    // Across a restart too: the mark remembers which layers were enforced.
    expect(await (await restart()).offerRelease(without)).toMatchObject({ error: { code: 'ROLLBACK' } });
  });

  it('the organisation’s older bundle under a newer one of the team is a return', async () => {
    const newer = {
      company: await publishLayer(sim, COMPANY, { text: company() }),
      team: await publishLayer(sim, TEAM, { text: team(), above: [set.company, set.catalog] }),
    };
    await stage(side, [newer.company, newer.team]);
    expect(await side.offerRelease(await sim.publishRelease([newer.company, set.catalog, set.team]))).toMatchObject({ ok: true });
    expect(await side.offerRelease(await sim.publishRelease([set.company, set.catalog, newer.team]))).toMatchObject({
      error: { code: 'ROLLBACK' },
    });
  });

  it('mix-and-match: layers of two releases, put together by who holds no release key, are no release', async () => {
    const second = await publishSet(sim);
    await stage(side, all(second));
    const release = await sim.publishRelease(all(second));
    // The control plane offers the release with a bundle of the one before in the place of its own: the bytes are signed.
    const bent = await sim.publishRelease([set.company, second.catalog, second.team], { signers: ['freshness-1', 'revocation-1'] });
    expect(await side.offerRelease(bent)).toMatchObject({ error: { code: 'SIGNATURE' } });
    expect(await side.offerRelease(release)).toMatchObject({ ok: true });
  });

  it('mix-and-match: a layer that was held back is missing, and nothing takes its place', async () => {
    const other = simulatedDisk();
    const lacking = await startBundleSide({ simulator: sim, fs: other.fs });
    await begin(lacking, sim);
    await stage(lacking, [set.catalog, set.team]);
    expect(await lacking.offerRelease(first)).toMatchObject({ error: { code: 'DIGEST' } });
    expect(lacking.activator.position.active).toBeUndefined();
    await stage(lacking, [set.company]);
    expect(await lacking.offerRelease(first)).toEqual({ ok: true, value: 'active' });
  });

  it('a revision that a layer lies about, and a layer of an area that does not cover this one', async () => {
    const lied = await sim.publishRelease(all(set), {
      edit: (honest) => ({
        ...honest,
        bundles: honest.bundles.map((one, index) => (index === 0 ? { ...one, revision: 9 as Revision } : one)),
      }),
    });
    expect(await side.offerRelease(lied)).toMatchObject({ error: { code: 'DIGEST' } });
    const finance = await publishLayer(sim, 'finance', { text: company() });
    expect(await side.offerBundle(finance)).toMatchObject({ error: { code: 'AREA' } });
    const sister = await publishLayer(sim, `${CATALOG}/sales`, { text: company() });
    expect(await side.offerBundle(sister)).toMatchObject({ error: { code: 'AREA' } });
    stays();
  });

  it('a self-test of a layer that the others make fail is SELFTEST', async () => {
    const stricter = await publishLayer(sim, COMPANY, { text: company('deny: [{ class: money }]') });
    await stage(side, [stricter]);
    expect(await side.offerRelease(await sim.publishRelease([stricter, set.catalog, set.team]))).toMatchObject({
      error: { code: 'SELFTEST' },
    });
    stays();
  });

  it('one revoked layer takes the release with it', async () => {
    const { envelope } = await sim.revoke({ selector: { type: 'bundle', value: set.catalog.digest } });
    await side.offer({ kind: 'revocation', envelope });
    expect(await side.offerRelease(await sim.publishRelease(all(set)))).toMatchObject({ error: { code: 'ROLLBACK' } });
    const held = side.holder.read();
    expect(held.state !== 'fresh' || held.snapshot.revocations.denies({ agent: 'support-triage' as never }, side.clock.wall())).toBe(true);
  });

  it('a layer by itself is staged, and released alone is whatever it says by itself', async () => {
    // The catalog and the company are not there: the team's agent uses a server that nobody declares.
    const other = simulatedDisk();
    const lone = await startBundleSide({ simulator: sim, fs: other.fs });
    await begin(lone, sim);
    await stage(lone, [set.team]);
    expect(await lone.offerRelease(await sim.publishRelease([set.team]))).toMatchObject({ error: { code: 'COMPILE' } });
    expect(lone.serves()).toBe('denies (absent)');
  });
});

/** Two layers, the upper one with the catalog: each moment of the story makes them anew. */
async function publishPair(sim: TrustSimulator, ceiling: number): Promise<readonly PublishedBundle[]> {
  const [, ...documents] = catalog().split('\n');
  const text = `${company(`deny: [{ class: money }], when: args.amount > ${ceiling}`)}---\n${documents.join('\n')}`;
  const top = await publishLayer(sim, COMPANY, { text });
  return [top, await publishLayer(sim, TEAM, { text: team(), above: [top] })];
}

describe('a loss of power between the layers of a release', () => {
  it('leaves the old set whole or the new one, and never some of each', async () => {
    let sim: TrustSimulator;
    let [old, next]: (readonly PublishedBundle[])[] = [];
    let [first, second]: Published<Release>[] = [];
    let side: BundleSide;
    const seen = new globalThis.Set<string>();
    const moments = await everyPowerLoss({
      prepare: async (fs: FileSystem) => {
        sim = await trustSimulator({ area: TEAM });
        old = await publishPair(sim, 500);
        first = await sim.publishRelease(old);
        side = await startBundleSide({ simulator: sim, fs });
        await begin(side, sim);
        await stage(side, old);
        await side.offerRelease(first);
        await side.prove(sim);
        next = await publishPair(sim, 550);
        second = await sim.publishRelease(next);
      },
      async run(fs) {
        side = await startBundleSide({ simulator: sim, fs, clock: startClock() });
        for (const bundle of next!) await side.offerBundle(bundle);
        await side.offerRelease(second!);
        await side.hear(sim);
      },
      async check(fs, { name }) {
        const restarted = await startBundleSide({ simulator: sim, fs, clock: startClock() });
        const position = restarted.activator.position.active;
        seen.add(String(position?.releaseSeq));
        expect([name, [first!.digest, second!.digest].includes(position!.release)]).toEqual([name, true]);
        // Whatever had come is worth having; what had not comes again, and then it is the new set.
        for (const bundle of next!) expect([name, await restarted.offerBundle(bundle)]).toMatchObject([name, { ok: true }]);
        expect([name, await restarted.offerRelease(second!)]).toMatchObject([name, { ok: true }]);
        await restarted.prove(sim);
        expect([name, restarted.serves()]).toEqual([name, 'release 2']);
      },
    });
    expect(moments).toBeGreaterThan(50);
    expect([...seen].toSorted()).toEqual(['1', '2']);
  });
});

/** A set that was vetted before it was kept is not vetted again by a start. */
async function neverVets(): Promise<never> {
  throw new Error('a start vets nothing');
}
