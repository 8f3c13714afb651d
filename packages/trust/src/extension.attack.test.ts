/** What an extension can do in an outage, and what it cannot: reach over the root's ceiling, come back, or make old policy current. */

import { addMs } from '@sallyport/model';
import { SIMULATED_START, trustReceiver, trustSimulator } from '@sallyport/testkit';
import type { Published, PublishedBundle, TrustReceiver, TrustSimulator } from '@sallyport/testkit';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Extension } from './objects/extension.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** Of the release; the root allows twelve times as much. */
const TTL = 5 * MINUTE;
const CEILING = HOUR;

let sim: TrustSimulator;
let receiver: TrustReceiver;
let bundle: PublishedBundle;

/** A receiver that enforces release 1, and to whom nobody has spoken for so long that it is stale. */
beforeEach(async () => {
  sim = await trustSimulator({ freshnessTtlMs: CEILING });
  receiver = trustReceiver(sim, { wall: SIMULATED_START });
  bundle = await sim.publishBundle();
  receiver.takeBundle(bundle);
  const first = await release();
  await prove();
  receiver.takeRelease(first.envelope);
  receiver.run(TTL);
  expect(stateOf()).toBe('stale: expired');
});

const release = (): Promise<Published<unknown>> =>
  sim.publishRelease(bundle, { edit: (honest) => ({ ...honest, freshnessTtlMsMax: TTL }) });
async function prove(): Promise<void> {
  const proof = await sim.proveLive(receiver.clock.wall, receiver.ask());
  expect(receiver.takeProof(proof.offer)).toBeUndefined();
}
const extend = (edit: (honest: Extension) => Extension = (honest) => honest): Promise<Published<Extension>> =>
  sim.extend(receiver.clock.wall, { edit });
const stateOf = (): string => {
  const state = receiver.state();
  return state.kind === 'stale' ? `stale: ${state.reason}` : state.kind;
};

describe('an extension in an outage', () => {
  it('makes what is enforced fresh again, longer than its release allows others, and ends at its own ttl', async () => {
    const said = await extend((honest) => ({ ...honest, ttlMs: 30 * MINUTE }));
    expect(receiver.takeExtension(said.envelope)).toBeUndefined();
    expect(receiver.state()).toMatchObject({ kind: 'fresh', ageMs: 0, ttlMs: 30 * MINUTE });
    receiver.run(30 * MINUTE - 1_000);
    expect(stateOf()).toBe('fresh');
    receiver.run(1_000);
    expect(stateOf()).toBe('stale: expired');
  });

  it('never serves longer than the root’s ceiling', async () => {
    const said = await extend((honest) => ({ ...honest, ttlMs: 24 * HOUR }));
    receiver.takeExtension(said.envelope);
    expect(receiver.state()).toMatchObject({ ttlMs: CEILING });
  });

  it('beyond a day it is refused as a whole', async () => {
    const said = await extend((honest) => ({ ...honest, ttlMs: 24 * HOUR + 1 }));
    expect(receiver.takeExtension(said.envelope)).toMatchObject({ code: 'ROOT' });
  });

  it('is over as soon as freshness comes again, which counts by the release’s own ttl', async () => {
    receiver.takeExtension((await extend()).envelope);
    receiver.run(MINUTE);
    expect(receiver.takeStatement((await sim.stateFreshness(receiver.clock.wall)).offer)).toBeUndefined();
    expect(receiver.state()).toMatchObject({ kind: 'fresh', ttlMs: TTL });
    receiver.run(TTL);
    expect(stateOf()).toBe('stale: expired');
  });

  it('takes no number: the next statement of freshness is the next', async () => {
    const before = receiver.memory.mark;
    receiver.takeExtension((await extend()).envelope);
    expect(receiver.memory.mark).toEqual(before);
  });
});

describe('what an extension cannot do', () => {
  it.each([['freshness-1'], ['publisher-1', 'publisher-2'], ['revocation-1'], ['stranger']])(
    'signed by %s it is refused',
    async (...signers) => {
      const said = await sim.extend(receiver.clock.wall, { signers });
      expect(receiver.takeExtension(said.envelope)).toMatchObject({ code: 'SIGNATURE' });
    },
  );

  it('below the threshold of a production root it is refused', async () => {
    const production = await trustSimulator({ profile: 'production', seed: 'production' });
    await production.publishRelease(await production.publishBundle());
    const { verifyExtension, trustRoot } = await import('./index.ts');
    const root = trustRoot({ pin: production.pin, chain: production.chain, allowDevelopmentRoot: false });
    if (!root.ok) throw new Error(root.error.detail);
    const [one, both] = [await production.extend(SIMULATED_START, { signers: ['release-1'] }), await production.extend(SIMULATED_START)];
    expect(verifyExtension(one.envelope, root.value)).toMatchObject({ ok: false, error: { code: 'SIGNATURE' } });
    expect(verifyExtension(both.envelope, root.value)).toMatchObject({ ok: true, value: { byRelease: true } });
  });

  it('rollback: naming an older release it renews nothing, and is refused', async () => {
    const old = await extend();
    const second = await release();
    await prove();
    receiver.takeRelease(second.envelope);
    receiver.run(TTL);
    const again = { ...old.payload, issuedAt: receiver.clock.wall };
    const said = await sim.extend(receiver.clock.wall, { edit: () => again });
    expect(receiver.takeExtension(said.envelope)).toMatchObject({ code: 'ROLLBACK' });
    expect(stateOf()).toBe('stale: expired');
  });

  it('played again in the next outage: what was said before the last statement is over', async () => {
    const said = await extend();
    receiver.takeExtension(said.envelope);
    receiver.run(10 * MINUTE);
    await prove();
    receiver.run(TTL);
    expect(receiver.takeExtension(said.envelope)).toMatchObject({ code: 'ROLLBACK' });
    expect(stateOf()).toBe('stale: expired');
  });

  it('restart between: it goes on ageing, and handed over again it is no younger', async () => {
    const said = await extend();
    receiver.takeExtension(said.envelope);
    receiver.run(CEILING - 5 * MINUTE);
    receiver.restart();
    expect(receiver.takeExtension(said.envelope)).toBeUndefined();
    expect(receiver.state()).toMatchObject({ kind: 'fresh', ageMs: CEILING - 5 * MINUTE + 1_000 });
    receiver.run(5 * MINUTE);
    expect(stateOf()).toBe('stale: expired');
  });

  it('without memory it counts for nothing: only a live proof tells a receiver that it is not being shown the past', async () => {
    const said = await extend();
    receiver.restart((files) => ({ ...files, highWater: undefined }));
    expect(receiver.takeExtension(said.envelope)).toMatchObject({ code: 'ROLLBACK' });
    expect(stateOf()).not.toBe('fresh');
  });

  it('hoarded: signed ahead for a later hour it is refused until then, and one of earlier is as old as it says', async () => {
    const ahead = await sim.extend(addMs(receiver.clock.wall, 2 * HOUR));
    expect(receiver.takeExtension(ahead.envelope)).toMatchObject({ code: 'ROLLBACK' });
    const said = await extend();
    receiver.run(CEILING);
    receiver.takeExtension(said.envelope);
    expect(stateOf()).toBe('stale: expired');
  });

  it('lift a revocation: it counts once the entries that its signers knew of are applied', async () => {
    const revoked = await sim.revoke({});
    receiver.takeExtension((await extend()).envelope);
    expect(stateOf()).toBe('stale: expired');
    receiver.takeRevocation(revoked.envelope);
    expect(stateOf()).toBe('fresh');
  });

  it('name another place', async () => {
    const said = await extend((honest) => ({ ...honest, ring: 'canary' as Extension['ring'] }));
    expect(receiver.takeExtension(said.envelope)).toBeUndefined();
    expect(stateOf()).toBe('stale: expired');
  });

  it('outlive its root: under the next one it has to be signed anew', async () => {
    const said = await extend();
    receiver.takeRoot((await sim.publishRoot()).envelope);
    expect(receiver.takeExtension(said.envelope)).toMatchObject({ code: 'ROLLBACK' });
    receiver.takeExtension((await extend()).envelope);
    expect(stateOf()).toBe('fresh');
  });

  it('be ended by a statement from before the outage that was held back', async () => {
    const heldBack = await sim.stateFreshness(addMs(receiver.clock.wall, -MINUTE));
    receiver.takeExtension((await extend()).envelope);
    receiver.run(10 * MINUTE);
    receiver.takeStatement(heldBack.offer);
    expect(stateOf()).toBe('fresh');
  });
});
