/** Two people publish together: signatures that travel apart, what changes shown to the second, and no lost update. */

import { recordingUpstream, type RecordingUpstream } from '@sallyport/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { deskOf, type Desk } from '../12-command-line/desk.ts';
import { eventually, startWorld, type World } from '../../support/world.ts';

describe('two people publish', () => {
  let world: World;
  let up: RecordingUpstream;
  let desk: Desk;
  const ids: Record<string, string> = {};

  const ok = async (line: string): Promise<Record<string, unknown>> => {
    const ran = await desk.type(...line.split(' '), '--json');
    if (ran.exit !== 0) throw new Error(`${line}: ${ran.err}${ran.out}`);
    return ran.json();
  };
  const signing = (name: string): string => `${world.dir}/signing/${name}.pem`;
  const heads = async (): Promise<{ readonly digest: string; readonly revision: number }> => {
    const { json } = await desk.admin('policy', 'log', '--json');
    const bundles = (json()['versions'] as readonly { kind: string; revision: number; digest: string }[]).filter(
      ({ kind }) => kind === 'bundle',
    );
    return bundles.toSorted((a, b) => b.revision - a.revision)[0]!;
  };
  /** The next bundle over what is published, built. */
  const build = async (out: string, maxLength: number, ahead = 1): Promise<string> => {
    desk.writePolicy(out, { maxLength });
    const { digest, revision } = await heads();
    return (await ok(`policy build ${out} --out ${out}.bundle --revision ${revision + ahead} --previous ${digest}`))['digest'] as string;
  };

  beforeAll(async () => {
    up = await recordingUpstream();
    world = await startWorld();
    desk = deskOf(world, up.url);
    desk.writePolicy('p');
    expect((await desk.admin('policy', 'publish', 'p')).exit).toBe(0);
    for (const name of ['alice', 'bob', 'mallory'])
      ids[name] = (await ok(`bundle keygen --out ${name}.pem --public ${name}.pub`))['keyid'] as string;
    const { keyId } = world.admin.signer('publisher');
    await ok(`area delegate --publisher alice.pub --publisher bob.pub --remove ${keyId} --threshold 2 --out d --dir ${world.dir}`);
    await ok(`area sign d --key ${signing('registrar')} --out d.signed --dir ${world.dir}`);
    await ok(`area assemble d.signed --dir ${world.dir}`);
    await eventually(() => world.log.some((line) => line.includes('authority.files_taken')), 'the new delegation');
  });
  afterAll(async () => {
    await world?.close();
    await up?.close();
    desk?.close();
  });

  it('with signatures that travel apart, the second over the manifest alone', async () => {
    const digest = await build('a', 21);
    await ok('bundle sign a.bundle --key alice.pem --detached a.alice');
    expect(await desk.admin('bundle', 'submit', 'a.bundle', '--signed', 'a.alice')).toMatchObject({
      exit: 1,
      err: expect.stringContaining(`takes 2 signatures, and 1 is here (1 more of ${ids['bob']})`) as string,
    });
    await ok(`bundle sign a.bundle/manifest.json --digest ${digest} --key bob.pem --detached a.bob`);
    const submitted = await desk.admin('bundle', 'submit', 'a.bundle', '--signed', 'a.alice', '--signed', 'a.bob', '--json');
    expect([submitted.exit, submitted.json()]).toMatchObject([0, { bundle: { revision: 2, digest } }]);
  });

  it('and the second is shown what changes, against what is in force', async () => {
    await build('b', 90);
    await ok('bundle sign b.bundle --key alice.pem');
    const second = await desk.admin('bundle', 'sign', 'b.bundle', '--against', 'published', '--key', 'bob.pem');
    expect([second.exit, second.err]).toEqual([0, expect.stringMatching(/tool `orders\/get_order` changed[^]*maxLength[^]*newly allowed/)]);
    expect((await desk.admin('bundle', 'submit', 'b.bundle')).exit).toBe(0);
  });

  it('two revisions from one base: the second would undo the first, and is refused by name', async () => {
    await build('early', 31);
    await build('late', 32, 2);
    for (const name of ['early', 'late']) await ok(`bundle sign ${name}.bundle --key alice.pem --key bob.pem`);
    expect((await desk.admin('bundle', 'submit', 'early.bundle')).exit).toBe(0);
    const late = await desk.admin('bundle', 'submit', 'late.bundle', '--json');
    expect([late.exit, late.json()['problems']]).toEqual([
      1,
      [expect.objectContaining({ path: 'revision_conflict', message: expect.stringContaining('/admin/admin` has published') as string })],
    ]);
  });

  it.each([
    ['one person twice', ['alice.pem'], ['alice.pem']],
    ['one of them and a stranger', ['alice.pem'], ['mallory.pem']],
  ])('%s are one signature', async (name, first, second) => {
    const folder = name.replaceAll(' ', '-');
    await build(folder, 40);
    for (const [index, key] of [...first, ...second].entries())
      await ok(`bundle sign ${folder}.bundle --key ${key} --detached ${folder}.${index}`);
    const ran = await desk.admin('bundle', 'submit', `${folder}.bundle`, '--signed', `${folder}.0`, '--signed', `${folder}.1`);
    expect([ran.exit, ran.err]).toEqual([1, expect.stringContaining('takes 2 signatures, and 1 is here')]);
  });

  it('nobody signs another bundle than the one that was agreed on', async () => {
    await build('e', 50);
    const agreed = `sha256:${'0'.repeat(64)}`;
    for (const path of ['e.bundle', 'e.bundle/manifest.json']) {
      const ran = await desk.type('bundle', 'sign', path, '--digest', agreed, '--key', 'alice.pem', '--detached', 'x');
      expect([ran.exit, ran.err]).toEqual([1, expect.stringContaining('and not the bundle that was agreed on')]);
    }
    const blind = await desk.type('bundle', 'sign', 'e.bundle/manifest.json', '--key', 'alice.pem', '--detached', 'x');
    expect([blind.exit, blind.err]).toEqual([2, expect.stringContaining('say with --digest which bundle you mean')]);
  });

  it('what was signed for one bundle is no signature of another', async () => {
    await build('f', 60);
    await build('g', 61);
    await ok('bundle sign f.bundle --key alice.pem --detached f.alice');
    await ok('bundle sign g.bundle --key bob.pem --detached g.bob');
    const ran = await desk.admin('bundle', 'submit', 'f.bundle', '--signed', 'f.alice', '--signed', 'g.bob');
    expect([ran.exit, ran.err]).toEqual([1, expect.stringContaining('g.bob: signs another object')]);
  });
});
