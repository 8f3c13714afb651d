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
      changed: true,
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

  describe('of what is in force already', () => {
    it('publishes and releases nothing, and is no failure, whatever the commit', async () => {
      const { exit, out } = await desk.admin('policy', 'publish', 'p', '--commit', 'fedcba9');
      expect([exit, out]).toEqual([
        0,
        'nothing changed since revision 2 of default: not published (--force publishes it all the same)\nrelease 2 has it in force in ring default\n',
      ]);
      expect((await desk.admin('policy', 'publish', 'p', '--no-promote')).out).toContain('nothing changed since revision 2');
      expect(await heads()).toBe('revision 2, release 2');
    });

    it('still waits for the fleet where it is asked to, and answers in the same form', async () => {
      const inForceNow = (await log()).find((version) => version.release_seq === 2);
      expect((await desk.admin('policy', 'publish', 'p', '--wait', '--json')).json()).toMatchObject({
        bundle: { revision: 2, parts_uploaded: 0 },
        changed: false,
        release: { release_seq: 2, digest: inForceNow?.digest, left_behind: [] },
        fleet: { active: 1, missing: [] },
      });
    });

    it('makes a new version where that is meant', async () => {
      expect(await desk.admin('policy', 'publish', 'p', '--force')).toMatchObject({
        exit: 0,
        out: expect.stringContaining('published revision 3'),
      });
      expect(await heads()).toBe('revision 3, release 3');
    });
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

    it.each([
      ['publishes nothing', '--key', 'is no publisher of default'],
      ['releases nothing', '--release-key', 'is no release key'],
    ])('a key that %s, before anything is published, with the keys that would', async (_name, option, message) => {
      const { keyid } = (await desk.type('bundle', 'keygen', '--out', `stranger${option}.pem`, '--json')).json();
      await refused(['p', '--force', option, `stranger${option}.pem`], 1, `key ${String(keyid)} ${message} (`);
    });

    it('a key that others can read, before anything is sent', async () => {
      copyFileSync(join(world.dir, 'signing', 'publisher.pem'), desk.path('exposed.pem'));
      desk.mode('exposed.pem', 0o644);
      await refused(['p', '--key', 'exposed.pem'], 64, 'others than its owner can reach the private key');
    });

    it('a key that is not there', async () => {
      await refused(['p', '--key', 'nowhere.pem'], 64, 'cannot read the private key');
    });

    it('a key that is not there, before the policy is even read', async () => {
      await refused(['nowhere', '--key', 'nowhere.pem'], 64, 'nowhere.pem');
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
      desk.admin('policy', 'publish', 'p', '--force', '--no-promote'),
      desk.admin('policy', 'publish', 'p', '--force', '--no-promote', '--commit', 'abcdef1'),
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
      await desk.admin('policy', 'publish', 'p', '--force', '--no-promote');
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
      desk.writePolicy('p', { maxLength: 22 });
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
      expect(await desk.admin('release', 'promote', '--file', 'no.json')).toMatchObject({
        exit: 1,
        err: 'no.json: is no signed release (write one with --sign-only and --out)\n',
      });
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

    it('is undone by a release of what it went back from, with a warning', async () => {
      const { exit, out, err } = await desk.admin('release', 'promote');
      expect([exit, out]).toEqual([0, 'released 8 to default, ring default: revision 6\n']);
      expect(err).toContain('warning: release 7 went back from what is released again now: refunds refused');
      expect((await desk.admin('policy', 'rollback', '--to', '2', '--reason', 'refunds refused again', '--json')).json()).toMatchObject({
        release: { release_seq: 9 },
      });
    });

    it('releases what was only published, when it is published again', async () => {
      const back = await desk.admin('policy', 'publish', 'p', '--json');
      expect(back.json()).toMatchObject({ bundle: { revision: 6, parts_uploaded: 0 }, changed: false, release: { release_seq: 10 } });
      expect(back.err).toContain('warning: release 9 went back from what is released again now: refunds refused again');
    });

    it('refuses to go back to the same policy, and names the version that differs; warns where it was asked for', async () => {
      await desk.admin('policy', 'publish', 'p', '--force');
      expect(await desk.admin('policy', 'rollback', '--reason', 'x')).toMatchObject({
        exit: 1,
        out: '',
        err: 'sallyport policy rollback: going back would change nothing: revision 6 is the same policy as revision 7, which is in force (revision 5 differs: --to 5)\n',
      });
      expect(await desk.admin('policy', 'rollback', '--to', '6', '--reason', 'x')).toMatchObject({
        exit: 0,
        err: expect.stringContaining(
          'warning: revision 6 is the same policy as revision 7, which is in force (revision 5 differs: --to 5)\n',
        ),
        out: expect.stringContaining('back to revision 6'),
      });
    });

    it('finds what was in force before by itself, a release by its number, and a digest by its beginning', async () => {
      const versions = await log();
      const digestOf = (revision: number): string => versions.find((version) => version.revision === revision)?.digest ?? '';
      await desk.admin('policy', 'rollback', '--to', '2', '--reason', 'x');
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
      const alone = await desk.admin('release', 'promote', '--file', 'back.json');
      expect([alone.exit, alone.err]).toEqual([1, expect.stringContaining('`sallyport release promote --file FILE --release-key FILE`')]);
      await desk.type('release', 'promote', '--file', 'back.json', '--release-key', two, '--sign-only', '--dir', world.dir);
      expect((await desk.admin('release', 'promote', '--file', 'back.json')).exit).toBe(0);
      expect((await log()).find(({ kind }) => kind === 'release')).toMatchObject({ rollback: true, reason: 'agreed by both' });
    });

    it('is warned of a signature that will not count', async () => {
      const stranger = (await desk.type('bundle', 'keygen', '--out', 'anybody.pem', '--json')).json()['keyid'];
      const { exit, err } = await desk.admin(
        'release',
        'promote',
        '--file',
        'back.json',
        '--release-key',
        'anybody.pem',
        '--sign-only',
        '--out',
        'more.json',
      );
      expect([exit, err]).toEqual([0, expect.stringContaining(`warning: key ${String(stranger)} is no release key (`)]);
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
    expect(lines[1]).toMatch(/^\* release \d+ +\S+Z +admin\/admin +sha256:[0-9a-f]{12} +revision 1, rollback: agreed by both$/);
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
