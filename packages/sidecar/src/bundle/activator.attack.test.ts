import type { Area, Instant, ReleaseSeq, Revision, Ring } from '@sallyport/model';
import { bendPayload, flipBit, trustSimulator, type PublishedBundle, type TrustSimulator } from '@sallyport/testkit';
import { keyRecordOf } from '@sallyport/trust';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  feed,
  FOLDER,
  identityOf,
  nextBoot,
  publishPolicy,
  servingSide,
  startBundleSide,
  startClock,
  type BundleSide,
} from '../testing/bundle-side.ts';

const HOUR_MS = 3_600_000;

describe('attacks on what is enforced', () => {
  let sim: TrustSimulator;
  let one: Awaited<ReturnType<typeof servingSide>>;
  let side: BundleSide;
  let newer: PublishedBundle;
  let ttlMs: number;
  beforeEach(async () => {
    sim = await trustSimulator();
    ttlMs = sim.freshnessTtlMs;
    one = await servingSide(sim);
    ({ side } = one);
    expect(side.serves()).toBe('release 1');
    newer = await publishPolicy(sim, { version: 2 });
  });
  const restart = (over: Partial<Parameters<typeof startBundleSide>[0]> = {}): Promise<BundleSide> =>
    startBundleSide({ simulator: sim, fs: one.disk.restart('killed'), clock: nextBoot(side.clock), ...over });

  describe('rollback', () => {
    it('an older release is refused, and across a restart', async () => {
      await side.offerBundle(newer);
      const second = await sim.publishRelease(newer);
      expect(await side.offerRelease(second)).toEqual({ ok: true, value: 'active' });
      await side.hear(sim);
      expect(await side.offerRelease(one.release)).toMatchObject({ error: { code: 'ROLLBACK' } });
      expect(side.serves()).toBe('release 2');
      const again = await restart();
      expect(again.serves()).toBe('release 2');
      expect(await again.offerRelease(one.release)).toMatchObject({ error: { code: 'ROLLBACK' } });
      expect(again.serves()).toBe('release 2');
    });

    it('an older release put in the place of the newer on disk is not enforced', async () => {
      const older = one.disk.peek(`${FOLDER}/release.json`)!;
      await side.offerBundle(newer);
      await side.offerRelease(await sim.publishRelease(newer));
      await side.hear(sim);
      one.disk.plant(`${FOLDER}/release.json`, older);
      const again = await restart();
      expect(again.serves()).toBe('denies (absent)');
      expect(again.refusals).toContain('release ROLLBACK');
    });

    it('a whole older folder but for the mark denies; with the mark it is a wiped disk, and only a live proof helps', async () => {
      const older = snapshotOf(one.disk);
      await side.offerBundle(newer);
      const second = await sim.publishRelease(newer);
      await side.offerRelease(second);
      await side.hear(sim);
      for (const [path, bytes] of older) if (!path.endsWith('/high-water')) one.disk.plant(path, bytes);
      expect((await restart()).serves()).not.toBe('release 1');
      // With its old mark too, what a thief put back is as old as it was: it cannot serve longer than its ttl in total.
      one.disk.plant(`${FOLDER}/high-water`, older.get(`${FOLDER}/high-water`)!);
      const rewound = await restart();
      expect(await rewound.prove(sim)).toMatchObject({ ok: true });
      await rewound.run(ttlMs);
      expect(rewound.serves()).toBe('denies (expired)');
    });

    it('an older revision under a new number needs the rollback to be said, and two keys', async () => {
      await side.offerBundle(newer);
      await side.offerRelease(await sim.publishRelease(newer));
      expect(await side.offerRelease(await sim.publishRelease(one.bundle))).toMatchObject({ error: { code: 'ROLLBACK' } });
      const back = { rollback: true, reason: 'refunds were too wide' };
      const alone = await sim.publishRelease(one.bundle, { edit: (honest) => ({ ...honest, ...back }) });
      expect(await side.offerRelease(alone)).toMatchObject({ error: { code: 'SIGNATURE' } });
      const both = await sim.publishRelease(one.bundle, {
        edit: (honest) => ({ ...honest, ...back }),
        signers: ['release-1', 'release-2'],
      });
      expect(await side.offerRelease(both)).toEqual({ ok: true, value: 'active' });
    });

    it('the control plane of a restored backup: a statement that names the older release is refused', async () => {
      await side.offerBundle(newer);
      await side.offerRelease(await sim.publishRelease(newer));
      const stale = await sim.stateFreshness(side.clock.wall(), { leaves: [sim.leafOf(one.release as never)] });
      expect(await side.offer({ kind: 'freshness', offer: stale.offer })).toMatchObject({ error: { code: 'ROLLBACK' } });
    });
  });

  describe('time', () => {
    it('freeze: what hears nothing more denies when the ttl is used up, to the second', async () => {
      await side.run(ttlMs - 1_000);
      expect(side.serves()).toBe('release 1');
      await side.run(1_000);
      expect(side.serves()).toBe('denies (expired)');
    });

    it('hoarded statements played one per ttl: each is as old as it is', async () => {
      const hoard = [];
      for (let minute = 1; minute <= 4; minute++) {
        await side.run(60_000);
        hoard.push(await sim.stateFreshness(side.clock.wall()));
      }
      for (const { offer } of hoard) {
        await side.run(ttlMs);
        await side.offer({ kind: 'freshness', offer });
        expect(side.serves()).toBe('denies (expired)');
      }
    });

    it('hoarded statements across restarts, the wall clock rewound each time: the signers’ time is remembered', async () => {
      const hoard = [];
      for (let minute = 1; minute <= 4; minute++) {
        await side.run(60_000);
        hoard.push(await sim.stateFreshness(side.clock.wall()));
      }
      await side.run(ttlMs);
      let clock = side.clock;
      for (const { offer, payload } of hoard) {
        clock = nextBoot(clock);
        clock.setWall(payload.issuedAt);
        const again = await startBundleSide({ simulator: sim, fs: one.disk.restart('killed'), clock });
        await again.offer({ kind: 'freshness', offer });
        expect(again.serves()).toMatch(/^denies/);
        await again.run(ttlMs);
      }
    });

    it('after an honest life a restart alarms nobody: of its own statements it kept those whose age it remembers', async () => {
      for (let heard = 0; heard < 3; heard++) {
        await side.run(5_000);
        await side.hear(sim);
      }
      await side.run(2_000);
      const again = await restart();
      expect([again.serves(), again.refusals]).toEqual(['release 1', []]);
    });

    it('replay after restart: the same statement again goes on ageing where it was', async () => {
      await side.run(200_000);
      const said = await sim.stateFreshness((side.clock.wall() - 150_000) as Instant);
      await side.offer({ kind: 'freshness', offer: said.offer });
      await side.run(50_000);
      const before = ageOf(side);
      const again = await restart();
      again.clock.setWall(said.payload.issuedAt);
      expect(ageOf(again)).toBeGreaterThanOrEqual(before);
      expect(await again.offer({ kind: 'freshness', offer: said.offer })).toEqual({ ok: true, value: 'already' });
      await again.run(ttlMs - before);
      expect(again.serves()).toBe('denies (expired)');
    });

    it('a loop of crashes within one second, the clock rewound each time: each start costs what it may have hidden', async () => {
      const wall = side.clock.wall();
      let [served, clock] = [0, side.clock];
      for (let start = 0; start < ttlMs / 1_000 + 5; start++) {
        clock = nextBoot(clock);
        clock.setWall(wall);
        const again = await startBundleSide({ simulator: sim, fs: one.disk.restart('killed'), clock });
        if (again.serves() === 'release 1') served += 1;
        await clock.advance(900);
      }
      expect(served).toBeLessThanOrEqual(ttlMs / 1_000);
    });

    it('a wall clock set back, set ahead, or both in turn extends nothing', async () => {
      const end = side.clock.boot() + ttlMs;
      for (let jump = -HOUR_MS; side.clock.boot() < end - 1_000; jump = -jump) {
        // Ahead by an hour the statement is an hour old, and stays it: a clock that lied once is not forgiven.
        if (jump < 0) side.clock.setWall((side.clock.wall() + jump) as Instant);
        await side.run(10_000);
      }
      expect(side.serves()).toMatch(/release 1|expired/);
      await side.run(10_000);
      expect(side.serves()).toBe('denies (expired)');
    });

    it('a wall clock that was an hour ahead for a second has made the statement an hour old for good', async () => {
      side.clock.setWall((side.clock.wall() + HOUR_MS) as Instant);
      expect(side.serves()).toBe('denies (expired)');
      await side.run(1_000);
      side.clock.setWall((side.clock.wall() - HOUR_MS) as Instant);
      expect(side.serves()).toBe('denies (expired)');
      expect((await restart()).serves()).toBe('denies (expired)');
    });

    it('suspend: a laptop that slept past the ttl denies when it wakes, before anything else ran', async () => {
      await side.clock.suspend(ttlMs);
      expect(side.serves()).toBe('denies (expired)');
    });

    it('a proof that was held back is as old as its question', async () => {
      const question = side.activator.ask();
      const answer = await sim.proveLive(side.clock.wall(), question);
      await side.run(ttlMs);
      await side.offer({ kind: 'live_proof', offer: answer.offer });
      expect(side.serves()).toBe('denies (expired)');
    });

    it('a stretched ttl: the release bounds what a statement says', async () => {
      await side.run(1_000);
      const long = await sim.stateFreshness(side.clock.wall(), { edit: (honest) => ({ ...honest, ttlMs: 24 * HOUR_MS }) });
      await side.offer({ kind: 'freshness', offer: long.offer });
      await side.run(ttlMs);
      expect(side.serves()).toBe('denies (expired)');
    });

    it('ages that cannot be written bound nothing, so after five seconds nothing passes; and it comes back by itself', async () => {
      one.disk.fail({ on: 'append', code: 'ENOSPC', path: 'high-water' });
      const tick = async (): Promise<void> => {
        await side.clock.advance(1_000);
        await side.activator.charge().catch(() => undefined);
      };
      await tick();
      expect(side.serves()).toBe('release 1');
      for (let second = 0; second < 6; second++) await tick();
      expect(side.serves()).toBe('denies (absent)');
      expect(side.holder.read()).toMatchObject({ why: 'the age of the bundle cannot be written to disk' });
      one.disk.heal();
      await tick();
      expect(side.serves()).toBe('release 1');
    });

    it('a start that cannot write its ages serves nothing until it can', async () => {
      const fs = one.disk.restart('killed');
      one.disk.fail({ on: 'rename', code: 'EIO', path: 'high-water' });
      const again = await startBundleSide({ simulator: sim, fs, clock: nextBoot(side.clock) });
      expect(again.serves()).toBe('denies (absent)');
      one.disk.heal();
      await again.run(1_000);
      expect(again.serves()).toBe('release 1');
    });
  });

  describe('memory', () => {
    it('high-water deleted: denies whatever else is there, until a live proof', async () => {
      one.disk.restart('killed').unlink(`${FOLDER}/high-water`);
      const again = await restart();
      expect(again.serves()).toBe('denies (never_renewed)');
      expect(await again.hear(sim)).toMatchObject({ error: { code: 'ROLLBACK' } });
      expect(again.serves()).toBe('denies (never_renewed)');
      await again.prove(sim);
      expect(again.serves()).toBe('release 1');
    });

    it('wiped disk: as on the first day, and a replayed proof is refused', async () => {
      const question = side.activator.ask();
      const answer = await sim.proveLive(side.clock.wall(), question);
      expect(await side.offer({ kind: 'live_proof', offer: answer.offer })).toMatchObject({ ok: true });
      const fs = one.disk.restart('killed');
      for (const path of snapshotOf(one.disk).keys()) fs.unlink(path);
      const again = await startBundleSide({ simulator: sim, fs, clock: nextBoot(side.clock) });
      expect(again.serves()).toBe('denies (absent)');
      for (const envelope of sim.chain) await again.offer({ kind: 'root', envelope });
      await again.offer({ kind: 'online_keys', envelope: sim.onlineKeys.envelope });
      again.activator.ask();
      again.activator.ask();
      expect(await again.offer({ kind: 'live_proof', offer: answer.offer })).toMatchObject({ error: { code: 'ROLLBACK' } });
      await feed(again, sim, one);
      expect(again.serves()).toBe('release 1');
    });

    it('a start keeps the bundle that is enforced, whatever the names of the newer ones that are staged', async () => {
      for (let version = 3, staged = 0; staged < 4; version++) {
        const later = await publishPolicy(sim, { version });
        if (later.digest < one.bundle.digest) continue;
        staged += 1;
        expect(await side.offerBundle(later)).toEqual({ ok: true, value: 'staged' });
      }
      const again = await restart();
      expect(again.serves()).toBe('release 1');
    });

    it('a start keeps the newest of what is staged, whatever its name', async () => {
      const staged: PublishedBundle[] = [];
      for (let version = 3; staged.length < 4 || staged.at(-1)!.digest > staged.map(({ digest }) => digest).toSorted()[0]!; version++) {
        staged.push(await publishPolicy(sim, { version }));
        await side.offerBundle(staged.at(-1)!);
      }
      side = await restart();
      const oneMore = await publishPolicy(sim, { version: 99 });
      await side.offerBundle(oneMore);
      expect(await side.offerRelease(await sim.publishRelease(staged.at(-1)!))).toEqual({ ok: true, value: 'active' });
    });

    it('a bundle that is gone back to is kept, however old its revision', async () => {
      for (let version = 3; version <= 8; version++) await side.offerBundle(await publishPolicy(sim, { version }));
      expect(await side.offerBundle(newer)).toEqual({ ok: true, value: 'staged' });
      expect(await side.offerRelease(await sim.publishRelease(newer))).toEqual({ ok: true, value: 'active' });
    });

    it('two releases under one number: the second is equivocation, and the first stays', async () => {
      await side.offerBundle(newer);
      const twin = await sim.publishRelease(newer, { edit: (honest) => ({ ...honest, releaseSeq: 1 as ReleaseSeq }) });
      expect(await side.offerRelease(twin)).toMatchObject({ error: { code: 'EQUIVOCATION' } });
      expect(side.serves()).toBe('release 1');
    });

    it('two replicas, one number: another statement under a number that was heard is equivocation', async () => {
      const heard = await sim.stateFreshness(side.clock.wall());
      await side.offer({ kind: 'freshness', offer: heard.offer });
      const twin = await sim.stateFreshness(side.clock.wall(), {
        edit: (honest) => ({ ...honest, seq: heard.payload.seq, ttlMs: 60_000 }),
      });
      expect(await side.offer({ kind: 'freshness', offer: twin.offer })).toMatchObject({ error: { code: 'EQUIVOCATION' } });
    });
  });

  describe('what was signed', () => {
    it('one byte changed anywhere in a bundle, its delegation or a part: refused, and the old one stays', async () => {
      const refused = async (taken: ReturnType<BundleSide['offerBundle']>): Promise<void> => {
        expect((await taken).ok).toBe(false);
        expect(side.serves()).toBe('release 1');
      };
      // A key id is a hint: everything else of an envelope counts.
      const counts = (envelope: Uint8Array): number => Buffer.from(envelope).indexOf('"keyid"');
      for (let at = 0; at < counts(newer.envelope); at += 61) {
        await refused(side.offerBundle({ ...newer, envelope: flipBit(newer.envelope, at) }));
        await refused(side.offerBundle({ ...newer, delegation: flipBit(newer.delegation, at % counts(newer.delegation)) }));
      }
      const { catalog } = newer.parts;
      for (let at = 0; at < catalog.length; at += 61)
        await refused(side.offerBundle(newer, { ...newer.parts, catalog: flipBit(catalog, at) }));
      expect(await side.offerBundle(newer)).toEqual({ ok: true, value: 'staged' });
    });

    it.each([
      ['nobody', []],
      ['a stranger', ['mallory', 'trudy']],
      ['one publisher of two', ['publisher-1']],
      ['one publisher twice', ['publisher-1', 'publisher-1']],
      ['the release keys', ['release-1', 'release-2']],
    ])('a bundle signed by %s is refused', async (_, signers) => {
      const forged = await publishPolicy(sim, { version: 3, signers });
      expect(await side.offerBundle(forged)).toMatchObject({ error: { code: 'SIGNATURE' } });
      expect(side.serves()).toBe('release 1');
    });

    it('one key counted twice: two publishers of one public key under two ids are one', async () => {
      const twin = await sim.publishDelegation({
        edit: (honest) => {
          const [first] = honest.keys;
          const other = { ...first!, keyId: 'ff'.repeat(16) as never };
          return { ...honest, keys: [first!, other], publishers: { keyIds: [first!.keyId, other.keyId], threshold: 2 } };
        },
      });
      const forged = await publishPolicy(sim, { version: 3, signers: ['publisher-1', 'publisher-1'] });
      expect((await side.offerBundle({ ...forged, delegation: twin.envelope })).ok).toBe(false);
    });

    it.each([
      ['the manifest', (payload: Record<string, unknown>) => void (payload['only_on_sundays'] = true)],
      [
        'a part record',
        (payload: Record<string, unknown>) =>
          void ((payload['parts'] as Record<string, object>)['policy'] = {
            ...(payload['parts'] as Record<string, object>)['policy'],
            compression: 'none',
          }),
      ],
      ['the features', (payload: Record<string, unknown>) => void (payload['features'] = ['quantum_rules'])],
    ])('an unknown word in %s is MIN_VERSION, however well it is signed', async (_, edit) => {
      const envelope = await bendPayload('Bundle', newer.envelope, edit, [sim.signer('publisher-1'), sim.signer('publisher-2')]);
      expect(await side.offerBundle({ ...newer, envelope })).toMatchObject({ error: { code: 'MIN_VERSION' } });
    });

    it('an unknown field in a release or a statement is MIN_VERSION', async () => {
      await side.offerBundle(newer);
      const bent = (kind: 'Release' | 'Freshness', envelope: Uint8Array, signer: string): Promise<Uint8Array> =>
        bendPayload(kind, envelope, (payload) => void (payload['except'] = ['mallory']), [sim.signer(signer)]);
      const release = await sim.publishRelease(newer);
      expect(await side.offerRelease({ envelope: await bent('Release', release.envelope, 'release-1') })).toMatchObject({
        error: { code: 'MIN_VERSION' },
      });
      const { offer } = await sim.stateFreshness(side.clock.wall());
      const statement = { ...offer, envelope: await bent('Freshness', offer.envelope, 'freshness-1') };
      expect(await side.offer({ kind: 'freshness', offer: statement })).toMatchObject({ error: { code: 'MIN_VERSION' } });
    });

    it('an unknown field in a part does not compile here, and so is not staged', async () => {
      const policy = JSON.parse(new TextDecoder().decode(newer.parts.policy)) as Record<string, unknown>;
      const bent = new TextEncoder().encode(JSON.stringify({ ...policy, unless: 'full moon' }));
      const signed = await sim.publishBundle({ parts: { ...newer.parts, policy: bent } });
      expect(await side.offerBundle(signed)).toMatchObject({ error: { code: 'COMPILE' } });
      expect(side.serves()).toBe('release 1');
    });

    it('mix-and-match: a part of another revision is refused, and so is a release that mixes what was signed apart', async () => {
      expect(await side.offerBundle(newer, { ...newer.parts, catalog: one.bundle.parts.catalog })).toMatchObject({
        error: { code: 'DIGEST' },
      });
      await side.offerBundle(newer);
      const mixed = await sim.publishRelease(newer, {
        edit: (honest) => ({ ...honest, bundles: [{ ...honest.bundles[0]!, revision: 1 as Revision }] }),
      });
      expect(await side.offerRelease(mixed)).toMatchObject({ error: { code: 'DIGEST' } });
    });

    it('a release of a bundle that was never staged here is refused', async () => {
      expect(await side.offerRelease(await sim.publishRelease(newer))).toMatchObject({ error: { code: 'DIGEST' } });
      expect(side.serves()).toBe('release 1');
    });
  });

  describe('slow drip', () => {
    it('a part that never comes holds up neither revocations, nor ages, nor the freshness of what is enforced', async () => {
      const { promise: never } = Promise.withResolvers<never>();
      void side.activator.offer({ kind: 'bundle', envelope: newer.envelope, delegation: newer.delegation, fetch: () => never });
      const { envelope } = await sim.revoke({ selector: { type: 'agent', value: 'support-triage' } });
      expect(await side.offer({ kind: 'revocation', envelope })).toEqual({ ok: true, value: 'taken' });
      await side.run(2_000);
      expect(await side.hear(sim)).toEqual({ ok: true, value: 'taken' });
      expect(side.serves()).toBe('release 1');
    });

    it('a root that comes while parts are on their way: the bundle is judged again under it', async () => {
      const { promise, resolve } = Promise.withResolvers<PublishedBundle['parts']>();
      const staging = side.activator.offer({
        kind: 'bundle',
        envelope: newer.envelope,
        delegation: newer.delegation,
        fetch: () => promise,
      });
      const next = await sim.publishRoot({
        edit: (honest) => {
          const keys = [...honest.keys, ...['registrar-3', 'registrar-4'].map((name) => keyRecordOf(sim.signer(name).publicRaw))];
          const registrars = keys.slice(-2).map(({ keyId }) => keyId);
          const gone = honest.roles.registrar.keyIds;
          return {
            ...honest,
            keys: keys.filter(({ keyId }) => !gone.includes(keyId)),
            roles: { ...honest.roles, registrar: { keyIds: registrars, threshold: 2 } },
          };
        },
      });
      expect(await side.offer({ kind: 'root', envelope: next.envelope })).toEqual({ ok: true, value: 'taken' });
      resolve(newer.parts);
      expect(await staging).toMatchObject({ error: { code: 'DELEGATION' } });
      expect(side.serves()).toBe('denies (absent)');
    });
  });

  describe('wrong place', () => {
    it.each([
      ['area', { area: 'elsewhere' as Area }],
      ['ring', { ring: 'canary' as Ring }],
    ])('a release for another %s is refused', async (_, place) => {
      await side.offerBundle(newer);
      const release = await sim.publishRelease(newer, { edit: (honest) => ({ ...honest, ...place }) });
      expect(await side.offerRelease(release)).toMatchObject({ error: { code: 'AREA' } });
    });

    it('a bundle of another area is refused, also when its publishers sign for ours', async () => {
      const other = await trustSimulator({ area: 'elsewhere' });
      expect((await side.offerBundle(await publishPolicy(other))).ok).toBe(false);
      const ours = await publishPolicy(sim, { version: 3, edit: (honest) => ({ ...honest, area: 'elsewhere' as Area }) });
      expect(await side.offerBundle(ours)).toMatchObject({ error: { code: 'AREA' } });
    });

    it('a proof made for another sidecar is refused', async () => {
      const { nonce } = side.activator.ask();
      const other = `${identityOf(sim)}-other`;
      const { offer } = await sim.proveLive(side.clock.wall(), { nonce, identity: other });
      expect(await side.offer({ kind: 'live_proof', offer })).toMatchObject({ error: { code: 'AREA' } });
    });

    it('a sidecar of another area that is given our whole cache enforces nothing of it', async () => {
      const moved = await restart({ receiver: { area: 'elsewhere' as Area } });
      expect(moved.serves()).toBe('denies (absent)');
    });
  });

  describe('roots', () => {
    it('development root refused without the flag, from the stream and from the cache', async () => {
      const fresh = await startBundleSide({
        simulator: sim,
        fs: (await servingSide(sim)).disk.restart('killed'),
        allowDevelopmentRoot: false,
      });
      expect(fresh.serves()).toBe('denies (absent)');
      expect(fresh.refusals).toContain('root ROOT');
      expect(await fresh.offer({ kind: 'root', envelope: sim.root.envelope })).toMatchObject({ error: { code: 'ROOT' } });
    });

    it('no trust on first use: another root is refused whoever signed it, from the stream and from the cache', async () => {
      const other = await trustSimulator({ seed: 'mallory' });
      const theirs = await servingSide(other);
      const fooled = await startBundleSide({ simulator: sim, fs: theirs.disk.restart('killed'), clock: startClock() });
      expect(fooled.serves()).toBe('denies (absent)');
      expect(await fooled.offer({ kind: 'root', envelope: other.root.envelope })).toMatchObject({ error: { code: 'ROOT' } });
    });

    it('a development root never turns into a production root', async () => {
      const next = await sim.publishRoot({ edit: (honest) => ({ ...honest, profile: 'production' }) });
      expect(await side.offer({ kind: 'root', envelope: next.envelope })).toMatchObject({ error: { code: 'ROOT' } });
      expect(side.serves()).toBe('release 1');
    });

    it('links taken away on disk: nothing is enforced under an older root than was once followed', async () => {
      const next = await sim.publishRoot();
      expect(await side.offer({ kind: 'root', envelope: next.envelope })).toEqual({ ok: true, value: 'taken' });
      await side.prove(sim);
      expect(side.serves()).toBe('release 1');
      one.disk.restart('killed').unlink(`${FOLDER}/roots/0000000000000002.json`);
      const again = await restart();
      expect(again.serves()).toBe('denies (absent)');
      expect(again.refusals).toContain('root ROLLBACK');
    });

    it('nothing counts before a root: what comes too early is refused, not kept', async () => {
      const early = await startBundleSide({ simulator: sim, fs: (await servingSide(sim)).disk.restart('killed'), pin: newer.digest });
      expect(await early.offerBundle(newer)).toMatchObject({ error: { code: 'ROOT' } });
      expect(await early.offerRelease(one.release)).toMatchObject({ error: { code: 'ROOT' } });
      expect(await early.hear(sim)).toMatchObject({ error: { code: 'ROOT' } });
    });
  });

  describe('revocations', () => {
    it('withholding one and showing the next: nothing is fresh until the gap is closed', async () => {
      const first = await sim.revoke({ selector: { type: 'principal', value: 'mallory' } });
      const second = await sim.revoke({ selector: { type: 'principal', value: 'trudy' } });
      expect(await side.offer({ kind: 'revocation', envelope: second.envelope })).toEqual({ ok: true, value: 'held_back' });
      expect(side.serves()).toBe('denies (revocation_gap)');
      await side.offer({ kind: 'revocation', envelope: first.envelope });
      await side.offer({ kind: 'revocation', envelope: second.envelope });
      await side.hear(sim);
      expect(side.serves()).toBe('release 1');
    });

    it('a revocation denies before it is on disk, and when the disk fails', async () => {
      const banned = { agent: 'support-triage' as never };
      one.disk.fail({ on: 'create', code: 'ENOSPC', path: 'revocations' });
      const { envelope } = await sim.revoke({ selector: { type: 'agent', value: 'support-triage' } });
      await expect(side.offer({ kind: 'revocation', envelope })).rejects.toThrow();
      const held = side.holder.read();
      expect(held.state === 'absent' || held.snapshot.revocations.denies(banned, side.clock.wall())).toBe(true);
    });

    it('the log taken away on disk: nothing is fresh without what was known to exist', async () => {
      const { envelope } = await sim.revoke({ selector: { type: 'agent', value: 'support-triage' } });
      await side.offer({ kind: 'revocation', envelope });
      await side.hear(sim);
      one.disk.restart('killed').unlink(`${FOLDER}/revocations/0000000000000001.json`);
      expect((await restart()).serves()).toBe('denies (revocation_gap)');
    });

    it('a revoked bundle is not released again', async () => {
      await side.offerBundle(newer);
      const { envelope } = await sim.revoke({ selector: { type: 'bundle', value: newer.digest } });
      await side.offer({ kind: 'revocation', envelope });
      expect(await side.offerRelease(await sim.publishRelease(newer))).toMatchObject({ error: { code: 'ROLLBACK' } });
    });
  });
});

/** Every file as it stands. */
function snapshotOf(disk: Awaited<ReturnType<typeof servingSide>>['disk']): ReadonlyMap<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  for (const folder of [FOLDER, `${FOLDER}/roots`, `${FOLDER}/bundles`, `${FOLDER}/revocations`])
    for (const name of disk.fs.list(folder)) {
      const bytes = disk.peek(`${folder}/${name}`);
      if (bytes !== undefined) files.set(`${folder}/${name}`, bytes);
    }
  return files;
}

function ageOf(side: BundleSide): number {
  const state = side.state();
  return state.kind === 'absent' ? Number.NaN : (state.ageMs ?? Number.NaN);
}
