/** Which keys say that policy is fresh: certified by the release role, ahead of time. */

import { EMPTY_HIGH_WATER, trustOnlineKeys, trustRoot } from '@sallyport/trust';
import type { OnlineKey } from '@sallyport/trust';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeProductionRoot, makeSigners, sign } from '../testing/signers.ts';
import { terminal } from '../testing/terminal.ts';
import type { Ran, Terminal } from '../testing/terminal.ts';

let at: Terminal;
beforeEach(async () => {
  at = terminal();
  await makeProductionRoot(at);
  makeSigners(at, ['f1', 'f2']);
});
afterEach(() => at.close());

const DAY_MS = 86_400_000;
const draft = (out: string, ...more: readonly string[]): Promise<Ran> => at.type('online-keys', 'draft', '--out', out, ...more);
const bytesOf = (name: string): Uint8Array => new TextEncoder().encode(at.read(name));
const certified = (): readonly OnlineKey[] => {
  const pin = at.read('.sallyport/root-pin').trim() as never;
  const root = trustRoot({ pin, chain: [bytesOf('.sallyport/root/1.json')], allowDevelopmentRoot: false });
  if (!root.ok) throw new Error(root.error.detail);
  const trusted = trustOnlineKeys(bytesOf('.sallyport/online-keys.json'), { root: root.value, highWater: EMPTY_HIGH_WATER });
  if (!trusted.ok) throw new Error(trusted.error.detail);
  return trusted.value.keys;
};

describe('online-keys', () => {
  it('certify a key for 30 days once two of the release role have signed', async () => {
    expect((await draft('o1', '--key', 'r1=f1.pub', '--json')).json()).toMatchObject({ number: 1 });
    expect(await sign(at, 'online-keys', 'o1', ['erin'])).toMatchObject({
      exit: 1,
      err: expect.stringContaining('the release role of root 1 takes 2 signatures'),
    });
    at.remove('o1.erin');
    expect((await sign(at, 'online-keys', 'o1', ['erin', 'frank'])).exit).toBe(0);
    const [key] = certified();
    expect(key?.replica).toBe('r1');
    expect(Math.round(((key?.notAfter ?? 0) - at.clock.wall()) / DAY_MS)).toBe(30);
  });

  it('renew what is there, and bring the next key in while the old one still counts', async () => {
    await draft('o1', '--key', 'r1=f1.pub', '--valid-for', '10d');
    await sign(at, 'online-keys', 'o1', ['erin', 'frank']);
    await draft('o2', '--key', 'r1=f2.pub', '--starts-in', '5d');
    await sign(at, 'online-keys', 'o2', ['erin', 'frank']);
    const [old, next] = certified();
    expect([old !== undefined && next !== undefined && next.notBefore < old.notAfter, certified().length]).toEqual([true, 2]);
    await draft('o3', '--renew');
    await sign(at, 'online-keys', 'o3', ['erin', 'frank']);
    expect(certified().map(({ notAfter }) => Math.round((notAfter - at.clock.wall()) / DAY_MS))).toEqual([30, 35]);
    await draft('o4', '--remove', old?.keyId ?? '');
    await sign(at, 'online-keys', 'o4', ['erin', 'frank']);
    expect(certified().map(({ keyId }) => keyId)).toEqual([next?.keyId]);
    // A withdrawn key does not come back with an older object.
    expect(await at.type('online-keys', 'assemble', 'o3', '--signed', 'o3.erin', '--signed', 'o3.frank')).toMatchObject({
      exit: 1,
      err: expect.stringContaining('the online keys has number 4 here, and this is number 3'),
    });
  });

  it.each([
    ['a release key', ['--key', 'r1=erin.pub'], /serves a role of the root already/],
    ['a key without a replica', ['--key', 'f1.pub'], /names no replica/],
    ['one key for two replicas', ['--key', 'r1=f1.pub', '--key', 'r2=f1.pub'], /is certified already/],
    ['none', [], /no key could say that policy is fresh/],
    ['a key to remove that is not there', ['--key', 'r1=f1.pub', '--remove', 'f'.repeat(32)], /is no online key here/],
  ])('refuse %s', async (_name, more, message) => {
    const ran = await draft('o1', ...more);
    expect([ran.exit, ran.err]).toEqual([1, expect.stringMatching(message)]);
  });

  it.each(['alice', 'carol', 'f1'])('take no signature of %s, who does not release', async (name) => {
    await draft('o1', '--key', 'r1=f1.pub');
    expect(await at.type('online-keys', 'sign', 'o1', '--key', `${name}.pem`, '--out', 'x')).toMatchObject({
      exit: 1,
      err: expect.stringContaining('signs nothing here'),
    });
  });
});
