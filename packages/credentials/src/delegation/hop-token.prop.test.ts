/** No edit of a valid list verifies. */

import { array, assert, constantFrom, nat, property, record } from 'fast-check';
import { expect, test } from 'vitest';
import { verifyDelegation } from './hop-token.ts';
import { a, authorities, b, c, d, hop, line, rules } from '../testing/sidecars.ts';

const [valid, other] = [await line(), await line()];
const foreignTo = await hop([], a, b, {}, { transaction: 'transaction-2' });
const atD = rules(d, c);
const verifies = (tokens: readonly string[]): boolean => verifyDelegation(tokens, authorities, atD).ok;

test('the list itself verifies, and so does one made anew', () => {
  expect([verifies(valid), verifies(other)]).toEqual([true, true]);
});

test('no character of any hop can be changed, removed or added', () => {
  const BASE64URL = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.= ';
  const edit = record({
    which: nat({ max: 2 }),
    at: nat({ max: 5000 }),
    sign: constantFrom(...BASE64URL.split('')),
    kind: constantFrom('replace', 'insert', 'remove'),
  });
  assert(
    property(edit, ({ which, at, sign, kind }) => {
      const token = valid[which] as string;
      const place = at % token.length;
      const edited = token.slice(0, place) + (kind === 'remove' ? '' : sign) + token.slice(kind === 'insert' ? place : place + 1);
      if (edited === token) return;
      expect(verifies(valid.with(which, edited))).toBe(false);
    }),
    { numRuns: 300 },
  );
});

test('no other sequence of hops, of this list and of others, verifies', () => {
  const pool = [...valid, ...other, foreignTo];
  assert(
    property(array(nat({ max: pool.length - 1 }), { maxLength: 6 }), (picked) => {
      const tokens = picked.map((index) => pool[index] as string);
      const isWhole = [valid, other].some((whole) => whole.join() === tokens.join());
      expect(verifies(tokens)).toBe(isWhole);
    }),
    { numRuns: 300 },
  );
});
