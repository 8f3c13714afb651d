import { flipBit, trustReceiver, trustSimulator } from '@sallyport/testkit';
import type { Bend, PublishedBundle, TrustReceiver, TrustSimulator } from '@sallyport/testkit';
import type { Area, Revision, Ring } from '@sallyport/model';
import type { Release } from '@sallyport/trust';
import { beforeEach, describe, expect, it } from 'vitest';

describe('release attacks', () => {
  let sim: TrustSimulator;
  let receiver: TrustReceiver;
  let older: PublishedBundle;
  let newer: PublishedBundle;
  beforeEach(async () => {
    sim = await trustSimulator();
    receiver = trustReceiver(sim);
    [older, newer] = [await sim.publishBundle(), await sim.publishBundle()];
    for (const bundle of [older, newer]) expect(receiver.takeBundle(bundle)).toBeUndefined();
  });

  it('rollback: a lower release_seq is refused and what is enforced stays', async () => {
    const first = await sim.publishRelease(older);
    const second = await sim.publishRelease(newer);
    expect(receiver.takeRelease(second.envelope)).toBeUndefined();
    expect(receiver.takeRelease(first.envelope)).toMatchObject({ code: 'ROLLBACK' });
    expect(receiver.active).toBe(second.digest);
  });

  it('rollback across a restart: the high-water mark remembers', async () => {
    const first = await sim.publishRelease(older);
    const second = await sim.publishRelease(newer);
    receiver.takeRelease(second.envelope);
    await prove(sim, receiver);
    receiver.restart((files) => ({ ...files, release: first.envelope }));
    expect(receiver.active).toBeUndefined();
    expect(receiver.takeRelease(second.envelope)).toBeUndefined();
  });

  it('the same release again is a no-op', async () => {
    const release = await sim.publishRelease(newer);
    expect(receiver.takeRelease(release.envelope)).toBeUndefined();
    expect(receiver.takeRelease(release.envelope)).toBeUndefined();
    expect(receiver.active).toBe(release.digest);
  });

  it('equivocation: two releases under one release_seq', async () => {
    const first = await sim.publishRelease(newer);
    const second = await sim.publishRelease(older, { edit: (honest) => ({ ...honest, releaseSeq: first.payload.releaseSeq }) });
    expect(receiver.takeRelease(first.envelope)).toBeUndefined();
    expect(receiver.takeRelease(second.envelope)).toMatchObject({ code: 'EQUIVOCATION' });
    expect(receiver.active).toBe(first.digest);
  });

  it('going back needs to be said, to have a reason, and the rollback threshold', async () => {
    receiver.takeRelease((await sim.publishRelease(newer)).envelope);
    const back = { rollback: true, reason: 'refunds were too wide' };
    const silent = await sim.publishRelease(older, { signers: ['release-1', 'release-2'] });
    expect(receiver.takeRelease(silent.envelope)).toMatchObject({ code: 'ROLLBACK' });
    const alone = await sim.publishRelease(older, { edit: (honest) => ({ ...honest, ...back }) });
    expect(receiver.takeRelease(alone.envelope)).toMatchObject({ code: 'SIGNATURE' });
    const twice = await sim.publishRelease(older, { edit: (honest) => ({ ...honest, ...back }), signers: ['release-1', 'release-1'] });
    expect(receiver.takeRelease(twice.envelope)).toMatchObject({ code: 'SIGNATURE' });
    const unexplained = await sim.publishRelease(older, {
      edit: (honest) => ({ ...honest, rollback: true }),
      signers: ['release-1', 'release-2'],
    });
    expect(receiver.takeRelease(unexplained.envelope)).toMatchObject({ code: 'ROLLBACK' });
    const honest = await sim.publishRelease(older, { edit: (one) => ({ ...one, ...back }), signers: ['release-1', 'release-2'] });
    expect(receiver.takeRelease(honest.envelope)).toBeUndefined();
    expect(receiver.active).toBe(honest.digest);
  });

  it('a listed fallback is no shortcut: one key still does not go back', async () => {
    receiver.takeRelease((await sim.publishRelease(newer, { edit: (honest) => ({ ...honest, fallbacks: [older.digest] }) })).envelope);
    const back = await sim.publishRelease(older, { edit: (honest) => ({ ...honest, rollback: true, reason: 'listed' }) });
    expect(receiver.takeRelease(back.envelope)).toMatchObject({ code: 'SIGNATURE' });
  });

  it('after going back, the highest revision still counts: the next return needs two keys again', async () => {
    receiver.takeRelease((await sim.publishRelease(newer)).envelope);
    const back = await sim.publishRelease(older, {
      edit: (honest) => ({ ...honest, rollback: true, reason: 'back' }),
      signers: ['release-1', 'release-2'],
    });
    receiver.takeRelease(back.envelope);
    expect(receiver.takeRelease((await sim.publishRelease(older)).envelope)).toMatchObject({ code: 'ROLLBACK' });
    expect(receiver.takeRelease((await sim.publishRelease(newer)).envelope)).toBeUndefined();
  });

  it('mix-and-match: only bundles verified here, under exactly their area and revision', async () => {
    const unknown = await sim.publishRelease(await sim.publishBundle());
    expect(receiver.takeRelease(unknown.envelope)).toMatchObject({ code: 'DIGEST' });
    for (const bent of [{ revision: 9 as Revision }, { area: 'finance' as Area }]) {
      const release = await sim.publishRelease(newer, {
        edit: (honest) => ({ ...honest, bundles: honest.bundles.map((one) => ({ ...one, ...bent })) }),
      });
      expect(receiver.takeRelease(release.envelope)).toMatchObject({ code: 'DIGEST' });
    }
    const doubled = await sim.publishRelease(newer, {
      edit: (honest) => ({
        ...honest,
        bundles: [...honest.bundles, { area: older.payload.area, digest: older.digest, revision: older.payload.revision }],
      }),
    });
    expect(receiver.takeRelease(doubled.envelope)).toMatchObject({ code: 'AREA' });
  });

  describe('of several layers', () => {
    let inTeam: TrustSimulator;
    let at: ReturnType<typeof trustReceiver>;
    let [company, branch, team]: PublishedBundle[] = [];
    beforeEach(async () => {
      inTeam = await trustSimulator({ area: 'company/branch/team' });
      at = trustReceiver(inTeam);
      [company, branch, team] = [
        await inTeam.publishLayer('company'),
        await inTeam.publishLayer('company/branch'),
        await inTeam.publishBundle(),
      ];
      for (const bundle of [company, branch, team]) expect(at.takeBundle(bundle)).toBeUndefined();
    });
    const release = async (bundles: readonly (PublishedBundle | undefined)[], bend: Bend<Release> = {}): Promise<Uint8Array> =>
      (
        await inTeam.publishRelease(
          bundles.filter((one) => one !== undefined),
          bend,
        )
      ).envelope;

    it('broadest first they are one release, and none need be there but one', async () => {
      expect(at.takeRelease(await release([company, branch, team]))).toBeUndefined();
      const other = trustReceiver(inTeam);
      for (const bundle of [company, team]) if (bundle !== undefined) other.takeBundle(bundle);
      expect(other.takeRelease(await release([company, team]))).toBeUndefined();
    });

    it('a team above its organisation: an order that does not follow the areas is refused', async () => {
      for (const order of [
        [team, company],
        [company, team, branch],
        [branch, company, team],
      ])
        expect(at.takeRelease(await release(order))).toMatchObject({ code: 'LAYER' });
    });

    it('a layer twice, by another bundle or by the same, is refused', async () => {
      const newerTeam = await inTeam.publishBundle();
      at.takeBundle(newerTeam);
      for (const twice of [
        [company, team, newerTeam],
        [company, company, team],
      ])
        expect(at.takeRelease(await release(twice))).toMatchObject({ code: 'AREA' });
    });

    it('a layer left out by one release key, whose ceilings would be gone: two keys and a reason, or nothing', async () => {
      at.takeRelease(await release([company, branch, team]));
      const said: Bend<Release> = { edit: (honest) => ({ ...honest, rollback: true, reason: 'the branch is closed' }) };
      expect(at.takeRelease(await release([company, team]))).toMatchObject({ code: 'ROLLBACK' });
      expect(at.takeRelease(await release([company, branch]))).toMatchObject({ code: 'ROLLBACK' });
      expect(at.takeRelease(await release([company, team], said))).toMatchObject({ code: 'SIGNATURE' });
      expect(at.takeRelease(await release([company, team], { ...said, signers: ['release-1', 'release-2'] }))).toBeUndefined();
      // Said once: the next release need not say it again.
      expect(at.takeRelease(await release([company, team]))).toBeUndefined();
      expect(at.takeRelease(await release([team]))).toMatchObject({ code: 'ROLLBACK' });
    });

    it('the organisation rolled back under a new team bundle is going back', async () => {
      const newer = await inTeam.publishLayer('company');
      at.takeBundle(newer);
      at.takeRelease(await release([newer, branch, team]));
      const newerTeam = await inTeam.publishBundle();
      at.takeBundle(newerTeam);
      expect(at.takeRelease(await release([company, branch, newerTeam]))).toMatchObject({ code: 'ROLLBACK' });
    });

    it('a bundle that a team signed for its organisation is none of the organisation', async () => {
      const forged = await inTeam.publishBundle({ edit: (honest) => ({ ...honest, area: 'company' as Area }) });
      expect(at.takeBundle(forged)).toMatchObject({ code: 'AREA' });
      const claimed = await inTeam.publishLayer('company', { signers: ['publisher-1', 'publisher-2'] });
      expect(at.takeBundle(claimed)).toMatchObject({ code: 'SIGNATURE' });
    });

    it('endless data in pieces: bundles that are each within the bound, and not together', async () => {
      const large = (byte: number): Record<'policy' | 'catalog' | 'tests', Uint8Array> => ({
        policy: new Uint8Array(3_000_000).fill(byte),
        catalog: new Uint8Array(3_000_000).fill(byte + 1),
        tests: new Uint8Array(3_000_000).fill(byte + 2),
      });
      const [wide, narrow] = [await inTeam.publishLayer('company', { parts: large(1) }), await inTeam.publishBundle({ parts: large(4) })];
      for (const bundle of [wide, narrow]) expect(at.takeBundle(bundle)).toBeUndefined();
      expect(at.takeRelease(await release([wide, narrow]))).toMatchObject({ code: 'SIZE' });
      expect(at.takeRelease(await release([wide, team]))).toBeUndefined();
    });
  });

  it.each([
    ['another area', { area: 'finance' as Area }],
    ['another ring', { ring: 'canary' as Ring }],
  ])('wrong area: a release for %s is refused', async (_name, bent) => {
    const release = await sim.publishRelease(newer, { edit: (honest) => ({ ...honest, ...bent }) });
    expect(receiver.takeRelease(release.envelope)).toMatchObject({ code: 'AREA' });
  });

  it.each([1_999, 300_001])('stretched ttl: %d ms is outside what the root allows', async (freshnessTtlMsMax) => {
    const release = await sim.publishRelease(newer, { edit: (honest) => ({ ...honest, freshnessTtlMsMax }) });
    expect(receiver.takeRelease(release.envelope)).toMatchObject({ code: 'ROOT' });
  });

  it.each([
    ['publishers', ['publisher-1', 'publisher-2']],
    ['the online keys of a taken control plane', ['freshness-1', 'revocation-1']],
    ['nobody known', ['mallory']],
  ])('fully taken control plane: a release signed by %s is refused', async (_name, signers) => {
    const release = await sim.publishRelease(newer, { signers });
    expect(receiver.takeRelease(release.envelope)).toMatchObject({ code: 'SIGNATURE' });
  });

  it('production: one stolen release key makes no release', async () => {
    const strict = await trustSimulator({ profile: 'production' });
    const at = trustReceiver(strict);
    const bundle = await strict.publishBundle();
    at.takeBundle(bundle);
    expect(at.takeRelease((await strict.publishRelease(bundle, { signers: ['release-1'] })).envelope)).toMatchObject({ code: 'SIGNATURE' });
    expect(at.takeRelease((await strict.publishRelease(bundle)).envelope)).toBeUndefined();
  });

  it('a revoked bundle is not enforced again', async () => {
    receiver.takeRevocation((await sim.revoke({ selector: { type: 'bundle', value: newer.digest } })).envelope);
    expect(receiver.takeRelease((await sim.publishRelease(newer)).envelope)).toMatchObject({ code: 'ROLLBACK' });
    expect(receiver.takeRelease((await sim.publishRelease(older)).envelope)).toBeUndefined();
  });

  it('edited cache: a release with a turned bit is not enforced after a restart', async () => {
    receiver.takeRelease((await sim.publishRelease(newer)).envelope);
    await prove(sim, receiver);
    receiver.restart((files) => ({ ...files, release: flipBit(files.release ?? new Uint8Array(), 80) }));
    expect(receiver.active).toBeUndefined();
    expect(receiver.state()).toEqual({ kind: 'absent' });
  });

  it('fast-forward recovery: after the release keys are replaced, release_seq starts anew and proof is asked for', async () => {
    const last = await sim.publishRelease(newer, { edit: (honest) => ({ ...honest, releaseSeq: Number.MAX_SAFE_INTEGER as never }) });
    receiver.takeRelease(last.envelope);
    await prove(sim, receiver);
    const fresh = ['release-3', 'release-4'];
    const root = await sim.publishRoot({
      edit: (honest) => {
        const old = honest.roles.release.keyIds;
        const keys = fresh.map((name) => ({
          keyId: sim.signer(name).keyId as never,
          alg: 'ed25519' as const,
          publicRaw: sim.signer(name).publicRaw,
        }));
        return {
          ...honest,
          keys: [...honest.keys.filter((key) => !old.includes(key.keyId)), ...keys],
          roles: { ...honest.roles, release: { keyIds: keys.map((key) => key.keyId), threshold: 1, rollbackThreshold: 2 } },
        };
      },
    });
    expect(receiver.takeRoot(root.envelope)).toBeUndefined();
    // What only the old keys signed no longer verifies, and no statement of theirs is remembered.
    expect(receiver.state()).toEqual({ kind: 'absent' });
    expect(receiver.memory.signerTime).toBeUndefined();
    expect(receiver.takeRelease(last.envelope)).toMatchObject({ code: 'SIGNATURE' });
    const next = await sim.publishRelease(newer, { signers: ['release-3'] });
    expect(receiver.takeRelease(next.envelope)).toBeUndefined();
    expect(receiver.state()).toMatchObject({ kind: 'stale', reason: 'never_renewed' });
    await sim.publishOnlineKeys({ signers: ['release-3'] });
    expect(receiver.takeOnlineKeys(sim.onlineKeys.envelope)).toBeUndefined();
    await prove(sim, receiver);
    expect(receiver.state().kind).toBe('fresh');
  });
});

async function prove(sim: TrustSimulator, receiver: TrustReceiver): Promise<void> {
  const proof = await sim.proveLive(receiver.clock.wall, receiver.ask());
  expect(receiver.takeProof(proof.offer)).toBeUndefined();
}
