import type { Digest } from '@sallyport/model';
import { flipBit, recordingUpstream, type RecordingUpstream } from '@sallyport/testkit';
import { digestOfPayload, encodeBundle, parseEnvelope, readBundle, signEnvelope, type Bundle } from '@sallyport/trust';
import { generateKey, signerFromPem } from '@sallyport/crypto/keys';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { PublishedPolicy } from '../../support/administrator.ts';
import { rogueControlPlane, type Rogue } from '../../support/rogue-control-plane.ts';
import { versionOf } from '../../support/versions.ts';
import { eventually, request, startWorld, type RunningSidecar, type World } from '../../support/world.ts';

const ORDER = { order_id: 'O-000123' };
/** Nobody takes its records at the end. */
const QUICK = { drain_ms: 100 };

/** A bundle or release as it was signed, with its parts. */
interface Stored {
  readonly envelope: Uint8Array;
  readonly bundle: Bundle;
  readonly parts: readonly Uint8Array[];
}

describe('a control plane that was taken over', () => {
  let world: World;
  let up: RecordingUpstream;
  let sidecar: RunningSidecar;
  let rogue: Rogue | undefined;
  let versions: PublishedPolicy[];
  let stored: Stored[];
  let releases: Uint8Array[];

  beforeEach(async () => {
    up = await recordingUpstream();
    world = await startWorld();
    [versions, stored, releases] = [[], [], []];
    for (const number of [1, 2]) {
      versions.push(await world.admin.publish(versionOf(world, up.url, { number })));
      stored.push(await storedBundle(versions.at(-1)!.digest));
      releases.push(await world.admin.object(await releaseDigest(number)));
    }
    sidecar = await world.startSidecar({ config: QUICK });
    await eventually(() => sidecar.ready(), 'readiness');
    expect(sidecar.sidecar.readiness().release_seq).toBe(2);
    rogue = undefined;
  });
  afterEach(async () => {
    await rogue?.close();
    await world?.close();
    await up?.close();
  });

  const releaseDigest = async (releaseSeq: number): Promise<string> => {
    const { versions: listed } = await world.admin.versions();
    return listed.find((one) => one.kind === 'release' && one.releaseSeq === BigInt(releaseSeq))!.digest;
  };
  const storedBundle = async (digest: Digest): Promise<Stored> => {
    const envelope = await world.admin.object(digest);
    const parsed = parseEnvelope('Bundle', envelope);
    const read = parsed.ok ? readBundle(parsed.value.payload) : parsed;
    if (!read.ok) throw new Error(read.error.detail);
    const parts = await Promise.all(Object.values(read.value.parts).map((part) => world.admin.object(part.digest)));
    return { envelope, bundle: read.value, parts };
  };
  const takeOver = async (): Promise<Rogue> => {
    const address = world.controlPlane.addresses().grpc;
    await world.stopControlPlane();
    rogue = await rogueControlPlane(world, address);
    return rogue;
  };
  const decides = async (): Promise<unknown> => (await sidecar.call('orders/get_order', ORDER, await sidecar.session())).status;
  /** Codes of the alerts that the sidecar has put on record, as the real control plane has them once it is back. */
  const alerts = async (count: number): Promise<readonly string[]> => {
    await rogue?.close();
    rogue = undefined;
    await world.restartControlPlane();
    return eventually(async () => {
      const records = (await world.admin.tail()).map((line) => JSON.parse(line) as { kind: string; code?: string });
      const codes = records.flatMap(({ kind, code }) => (kind === 'ALERT' && code?.startsWith('REJECTED_') === true ? [code] : []));
      return codes.length >= count ? codes : undefined;
    }, `${count} alerts`);
  };
  const metric = async (name: string): Promise<number> => {
    const { text } = await request(sidecar.healthPort, '/metrics', { method: 'GET' });
    return text.split('\n').reduce((sum, line) => (line.startsWith(name) ? sum + Number(line.split(' ').at(-1)) : sum), 0);
  };

  it('[R9.08] a bundle with one byte changed, of a wrong key, or unsigned is refused; the last good one decides on', async () => {
    const next = { ...stored[1]!.bundle, revision: 3 as Bundle['revision'], previous: versions[1]!.digest };
    const signed = await signEnvelope('Bundle', encodeBundle(next), [world.admin.signer('publisher')]);
    const stranger = signerFromPem(generateKey('ed25519').privatePem);
    const { parts } = stored[1]!;
    const evil = await takeOver();
    const payloadAt = Buffer.from(signed).indexOf('"payload":"') + 40;
    expect(await evil.offerBundle(flipBit(signed, payloadAt), parts)).toMatch(/^REJECTED (SIGNATURE|SIZE)$/);
    expect(await evil.offerBundle(await signEnvelope('Bundle', encodeBundle(next), [stranger]), parts)).toBe('REJECTED SIGNATURE');
    expect(await evil.offerBundle(await signEnvelope('Bundle', encodeBundle(next), []), parts)).toBe('REJECTED SIGNATURE');
    // Well signed, and one byte of what it names is another: here the catalog, which differs from the one that is held.
    const bent = { ...next, parts: { ...next.parts, catalog: { digest: `sha256:${'0'.repeat(64)}` as Digest, bytes: 3 } } };
    const renamed = await signEnvelope('Bundle', encodeBundle(bent), [world.admin.signer('publisher')]);
    expect(await evil.offerBundle(renamed, [new Uint8Array(3)])).toBe('REJECTED DIGEST');
    expect(await decides()).toBe(200);
    expect(sidecar.sidecar.readiness().release_seq).toBe(2);
    expect(await metric('sallyport_rejections_total')).toBe(4);
    expect(await alerts(4)).toEqual(['REJECTED_SIGNATURE', 'REJECTED_SIGNATURE', 'REJECTED_SIGNATURE', 'REJECTED_DIGEST']);
  });

  it('[R9.09] version n-1 offered after n is refused, and across a restart of the sidecar', async () => {
    // At the real control plane, which has its own name for it.
    expect(await world.admin.promote(versions[0]!)).toMatchObject({ refusal: 'bundle_rollback_refused' });
    const evil = await takeOver();
    const [older] = stored;
    const refusesOlder = async (): Promise<void> => {
      // An older bundle may be held, for a rollback that the release role decides; an older release may not be enforced.
      expect(await evil.offerBundle(older!.envelope, older!.parts)).toMatch(/^(STAGED|ALREADY)$/);
      expect(await evil.offerRelease(releases[0]!)).toBe('REJECTED ROLLBACK');
      // Nor does the freshness key, which was stolen too, bring it back.
      await evil.prove({ digest: digestOf('Release', releases[0]!), releaseSeq: 1 });
      expect(await evil.offerRelease(releases[0]!)).toBe('REJECTED ROLLBACK');
      expect(await decides()).toBe(200);
      expect(sidecar.sidecar.readiness().release_seq).toBe(2);
    };
    await refusesOlder();
    await sidecar.drain();
    sidecar = await world.startSidecar({ withToken: false, config: QUICK });
    await eventually(() => evil.streams === 2, 'the sidecar at the rogue control plane again');
    await refusesOlder();
    expect(await alerts(6)).toContain('REJECTED_ROLLBACK');
  });
});

function digestOf(kind: 'Release', envelope: Uint8Array): string {
  const parsed = parseEnvelope(kind, envelope);
  if (!parsed.ok) throw new Error('what was stored reads');
  return digestOfPayload(parsed.value.payload);
}
