import { SIMULATED_START, flipBit, trustReceiver, trustSimulator } from '@sallyport/testkit';
import type { ReceiverFiles, TrustReceiver, TrustSimulator } from '@sallyport/testkit';
import { addMs } from '@sallyport/model';
import type { BootMs } from '@sallyport/model';
import { beforeEach, describe, expect, it } from 'vitest';
import { admitStatement } from './freshness.ts';
import { encodeHighWater } from './high-water-file.ts';
import { trustOnlineKeys } from './online-keys.ts';
import { followRoot, trustRoot } from './roots.ts';
import { estimateSignerTime } from './signer-time.ts';
import { verifyFreshness } from './statements.ts';

const TTL = 300_000;
const MINUTE = 60_000;
const HOUR = 3_600_000;
const SKEW = 30_000;

/** A receiver that enforces release 1 and has proven it fresh, as after the first seconds of a stream. */
async function served(): Promise<{ sim: TrustSimulator; receiver: TrustReceiver }> {
  const sim = await trustSimulator({ freshnessTtlMs: TTL });
  const receiver = trustReceiver(sim);
  const bundle = await sim.publishBundle();
  expect(receiver.takeBundle(bundle)).toBeUndefined();
  expect(receiver.takeRelease((await sim.publishRelease(bundle)).envelope)).toBeUndefined();
  const proof = await sim.proveLive(receiver.clock.wall, receiver.ask());
  expect(receiver.takeProof(proof.offer)).toBeUndefined();
  expect(receiver.state()).toMatchObject({ kind: 'fresh', ageMs: 0 });
  return { sim, receiver };
}

describe('freshness attacks', () => {
  let sim: TrustSimulator;
  let receiver: TrustReceiver;
  beforeEach(async () => {
    ({ sim, receiver } = await served());
  });

  it('freeze: without new statements the release is stale exactly when the ttl is used up', () => {
    receiver.run(TTL - 1);
    expect(receiver.state().kind).toBe('fresh');
    receiver.run(1);
    expect(receiver.state()).toMatchObject({ kind: 'stale', reason: 'expired', ageMs: TTL });
  });

  it('hoarded statements played one per ttl: each is as old as it is, not as new as it arrives', async () => {
    const hoard = [];
    for (let i = 1; i <= 10; i++) hoard.push(await sim.stateFreshness(addMs(SIMULATED_START, i * 1_000)));
    let servedMs = 0;
    for (const { offer } of hoard) {
      receiver.takeStatement(offer);
      for (let ms = 0; ms < TTL; ms += 1_000) {
        receiver.run(1_000);
        if (receiver.state().kind === 'fresh') servedMs += 1_000;
      }
    }
    // The last of them was issued ten seconds after the proof, and that is all that they gain.
    expect(servedMs).toBeLessThanOrEqual(TTL + 10_000);
  });

  it('hoarded statements played across restarts under a rewound clock: the signers’ time is remembered', async () => {
    const hoard = [];
    for (let i = 1; i <= 5; i++) hoard.push(await sim.stateFreshness(addMs(SIMULATED_START, i * 1_000)));
    let servedMs = 0;
    for (const { offer } of hoard) {
      receiver.clock.wall = addMs(SIMULATED_START, 1_000);
      receiver.restart();
      receiver.takeStatement(offer);
      while (receiver.state().kind === 'fresh') {
        receiver.run(1_000);
        receiver.clock.wall = addMs(SIMULATED_START, 1_000);
        servedMs += 1_000;
      }
    }
    expect(servedMs).toBeLessThanOrEqual(TTL + 5_000);
  });

  it('hoarded statements released in one burst: none is younger than its own issue', async () => {
    const statement = await sim.stateFreshness(addMs(SIMULATED_START, MINUTE));
    receiver.run(4 * MINUTE);
    expect(receiver.takeStatement(statement.offer)).toBeUndefined();
    expect(receiver.state()).toMatchObject({ kind: 'fresh', ageMs: 3 * MINUTE });
  });

  it('replay after restart: a statement goes on from its charged age plus one interval', () => {
    receiver.run(4 * MINUTE);
    receiver.clock.wall = SIMULATED_START;
    receiver.restart();
    const state = receiver.state();
    expect(state).toMatchObject({ kind: 'fresh', ageMs: 4 * MINUTE + 1_000 });
    receiver.pass(MINUTE - 1_000);
    expect(receiver.state().kind).toBe('stale');
  });

  it('a loop of restarts never serves one statement longer than its ttl in total', () => {
    let servedMs = 0;
    for (let i = 0; i < 700 && receiver.state().kind === 'fresh'; i++) {
      receiver.run(500);
      servedMs += 500;
      receiver.clock.wall = SIMULATED_START;
      receiver.restart();
    }
    expect(receiver.state().kind).toBe('stale');
    expect(servedMs).toBeLessThanOrEqual(TTL);
  });

  it('a process that crashes in a loop can still be proven fresh', async () => {
    for (let i = 0; i < 100; i++) receiver.restart();
    expect(receiver.state()).toMatchObject({ kind: 'fresh', ageMs: 100_000 });
    const proof = await sim.proveLive(receiver.clock.wall, receiver.ask());
    expect(receiver.takeProof(proof.offer)).toBeUndefined();
    expect(receiver.state()).toMatchObject({ kind: 'fresh', ageMs: 0 });
  });

  it('hoarded statements played across crashes within one second: each crash costs what it may have hidden', async () => {
    const hoard = [];
    for (let i = 1; i <= 20; i++) hoard.push(await sim.stateFreshness(addMs(SIMULATED_START, i * 1_000)));
    let servedMs = 0;
    for (const { offer } of hoard) {
      for (let crash = 0; crash < 30; crash++) {
        receiver.clock.wall = SIMULATED_START;
        receiver.restart();
        receiver.takeStatement(offer);
        if (receiver.state().kind === 'fresh') servedMs += 900;
        receiver.pass(900);
      }
    }
    expect(servedMs).toBeLessThanOrEqual(TTL + 20_000);
  });

  it('re-delivery: the same statement again makes nothing younger', async () => {
    const statement = await sim.stateFreshness(receiver.clock.wall);
    receiver.takeStatement(statement.offer);
    receiver.run(2 * MINUTE);
    expect(receiver.takeStatement(statement.offer)).toBeUndefined();
    expect(receiver.state()).toMatchObject({ ageMs: 2 * MINUTE });
  });

  it('replay: a statement older than the last accepted is refused', async () => {
    const first = await sim.stateFreshness(receiver.clock.wall);
    const second = await sim.stateFreshness(receiver.clock.wall);
    expect(receiver.takeStatement(second.offer)).toBeUndefined();
    expect(receiver.takeStatement(first.offer)).toMatchObject({ code: 'ROLLBACK' });
  });

  it.each([-HOUR, -TTL, -1, 1, HOUR, 365 * 24 * HOUR])('rewound or forwarded clock by %d ms: nothing is extended', (jump) => {
    receiver.run(MINUTE);
    receiver.clock.wall = addMs(receiver.clock.wall, jump);
    receiver.run(4 * MINUTE);
    expect(receiver.state().kind).toBe('stale');
  });

  it('rewound clock every second: the release is stale on time all the same', () => {
    for (let second = 0; second < 300; second++) {
      receiver.run(1_000);
      receiver.clock.wall = SIMULATED_START;
    }
    expect(receiver.state()).toMatchObject({ kind: 'stale', ageMs: TTL });
  });

  it('forwarded clock: what was charged while it was ahead is not forgiven when it is set back', () => {
    receiver.clock.wall = addMs(receiver.clock.wall, HOUR);
    receiver.run(1_000);
    expect(receiver.state().kind).toBe('stale');
    receiver.clock.wall = addMs(receiver.clock.wall, -HOUR);
    expect(receiver.state().kind).toBe('stale');
  });

  it('forwarded clock: what was charged survives one restart after another', () => {
    receiver.restart();
    receiver.clock.wall = addMs(receiver.clock.wall, HOUR);
    receiver.run(1_000);
    receiver.clock.wall = addMs(receiver.clock.wall, -HOUR);
    for (let i = 0; i < 3; i++) receiver.restart();
    expect(receiver.state().kind).toBe('stale');
  });

  it('suspend: time that passed asleep counts, since boot time counts it', () => {
    receiver.clock.boot = (receiver.clock.boot + HOUR) as BootMs;
    expect(receiver.state().kind).toBe('stale');
  });

  it('a machine paused from outside, whose boot clock stood still: the wall clock counts', () => {
    receiver.clock.wall = addMs(receiver.clock.wall, HOUR);
    expect(receiver.state().kind).toBe('stale');
  });

  it('wiped disk: without memory no statement counts until a live proof', async () => {
    const statement = await sim.stateFreshness(receiver.clock.wall);
    receiver.restart((files) => ({ ...files, highWater: undefined }));
    expect(receiver.state()).toMatchObject({ kind: 'stale', reason: 'never_renewed' });
    expect(receiver.takeStatement(statement.offer)).toMatchObject({ code: 'ROLLBACK' });
    expect(receiver.state().kind).toBe('stale');
    const proof = await sim.proveLive(receiver.clock.wall, receiver.ask());
    expect(receiver.takeProof(proof.offer)).toBeUndefined();
    expect(receiver.state().kind).toBe('fresh');
  });

  it('torn high-water file: as if wiped, wherever it is torn', () => {
    const intact = receiver.highWater;
    expect(intact.freshness).toBeDefined();
    for (const length of [0, 1, 100, 400]) {
      receiver.restart((files) => ({ ...files, highWater: files.highWater?.slice(0, length) }));
      expect(receiver.memory.signerTime).toBeUndefined();
      expect(receiver.state().kind).toBe('stale');
    }
  });

  it('edited high-water file: a turned bit is unreadable rather than lower', () => {
    receiver.restart((files) => ({ ...files, highWater: flipBit(files.highWater ?? new Uint8Array(), 200) }));
    expect(receiver.state().kind).toBe('stale');
  });

  it('replayed proof: a nonce is answered once', async () => {
    const proof = await sim.proveLive(receiver.clock.wall, receiver.ask());
    expect(receiver.takeProof(proof.offer)).toBeUndefined();
    const again = await sim.proveLive(receiver.clock.wall, { nonce: proof.payload.nonce, identity: receiver.identity });
    expect(receiver.takeProof(again.offer)).toMatchObject({ code: 'ROLLBACK', detail: 'the proof answers no open question' });
  });

  it('a proof made for another question, or for another receiver, is refused', async () => {
    const question = receiver.ask();
    const other = await sim.proveLive(receiver.clock.wall, { ...question, nonce: new Uint8Array(32).fill(0xff) });
    expect(receiver.takeProof(other.offer)).toMatchObject({ code: 'ROLLBACK', detail: 'the proof answers another question' });
    const neighbour = await sim.proveLive(receiver.clock.wall, { ...question, identity: `${question.identity}-two` });
    expect(receiver.takeProof(neighbour.offer)).toMatchObject({ code: 'AREA' });
  });

  it('a proof held back on its way is as old as the question', async () => {
    const proof = await sim.proveLive(receiver.clock.wall, receiver.ask());
    receiver.clock.boot = (receiver.clock.boot + 2 * MINUTE) as BootMs;
    expect(receiver.takeProof(proof.offer)).toBeUndefined();
    expect(receiver.state()).toMatchObject({ ageMs: 2 * MINUTE });
  });

  it('proof from a partitioned replica: signers’ time is not turned back beyond the skew', async () => {
    receiver.run(2 * MINUTE);
    const question = receiver.ask();
    const late = await sim.proveLive(addMs(receiver.clock.wall, -SKEW - 1_000), question);
    expect(receiver.takeProof(late.offer)).toMatchObject({ code: 'ROLLBACK' });
    const near = await sim.proveLive(addMs(receiver.clock.wall, -SKEW + 1_000), question);
    expect(receiver.takeProof(near.offer)).toBeUndefined();
    // Within the skew, and still no younger than time says.
    expect(receiver.state()).toMatchObject({ kind: 'fresh', ageMs: SKEW - 1_000 });
  });

  it('proofs that each turn time back a little never add up to more than the skew', async () => {
    for (let i = 0; i < 20; i++) {
      receiver.run(1_000);
      const lag = SKEW - 1_000 + i * 1_000;
      receiver.takeProof((await sim.proveLive(addMs(receiver.clock.wall, -lag), receiver.ask())).offer);
    }
    const turnedBackMs = addMs(SIMULATED_START, 20_000) - estimateSignerTime(receiver.memory.signerTime, receiver.clock);
    expect(turnedBackMs).toBeLessThanOrEqual(20);
  });

  it('a statement ahead of the signers’ time by more than the skew is refused', async () => {
    const ahead = await sim.stateFreshness(addMs(receiver.clock.wall, SKEW + 1_000));
    expect(receiver.takeStatement(ahead.offer)).toMatchObject({ code: 'ROLLBACK' });
    const near = await sim.stateFreshness(addMs(receiver.clock.wall, SKEW - 1_000));
    expect(receiver.takeStatement(near.offer)).toBeUndefined();
    receiver.run(TTL);
    expect(receiver.state().kind).toBe('stale');
  });

  it('a replica whose clock runs ahead of signers and wall cannot make every other statement look old', async () => {
    const wild = await sim.proveLive(addMs(receiver.clock.wall, HOUR), receiver.ask());
    expect(receiver.takeProof(wild.offer)).toMatchObject({ code: 'ROLLBACK' });
    const honest = await sim.stateFreshness(receiver.clock.wall);
    expect(receiver.takeStatement(honest.offer)).toBeUndefined();
    expect(receiver.state()).toMatchObject({ kind: 'fresh', ageMs: 0 });
  });

  it('fast-forward: a stolen freshness key cannot use up the sequence', async () => {
    const bent = await sim.stateFreshness(receiver.clock.wall, { edit: (honest) => ({ ...honest, seq: Number.MAX_SAFE_INTEGER }) });
    expect(receiver.takeStatement(bent.offer)).toMatchObject({ code: 'ROLLBACK' });
  });

  it('two replicas, one seq: the second statement is equivocation, and the first stays', async () => {
    const one = await sim.stateFreshness(receiver.clock.wall);
    const two = await sim.stateFreshness(receiver.clock.wall, { edit: (honest) => ({ ...honest, seq: one.payload.seq, ttlMs: 1_000 }) });
    expect(receiver.takeStatement(one.offer)).toBeUndefined();
    expect(receiver.takeStatement(two.offer)).toMatchObject({ code: 'EQUIVOCATION' });
    expect(receiver.state()).toMatchObject({ kind: 'fresh', ttlMs: TTL });
  });

  it('stolen freshness key: it cannot make a release fresh that the release role has not signed', async () => {
    const leaf = { ...sim.leafOf(await sim.publishRelease(await sim.publishBundle(), { signers: ['thief'] })) };
    const statement = await sim.stateFreshness(receiver.clock.wall, { leaves: [leaf] });
    const before = receiver.active;
    expect(receiver.takeStatement(statement.offer)).toBeUndefined();
    expect(receiver.active).toBe(before);
    // What is enforced was not named, so it goes on ageing.
    receiver.run(TTL);
    expect(receiver.state().kind).toBe('stale');
  });

  it('stolen freshness key: it is worth nothing after its not-after, even backdated', async () => {
    const notAfter = sim.onlineKeys.payload.keys[0]?.notAfter ?? SIMULATED_START;
    const late = await sim.stateFreshness(addMs(notAfter, 1));
    expect(receiver.takeStatement(late.offer)).toMatchObject({ code: 'SIGNATURE' });
    receiver.pass(31 * 24 * HOUR);
    const backdated = await sim.stateFreshness(notAfter);
    receiver.takeStatement(backdated.offer);
    expect(receiver.state().kind).toBe('stale');
  });

  it('a withdrawn freshness key does not come back with the older object that certified it', async () => {
    const old = sim.onlineKeys.envelope;
    await sim.publishOnlineKeys({
      edit: (honest) => ({ ...honest, keys: honest.keys.map((key) => ({ ...key, publicRaw: sim.signer('freshness-2').publicRaw })) }),
    });
    expect(receiver.takeOnlineKeys(sim.onlineKeys.envelope)).toBeUndefined();
    const stolen = await sim.stateFreshness(receiver.clock.wall, { signers: ['freshness-1'] });
    expect(receiver.takeStatement(stolen.offer)).toMatchObject({ code: 'SIGNATURE' });
    expect(receiver.takeOnlineKeys(old)).toMatchObject({ code: 'ROLLBACK' });
  });

  it('online keys that a control plane made for itself are refused', async () => {
    const forged = await sim.publishOnlineKeys({ signers: ['freshness-1'] });
    expect(receiver.takeOnlineKeys(forged.envelope)).toMatchObject({ code: 'SIGNATURE' });
    const shared = await sim.publishOnlineKeys({
      edit: (honest) => ({ ...honest, keys: honest.keys.map((key) => ({ ...key, publicRaw: sim.signer('revocation-1').publicRaw })) }),
    });
    expect(receiver.takeOnlineKeys(shared.envelope)).toMatchObject({ code: 'SIGNATURE' });
  });

  it('restore from backup: a signer that names an older release than was accepted is refused', async () => {
    const stale = sim.leafOf(await sim.publishRelease(await sim.publishBundle()));
    const bundle = await sim.publishBundle();
    receiver.takeBundle(bundle);
    expect(receiver.takeRelease((await sim.publishRelease(bundle)).envelope)).toBeUndefined();
    const statement = await sim.stateFreshness(receiver.clock.wall, { leaves: [stale] });
    expect(receiver.takeStatement(statement.offer)).toMatchObject({ code: 'ROLLBACK' });
  });

  it('mix-and-match: an entry that the statement does not cover is refused', async () => {
    const honest = await sim.stateFreshness(receiver.clock.wall);
    const [entry] = honest.offer.entries;
    expect(entry).toBeDefined();
    if (entry === undefined) return;
    for (const bent of [
      { ...entry, releaseSeq: (entry.releaseSeq + 1) as never },
      { ...entry, ring: 'canary' as never },
      { ...entry, leafIndex: 1 },
      { ...entry, treeSize: 1, proof: [] },
      { ...entry, proof: entry.proof.map((hash) => flipBit(hash, 0)) },
    ])
      expect(receiver.takeStatement({ ...honest.offer, entries: [bent] })).toMatchObject({ code: 'DIGEST' });
    expect(receiver.takeStatement({ ...honest.offer, entries: [entry, entry] })).toMatchObject({ code: 'EQUIVOCATION' });
  });

  it('endless data: entries and proofs beyond their bounds are refused before they are hashed', async () => {
    const { offer } = await sim.stateFreshness(receiver.clock.wall);
    const [entry] = offer.entries;
    if (entry === undefined) throw new Error('no entry');
    const many = Array.from({ length: 9 }, () => entry);
    expect(receiver.takeStatement({ ...offer, entries: many })).toMatchObject({ code: 'SIZE' });
    const long = Array.from({ length: 49 }, () => new Uint8Array(32));
    expect(receiver.takeStatement({ ...offer, entries: [{ ...entry, proof: long }] })).toMatchObject({ code: 'SIZE' });
  });

  it('stretched ttl: a statement for longer than a day is refused', async () => {
    const { offer } = await sim.stateFreshness(receiver.clock.wall, { edit: (honest) => ({ ...honest, ttlMs: 24 * HOUR + 1 }) });
    expect(receiver.takeStatement(offer)).toMatchObject({ code: 'ROOT' });
  });

  it('a statement that was out of reach during one start goes on from its age in the next', async () => {
    receiver.takeStatement((await sim.stateFreshness(receiver.clock.wall)).offer);
    receiver.run(MINUTE);
    let kept: ReceiverFiles['statements'] = [];
    receiver.restart((files) => {
      kept = files.statements;
      return { ...files, statements: [] };
    });
    expect(receiver.state()).toMatchObject({ kind: 'stale', reason: 'never_renewed' });
    receiver.run(MINUTE);
    receiver.restart((files) => ({ ...files, statements: kept }));
    expect(receiver.state()).toMatchObject({ kind: 'fresh', ageMs: 2 * MINUTE + 2_000 });
  });

  it('a cached statement whose age is forgotten does not start anew', async () => {
    receiver.takeStatement((await sim.stateFreshness(receiver.clock.wall)).offer);
    const forgotten = { ...receiver.highWater, charged: [] };
    receiver.restart((files) => ({ ...files, highWater: encodeHighWater(forgotten, SIMULATED_START) }));
    expect(receiver.state()).toMatchObject({ kind: 'stale', reason: 'never_renewed' });
  });

  it('cached statements go on from their ages after a restart, and the newest of them stays the last', async () => {
    receiver.run(MINUTE);
    const silent = await sim.stateFreshness(receiver.clock.wall, { leaves: [] });
    expect(receiver.takeStatement(silent.offer)).toBeUndefined();
    receiver.run(MINUTE);
    receiver.restart();
    expect(receiver.state()).toMatchObject({ kind: 'fresh', ageMs: 2 * MINUTE + 1_000 });
    receiver.restart((files) => ({ ...files, statements: files.statements.toReversed() }));
    expect(receiver.memory.last?.statement.digest).toBe(silent.digest);
    expect(receiver.state()).toMatchObject({ kind: 'stale', reason: 'never_renewed' });
  });

  it('entries left out on the way: the statement renews nothing', async () => {
    receiver.run(2 * MINUTE);
    const statement = await sim.stateFreshness(receiver.clock.wall);
    expect(receiver.takeStatement({ ...statement.offer, entries: [] })).toBeUndefined();
    expect(receiver.state()).toMatchObject({ ageMs: 2 * MINUTE });
  });

  it('a statement renews nothing before its revocations are applied', async () => {
    receiver.run(2 * MINUTE);
    const revocation = await sim.revoke({});
    const statement = await sim.stateFreshness(receiver.clock.wall);
    expect(receiver.takeStatement(statement.offer)).toBeUndefined();
    expect(receiver.state()).toMatchObject({ ageMs: 2 * MINUTE });
    expect(receiver.takeRevocation(revocation.envelope)).toBeUndefined();
    expect(receiver.state()).toMatchObject({ kind: 'fresh', ageMs: 0 });
  });

  it('freezing on an old root: a statement under a newer root counts only once that root is followed', async () => {
    receiver.run(MINUTE);
    const next = await sim.publishRoot();
    const statement = await sim.stateFreshness(receiver.clock.wall);
    expect(receiver.takeStatement(statement.offer)).toMatchObject({ code: 'ROOT' });
    expect(receiver.takeRoot(next.envelope)).toBeUndefined();
    expect(receiver.takeStatement(statement.offer)).toBeUndefined();
    expect(receiver.state()).toMatchObject({ ageMs: 0 });
  });

  it('after a change of root nothing is fresh until the release verifies under the new one', async () => {
    const next = await sim.publishRoot();
    const root = trustRoot({ pin: sim.pin, chain: sim.chain.slice(0, 1), allowDevelopmentRoot: true });
    if (!root.ok) throw new Error(root.error.detail);
    const followed = followRoot(root.value, next.envelope);
    if (!followed.ok) throw new Error(followed.error.detail);
    const { memory, revocations, clock, highWater } = receiver;
    const online = trustOnlineKeys(sim.onlineKeys.envelope, { root: root.value, highWater });
    if (!online.ok) throw new Error(online.error.detail);
    const statement = verifyFreshness((await sim.stateFreshness(clock.wall)).offer, online.value);
    if (!statement.ok) throw new Error(statement.error.detail);
    const context = { highWater, revocations, now: clock, root: followed.value };
    expect(admitStatement(memory, statement.value, context)).toMatchObject({ ok: false, error: { code: 'ROOT' } });
    expect(receiver.takeRoot(next.envelope)).toBeUndefined();
    expect(receiver.state().kind).toBe('fresh');
  });

  it('an expired root stops traffic, even under statements that are young', async () => {
    receiver.pass(366 * 24 * HOUR);
    const proof = await sim.proveLive(receiver.clock.wall, receiver.ask());
    expect(receiver.takeProof(proof.offer)).toMatchObject({ code: 'SIGNATURE' });
    const other = await served();
    const brief = await other.sim.publishRoot({ edit: (honest) => ({ ...honest, expiresAt: addMs(other.receiver.clock.wall, MINUTE) }) });
    expect(other.receiver.takeRoot(brief.envelope)).toBeUndefined();
    expect(other.receiver.state().kind).toBe('fresh');
    other.receiver.run(MINUTE + 1);
    expect(other.receiver.state()).toMatchObject({ kind: 'stale', reason: 'root_expired' });
  });

  it('ttl in force: the smallest of statement, release and root', async () => {
    const statement = await sim.stateFreshness(receiver.clock.wall, { edit: (honest) => ({ ...honest, ttlMs: 24 * HOUR }) });
    expect(receiver.takeStatement(statement.offer)).toBeUndefined();
    expect(receiver.state()).toMatchObject({ ttlMs: TTL });
    const bundle = await sim.publishBundle();
    receiver.takeBundle(bundle);
    const shorter = await sim.publishRelease(bundle, { edit: (honest) => ({ ...honest, freshnessTtlMsMax: 60_000 }) });
    expect(receiver.takeRelease(shorter.envelope)).toBeUndefined();
    receiver.takeStatement((await sim.stateFreshness(receiver.clock.wall)).offer);
    expect(receiver.state()).toMatchObject({ kind: 'fresh', ttlMs: 60_000 });
    const brief = await sim.stateFreshness(receiver.clock.wall, { edit: (honest) => ({ ...honest, ttlMs: 5_000 }) });
    expect(receiver.takeStatement(brief.offer)).toBeUndefined();
    receiver.run(5_000);
    expect(receiver.state()).toMatchObject({ kind: 'stale', ttlMs: 5_000 });
  });
});
