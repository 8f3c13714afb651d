import { signerFromPem } from '@sallyport/crypto/keys';
import type { Instant } from '@sallyport/model';
import { trustSimulator, type TrustSimulator } from '@sallyport/testkit';
import { EXTENSION_FILE, FRESHNESS_FILE, RELEASE_FILE, parseEnvelope, readExtension, writeStatements } from '@sallyport/trust';
import type { Extension } from '@sallyport/trust';
import { chmodSync, existsSync, readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { terminal, type Ran, type Terminal } from '../testing/terminal.ts';

const SIGN = ['--reason', 'the data centre is dark', '--ttl', '10m'] as const;

let sim: TrustSimulator;
let at: Terminal;
beforeEach(async () => {
  at = terminal();
  // Its objects are dated by a clock of its own, ahead of this machine's at times; only the root's end matters here.
  sim = await trustSimulator({ profile: 'production', freshnessTtlMs: 3_600_000, at: at.clock.wall() as Instant });
  at.write('home/root-pin', sim.pin);
  at.write('home/root/1.json', sim.root.envelope);
  for (const name of ['release-1', 'release-2', 'freshness-1']) {
    at.write(`home/signing/${name}.pem`, sim.privatePem(name));
    at.mode(`home/signing/${name}.pem`, 0o600);
  }
  const bundle = await sim.publishBundle();
  await sim.revoke({});
  at.write(`carried/${RELEASE_FILE}`, (await sim.publishRelease(bundle)).envelope);
  at.write(`carried/${FRESHNESS_FILE}`, writeStatements([{ kind: 'freshness', offer: (await sim.stateFreshness(at.clock.wall())).offer }]));
  chmodSync(at.path('carried'), 0o755);
});
afterEach(() => at.close());

const extend = (...argv: readonly string[]): Promise<Ran> => at.type('release', 'extend', '--in', 'carried', '--dir', 'home', ...argv);
const keys = (...names: readonly string[]): readonly string[] => names.flatMap((name) => ['--release-key', `home/signing/${name}.pem`]);
function written(name = `carried/${EXTENSION_FILE}`): Extension {
  const envelope = parseEnvelope('Extension', readFileSync(at.path(name)));
  const read = envelope.ok ? readExtension(envelope.value.payload) : envelope;
  if (!read.ok) throw new Error(read.error.detail);
  return read.value;
}

describe('release extend', () => {
  it('names the release and the revocations of the directory, and lies there once both keys have signed', async () => {
    const ran = await extend(...SIGN, ...keys('release-1', 'release-2'));
    expect([ran.exit, ran.err]).toEqual([0, '']);
    expect(written()).toMatchObject({ releaseSeq: 1, ttlMs: 600_000, revocation: { seq: 1 }, reason: 'the data centre is dark' });
  });

  it('by two people at two machines: the first writes it elsewhere, the second adds and puts it there', async () => {
    const first = await extend(...SIGN, '--out', 'e.json', '--json');
    expect([first.exit, first.json()['complete'], existsSync(at.path(`carried/${EXTENSION_FILE}`))]).toEqual([0, false, false]);
    const second = await extend('--file', 'e.json', ...keys('release-2'), '--json');
    expect([second.exit, second.json()['complete']]).toEqual([0, true]);
    expect(written()).toEqual(written('e.json'));
  });

  it.each<[string, readonly string[], number, RegExp]>([
    ['below the threshold nothing is put into the directory', [...SIGN], 1, /signed by 1 of the 2[^]*--out/],
    ['a key that releases nothing', [...SIGN, ...keys('freshness-1')], 1, /is no release key/],
    [
      'more than the root lets anything count',
      ['--reason', 'x', '--ttl', '2h', ...keys('release-1', 'release-2')],
      1,
      /nothing count longer than 1h/,
    ],
    ['more than a day', ['--reason', 'x', '--ttl', '25h'], 2, /25h/],
    ['no reason', keys('release-1', 'release-2'), 2, /--reason/],
    ['a reason of nothing', ['--reason', ' ', ...keys('release-1')], 2, /1 to 500/],
    ['a directory without a release', [...SIGN, '--in', 'nowhere'], 64, /bundle export/],
  ])('refuses: %s', async (_, argv, exit, says) => {
    const ran = await extend(...argv);
    expect([ran.exit, existsSync(at.path(`carried/${EXTENSION_FILE}`))]).toEqual([exit, false]);
    expect(ran.err).toMatch(says);
  });

  it('a release that release keys have not signed is extended by nobody', async () => {
    const stranger = await trustSimulator({ seed: 'mallory' });
    at.write(`carried/${RELEASE_FILE}`, (await stranger.publishRelease(await stranger.publishBundle())).envelope);
    const ran = await extend(...SIGN, ...keys('release-1', 'release-2'));
    expect([ran.exit, ran.err]).toEqual([1, expect.stringContaining('SIGNATURE')]);
  });

  it('a signature is of the key that was named', async () => {
    const ran = await extend(...SIGN, ...keys('release-1', 'release-2'), '--json');
    const names = ['release-1', 'release-2'].map((name) => signerFromPem(sim.privatePem(name)).keyId);
    expect(new Set(ran.json()['signatures'] as string[])).toEqual(new Set(names));
  });
});
