import { cpSync, statSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { writePolicy } from '../testing/policies.ts';
import { terminal } from '../testing/terminal.ts';
import type { Ran, Terminal } from '../testing/terminal.ts';

let at: Terminal;
beforeAll(async () => {
  at = terminal();
  writePolicy(at, 'p');
  await at.type('root', 'init', '--development');
  await at.type('root', 'init', '--development', '--dir', 'other');
  await at.type('policy', 'build', 'p', '--out', 'signed');
  await at.type('bundle', 'sign', 'signed');
});
afterAll(() => at.close());

/** A fresh copy of the signed bundle, to bend. */
let copies = 0;
let copy: string;
beforeEach(() => {
  copy = `copy-${++copies}`;
  cpSync(at.path('signed'), at.path(copy), { recursive: true });
});

const bend = (name: string, from: string, to: string): void => at.write(`${copy}/${name}`, at.read(`${copy}/${name}`).replace(from, to));
const verify = async (...more: readonly string[]): Promise<Ran> => at.type('bundle', 'verify', copy, ...more);

describe('bundle keygen', () => {
  it('writes a private key for its owner alone, and shows the public half', async () => {
    const { exit, json } = await at.type('bundle', 'keygen', '--out', 'k.pem', '--json');
    expect(exit).toBe(0);
    expect(json()).toEqual({
      file: at.path('k.pem'),
      alg: 'ed25519',
      keyid: expect.stringMatching(/^[0-9a-f]{32}$/),
      public: expect.stringMatching(/^[A-Za-z0-9+/]{43}=$/),
    });
    expect(statSync(at.path('k.pem')).mode & 0o777).toBe(0o600);
    expect(at.read('k.pem')).toContain('BEGIN PRIVATE KEY');
  });

  it('never writes over a key', async () => {
    at.write('old.pem', 'old');
    expect(await at.type('bundle', 'keygen', '--out', 'old.pem')).toMatchObject({
      exit: 64,
      err: 'old.pem: exists, and is not overwritten (name a new file)\n',
    });
    expect(at.read('old.pem')).toBe('old');
  });
});

describe('bundle sign', () => {
  it('refuses parts that the manifest does not name, each by name', async () => {
    bend('parts/policy.json', 'small-sums', 'large-sums');
    bend('parts/egress.json', 'loopback', 'public');
    const { exit, err } = await at.type('bundle', 'sign', copy);
    expect(exit).toBe(1);
    expect(err).toContain('policy: this part is not the one that the manifest names (build it again)');
    expect(err).toContain('egress: this part');
  });

  it('adds a second signature, and signs the same key once', async () => {
    await at.type('bundle', 'keygen', '--out', `${copy}.pem`);
    const second = (await at.type('bundle', 'sign', copy, '--key', `${copy}.pem`, '--json')).json();
    expect(second['signatures']).toHaveLength(2);
    expect((await at.type('bundle', 'sign', copy, '--key', `${copy}.pem`, '--json')).json()['signatures']).toEqual(second['signatures']);
  });

  it('warns of a signature that will not count, where the folder says whose would', async () => {
    const { keyid } = (await at.type('bundle', 'keygen', '--out', `${copy}.pem`, '--json')).json();
    const signing = ['bundle', 'sign', copy, '--key', `${copy}.pem`];
    expect(await at.type(...signing)).toMatchObject({
      exit: 0,
      err: expect.stringContaining(`warning: key ${String(keyid)} is no publisher of default (`),
    });
    expect(await at.type(...signing, '--dir', 'nowhere')).toMatchObject({ exit: 0, err: '' });
  });

  it.each(['sign', 'verify'])('says of a policy that is not built yet that it is not: bundle %s', async (verb) => {
    expect(await at.type('bundle', verb, 'p')).toMatchObject({
      exit: 64,
      out: '',
      err: 'p: holds no built bundle (make one with `sallyport policy build p --out PATH`)\n',
    });
  });

  it('is told once that nothing can be written', async () => {
    at.write(`${copy}-into/parts`, 'a file where the folder of the parts would be');
    const { exit, err } = await at.type('policy', 'build', 'p', '--out', `${copy}-into`);
    expect([exit, err.trimEnd().split('\n')]).toEqual([64, [expect.stringContaining('cannot be written')]]);
  });

  it('drops signatures over another manifest', async () => {
    await at.type('policy', 'build', 'p', '--out', copy, '--revision', '9');
    expect((await at.type('bundle', 'sign', copy, '--json')).json()).toMatchObject({ revision: 9, signatures: [expect.any(String)] });
    expect((await verify()).exit).toBe(0);
  });

  it.each([
    ['is not there', 'nokey.pem', 'cannot read the private key'],
    ['others can read', 'open.pem', 'others than its owner can reach the private key'],
    ['is no key', 'text.pem', 'not an unencrypted private key in PEM'],
  ])('refuses a key that %s, with 64', async (_name, file, message) => {
    at.write('text.pem', 'text');
    at.mode('text.pem', 0o600);
    at.write('open.pem', at.read('.sallyport/signing/publisher.pem'));
    at.mode('open.pem', 0o644);
    expect(await at.type('bundle', 'sign', copy, '--key', file)).toMatchObject({ exit: 64, err: expect.stringContaining(message) });
  });

  it('refuses what was never built', async () => {
    expect(await at.type('bundle', 'sign', 'nowhere')).toMatchObject({
      exit: 64,
      err: expect.stringContaining('make one with `sallyport policy build`'),
    });
  });
});

describe('bundle verify', () => {
  it('names every step', async () => {
    const { exit, json } = await verify('--json');
    expect(exit).toBe(0);
    const answer = json() as { verified: boolean; steps: { step: string; result: string }[] };
    expect(answer.verified).toBe(true);
    expect(answer.steps.map(({ step, result }) => `${step} ${result}`)).toEqual(
      ['size', 'root', 'delegation', 'signatures', 'digests', 'features', 'area', 'compile', 'tests'].map((step) => `${step} ok`),
    );
  });

  it('reads one file as well as a folder', async () => {
    await at.type('policy', 'build', 'p', '--out', `${copy}.json`);
    await at.type('bundle', 'sign', `${copy}.json`);
    expect((await at.type('bundle', 'verify', `${copy}.json`)).exit).toBe(0);
  });

  const failing = async (...more: readonly string[]): Promise<readonly [number, string, string]> => {
    const { exit, json } = await verify('--json', ...more);
    const { steps } = json() as { steps: { step: string; result: string; detail: string }[] };
    const failed = steps.find(({ result }) => result === 'failed');
    expect(steps.slice(steps.indexOf(failed as never) + 1).every(({ result }) => result === 'not reached')).toBe(true);
    return [exit, failed?.step ?? 'none', failed?.detail ?? ''];
  };

  it('fails at digests for one byte of a part', async () => {
    bend('parts/policy.json', 'small-sums', 'smalk-sums');
    expect(await failing()).toEqual([1, 'digests', 'DIGEST: part `policy` is not the one that was signed']);
  });

  it('fails at digests for a part of another bundle', async () => {
    cpSync(at.path('signed/parts/catalog.json'), at.path(`${copy}/parts/policy.json`));
    expect((await failing()).slice(0, 2)).toEqual([1, 'digests']);
  });

  it('fails at signatures for a key that is nobody’s, and for a byte of the payload', async () => {
    await at.type('bundle', 'keygen', '--out', `${copy}.pem`);
    await at.type('policy', 'build', 'p', '--out', copy, '--revision', '2');
    await at.type('bundle', 'sign', copy, '--key', `${copy}.pem`);
    const [exit, step, detail] = await failing();
    expect([exit, step, detail]).toEqual([
      1,
      'signatures',
      expect.stringMatching(/needs; it claims signatures of [0-9a-f]{32}, and the publishers are [0-9a-f]{32}$/),
    ]);
  });

  it('fails at delegation for publishers of another root', async () => {
    expect((await failing('--delegation', 'other/delegations/default.json')).slice(0, 2)).toEqual([1, 'delegation']);
  });

  it('fails at area for another area', async () => {
    expect((await failing('--area', 'acme')).slice(0, 2)).toEqual([1, 'area']);
  });

  it('refuses a root that the pin does not name, before any step', async () => {
    expect(await verify('--root-pin', at.read('other/root-pin').trim())).toMatchObject({
      exit: 1,
      err: expect.stringContaining('and the pin is'),
    });
  });

  it('refuses an unsigned bundle', async () => {
    await at.type('policy', 'build', 'p', '--out', `${copy}-new`);
    expect(await at.type('bundle', 'verify', `${copy}-new`)).toMatchObject({ exit: 1, err: expect.stringContaining('is not signed') });
  });

  it('says every missing file at once, with 64', async () => {
    at.write('partly/root/notes.txt', '');
    const { exit, err } = await verify('--dir', 'partly');
    expect(exit).toBe(64);
    expect(err).toContain('partly/root-pin: cannot be read');
    expect(err).toContain('partly/root: holds no Root (name them with --root');
  });
});
