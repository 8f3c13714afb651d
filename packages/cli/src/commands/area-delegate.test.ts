/** Who publishes for an area: two registrars say so, and who has left stays away. */

import { EMPTY_HIGH_WATER, trustDelegation, trustRoot } from '@sallyport/trust';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeProductionRoot, makeSigners, sign } from '../testing/signers.ts';
import { terminal } from '../testing/terminal.ts';
import type { Ran, Terminal } from '../testing/terminal.ts';

let at: Terminal;
beforeEach(async () => {
  at = terminal();
  await makeProductionRoot(at);
  makeSigners(at, ['grace', 'heidi', 'ivan']);
});
afterEach(() => at.close());

const delegate = (out: string, ...more: readonly string[]): Promise<Ran> =>
  at.type('area', 'delegate', '--area', 'acme/payments', '--out', out, ...more);
const bytesOf = (name: string): Uint8Array => new TextEncoder().encode(at.read(name));
const publishers = (): readonly string[] => {
  const pin = at.read('.sallyport/root-pin').trim() as never;
  const root = trustRoot({ pin, chain: [bytesOf('.sallyport/root/1.json')], allowDevelopmentRoot: false });
  if (!root.ok) throw new Error(root.error.detail);
  const context = { root: root.value, highWater: EMPTY_HIGH_WATER, at: at.clock.wall() };
  const trusted = trustDelegation(bytesOf('.sallyport/delegations/acme.payments.json'), context);
  if (!trusted.ok) throw new Error(trusted.error.detail);
  return trusted.value.publishers.keys.map(({ keyId }) => keyId);
};

describe('area delegate', () => {
  it('lets two people publish for an area, once two registrars have signed', async () => {
    const drafted = await delegate('d1', '--publisher', 'grace.pub', '--publisher', 'heidi.pub', '--threshold', '2', '--json');
    expect(drafted.json()).toMatchObject({ number: 1, area: 'acme/payments', threshold: 2 });
    expect(await sign(at, 'area', 'd1', ['carol'])).toMatchObject({
      exit: 1,
      err: expect.stringContaining('the registrar role of root 1 takes 2 signatures, and 1 is here'),
    });
    at.remove('d1.carol');
    expect((await sign(at, 'area', 'd1', ['carol', 'dan'])).exit).toBe(0);
    expect(publishers()).toEqual(drafted.json()['publishers']);
  });

  it('takes a leaver out by the next number, and never goes back to the one before', async () => {
    await delegate('d1', '--publisher', 'grace.pub', '--publisher', 'heidi.pub');
    await sign(at, 'area', 'd1', ['carol', 'dan']);
    const [grace = '', heidi = ''] = publishers();
    const next = await delegate('d2', '--remove', heidi, '--json');
    expect(next.json()).toMatchObject({ number: 2, publishers: [grace] });
    await sign(at, 'area', 'd2', ['carol', 'dan']);
    expect(publishers()).toEqual([grace]);
    const back = await at.type('area', 'assemble', 'd1', '--signed', 'd1.carol', '--signed', 'd1.dan');
    expect([back.exit, back.err]).toEqual([
      1,
      expect.stringContaining('the delegation of acme/payments has number 2 here, and this is number 1'),
    ]);
    expect(publishers()).toEqual([grace]);
  });

  it('puts neither of two drafts of one number in the place of the other', async () => {
    await delegate('d1', '--publisher', 'grace.pub');
    await delegate('fork', '--publisher', 'ivan.pub');
    await sign(at, 'area', 'd1', ['carol', 'dan']);
    expect(await sign(at, 'area', 'fork', ['carol', 'dan'])).toMatchObject({
      exit: 1,
      err: expect.stringContaining('has number 1 here, and this is number 1'),
    });
    // The very same once more is no change.
    expect((await at.type('area', 'assemble', 'd1', '--signed', 'd1.carol', '--signed', 'd1.dan', '--json')).json()).toMatchObject({
      files: [],
    });
  });

  it.each([
    ['a publisher who is a registrar', ['--publisher', 'carol.pub'], /serves a role of the root already/],
    ['one publisher under two names', ['--publisher', 'grace.pub', '--publisher', 'copy.pub'], /`copy\.pub` is a publisher already/],
    ['a threshold that nobody reaches', ['--publisher', 'grace.pub', '--threshold', '2'], /2 publishers have to sign, and there are 1/],
    ['nobody', [], /nobody would publish for this area/],
    ['a leaver who was never there', ['--publisher', 'grace.pub', '--remove', 'f'.repeat(32)], /publishes nothing here/],
  ])('refuses %s', async (_name, more, message) => {
    at.write('copy.pub', at.read('grace.pub'));
    const ran = await delegate('d1', ...more);
    expect([ran.exit, ran.err]).toEqual([1, expect.stringMatching(message)]);
  });

  it.each(['alice', 'erin', 'grace'])('takes no signature of %s, who is no registrar', async (name) => {
    await delegate('d1', '--publisher', 'grace.pub');
    expect(await at.type('area', 'sign', 'd1', '--key', `${name}.pem`, '--out', 'x')).toMatchObject({
      exit: 1,
      err: expect.stringContaining('signs nothing here'),
    });
  });

  it('says whose root it needs where none is', async () => {
    await delegate('d1', '--publisher', 'grace.pub');
    expect(await at.type('area', 'sign', 'd1', '--key', 'carol.pem', '--out', 'x', '--dir', 'elsewhere')).toMatchObject({
      exit: 64,
      err: expect.stringContaining('who signs this stands in the root in force'),
    });
  });
});
