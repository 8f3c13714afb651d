/** Going to a listed fallback takes one key, and one key can do nothing else with it. */

import { trustReceiver, trustSimulator } from '@sallyport/testkit';
import type { Bend, PublishedBundle, TrustReceiver, TrustSimulator } from '@sallyport/testkit';
import type { Digest, Revision, Ring } from '@sallyport/model';
import type { Release } from '@sallyport/trust';
import { beforeEach, describe, expect, it } from 'vitest';

const ONE_KEY = ['release-1'];

describe('a fallback', () => {
  let sim: TrustSimulator;
  let receiver: TrustReceiver;
  let older: PublishedBundle;
  let newer: PublishedBundle;
  let unlisted: PublishedBundle;
  let listing: { readonly envelope: Uint8Array; readonly payload: Release };
  beforeEach(async () => {
    sim = await trustSimulator({ profile: 'production' });
    receiver = trustReceiver(sim);
    [unlisted, older, newer] = [await sim.publishBundle(), await sim.publishBundle(), await sim.publishBundle()];
    for (const bundle of [unlisted, older, newer]) expect(receiver.takeBundle(bundle)).toBeUndefined();
    await sim.publishRelease(unlisted);
    listing = await sim.publishRelease(newer, { edit: (release) => ({ ...release, fallbacks: [older.digest] }) });
    expect(receiver.takeRelease(listing.envelope)).toBeUndefined();
  });

  const goTo = async (
    bundle: PublishedBundle,
    { edit = (release) => release, signers = ONE_KEY }: Bend<Release> = {},
  ): Promise<Uint8Array> => {
    const honest = (release: Release): Release => ({ ...release, rollback: true, reason: 'wrong', fallbackOf: listing.envelope });
    return (await sim.publishRelease(bundle, { edit: (release) => edit(honest(release)), signers })).envelope;
  };

  it('is gone to by one key of production, and still stands after a restart', async () => {
    const envelope = await goTo(older);
    expect(receiver.takeRelease(envelope)).toBeUndefined();
    receiver.restart();
    expect(receiver.takeRelease(envelope)).toBeUndefined();
  });

  it('is taken by a receiver that was never told of the release before', async () => {
    const late = trustReceiver(sim);
    expect(late.takeBundle(older)).toBeUndefined();
    expect(late.takeRelease(await goTo(older))).toBeUndefined();
  });

  it('one stolen key goes nowhere else, and not without the list', async () => {
    expect(receiver.takeRelease(await goTo(unlisted))).toMatchObject({
      code: 'ROLLBACK',
      detail: expect.stringContaining('is no fallback'),
    });
    const alone = await sim.publishRelease(older, { edit: (release) => ({ ...release, rollback: true, reason: 'x' }), signers: ONE_KEY });
    expect(receiver.takeRelease(alone.envelope)).toMatchObject({ code: 'SIGNATURE' });
  });

  it('a list that one key alone has signed lists nothing', async () => {
    const own = await sim.publishRelease(newer, { edit: (release) => ({ ...release, fallbacks: [unlisted.digest] }), signers: ONE_KEY });
    const envelope = await goTo(unlisted, { edit: (release) => ({ ...release, fallbackOf: own.envelope }) });
    expect(receiver.takeRelease(envelope)).toMatchObject({ code: 'SIGNATURE', detail: expect.stringContaining('that lists the fallback') });
  });

  it('a list of long ago, after the signers have thought better of it', async () => {
    const later = await sim.publishRelease(newer);
    expect(receiver.takeRelease(later.envelope)).toBeUndefined();
    expect(receiver.takeRelease(await goTo(older))).toMatchObject({
      code: 'ROLLBACK',
      detail: expect.stringContaining('release 2 lists is release 3'),
    });
  });

  it('a second step back takes the threshold again', async () => {
    const first = await goTo(older, { edit: (release) => ({ ...release, fallbacks: [older.digest] }) });
    expect(receiver.takeRelease(first)).toBeUndefined();
    const second = await goTo(older, { edit: (release) => ({ ...release, fallbackOf: first }) });
    expect(receiver.takeRelease(second)).toMatchObject({ code: 'SIGNATURE' });
  });

  it('nobody goes to it who does not sign releases', async () => {
    expect(receiver.takeRelease(await goTo(older, { signers: ['publisher-1'] }))).toMatchObject({ code: 'SIGNATURE' });
    expect(receiver.takeRelease(await goTo(older, { signers: ['root-1', 'registrar-1'] }))).toMatchObject({ code: 'SIGNATURE' });
  });

  it('that was revoked is gone to by nobody', async () => {
    const entry = { selector: { type: 'bundle' as const, value: older.digest }, before: 'never' as const };
    expect(receiver.takeRevocation((await sim.revoke(entry)).envelope)).toBeUndefined();
    expect(receiver.takeRelease(await goTo(older))).toMatchObject({ code: 'ROLLBACK', detail: expect.stringContaining('is revoked') });
  });

  it.each<[string, (release: Release) => Release, string]>([
    ['that does not say that it goes back', (release) => ({ ...release, rollback: false }), 'ROLLBACK'],
    ['that does not say why', (release) => ({ ...release, reason: null }), 'ROLLBACK'],
    ['of another ring', (release) => ({ ...release, ring: 'canary' as Ring }), 'AREA'],
    ['that lives longer', (release) => ({ ...release, freshnessTtlMsMax: release.freshnessTtlMsMax + 1 }), 'ROOT'],
    ['that lists new ones', (release) => ({ ...release, fallbacks: [`sha256:${'1'.repeat(64)}` as Digest] }), 'ROLLBACK'],
    [
      'under another revision',
      (release) => ({ ...release, bundles: release.bundles.map((one) => ({ ...one, revision: 9 as Revision })) }),
      'DIGEST',
    ],
  ])('%s is refused', async (_name, edit, code) => {
    expect(receiver.takeRelease(await goTo(older, { edit }))).toMatchObject({ code });
    expect(receiver.active).toBeDefined();
  });

  it('a layer left out or put in by one stolen key: the areas stay as they were', async () => {
    const inTeam = await trustSimulator({ profile: 'production', area: 'company/team' });
    const at = trustReceiver(inTeam);
    const [company, before, now] = [await inTeam.publishLayer('company'), await inTeam.publishBundle(), await inTeam.publishBundle()];
    for (const bundle of [company, before, now]) expect(at.takeBundle(bundle)).toBeUndefined();
    const lists = await inTeam.publishRelease([company, now], { edit: (release) => ({ ...release, fallbacks: [before.digest] }) });
    expect(at.takeRelease(lists.envelope)).toBeUndefined();
    const edit = (release: Release): Release => ({
      ...release,
      rollback: true,
      reason: 'x',
      releaseSeq: 2 as never,
      fallbackOf: lists.envelope,
    });
    const without = await inTeam.publishRelease(before, { edit, signers: ONE_KEY });
    expect(at.takeRelease(without.envelope)).toMatchObject({ code: 'AREA', detail: expect.stringContaining('of the same areas') });
    const whole = await inTeam.publishRelease([company, before], { edit, signers: ONE_KEY });
    expect(at.takeRelease(whole.envelope)).toBeUndefined();
  });
});
