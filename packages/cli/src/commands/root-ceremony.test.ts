/** Root 1 and the roots after it: made by people who never meet, from files alone. */

import { existsSync } from 'node:fs';
import { trustRoot } from '@sallyport/trust';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HOLDERS, ROOT_1, makeAuthority, makeProductionRoot, makeSigners, sign } from '../testing/signers.ts';
import { terminal } from '../testing/terminal.ts';
import type { Ran, Terminal } from '../testing/terminal.ts';

let at: Terminal;
beforeEach(() => {
  at = terminal();
});
afterEach(() => at.close());

const bytesOf = (name: string): Uint8Array => new TextEncoder().encode(at.read(name));
const keyIdOf = async (draft: string, name: string): Promise<string> => {
  const signed = await at.type('root', 'sign', draft, '--key', `${name}.pem`, '--out', `id-${name}`, '--json');
  return (signed.json()['signatures'] as readonly string[])[0] ?? '';
};

describe('root draft, sign and assemble', () => {
  beforeEach(async () => {
    makeSigners(at, HOLDERS);
    await makeAuthority(at);
  });

  it('make a production root of which no private key was ever where another was', async () => {
    const drafted = (await at.type(...ROOT_1, '--out', 'root-1', '--json')).json();
    expect(drafted).toMatchObject({ number: 1, profile: 'production' });
    // Each signer has the draft and a key, and nothing else.
    for (const name of ['alice', 'bob']) {
      const own = terminal();
      own.write('root-1', at.read('root-1'));
      own.write('mine.pem', at.read(`${name}.pem`));
      own.mode('mine.pem', 0o600);
      const signed = await own.type('root', 'sign', 'root-1', '--key', 'mine.pem', '--out', 'signed', '--json');
      expect([signed.exit, signed.json()]).toMatchObject([0, { digest: drafted['digest'], complete: false }]);
      expect(signed.err).toContain('root 1 of acme.test, profile production');
      at.write(`root-1.${name}`, own.read('signed'));
      own.close();
    }
    const { exit, json } = await at.type('root', 'assemble', 'root-1', '--signed', 'root-1.alice', '--signed', 'root-1.bob', '--json');
    expect([exit, json()]).toMatchObject([0, { root_pin: drafted['digest'], files: ['.sallyport/root/1.json', '.sallyport/root-pin'] }]);
    const pin = at.read('.sallyport/root-pin').trim();
    const root = trustRoot({ pin: pin as never, chain: [bytesOf('.sallyport/root/1.json')], allowDevelopmentRoot: false });
    if (!root.ok) throw new Error(root.error.detail);
    expect([root.value.profile, root.value.rollbackThreshold, root.value.role('release').threshold]).toEqual(['production', 2, 2]);
  });

  it('sign on one after the other, too', async () => {
    await at.type(...ROOT_1, '--out', 'root-1');
    await at.type('root', 'sign', 'root-1', '--key', 'alice.pem', '--out', 'one');
    const second = await at.type('root', 'sign', 'one', '--key', 'bob.pem', '--out', 'both', '--json');
    expect(second.json()).toMatchObject({ complete: true, signatures: [expect.any(String), expect.any(String)] });
    expect((await at.type('root', 'assemble', 'both')).exit).toBe(0);
  });

  it('refuse a role that one holder has alone', async () => {
    const line = ROOT_1.filter((word, index) => word !== 'root=bob.pub' && ROOT_1[index + 1] !== 'root=bob.pub');
    const ran = await at.type(...line, '--out', 'root-1');
    expect([ran.exit, ran.err]).toEqual([1, expect.stringContaining('role `root` asks for 2 keys and has 1 distinct ones')]);
    expect(existsSync(at.path('root-1'))).toBe(false);
  });

  it.each([
    ['one person twice under two ids', ['--key', 'root=copy.pub'], /`root=copy\.pub` and `root=alice\.pub` are the same key/],
    ['a key in two roles', ['--key', 'release=alice.pub'], /`release=alice\.pub` and `root=alice\.pub` are the same key/],
    [
      'a threshold of one for releases',
      ['--threshold', 'release=1'],
      /role `release` of a production root needs a threshold of at least 2/,
    ],
    ['a threshold of one for roots', ['--threshold', 'root=1'], /role `root` of a production root needs/],
    ['a threshold that nobody reaches', ['--threshold', 'registrar=3'], /role `registrar` asks for 3 keys and has 2/],
    ['going back by fewer than going on', ['--threshold', 'rollback=1'], /`rollback_threshold` is below the threshold/],
    ['a private key where a public one belongs', ['--key', 'root=alice.pem'], /holds a private key, which nobody passes on/],
    ['no key at all', ['--key', 'root=workload-ca.crt'], /holds no public Ed25519 key/],
    ['a role that is none', ['--key', 'boss=alice.pub'], /names no role \(ROLE=FILE/],
    ['a prefix that is none', ['--ca', '/everything=workload-ca.crt'], /`\/everything` is not all of/],
    ['a certificate that is none', ['--ca', 'alice.pub'], /holds no single CA certificate/],
  ])('refuse %s', async (_name, more, message) => {
    at.write('copy.pub', at.read('alice.pub'));
    const ran = await at.type(...ROOT_1, ...more, '--out', 'root-1');
    expect([ran.exit, ran.err]).toEqual([1, expect.stringMatching(message)]);
    expect(existsSync(at.path('root-1'))).toBe(false);
  });

  it('refuse below the threshold, and say who is missing', async () => {
    await at.type(...ROOT_1, '--out', 'root-1');
    const bob = await keyIdOf('root-1', 'bob');
    const ran = await sign(at, 'root', 'root-1', ['alice']);
    expect([ran.exit, ran.err]).toEqual([
      1,
      expect.stringContaining(`the root role of root 1 takes 2 signatures, and 1 is here (1 more of ${bob})`),
    ]);
    expect(existsSync(at.path('.sallyport'))).toBe(false);
  });

  it('count one signer once, however often they sign', async () => {
    await at.type(...ROOT_1, '--out', 'root-1');
    for (const copy of ['a', 'b']) await at.type('root', 'sign', 'root-1', '--key', 'alice.pem', '--out', copy);
    expect(await at.type('root', 'assemble', 'root-1', '--signed', 'a', '--signed', 'b')).toMatchObject({
      exit: 1,
      err: expect.stringContaining('and 1 is here'),
    });
  });

  it('take no signature of somebody who has no say, and tell them before they sign', async () => {
    await at.type(...ROOT_1, '--out', 'root-1');
    const ran = await at.type('root', 'sign', 'root-1', '--key', 'erin.pem', '--out', 'signed');
    expect([ran.exit, ran.err]).toEqual([
      1,
      expect.stringMatching(/key [0-9a-f]{32} signs nothing here: it is not of the root role of root 1/),
    ]);
    expect(existsSync(at.path('signed'))).toBe(false);
  });

  it('leave attributes to a directory key, or refuse one without the other', async () => {
    makeSigners(at, ['desk']);
    const withKey = [...ROOT_1, '--key', 'directory=desk.pub'];
    for (const line of [withKey, [...ROOT_1, '--directory-attribute', 'groups']])
      expect(await at.type(...line, '--out', 'root-1')).toMatchObject({
        exit: 1,
        err: expect.stringContaining('role `directory` and `directory_attributes` go together'),
      });
    const bad = await at.type(...withKey, '--directory-attribute', 'Groups', '--out', 'root-1');
    expect([bad.exit, bad.err]).toEqual([1, expect.stringContaining('`Groups` is not the name of an attribute')]);
    const drafted = await at.type(...withKey, '--directory-attribute', 'level', '--directory-attribute', 'groups', '--out', 'root-1');
    expect(drafted.out).toMatch(/directory {2}1 of [0-9a-f]{32}, which may say groups, level/);
    expect((await sign(at, 'root', 'root-1', ['alice', 'bob'])).exit).toBe(0);
  });

  it('never join signatures over two drafts that look alike', async () => {
    await at.type(...ROOT_1, '--out', 'root-1');
    await at.type(...ROOT_1, '--valid-for', '30d', '--out', 'other');
    await at.type('root', 'sign', 'root-1', '--key', 'alice.pem', '--out', 'a');
    await at.type('root', 'sign', 'other', '--key', 'bob.pem', '--out', 'b');
    const ran = await at.type('root', 'assemble', 'root-1', '--signed', 'a', '--signed', 'b');
    expect([ran.exit, ran.err]).toEqual([1, expect.stringMatching(/signs another object: sha256:[0-9a-f]{64}, and the draft is sha256:/)]);
  });

  it('take a draft of one kind for no other', async () => {
    await at.type(...ROOT_1, '--out', 'root-1');
    expect(await at.type('area', 'sign', 'root-1', '--key', 'carol.pem', '--out', 'x')).toMatchObject({
      exit: 1,
      err: expect.stringContaining('is no draft of a delegation'),
    });
  });

  it('make no second root where one is', async () => {
    await at.type(...ROOT_1, '--out', 'root-1');
    await sign(at, 'root', 'root-1', ['alice', 'bob']);
    await at.type(...ROOT_1, '--valid-for', '30d', '--out', 'other');
    const ran = await sign(at, 'root', 'other', ['alice', 'bob']);
    expect([ran.exit, ran.err]).toEqual([1, expect.stringContaining('has a root already, and nobody trusts two')]);
    // The very same once more is no change.
    expect(
      (await at.type('root', 'assemble', 'root-1', '--signed', 'root-1.alice', '--signed', 'root-1.bob', '--json')).json(),
    ).toMatchObject({ files: [] });
  });
});

describe('root rotate', () => {
  beforeEach(async () => {
    await makeProductionRoot(at);
    makeSigners(at, ['grace', 'heidi']);
  });

  const rotate = (out: string, ...more: readonly string[]): Promise<Ran> => at.type('root', 'rotate', '--out', out, ...more);
  const chain = (): readonly Uint8Array[] =>
    [1, 2, 3].flatMap((n) => (existsSync(at.path(`.sallyport/root/${n}.json`)) ? [bytesOf(`.sallyport/root/${n}.json`)] : []));
  const inForce = (): number => {
    const root = trustRoot({ pin: at.read('.sallyport/root-pin').trim() as never, chain: chain(), allowDevelopmentRoot: false });
    return root.ok ? root.value.number : 0;
  };

  it('takes the thresholds of the old root and of the new one', async () => {
    const alice = await keyIdOf('root-1', 'alice');
    const drafted = await rotate('root-2', '--remove', alice, '--add', 'root=grace.pub');
    expect(drafted.out).toContain(`- root key ${alice}`);
    // The new holders alone, the old ones alone, and one of each are all too few.
    for (const few of [
      ['bob', 'grace'],
      ['alice', 'bob'],
      ['alice', 'grace'],
    ]) {
      expect(await sign(at, 'root', 'root-2', few)).toMatchObject({ exit: 1, err: expect.stringContaining('is not signed enough') });
      for (const name of few) at.remove(`root-2.${name}`);
    }
    expect((await sign(at, 'root', 'root-2', ['alice', 'bob', 'grace'])).exit).toBe(0);
    expect(inForce()).toBe(2);
  });

  it('ends what a rotated-out key may sign', async () => {
    const alice = await keyIdOf('root-1', 'alice');
    await rotate('root-2', '--remove', alice, '--add', 'root=grace.pub');
    await sign(at, 'root', 'root-2', ['alice', 'bob', 'grace']);
    await rotate('root-3', '--valid-for', '30d');
    const ran = await at.type('root', 'sign', 'root-3', '--key', 'alice.pem', '--out', 'x');
    expect([ran.exit, ran.err]).toEqual([1, expect.stringContaining(`key ${alice} signs nothing here`)]);
    expect((await sign(at, 'root', 'root-3', ['bob', 'grace'])).exit).toBe(0);
    expect(inForce()).toBe(3);
  });

  it('leaves out no number, and uses none twice', async () => {
    await rotate('root-2', '--valid-for', '30d');
    await rotate('fork-2', '--valid-for', '60d');
    await sign(at, 'root', 'root-2', ['alice', 'bob']);
    // A forked root n: fully signed, and another is in force under its number.
    const fork = await sign(at, 'root', 'fork-2', ['alice', 'bob']);
    expect([fork.exit, fork.err]).toEqual([1, expect.stringContaining('root 2 does not follow root 2, which is in force here')]);
    await rotate('root-3', '--valid-for', '30d');
    at.remove('.sallyport/root/2.json');
    const skipped = await sign(at, 'root', 'root-3', ['alice', 'bob']);
    expect([skipped.exit, skipped.err]).toEqual([1, expect.stringContaining('root 3 does not follow root 1, which is in force here')]);
  });

  it('says in words where memory starts anew', async () => {
    const [erin, frank] = (JSON.parse(at.read('root-1')) as { roles: { release: { keyids: string[] } } }).roles.release.keyids as [
      string,
      string,
    ];
    const { out } = await rotate('root-2', '--remove', erin, '--remove', frank, '--add', 'release=grace.pub', '--add', 'release=heidi.pub');
    expect(out).toContain('! replaces the release keys: releases and online keys have to be signed again');
  });

  it('gives the directory a key, keeps it, replaces it, and takes it away', async () => {
    makeSigners(at, ['desk', 'other']);
    const next = async (n: number, ...more: readonly string[]): Promise<string> => {
      const { out, err } = await rotate(`root-${n}`, ...more);
      expect(err).toBe('');
      expect((await sign(at, 'root', `root-${n}`, ['alice', 'bob'])).exit).toBe(0);
      return out;
    };
    expect(await next(2, '--add', 'directory=desk.pub', '--directory-attribute', 'groups')).toMatch(
      /\+ directory {2}1 of [0-9a-f]{32}, which may say groups/,
    );
    // What is not named stays as it was.
    expect(await next(3, '--valid-for', '30d')).toMatch(/directory {2}1 of [0-9a-f]{32}, which may say groups/);
    const desk = (JSON.parse(at.read('root-2')) as { roles: { directory: { keyids: string[] } } }).roles.directory.keyids[0] ?? '';
    expect(await next(4, '--remove', desk, '--add', 'directory=other.pub')).toContain('! replaces the directory keys');
    const other = (JSON.parse(at.read('root-4')) as { roles: { directory: { keyids: string[] } } }).roles.directory.keyids[0] ?? '';
    expect(await next(5, '--remove', other)).toMatch(/- directory {2}1 of [0-9a-f]{32}, which may say groups/);
    expect(at.read('root-5')).not.toContain('directory');
  });

  it.each([
    ['a key that is there already', ['--add', 'release=alice.pub'], /is a key of this root already/],
    ['a key that is not there', ['--remove', 'f'.repeat(32)], /is not of the root in force/],
    ['an authority that is not there', ['--remove-ca', 'f'.repeat(64)], /is not of the root in force/],
    ['a threshold that one thief reaches', ['--threshold', 'root=1'], /needs a threshold of at least 2/],
    ['more than a ceiling may be', ['--freshness-ttl-max', '2s'], /`freshness_ttl_ms_max` is outside/],
  ])('refuses %s', async (_name, more, message) => {
    const ran = await rotate('root-2', ...more);
    expect([ran.exit, ran.err]).toEqual([1, expect.stringMatching(message)]);
    expect(existsSync(at.path('root-2'))).toBe(false);
  });

  it('refuses a folder whose chain does not hold, before anybody signs', async () => {
    await rotate('root-2', '--valid-for', '30d');
    at.write('.sallyport/root-pin', `sha256:${'0'.repeat(64)}\n`);
    expect(await at.type('root', 'sign', 'root-2', '--key', 'alice.pem', '--out', 'x')).toMatchObject({
      exit: 1,
      err: expect.stringContaining('and the pin is'),
    });
  });
});
