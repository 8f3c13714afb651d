import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  BeatSchema,
  Fleet,
  GetPartRequestSchema,
  HeldReleaseSchema,
  PolicyPlane,
  Publish,
  RevokeRequestSchema,
  StatusRequestSchema,
  create,
} from '@sallyport/contract';
import type { Freshness, HeldRelease, StatusResponse } from '@sallyport/contract';
import { digestOf } from '@sallyport/crypto';
import { randomBytes } from '@sallyport/crypto/keys';
import { PART_NAMES } from '@sallyport/model';
import type { Area, Digest, ReleaseSeq, Ring } from '@sallyport/model';
import { applyDelta, createClient } from '@sallyport/net';
import type { PolicyFile } from '@sallyport/policy';
import {
  EMPTY_HIGH_WATER,
  applyRevocation,
  beginRevocations,
  trustOnlineKeys,
  trustRoot,
  verifyFreshness,
  verifyLiveProof,
} from '@sallyport/trust';
import type { TrustedOnlineKeys, TrustedRoot, VerifiedStatement } from '@sallyport/trust';
import { controlPlaneHarness, flipBit, harnessPolicy, payloadText, policyStream } from '@sallyport/testkit';
import type { ControlPlaneHarness, EnrolledSidecar, PolicyStream } from '@sallyport/testkit';

const soon = { deadlineMs: 20_000 };

let harness: ControlPlaneHarness;
const streams: PolicyStream[] = [];
beforeEach(async () => {
  harness = await controlPlaneHarness({ moreAreas: ['elsewhere'] });
});
afterEach(async () => {
  for (const stream of streams.splice(0)) stream.close();
  await harness.close();
});

function open(sidecar: EnrolledSidecar): PolicyStream {
  const stream = policyStream(sidecar.channel);
  streams.push(stream);
  return stream;
}

async function released(): Promise<{ readonly bundle: Digest; readonly release: Digest }> {
  const { bundle } = await harness.publish();
  const { release } = await harness.release(bundle);
  return { bundle: bundle.digest, release: release.digest };
}

/** The Roots that came on the stream, walked from the pin. */
function rootOf(stream: PolicyStream): TrustedRoot {
  const chain = stream.received.flatMap(({ message }) => (message.case === 'root' ? [message.value] : []));
  const root = trustRoot({ pin: harness.simulator.pin, chain, allowDevelopmentRoot: true });
  if (!root.ok) throw new Error(root.error.detail);
  return root.value;
}

function keysOf(stream: PolicyStream, proof: Freshness): TrustedOnlineKeys {
  const keys = trustOnlineKeys(proof.onlineKeys, { root: rootOf(stream), highWater: EMPTY_HIGH_WATER });
  if (!keys.ok) throw new Error(keys.error.detail);
  return keys.value;
}

function offerOf({ envelope, entries }: Freshness): Parameters<typeof verifyFreshness>[0] {
  return {
    envelope,
    entries: entries.map((entry) => ({
      ...entry,
      area: entry.area as Area,
      ring: entry.ring as Ring,
      release: entry.release as Digest,
      releaseSeq: Number(entry.releaseSeq) as ReleaseSeq,
      leafIndex: Number(entry.leafIndex),
      treeSize: Number(entry.treeSize),
    })),
  };
}

function verified(result: ReturnType<typeof verifyFreshness>): VerifiedStatement {
  if (!result.ok) throw new Error(result.error.detail);
  return result.value;
}

async function status(): Promise<StatusResponse> {
  const answer = await (await harness.client(Fleet, '/admin/alice')).status(create(StatusRequestSchema), soon);
  if (!answer.ok) throw new Error(answer.error.message);
  return answer.value;
}

describe('a stream begins', () => {
  test('with the roots, a live proof for this nonce and this identity, the bundle, the release', async () => {
    const { bundle, release } = await released();
    const sidecar = await harness.enrol();
    const stream = open(sidecar);
    stream.obey();
    const hello = stream.hello();
    const proof = await stream.next('liveProof');
    const statement = verified(verifyLiveProof(offerOf(proof), keysOf(stream, proof)));
    expect(statement.proof).toEqual({ nonce: hello.nonce, identity: sidecar.spiffeId });
    expect(statement.payload).toMatchObject({
      rootNumber: 2,
      issuedAt: harness.clock.wall(),
      ttlMs: 300_000,
      revocation: { seq: 0, head: null },
    });
    expect(statement.leaves).toEqual([{ area: 'default', ring: 'default', release, releaseSeq: 1 }]);
    expect(
      digestOf(
        new Uint8Array(
          Buffer.from(
            (JSON.parse(Buffer.from((await stream.next('bundle')).envelope).toString()) as { payload: string }).payload,
            'base64',
          ),
        ),
      ),
    ).toBe(bundle);
    await stream.next('release');
    expect(stream.received.map(({ message }) => message.case).slice(0, 4)).toEqual(['root', 'root', 'liveProof', 'bundle']);
  });

  test('two areas have each their own entry, proven in one tree', async () => {
    await released();
    const proofs = await Promise.all(
      ['one', 'two'].map(async (instance) => {
        const stream = open(await harness.enrol({ instance, ring: instance === 'one' ? 'default' : 'canary' }));
        stream.hello();
        const proof = await stream.next('liveProof');
        return verified(verifyLiveProof(offerOf(proof), keysOf(stream, proof)));
      }),
    );
    expect(proofs.map(({ leaves }) => leaves.length)).toEqual([1, 0]);
    expect(new Set(proofs.map(({ payload }) => payload.seq)).size).toBe(2);
  });

  test('replay of an old Hello: it is answered anew, to whoever sends it, and a second one in a stream is refused', async () => {
    await released();
    const [victim, thief] = [await harness.enrol({ instance: 'victim' }), await harness.enrol({ instance: 'thief' })];
    const first = open(victim);
    const hello = first.hello();
    const proof = await first.next('liveProof');
    const replayed = open(thief);
    replayed.hello({ nonce: hello.nonce });
    const second = await replayed.next('liveProof');
    const [a, b] = [
      verified(verifyLiveProof(offerOf(proof), keysOf(first, proof))),
      verified(verifyLiveProof(offerOf(second), keysOf(replayed, second))),
    ];
    expect(b.proof?.identity).toBe(thief.spiffeId);
    expect(b.payload.seq).toBeGreaterThan(a.payload.seq);
    first.hello({ nonce: hello.nonce });
    expect(await first.status).toMatchObject({ code: 'invalid_argument' });
  });

  test.each([
    ['a statement', { freshnessSeq: 10_000n }],
    ['a root', { rootNumber: 9n }],
    ['a revocation', { revocationSeq: 5n }],
    [
      'a release',
      { held: [create(HeldReleaseSchema, { area: 'default', ring: 'default', releaseSeq: 7n, release: `sha256:${'1'.repeat(64)}` })] },
    ],
    [
      'another release under the same number',
      { held: [create(HeldReleaseSchema, { area: 'default', ring: 'default', releaseSeq: 1n, release: `sha256:${'1'.repeat(64)}` })] },
    ],
  ])('a sidecar that holds %s from the future is sent away, with nothing issued, and the alert is raised', async (_what, ahead) => {
    await released();
    const stream = open(await harness.enrol());
    const before = (await status()).freshnessSeq;
    stream.hello({ rootNumber: 1n, ...ahead });
    expect(await stream.next('reconnect')).toMatchObject({ reason: 'this replica is behind' });
    // The root that it lacks, which may be what undoes a theft, and nothing that a key of this process has signed.
    expect(stream.received.map(({ message }) => message.case)).toEqual('rootNumber' in ahead ? ['reconnect'] : ['root', 'reconnect']);
    expect((await status()).freshnessSeq).toBe(before);
    expect(harness.log.some((line) => line.includes('BEHIND'))).toBe(true);
    expect(harness.log.some((line) => line.includes('sidecar.ahead') && line.includes('was its state lost'))).toBe(true);
  });

  test.each([
    ['a beat before Hello', (stream: PolicyStream): void => stream.say({ case: 'beat', value: create(BeatSchema) })],
    ['a nonce that is too short', (stream: PolicyStream): void => void stream.hello({ nonce: randomBytes(16) })],
    [
      'a release that is no digest',
      (stream: PolicyStream): void =>
        void stream.hello({ held: [create(HeldReleaseSchema, { area: 'default', ring: 'default', release: 'latest' })] }),
    ],
  ])('%s ends the stream', async (_what, say) => {
    const stream = open(await readySidecar());
    say(stream);
    expect(await stream.status).toMatchObject({ code: 'invalid_argument' });
    expect(stream.received).toEqual([]);
  });

  test('slow drip: a stream that never says Hello is ended', async () => {
    const stream = open(await readySidecar());
    await harness.passTime(stream.status);
    expect(await stream.status).toMatchObject({ code: 'deadline_exceeded' });
  });

  test('an identity that was never enrolled here gets nothing, however good its certificate', async () => {
    await released();
    const stream = policyStream(await harness.channel('/sidecar/support-triage/ghost'));
    streams.push(stream);
    stream.hello();
    expect(await stream.status).toMatchObject({ code: 'unauthenticated' });
    expect(stream.received).toEqual([]);
  });

  test('an identity whose agent is revoked gets nothing; what is banned with everything else still hears how it is lifted', async () => {
    await released();
    const sidecar = await harness.enrol();
    const publish = await harness.client(Publish, '/admin/alice');
    await publish.revoke(create(RevokeRequestSchema, { selector: 'everything', value: '*' }), soon);
    const heard = open(sidecar);
    heard.hello();
    await heard.next('liveProof');
    await publish.revoke(create(RevokeRequestSchema, { selector: 'agent', value: 'support-triage' }), soon);
    const refused = open(sidecar);
    refused.hello();
    expect(await refused.status).toMatchObject({ code: 'permission_denied' });
    expect(refused.received).toEqual([]);
  });

  test('what it says is active is not offered again', async () => {
    const { release } = await released();
    const stream = open(await harness.enrol());
    stream.hello({ held: [create(HeldReleaseSchema, { area: 'default', ring: 'default', releaseSeq: 1n, release })] });
    await stream.next('liveProof');
    const { bundle: next } = await harness.publish(harnessPolicy(2));
    await stream.next('bundle');
    const offered = stream.received.filter(({ message }) => message.case === 'bundle' || message.case === 'release');
    expect(offered).toHaveLength(1);
    expect(offered[0]?.message.case === 'bundle' && Buffer.from(offered[0].message.value.envelope).equals(next.envelope)).toBe(true);
  });
});

async function readySidecar(): Promise<EnrolledSidecar> {
  await harness.publish();
  return harness.enrol();
}

describe('a stream goes on', () => {
  test('freshness comes every third of the ttl, each with a higher number', async () => {
    await released();
    const stream = open(await harness.enrol());
    stream.obey();
    stream.hello();
    const proof = await stream.next('liveProof');
    const seqs = [verified(verifyLiveProof(offerOf(proof), keysOf(stream, proof))).payload.seq];
    for (let third = 0; third < 3; third++) {
      await harness.clock.advance(100_000);
      const statement = verified(verifyFreshness(offerOf(await stream.next('freshness')), keysOf(stream, proof)));
      expect(statement.payload.issuedAt).toBe(harness.clock.wall());
      seqs.push(statement.payload.seq);
    }
    expect(seqs).toEqual(seqs.toSorted((a, b) => a - b));
    expect(new Set(seqs).size).toBe(4);
  });

  test('a release reaches a connected sidecar: offered, then attested, then answered', async () => {
    const { bundle } = await harness.publish();
    const stream = open(await harness.enrol());
    stream.hello();
    const proof = await stream.next('liveProof');
    await stream.next('bundle');
    stream.answer('STAGED');
    const { release } = await harness.release(bundle);
    expect(Buffer.from((await stream.next('release')).envelope).equals(release.envelope)).toBe(true);
    const statement = verified(verifyFreshness(offerOf(await stream.next('freshness')), keysOf(stream, proof)));
    expect(statement.leaves).toMatchObject([{ release: release.digest, releaseSeq: 1 }]);
    stream.answer('ACTIVE', {
      active: [create(HeldReleaseSchema, { area: 'default', ring: 'default', releaseSeq: 1n, release: release.digest })],
    });
    await expect
      .poll(async () => (await status()).sidecars[0])
      .toMatchObject({ activeReleaseSeq: 1n, activeRelease: release.digest, drifted: false, connected: true, staged: [bundle.digest] });
  });

  test('one offer is out at a time, and what comes after is the newest', async () => {
    await harness.publish(harnessPolicy(1));
    const stream = open(await harness.enrol());
    stream.hello();
    await stream.next('bundle');
    await harness.publish(harnessPolicy(2));
    const { bundle: newest } = await harness.publish(harnessPolicy(3));
    expect(stream.received.filter(({ message }) => message.case === 'bundle')).toHaveLength(1);
    stream.answer('STAGED');
    expect(Buffer.from((await stream.next('bundle')).envelope).equals(newest.envelope)).toBe(true);
  });

  test('a verdict for another nonce settles nothing', async () => {
    await harness.publish(harnessPolicy(1));
    const stream = open(await harness.enrol());
    stream.hello();
    await stream.next('bundle');
    stream.say({
      case: 'verdict',
      value: { $typeName: 'sallyport.policy.v1.Verdict', nonce: randomBytes(16), outcome: 1, code: '', detail: '', tookMs: 0, active: [] },
    });
    await harness.publish(harnessPolicy(2));
    expect((await status()).sidecars[0]?.staged).toEqual([]);
    expect(stream.received.filter(({ message }) => message.case === 'bundle')).toHaveLength(1);
  });

  test('a release that is refused for want of a bundle is offered again with its bundle, a bounded number of times', async () => {
    await released();
    const stream = open(await harness.enrol());
    stream.hello();
    for (let time = 0; time < 3; time++) {
      await stream.next('bundle');
      stream.answer('STAGED');
      await stream.next('release');
      stream.answer('REJECTED', { code: 'DIGEST', detail: 'bundle is not verified here' });
    }
    await expect.poll(async () => (await status()).sidecars[0]?.lastRejection).toContain('DIGEST');
    const offered = stream.received.filter(({ message }) => message.case === 'release');
    expect(offered).toHaveLength(3);
  });

  test('revocations overtake offers, in order, and a reconnect gets what it missed', async () => {
    await harness.publish();
    const sidecar = await harness.enrol();
    const stream = open(sidecar);
    stream.hello();
    await stream.next('bundle');
    const publish = await harness.client(Publish, '/admin/alice');
    for (const value of ['token-1', 'token-2'])
      expect(await publish.revoke(create(RevokeRequestSchema, { selector: 'token', value }), soon)).toMatchObject({ ok: true });
    let state = beginRevocations({ seq: 0, head: null });
    for (let seq = 1; seq <= 2; seq++) {
      const applied = applyRevocation(state, await stream.next('revocation'), { root: rootOf(stream), at: harness.clock.wall() });
      if (!applied.ok) throw new Error(applied.error.detail);
      ({ state } = applied.value);
    }
    const statement = await stream.next('freshness');
    expect(state.seq).toBe(2);
    expect(payloadText(statement.envelope)).toContain('"revocation":{"seq":1,');
    stream.close();
    const again = open({ ...sidecar });
    again.hello({ revocationSeq: 1n });
    expect(payloadText(await again.next('revocation'))).toContain('"seq":2');
    expect(again.received.filter(({ message }) => message.case === 'revocation')).toHaveLength(1);
  });

  test('a sidecar that does not answer an offer is asked to come again', async () => {
    await harness.publish();
    const stream = open(await harness.enrol());
    stream.hello();
    await stream.next('bundle');
    await harness.clock.advance(121_000);
    expect(await stream.next('reconnect')).toMatchObject({ reason: 'an offer was not answered' });
    expect(await stream.status).toMatchObject({ code: 'ok' });
  });

  test('a newer stream of one identity takes the place of the older', async () => {
    const sidecar = await readySidecar();
    const [older, newer] = [open(sidecar), open(sidecar)];
    older.hello();
    await older.next('liveProof');
    newer.hello();
    await newer.next('liveProof');
    expect(await older.next('reconnect')).toMatchObject({ reason: 'another stream of this identity has begun' });
    await older.status;
    expect((await status()).sidecars).toMatchObject([{ connected: true }]);
  });

  test('no stream outlives the certificate that opened it', async () => {
    const stream = open(await readySidecar());
    stream.obey();
    stream.hello();
    await stream.next('liveProof');
    await harness.clock.advance(3_600_000);
    expect(await stream.next('reconnect')).toMatchObject({ reason: 'certificate' });
    expect(await stream.status).toMatchObject({ code: 'ok' });
  });

  test('a drain says goodbye', async () => {
    const stream = open(await readySidecar());
    stream.obey();
    stream.hello();
    await stream.next('liveProof');
    await harness.controlPlane.drain();
    expect(await stream.next('reconnect')).toMatchObject({ reason: 'draining' });
    expect(harness.clock.timers).toBe(0);
  });

  test('the fleet is visible: who enforces what, who drifted, who was heard of when', async () => {
    const { bundle } = await harness.publish(harnessPolicy(1));
    const { release: first } = await harness.release(bundle);
    const told = (release: Digest, releaseSeq: bigint): HeldRelease =>
      create(HeldReleaseSchema, { area: 'default', ring: 'default', release, releaseSeq });
    const three = await Promise.all(['one', 'two', 'three'].map(async (instance) => open(await harness.enrol({ instance }))));
    for (const stream of three) {
      stream.hello({ held: [told(first.digest, 1n)] });
      await stream.next('liveProof');
    }
    const { bundle: next } = await harness.publish(harnessPolicy(2));
    const { release: second } = await harness.release(next, { leaveBehind: true });
    for (const stream of three.slice(0, 2))
      stream.say({
        case: 'beat',
        value: create(BeatSchema, { state: 'fresh', policyAgeMs: 40n, freshnessSeq: 3n, active: [told(second.digest, 2n)] }),
      });
    await expect.poll(async () => (await status()).sidecars.filter(({ drifted }) => !drifted).length).toBe(2);
    expect(await status()).toMatchObject({
      releaseSeq: 2n,
      sidecars: [
        {
          instance: 'one',
          activeReleaseSeq: 2n,
          drifted: false,
          state: 'fresh',
          policyAgeMs: 40n,
          lastContactMs: BigInt(harness.clock.wall()),
        },
        { instance: 'three', activeReleaseSeq: 1n, drifted: true, connected: true },
        { instance: 'two', activeReleaseSeq: 2n, drifted: false },
      ],
    });
    await harness.restart();
    expect(
      (await status()).sidecars.map(({ instance, connected, activeReleaseSeq }) => ({ instance, connected, activeReleaseSeq })),
    ).toEqual([
      { instance: 'one', connected: false, activeReleaseSeq: 2n },
      { instance: 'three', connected: false, activeReleaseSeq: 1n },
      { instance: 'two', connected: false, activeReleaseSeq: 2n },
    ]);
  });

  test('a watcher of the fleet sees every change, the newest if it is slow', async () => {
    const sidecar = await readySidecar();
    const over = new AbortController();
    const fleet = await harness.client(Fleet, '/admin/alice');
    const changes = fleet.watch(create(StatusRequestSchema), { signal: over.signal });
    const watched = changes[Symbol.asyncIterator]();
    expect((await watched.next()).value).toMatchObject({ sidecars: [] });
    const stream = open(sidecar);
    stream.hello();
    await stream.next('liveProof');
    expect((await watched.next()).value).toMatchObject({ sidecars: [{ connected: true }] });
    over.abort();
  });
});

describe('parts', () => {
  test('of a small change the offer brings what differs, and it is what was signed', async () => {
    const first = await harness.publish(harnessPolicy());
    await harness.release(first.bundle);
    const { bundle } = await harness.publish(harnessPolicy(2));
    const stream = open(await harness.enrol());
    stream.obey();
    stream.hello();
    expect((await stream.next('bundle')).deltas).toEqual([]);
    const { deltas } = await stream.next('bundle');
    const changed = PART_NAMES.filter((name) => digestOf(bundle.parts[name]) !== digestOf(first.bundle.parts[name]));
    expect(deltas.map(({ digest }) => digest)).toEqual(changed.map((name) => digestOf(bundle.parts[name])));
    for (const [index, name] of changed.entries()) {
      const { base, frame } = deltas[index] ?? { base: '', frame: new Uint8Array() };
      expect(base).toBe(digestOf(first.bundle.parts[name]));
      expect(frame.byteLength).toBeLessThan(100);
      expect(applyDelta(frame, first.bundle.parts[name], bundle.parts[name].byteLength)).toEqual(new Uint8Array(bundle.parts[name]));
    }
  });

  test('a difference that finds no room in the message is left out, and the rest is offered', async () => {
    const noise = (): string => Buffer.from(randomBytes(3_000)).toString('base64url');
    const tool = (index: number, text: string): string =>
      `---\nkind: Tool\nname: orders/more_${index}\nroute: { method: GET, path: /more_${index} }\neffect: read\ndescription: ${text}\narguments: {}\n`;
    const described = (text: () => string): readonly PolicyFile[] =>
      harnessPolicy().map(({ path, text: policy }) => ({
        path,
        text: policy + [1, 2, 3, 4, 5].map((index) => tool(index, text())).join(''),
      }));
    const first = await harness.publish(described(() => 'as it was'));
    await harness.release(first.bundle);
    const { bundle } = await harness.publish(described(noise));
    const stream = open(await harness.enrol());
    stream.obey();
    stream.hello();
    await stream.next('bundle');
    expect((await stream.next('bundle')).deltas.map(({ digest }) => digest)).not.toContain(digestOf(bundle.parts.catalog));
  });

  async function part(sidecar: EnrolledSidecar, digest: string, offset = 0n): Promise<{ bytes: Uint8Array; code: string }> {
    const chunks: Uint8Array[] = [];
    const answer = createClient(PolicyPlane, sidecar.channel).getPart(create(GetPartRequestSchema, { digest, offset }), {
      signal: new AbortController().signal,
    });
    for await (const { data } of answer) chunks.push(data);
    return { bytes: Buffer.concat(chunks), code: (await answer.status).code };
  }

  test('come whole, in pieces, and go on where a download broke off', async () => {
    const { bundle } = await harness.publish(harnessPolicy());
    const sidecar = await harness.enrol();
    const { catalog } = bundle.parts;
    const digest = digestOf(catalog);
    expect(Buffer.from((await part(sidecar, digest)).bytes).equals(catalog)).toBe(true);
    expect(Buffer.from((await part(sidecar, digest, 100n)).bytes).equals(catalog.subarray(100))).toBe(true);
    expect(await part(sidecar, digest, BigInt(catalog.byteLength + 1))).toMatchObject({ code: 'out_of_range' });
  });

  test('more downloads than may run wait for their turn, and none is refused; who goes away while it waits holds up nobody', async () => {
    await harness.close();
    harness = await controlPlaneHarness({ config: { limits: { part_streams_max: 1 } } });
    const { bundle } = await harness.publish();
    const sidecar = await harness.enrol();
    const digest = digestOf(bundle.parts.catalog);
    const impatient = new AbortController();
    const client = createClient(PolicyPlane, sidecar.channel);
    const all = Array.from({ length: 20 }, () => part(sidecar, digest));
    const left = client.getPart(create(GetPartRequestSchema, { digest, offset: 0n }), { signal: impatient.signal });
    impatient.abort();
    expect((await left.status).code).toBe('cancelled');
    const after = Array.from({ length: 10 }, () => part(sidecar, digest));
    for (const { code, bytes } of await Promise.all([...all, ...after]))
      expect([code, Buffer.from(bytes).equals(bundle.parts.catalog)]).toEqual(['ok', true]);
  });

  test('[R9.23] a sidecar of one area does not get a part of another area’s bundle', async () => {
    const { bundle } = await harness.publish();
    await harness.publish(harnessPolicy(2), { edit: (elsewhere) => ({ ...elsewhere, area: 'elsewhere' as Area }) });
    const [own, stranger] = [await harness.enrol({ instance: 'own' }), await harness.enrol({ instance: 'stranger', area: 'elsewhere' })];
    expect(await part(stranger, digestOf(bundle.parts.catalog))).toMatchObject({ code: 'permission_denied', bytes: Buffer.alloc(0) });
    expect(await part(stranger, `sha256:${'0'.repeat(64)}`)).toMatchObject({ code: 'not_found' });
    expect(await part(own, digestOf(bundle.parts.catalog))).toMatchObject({ code: 'ok' });
  });

  test('[R9.19] a part that was edited on disk is not served', async () => {
    const { bundle } = await harness.publish();
    const sidecar = await harness.enrol();
    const directory = join(harness.directory, 'state', 'objects');
    const name = readdirSync(directory).find((file) => digestOf(bundle.parts.policy).endsWith(file)) ?? '';
    writeFileSync(join(directory, name), flipBit(readFileSync(join(directory, name)), 3));
    expect(await part(sidecar, digestOf(bundle.parts.policy))).toMatchObject({ code: 'data_loss', bytes: Buffer.alloc(0) });
  });
});
