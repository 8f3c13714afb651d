/**
 * Keys that change under a running fleet: what people sign with the `sallyport` command is put beside the old files, the
 * control plane takes it without a restart, sidecars follow, and calls go on.
 */

import { signerFromPem, type LocalSigner } from '@sallyport/crypto/keys';
import type { ReleaseSeq } from '@sallyport/model';
import { recordingUpstream, type RecordingUpstream } from '@sallyport/testkit';
import { encodeRelease, parseEnvelope, readRelease, signEnvelope } from '@sallyport/trust';
import { readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { terminal, type Terminal } from '../../../packages/cli/src/testing/terminal.ts';
import type { PublishedPolicy } from '../../support/administrator.ts';
import { rogueControlPlane } from '../../support/rogue-control-plane.ts';
import { versionOf } from '../../support/versions.ts';
import { eventually, startWorld, type RunningSidecar, type World } from '../../support/world.ts';

const ORDER = { order_id: 'O-000123' };

describe('keys that change under a running fleet', () => {
  let world: World;
  let up: RecordingUpstream;
  let sidecar: RunningSidecar;
  let desk: Terminal;
  let session: string;
  let first: PublishedPolicy;
  let drafts = 0;

  beforeEach(async () => {
    up = await recordingUpstream();
    world = await startWorld({ freshnessTtlMs: 15_000 });
    first = await world.admin.publish(versionOf(world, up.url, { number: 1 }));
    sidecar = await world.startSidecar();
    await eventually(() => sidecar.ready(), 'readiness');
    session = await sidecar.session();
    desk = terminal({ cwd: world.dir, env: { SALLYPORT_DIR: '.' } });
  });
  afterEach(async () => {
    desk?.close();
    await world?.close();
    await up?.close();
  });

  const type = async (line: string): Promise<string> => {
    const ran = await desk.type(...line.split(' '));
    if (ran.exit !== 0) throw new Error(`${line}: ${ran.err}`);
    return ran.out;
  };
  const json = async (line: string): Promise<Record<string, unknown>> =>
    JSON.parse(await type(`${line} --json`)) as Record<string, unknown>;
  const keygen = async (name: string): Promise<string> =>
    (await json(`bundle keygen --out ${name}.pem --public ${name}.pub`))['keyid'] as string;
  const signerOf = (file: string): LocalSigner => signerFromPem(readFileSync(join(world.dir, file), 'utf8'));
  const keyIdOf = (file: string): string => signerOf(file).keyId;
  /** Drafts, signs with each key and assembles. */
  const ceremony = async (family: string, draft: string, ...keys: readonly string[]): Promise<void> => {
    const name = `draft-${++drafts}`;
    await type(`${draft} --out ${name}`);
    await type(`${family} sign ${name} ${keys.map((key) => `--key ${key}`).join(' ')} --out ${name}.signed`);
    await type(`${family} assemble ${name}.signed`);
  };
  const decides = async (): Promise<number> => (await sidecar.call('orders/get_order', ORDER, session)).status;
  const taken = async (what: string): Promise<unknown> =>
    eventually(() => world.log.some((line) => line.includes('authority.files_taken') && line.includes(what)), `${what} is taken`);

  it('publishers: the new one publishes while what the old one signed is in force; then the old one’s signature is refused', async () => {
    const publisher = await keygen('publisher-2');
    await ceremony('area', 'area delegate --publisher publisher-2.pub', 'signing/registrar.pem');
    await eventually(async () => {
      const ours = await world.admin.submitBundle(versionOf(world, up.url, { number: 2 }), { signers: [signerOf('publisher-2.pem')] });
      return ours.problems.length === 0;
    }, 'a bundle of the new publisher');
    // The old one's bundle is enforced all the while, and the old one still publishes.
    expect([await decides(), (await world.admin.submitBundle(versionOf(world, up.url, { number: 3 }))).problems]).toEqual([200, []]);
    await ceremony('area', `area delegate --remove ${keyIdOf('signing/publisher.pem')}`, 'signing/registrar.pem');
    const refused = await eventually(async () => {
      const { problems } = await world.admin.submitBundle(versionOf(world, up.url, { number: 4 }));
      return problems.length > 0 && problems;
    }, 'the refusal of the old publisher');
    expect(refused[0]?.message).toMatch(/REJECTED\(SIGNATURE\)/);
    const last = await world.admin.submitBundle(versionOf(world, up.url, { number: 5 }), { signers: [signerOf('publisher-2.pem')] });
    expect((await world.admin.promote(last)).refusal).toBe('');
    await eventually(() => sidecar.sidecar.readiness().release_seq === 2, 'the release of the new publisher’s bundle');
    expect([await decides(), publisher]).toEqual([200, keyIdOf('publisher-2.pem')]);
  });

  it('release keys: a new root brings one in and takes one out, and sidecars follow while calls go on', async () => {
    await keygen('release-3');
    const [old, other] = ['signing/release-1.pem', 'signing/release-2.pem'];
    await ceremony('root', 'root rotate --add release=release-3.pub', 'signing/root.pem');
    await taken('root 2');
    const second = await world.admin.submitBundle(versionOf(world, up.url, { number: 2 }));
    expect((await world.admin.promote(second, { signers: [signerOf('release-3.pem')] })).refusal).toBe('');
    await eventually(() => sidecar.sidecar.readiness().release_seq === 2, 'a release of the new key');
    expect(await decides()).toBe(200);
    // Online keys are signed by the role as well: first by one that stays, then the old one goes.
    await ceremony('online-keys', 'online-keys draft --renew', other);
    await ceremony('root', `root rotate --remove ${keyIdOf(old)}`, 'signing/root.pem');
    await taken('root 3');
    const third = await world.admin.submitBundle(versionOf(world, up.url, { number: 3 }));
    expect(await world.admin.promote(third, { signers: [signerOf(old)] })).toMatchObject({
      refusal: 'release_rejected',
      detail: expect.stringContaining('SIGNATURE') as string,
    });
    expect((await world.admin.promote(third, { signers: [signerOf(other)] })).refusal).toBe('');
    await eventually(() => sidecar.sidecar.readiness().release_seq === 3, 'a release under root 3');
    expect(await decides()).toBe(200);
  });

  it('freshness keys: the next one is certified ahead, takes over without a restart, and the old one is withdrawn', async () => {
    const old = keyIdOf('control-plane/freshness.pem');
    await keygen('next');
    await ceremony('online-keys', 'online-keys draft --key r1b=next.pub', 'signing/release-1.pem');
    await taken('online keys 2');
    // The key is put in its place; the file that it leaves is gone, since nobody needs it any more.
    renameSync(join(world.dir, 'next.pem'), join(world.dir, 'control-plane', 'freshness.pem'));
    await ceremony('online-keys', `online-keys draft --remove ${old}`, 'signing/release-1.pem');
    await taken('online keys 3');
    const issued = (await world.admin.status()).freshnessSeq;
    // Whatever it holds from now on, the new key has signed.
    await eventually(
      async () => (await world.admin.status()).sidecars[0]!.freshnessSeq > issued,
      'a statement of the new key at the sidecar',
    );
    expect(await decides()).toBe(200);
  });

  it('fast-forward: a stolen release key uses up the numbers; a root that replaces the role undoes it', async () => {
    const address = world.controlPlane.addresses().grpc;
    const envelope = await world.admin.object((await world.admin.versions()).versions.find(({ kind }) => kind === 'release')!.digest);
    const parsed = parseEnvelope('Release', envelope);
    const held = parsed.ok ? readRelease(parsed.value.payload) : parsed;
    if (!held.ok) throw new Error(held.error.detail);
    await world.stopControlPlane();
    const rogue = await rogueControlPlane(world, address);
    await eventually(() => rogue.streams > 0, 'a stream');
    const last = encodeRelease({ ...held.value, releaseSeq: Number.MAX_SAFE_INTEGER as ReleaseSeq });
    expect(await rogue.offerRelease(await signEnvelope('Release', last, [signerOf('signing/release-1.pem')]))).toMatch(/^ACTIVE/);
    await rogue.close();
    await world.restartControlPlane();
    await eventually(() => world.log.some((line) => line.includes('sidecar.ahead')), 'the sidecar is sent away');

    for (const name of ['release-3', 'release-4']) await keygen(name);
    const removed = ['1', '2'].map((n) => `--remove ${keyIdOf(`signing/release-${n}.pem`)}`).join(' ');
    await ceremony('root', `root rotate ${removed} --add release=release-3.pub --add release=release-4.pub`, 'signing/root.pem');
    await ceremony('online-keys', 'online-keys draft --renew', 'release-3.pem');
    await taken('root 2');
    expect((await world.admin.promote(first, { signers: [signerOf('release-3.pem')] })).refusal).toBe('');
    await eventually(() => sidecar.sidecar.readiness().release_seq === 2, 'the next number of the honest ones');
    await eventually(async () => (await decides()) === 200, 'calls');
    // What the thief has signed means nothing any more, under any number.
    rmSync(join(world.dir, 'release-4.pem'));
  });
});
