import { recordingUpstream, type RecordingUpstream } from '@sallyport/testkit';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually, startWorld, type RunningSidecar, type World } from '../../support/world.ts';
import { deskOf, type Desk } from './desk.ts';

interface Version {
  readonly kind: string;
  readonly revision?: number;
  readonly release_seq?: number;
  readonly bundles?: readonly string[];
  readonly digest: string;
  readonly author: string;
  readonly rollback?: boolean;
  readonly reason?: string | null;
  readonly commit?: string | null;
}

describe('publishing from the command line', () => {
  let world: World;
  let up: RecordingUpstream;
  let desk: Desk;
  let sidecar: RunningSidecar;

  const log = async (): Promise<readonly Version[]> =>
    (await desk.admin('policy', 'log', '--json')).json()['versions'] as readonly Version[];
  /** `revision 3, release 4`: what stands highest. */
  const heads = async (): Promise<string> => {
    const versions = await log();
    const top = (key: 'revision' | 'release_seq'): number => Math.max(0, ...versions.map((version) => version[key] ?? 0));
    return `revision ${top('revision')}, release ${top('release_seq')}`;
  };
  const inForce = async (): Promise<string | undefined> => {
    const releases = (await log()).filter(({ kind }) => kind === 'release').toSorted((a, b) => (b.release_seq ?? 0) - (a.release_seq ?? 0));
    return releases[0]?.bundles?.[0];
  };

  beforeAll(async () => {
    up = await recordingUpstream();
    world = await startWorld();
    desk = deskOf(world, up.url);
    desk.writePolicy('p');
    expect((await desk.admin('policy', 'publish', 'p')).exit).toBe(0);
    sidecar = await world.startSidecar();
    await eventually(() => sidecar.ready(), 'readiness');
  });
  afterAll(async () => {
    await world?.close();
    await up?.close();
    desk?.close();
  });

  it('arrives at the fleet while somebody waits, and only what is new travels', async () => {
    desk.writePolicy('p', { maxLength: 21 });
    const { exit, json, err } = await desk.admin('policy', 'publish', 'p', '--wait', '--commit', 'abc1234', '--json');
    expect(exit).toBe(0);
    expect(json()).toEqual({
      bundle: { area: 'default', revision: 2, digest: expect.stringMatching(/^sha256:/), parts_uploaded: 1 },
      release: { area: 'default', ring: 'default', release_seq: 2, digest: expect.stringMatching(/^sha256:/), left_behind: [] },
      fleet: { active: 1, p50_ms: expect.any(Number), p99_ms: expect.any(Number), max_ms: expect.any(Number), missing: [] },
    });
    expect(err).toContain('1 test passed\nuploading 1 of 7 parts\n');
    expect(err).toContain('  1 of 1 sidecar active\n');
    expect((await log()).find(({ revision }) => revision === 2)).toMatchObject({
      author: 'spiffe://demo.local/admin/admin',
      commit: 'abc1234',
    });
  });

  it('makes a new version of the same content, since whoever publishes twice means it', async () => {
    await desk.admin('policy', 'publish', 'p');
    expect(await heads()).toBe('revision 3, release 3');
  });

  describe('refuses, and leaves everything as it was:', () => {
    const refused = async (argv: readonly string[], exit: number, message: string): Promise<void> => {
      const before = await heads();
      const ran = await desk.admin('policy', 'publish', ...argv);
      expect([ran.exit, ran.out]).toEqual([exit, '']);
      expect(ran.err).toContain(message);
      expect(await heads()).toBe(before);
    };

    it('a policy that fails its tests, with the line [R3.68]', async () => {
      desk.writePolicy('failing', { expect: 'insufficient_scope' });
      expect((await desk.type('policy', 'test', 'failing')).exit).toBe(1);
      await refused(['failing'], 1, 'failing/policy.yaml:27: `orders/get_order`: expected insufficient_scope, seen allow');
    });

    it('a policy that does not compile', async () => {
      desk.write('broken/p.yaml', 'apiVersion: sallyport.dev/v1\nkind: Policy\nagent: nobody\nrules: []\n');
      await refused(['broken'], 1, 'broken/p.yaml:');
    });

    it('a key that publishes nothing', async () => {
      await desk.type('bundle', 'keygen', '--out', 'stranger.pem');
      await refused(['p', '--key', 'stranger.pem'], 1, 'REJECTED(SIGNATURE)');
    });

    it('a key that others can read, before anything is sent', async () => {
      copyFileSync(join(world.dir, 'signing', 'publisher.pem'), desk.path('exposed.pem'));
      desk.mode('exposed.pem', 0o644);
      await refused(['p', '--key', 'exposed.pem'], 64, 'others than its owner can reach the private key');
    });

    it('a key that is not there', async () => {
      await refused(['p', '--key', 'nowhere.pem'], 64, 'cannot read the private key');
    });

    it('an area and a ring that are no names', async () => {
      await refused(['p', '--area', 'Default', '--ring', '7'], 2, '--ring: `7` is not a ring');
    });

    it('an area that nobody publishes for', async () => {
      const ran = await desk.admin('policy', 'publish', 'p', '--area', 'acme');
      expect([ran.exit, ran.err]).toEqual([1, expect.stringContaining('REJECTED(')]);
    });
  });

  it('lets one of two win who publish at once, and tells the other', async () => {
    const before = await heads();
    const [first, second] = await Promise.all([
      desk.admin('policy', 'publish', 'p', '--no-promote'),
      desk.admin('policy', 'publish', 'p', '--no-promote', '--commit', 'abcdef1'),
    ]);
    expect([first.exit, second.exit].toSorted((a, b) => a - b)).toEqual([0, 1]);
    expect(first.err + second.err).toContain('does not come after');
    expect(before).toBe('revision 3, release 3');
    expect(await heads()).toBe('revision 4, release 3');
  });

  describe('release promote', () => {
    it('puts in force what was only published, once', async () => {
      const { exit, json } = await desk.admin('release', 'promote', '--wait', '--json');
      expect(exit).toBe(0);
      expect(json()).toMatchObject({ release: { release_seq: 4 }, fleet: { active: 1 } });
      expect(await desk.admin('release', 'promote')).toMatchObject({
        exit: 1,
        err: expect.stringContaining('revision 4 is in force already'),
      });
    });

    it('signs without a network, and is submitted by another', async () => {
      await desk.admin('policy', 'publish', 'p', '--no-promote');
      const bundle = (await log()).find(({ revision }) => revision === 5);
      const signed = await desk.type(
        'release',
        'promote',
        '--sign-only',
        '--out',
        'r.json',
        '--bundle',
        bundle?.digest ?? '',
        '--revision',
        '5',
        '--release-seq',
        '5',
        '--dir',
        world.dir,
      );
      expect(signed).toMatchObject({ exit: 0, out: expect.stringContaining('signed release 5 of default, ring default: revision 5') });
      expect((await desk.admin('release', 'promote', '--file', 'r.json')).exit).toBe(0);
      expect(await inForce()).toBe(bundle?.digest);
    });

    it('is told that its number is taken', async () => {
      expect(await desk.admin('release', 'promote', '--file', 'r.json')).toMatchObject({ exit: 0 });
      await desk.admin('policy', 'publish', 'p');
      expect(await desk.admin('release', 'promote', '--file', 'r.json')).toMatchObject({
        exit: 1,
        err: expect.stringContaining('bundle_rollback_refused'),
      });
    });

    it.each([
      ['half of what offline signing needs', ['--bundle', `sha256:${'a'.repeat(64)}`], 'belong together'],
      ['a version that is none', ['--to', 'seven'], '`seven` is no version'],
      ['nowhere to write', ['--sign-only'], '`--out` is missing'],
    ])('refuses %s, with 2', async (_name, more, message) => {
      expect(await desk.admin('release', 'promote', ...more)).toMatchObject({ exit: 2, err: expect.stringContaining(message) });
    });

    it('refuses a file that is no release', async () => {
      desk.write('no.json', '{}');
      expect((await desk.admin('release', 'promote', '--file', 'no.json')).exit).toBe(1);
      expect((await desk.admin('release', 'promote', '--file', 'absent.json')).exit).toBe(64);
    });
  });

  describe('policy rollback', () => {
    it('goes back in a new version, with a reason, seen by the fleet', async () => {
      const before = await inForce();
      const old = (await log()).find(({ revision }) => revision === 2);
      const { exit, json } = await desk.admin('policy', 'rollback', '--to', '2', '--reason', 'refunds refused', '--wait', '--json');
      expect(exit).toBe(0);
      expect(json()).toMatchObject({
        rollback: true,
        reason: 'refunds refused',
        bundle: { revision: 2 },
        release: { release_seq: 7 },
        fleet: { active: 1 },
      });
      expect([await inForce(), before]).toEqual([old?.digest, expect.not.stringMatching(old?.digest ?? '')]);
      expect((await log()).find((version) => version.release_seq === 7)).toMatchObject({ rollback: true, reason: 'refunds refused' });
    });

    it('finds what was in force before by itself, a release by its number, and a digest by its beginning', async () => {
      const versions = await log();
      const digestOf = (revision: number): string => versions.find((version) => version.revision === revision)?.digest ?? '';
      expect((await desk.admin('policy', 'rollback', '--reason', 'x', '--json')).json()).toMatchObject({ bundle: { revision: 6 } });
      expect((await desk.admin('policy', 'rollback', '--to', 'release:1', '--reason', 'x', '--json')).json()).toMatchObject({
        bundle: { revision: 1 },
      });
      expect((await desk.admin('policy', 'rollback', '--to', digestOf(3).slice(0, 19), '--reason', 'x', '--json')).json()).toMatchObject({
        bundle: { revision: 3 },
      });
    });

    it.each([
      ['what is in force', ['--to', '3'], 1, 'revision 3 is in force already'],
      ['a revision that never was', ['--to', '99'], 1, 'no bundle here is `99`'],
      ['a version that is none', ['--to', 'latest'], 2, '`latest` is no version'],
    ])('refuses %s', async (_name, more, exit, message) => {
      expect(await desk.admin('policy', 'rollback', '--reason', 'x', ...more)).toMatchObject({
        exit,
        err: expect.stringContaining(message),
      });
    });

    it('refuses without the second key before anything is sent; one stolen key does not suffice at the control plane either', async () => {
      const before = await heads();
      const one = join(world.dir, 'signing', 'release-1.pem');
      expect(await desk.admin('policy', 'rollback', '--to', '1', '--reason', 'x', '--release-key', one)).toMatchObject({
        exit: 1,
        err: expect.stringContaining('going back takes 2 release keys, and 1 is here'),
      });
      expect(
        await desk.admin('policy', 'rollback', '--to', '1', '--reason', 'x', '--release-key', one, '--release-key', one),
      ).toMatchObject({ exit: 1, err: expect.stringContaining('and 1 is here') });
      expect(await desk.admin('release', 'promote', '--to', '1', '--rollback', 'x')).toMatchObject({
        exit: 1,
        err: expect.stringContaining('bundle_rollback_refused'),
      });
      expect(await desk.admin('release', 'promote', '--to', '1')).toMatchObject({
        exit: 1,
        err: expect.stringContaining('bundle_rollback_refused'),
      });
      expect(await heads()).toBe(before);
    });

    it('is signed by two people at two machines', async () => {
      const two = join(world.dir, 'signing', 'release-2.pem');
      await desk.admin('release', 'promote', '--to', '1', '--rollback', 'agreed by both', '--sign-only', '--out', 'back.json');
      await desk.type('release', 'promote', '--file', 'back.json', '--release-key', two, '--sign-only', '--dir', world.dir);
      expect((await desk.admin('release', 'promote', '--file', 'back.json')).exit).toBe(0);
      expect((await log()).find(({ kind }) => kind === 'release')).toMatchObject({ rollback: true, reason: 'agreed by both' });
    });

    it('wants a reason', async () => {
      expect((await desk.admin('policy', 'rollback')).exit).toBe(2);
      expect(await desk.admin('policy', 'rollback', '--reason', ' ')).toMatchObject({
        exit: 2,
        err: expect.stringContaining('a reason has 1 to 500 characters'),
      });
    });
  });

  it('is listed for people, the one in force marked', async () => {
    const { out } = await desk.admin('policy', 'log', '--limit', '3');
    const lines = out.trimEnd().split('\n');
    expect(lines[0]).toMatch(/^ {2}VERSION +ACCEPTED +AUTHOR +DIGEST/);
    expect(lines[1]).toMatch(/^\* release \d+ +\S+Z +\/admin\/admin +sha256:[0-9a-f]{12} +revision 1, rollback: agreed by both$/);
    expect(lines).toHaveLength(4);
  });

  it('lets every call through while releases change: what becomes active is fresh at that moment', async () => {
    const session = await sidecar.session();
    const statuses: number[] = [];
    const publishing = (async () => {
      for (let round = 0; round < 5; round++)
        await desk.admin('policy', 'rollback', '--to', round % 2 === 0 ? '2' : '3', '--reason', 'to and fro', '--wait');
    })();
    const over = new AbortController();
    void publishing.finally(() => over.abort());
    while (!over.signal.aborted) statuses.push((await sidecar.call('orders/get_order', { order_id: 'O-1' }, session)).status);
    await publishing;
    expect(statuses.length).toBeGreaterThan(5);
    expect(statuses.filter((status) => status !== 200)).toEqual([]);
  });
});
