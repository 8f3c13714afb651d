import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { consistencyProof, inclusionProof, leafHash, merkleRoot, verifyConsistency, verifyInclusion } from './merkle.ts';
import { uint64be } from './bytes.ts';

const leaves = Array.from({ length: 70 }, (_, i) => leafHash(uint64be(i)));
const sizes = fc.integer({ min: 1, max: leaves.length });
const leafAt = (index: number): Uint8Array => leaves[index] ?? new Uint8Array();
const rootOf = (size: number): Uint8Array => merkleRoot(leaves.slice(0, size));

/** A proof, and one way to bend it. */
const bends = fc.constantFrom('flip', 'drop', 'repeat', 'swap');
function bend(proof: readonly Uint8Array[], how: string, at: number): Uint8Array[] {
  const bent = [...proof];
  const i = at % bent.length;
  const hash = bent[i] ?? new Uint8Array();
  if (how === 'flip') bent[i] = hash.map((byte, position) => (position === at % 32 ? byte ^ 1 : byte));
  else if (how === 'drop') bent.splice(i, 1);
  else if (how === 'repeat') bent.splice(i, 0, hash);
  else bent.reverse();
  return bent;
}

test('every leaf of every tree is proven at its own index and at no other', () => {
  fc.assert(
    fc.property(sizes, fc.nat(), fc.nat(), (size, at, other) => {
      const index = at % size;
      const claim = {
        leafHash: leafAt(index),
        size,
        proof: inclusionProof(leaves.slice(0, size), index) ?? [],
        root: rootOf(size),
      };
      expect(verifyInclusion({ ...claim, index })).toBe(true);
      if (other % size !== index) expect(verifyInclusion({ ...claim, index: other % size })).toBe(false);
    }),
  );
});

test('every tree is proven to begin with every smaller one, and with nothing else', () => {
  fc.assert(
    fc.property(sizes, fc.nat(), (secondSize, at) => {
      const firstSize = at % (secondSize + 1);
      const claim = {
        firstSize,
        secondSize,
        secondRoot: rootOf(secondSize),
        proof: consistencyProof(leaves.slice(0, secondSize), firstSize) ?? [],
      };
      expect(verifyConsistency({ ...claim, firstRoot: rootOf(firstSize) })).toBe(true);
      expect(verifyConsistency({ ...claim, firstRoot: leafHash(rootOf(firstSize)) })).toBe(false);
    }),
  );
});

test('a bent proof proves nothing', () => {
  fc.assert(
    fc.property(sizes, fc.nat(), bends, (size, at, how) => {
      const index = at % size;
      const tree = leaves.slice(0, size);
      const inclusion = inclusionProof(tree, index) ?? [];
      const isSame = (a: readonly Uint8Array[], b: readonly Uint8Array[]): boolean => Buffer.concat(a).equals(Buffer.concat(b));
      if (inclusion.length > 0) {
        const proof = bend(inclusion, how, at);
        if (!isSame(proof, inclusion)) {
          expect(verifyInclusion({ leafHash: leafAt(index), index, size, proof, root: rootOf(size) })).toBe(false);
        }
      }
      const consistency = index === 0 ? [] : (consistencyProof(tree, index) ?? []);
      if (consistency.length > 0) {
        const proof = bend(consistency, how, at);
        const claim = { firstSize: index, firstRoot: rootOf(index), secondSize: size, secondRoot: rootOf(size) };
        if (!isSame(proof, consistency)) expect(verifyConsistency({ ...claim, proof })).toBe(false);
      }
    }),
  );
});

test.each([
  ['an index beyond the tree', { index: 8, size: 8 }],
  ['a negative index', { index: -1, size: 8 }],
  ['an index that is no whole number', { index: 0.5, size: 8 }],
  ['a size that is no number', { index: 0, size: Number.NaN }],
])('inclusion is refused for %s', (_, place) => {
  expect(verifyInclusion({ leafHash: leafAt(0), ...place, proof: inclusionProof(leaves.slice(0, 8), 0) ?? [], root: rootOf(8) })).toBe(
    false,
  );
});

test('second pre-image: an inner node does not pass for a leaf', () => {
  const [a, b, c, d] = leaves as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
  const inner = merkleRoot([a, b]);
  expect(merkleRoot([inner, merkleRoot([c, d])])).toEqual(rootOf(4));
  const forged = new Uint8Array([...a, ...b]);
  expect(leafHash(forged)).not.toEqual(inner);
});

test('there is no proof for what is not there', () => {
  expect(inclusionProof(leaves.slice(0, 3), 3)).toBeUndefined();
  expect(consistencyProof(leaves.slice(0, 3), 4)).toBeUndefined();
  expect(consistencyProof(leaves.slice(0, 3), 0)).toEqual([]);
});
