import { trustReceiver, trustSimulator } from '@sallyport/testkit';
import type { TrustReceiver, TrustSimulator } from '@sallyport/testkit';
import { addMs } from '@sallyport/model';
import type { Instant } from '@sallyport/model';
import { beforeEach, describe, expect, it } from 'vitest';
import { keyRecordOf } from './objects/keys.ts';
import { isContiguous, isRevoked } from './revocations.ts';

const TTL = 300_000;
const HOUR = 3_600_000;

describe('revocation attacks', () => {
  let sim: TrustSimulator;
  let receiver: TrustReceiver;
  beforeEach(async () => {
    sim = await trustSimulator({ freshnessTtlMs: TTL });
    receiver = trustReceiver(sim);
    const bundle = await sim.publishBundle();
    receiver.takeBundle(bundle);
    receiver.takeRelease((await sim.publishRelease(bundle)).envelope);
    expect(receiver.takeProof((await sim.proveLive(receiver.clock.wall, receiver.ask())).offer)).toBeUndefined();
    expect(receiver.state().kind).toBe('fresh');
  });

  const denies = (token: string, at: Instant = receiver.clock.wall): boolean =>
    isRevoked(receiver.revocations, { token: { value: token } }, at) !== undefined;

  it('withholding one revocation and showing the next: the gap stops all traffic until it is filled', async () => {
    const [first, second] = [await sim.revoke({}), await sim.revoke({ selector: { type: 'token', value: 'token-2' } })];
    expect(receiver.takeRevocation(second.envelope)).toBeUndefined();
    expect(receiver.state()).toMatchObject({ kind: 'stale', reason: 'revocation_gap' });
    expect(receiver.takeRevocation(first.envelope)).toBeUndefined();
    expect(receiver.state()).toMatchObject({ kind: 'stale', reason: 'revocation_gap' });
    expect(receiver.takeRevocation(second.envelope)).toBeUndefined();
    expect(receiver.state().kind).toBe('fresh');
    expect([denies('token-1'), denies('token-2'), denies('token-3')]).toEqual([true, true, false]);
  });

  it('withholding every revocation: statements stop counting, and the ttl runs out', async () => {
    await sim.revoke({});
    for (let i = 0; i < 10; i++) {
      receiver.run(TTL / 10);
      receiver.takeStatement((await sim.stateFreshness(receiver.clock.wall)).offer);
    }
    expect(receiver.state().kind).toBe('stale');
  });

  it('two logs: an entry that follows another head is equivocation', async () => {
    receiver.takeRevocation((await sim.revoke({})).envelope);
    const forked = await sim.revoke({}, { edit: (honest) => ({ ...honest, previous: null }) });
    expect(receiver.takeRevocation(forked.envelope)).toMatchObject({ code: 'EQUIVOCATION' });
  });

  it('two logs: one seq signed twice is equivocation, the same entry again is a no-op', async () => {
    const first = await sim.revoke({});
    const twin = await sim.revoke({ reason: 'other' }, { edit: (honest) => ({ ...honest, seq: 1, previous: null }) });
    receiver.takeRevocation(first.envelope);
    const { generation } = receiver.revocations;
    expect(receiver.takeRevocation(first.envelope)).toBeUndefined();
    expect(receiver.revocations.generation).toBe(generation);
    expect(receiver.takeRevocation(twin.envelope)).toMatchObject({ code: 'EQUIVOCATION' });
  });

  it('two logs: a statement that attests another head is refused', async () => {
    receiver.takeRevocation((await sim.revoke({})).envelope);
    const bent = await sim.stateFreshness(receiver.clock.wall, {
      edit: (honest) => ({ ...honest, revocation: { seq: 1, head: sim.root.digest } }),
    });
    expect(receiver.takeStatement(bent.offer)).toMatchObject({ code: 'EQUIVOCATION' });
  });

  it('another log after a restart: what was held before is remembered by its head', async () => {
    receiver.takeRevocation((await sim.revoke({})).envelope);
    const twin = await sim.revoke({ reason: 'other' }, { edit: (honest) => ({ ...honest, seq: 1, previous: null }) });
    receiver.restart((files) => ({ ...files, revocations: [twin.envelope] }));
    expect(denies('token-1')).toBe(false);
    expect(isContiguous(receiver.revocations)).toBe(false);
    expect(receiver.state().kind).toBe('stale');
  });

  it('lost log: nothing is fresh after a restart without it', async () => {
    receiver.takeRevocation((await sim.revoke({})).envelope);
    receiver.restart((files) => ({ ...files, revocations: [] }));
    expect(receiver.state()).toMatchObject({ kind: 'stale' });
    receiver.takeRevocation(sim.revocations[0]?.envelope ?? new Uint8Array());
    receiver.takeProof((await sim.proveLive(receiver.clock.wall, receiver.ask())).offer);
    expect(receiver.state().kind).toBe('fresh');
    expect(denies('token-1')).toBe(true);
  });

  it.each([['release-1'], ['publisher-1'], ['freshness-1'], ['mallory']])('an entry signed by %s revokes nothing', async (signer) => {
    expect(receiver.takeRevocation((await sim.revoke({}, { signers: [signer] })).envelope)).toMatchObject({ code: 'SIGNATURE' });
    expect(denies('token-1')).toBe(false);
  });

  it('stolen revocation key: a snapshot that leaves an entry out does not lift it', async () => {
    receiver.takeRevocation((await sim.revoke({})).envelope);
    await sim.revoke({ selector: { type: 'token', value: 'token-2' } });
    const bent = await sim.snapshotRevocations({ edit: (honest) => ({ ...honest, entries: honest.entries.slice(1) }) });
    expect(receiver.takeSnapshot(bent.envelope)).toBeUndefined();
    expect([denies('token-1'), denies('token-2')]).toEqual([true, true]);
  });

  it('an old snapshot is refused, and a snapshot fills a gap', async () => {
    const early = await sim.snapshotRevocations();
    await sim.revoke({});
    receiver.takeRevocation((await sim.revoke({ selector: { type: 'token', value: 'token-2' } })).envelope);
    expect(receiver.state()).toMatchObject({ reason: 'revocation_gap' });
    expect(receiver.takeSnapshot((await sim.snapshotRevocations()).envelope)).toBeUndefined();
    expect(receiver.state().kind).toBe('fresh');
    expect(denies('token-1')).toBe(true);
    expect(receiver.takeSnapshot(early.envelope)).toMatchObject({ code: 'ROLLBACK' });
  });

  it('two logs: a snapshot with another head for a known seq is equivocation', async () => {
    receiver.takeRevocation((await sim.revoke({})).envelope);
    const bent = await sim.snapshotRevocations({ edit: (honest) => ({ ...honest, head: sim.root.digest }) });
    expect(receiver.takeSnapshot(bent.envelope)).toMatchObject({ code: 'EQUIVOCATION' });
  });

  it('stolen revocation key: replaced by root, undone only by a snapshot of the release role', async () => {
    receiver.takeRevocation((await sim.revoke({ selector: { type: 'everything', value: '*' } })).envelope);
    expect(denies('anyone')).toBe(true);
    const root = await replaceRevocationKey(sim);
    expect(receiver.takeRoot(root.envelope)).toBeUndefined();
    // What was denied stays denied, and nothing is fresh.
    expect(denies('anyone')).toBe(true);
    expect(receiver.state()).toMatchObject({ kind: 'stale', reason: 'revocation_gap' });
    // An entry signed by the new key waits as well: it would follow a log that nobody has confirmed.
    const early = await sim.revoke({ selector: { type: 'agent', value: 'support' } }, { signers: ['revocation-2'] });
    expect(receiver.takeRevocation(early.envelope)).toBeUndefined();
    expect(receiver.revocations).toMatchObject({ seq: 1, awaitsRecovery: true });
    expect(receiver.highWater.revocation).toEqual({ seq: 0, head: null, awaitsRecovery: true });
    const empty = { edit: () => ({ seq: 1, head: sim.revocations[0]?.digest ?? null, entries: [] }) };
    expect(receiver.takeSnapshot((await sim.snapshotRevocations({ ...empty, signers: ['revocation-2'] })).envelope)).toMatchObject({
      code: 'ROOT',
    });
    expect(receiver.takeSnapshot((await sim.snapshotRevocations({ ...empty, signers: ['release-1'] })).envelope)).toBeUndefined();
    expect(denies('anyone')).toBe(false);
    expect(receiver.state().kind).toBe('fresh');
  });

  it('a restart does not end the wait for recovery', async () => {
    receiver.takeRevocation((await sim.revoke({})).envelope);
    expect(receiver.takeRoot((await replaceRevocationKey(sim)).envelope)).toBeUndefined();
    receiver.restart();
    expect(receiver.revocations.awaitsRecovery).toBe(true);
    expect(receiver.state().kind).toBe('stale');
    const forged = await sim.snapshotRevocations({ signers: ['revocation-2'] });
    expect(receiver.takeSnapshot(forged.envelope)).toMatchObject({ code: 'ROOT' });
  });

  it('fast-forward: a log pushed to its end starts anew with the new keys', async () => {
    const last = { seq: Number.MAX_SAFE_INTEGER, head: sim.pin, entries: [] };
    expect(receiver.takeSnapshot((await sim.snapshotRevocations({ edit: () => last })).envelope)).toBeUndefined();
    expect(receiver.highWater.revocation.seq).toBe(Number.MAX_SAFE_INTEGER);
    expect(receiver.takeRoot((await replaceRevocationKey(sim)).envelope)).toBeUndefined();
    const anew = { edit: () => ({ seq: 0, head: null, entries: [] }), signers: ['release-1'] };
    expect(receiver.takeSnapshot((await sim.snapshotRevocations(anew)).envelope)).toBeUndefined();
    expect(receiver.highWater.revocation).toEqual({ seq: 0, head: null, awaitsRecovery: false });
    expect(receiver.takeRevocation((await sim.revoke({}, { signers: ['revocation-2'] })).envelope)).toBeUndefined();
    expect(denies('token-1')).toBe(true);
    expect(receiver.state().kind).toBe('fresh');
  });

  it('forwarded clock: an entry does not expire before its time by the signers', async () => {
    receiver.takeRevocation((await sim.revoke({ expiresAt: addMs(receiver.clock.wall, HOUR) })).envelope);
    expect(denies('token-1', addMs(receiver.clock.wall, HOUR))).toBe(true);
    expect(denies('token-1', addMs(receiver.clock.wall, HOUR + 1))).toBe(false);
    expect(denies('token-1', Number.NaN as Instant)).toBe(true);
  });
});

/** The next root, with another revocation key. */
function replaceRevocationKey(sim: TrustSimulator): ReturnType<TrustSimulator['publishRoot']> {
  return sim.publishRoot({
    edit: (honest) => {
      const old = honest.roles.revocation.keyIds;
      const key = keyRecordOf(sim.signer('revocation-2').publicRaw);
      return {
        ...honest,
        keys: [...honest.keys.filter((one) => !old.includes(one.keyId)), key],
        roles: { ...honest.roles, revocation: { keyIds: [key.keyId], threshold: 1 } },
      };
    },
  });
}
