/**
 * Merkle trees of RFC 6962 section 2.1. Leaves and nodes are hashed under different prefixes, so that no inner node
 * can be passed off as a leaf (second pre-image attack). Verification follows RFC 9162 sections 2.1.3.2 and 2.1.4.2.
 */

import { equalBytes, sha256 } from './hash.ts';

const LEAF_PREFIX = Uint8Array.of(0);
const NODE_PREFIX = Uint8Array.of(1);
const HASH_BYTES = 32;

/** The hash of one leaf's bytes. Every other function here takes leaf hashes, never leaf bytes. */
export function leafHash(leaf: Uint8Array): Uint8Array {
  return sha256(LEAF_PREFIX, leaf);
}

/** The tree's head over leaf hashes in order; of no leaves, the hash of nothing. */
export function merkleRoot(leafHashes: readonly Uint8Array[]): Uint8Array {
  if (leafHashes.length === 0) return sha256();
  // A list of complete subtrees, largest first, folded like a binary counter: linear, and no deep recursion.
  const pending: { readonly size: number; readonly hash: Uint8Array }[] = [];
  for (const leaf of leafHashes) {
    let node = { size: 1, hash: leaf };
    for (let last = pending.at(-1); last?.size === node.size; last = pending.at(-1)) {
      node = { size: node.size * 2, hash: nodeHash(last.hash, node.hash) };
      pending.pop();
    }
    pending.push(node);
  }
  return pending.map((subtree) => subtree.hash).reduceRight((right, left) => nodeHash(left, right));
}

/** The audit path of leaf `index` (PATH of RFC 6962 section 2.1.1), lowest first; `undefined` where there is no such leaf. */
export function inclusionProof(leafHashes: readonly Uint8Array[], index: number): Uint8Array[] | undefined {
  if (!Number.isSafeInteger(index) || index < 0 || index >= leafHashes.length) return undefined;
  const proof: Uint8Array[] = [];
  let [from, to] = [0, leafHashes.length];
  while (to - from > 1) {
    const middle = from + splitOf(to - from);
    const isLeft = index < middle;
    proof.push(merkleRoot(isLeft ? leafHashes.slice(middle, to) : leafHashes.slice(from, middle)));
    [from, to] = isLeft ? [from, middle] : [middle, to];
  }
  return proof.toReversed();
}

export interface Inclusion {
  readonly leafHash: Uint8Array;
  /** From 0. */
  readonly index: number;
  /** How many leaves the tree under `root` has. */
  readonly size: number;
  readonly proof: readonly Uint8Array[];
  readonly root: Uint8Array;
}

/** Whether the leaf stands at `index` in the tree of `size` leaves with that root. Never throws. */
export function verifyInclusion({ leafHash: leaf, index, size, proof, root }: Inclusion): boolean {
  if (!isCount(index) || !isCount(size) || index >= size || !proof.every(isHash) || !isHash(leaf)) return false;
  let [node, last, hash] = [index, size - 1, leaf];
  for (const sibling of proof) {
    if (last === 0) return false;
    if (isOdd(node) || node === last) {
      hash = nodeHash(sibling, hash);
      while (!isOdd(node) && node !== 0) [node, last] = [half(node), half(last)];
    } else {
      hash = nodeHash(hash, sibling);
    }
    [node, last] = [half(node), half(last)];
  }
  return last === 0 && equalBytes(hash, root);
}

/**
 * The proof that the tree of the first `size` leaves is a prefix of the tree of all (PROOF of RFC 6962 section 2.1.2);
 * `undefined` where `size` is not from 0 to their number. Empty for 0 and for all.
 */
export function consistencyProof(leafHashes: readonly Uint8Array[], size: number): Uint8Array[] | undefined {
  if (!isCount(size) || size > leafHashes.length) return undefined;
  const proof: Uint8Array[] = [];
  let [from, to, isKnown] = [0, leafHashes.length, true];
  if (size === 0) return proof;
  while (size !== to) {
    const middle = from + splitOf(to - from);
    if (size <= middle) {
      proof.push(merkleRoot(leafHashes.slice(middle, to)));
      to = middle;
    } else {
      proof.push(merkleRoot(leafHashes.slice(from, middle)));
      [from, isKnown] = [middle, false];
    }
  }
  if (!isKnown) proof.push(merkleRoot(leafHashes.slice(from, to)));
  return proof.toReversed();
}

export interface Consistency {
  readonly firstSize: number;
  readonly firstRoot: Uint8Array;
  readonly secondSize: number;
  readonly secondRoot: Uint8Array;
  readonly proof: readonly Uint8Array[];
}

/** Whether the second tree holds the first unchanged as its beginning. Never throws. */
export function verifyConsistency({ firstSize, firstRoot, secondSize, secondRoot, proof }: Consistency): boolean {
  if (!isCount(firstSize) || !isCount(secondSize) || firstSize > secondSize || !proof.every(isHash)) return false;
  if (firstSize === secondSize) return proof.length === 0 && equalBytes(firstRoot, secondRoot);
  if (firstSize === 0) return proof.length === 0 && equalBytes(firstRoot, sha256());
  // Where the first tree is complete its root is itself the first node, and the proof leaves it out.
  const path = isPowerOfTwo(firstSize) ? [firstRoot, ...proof] : [...proof];
  const [start, ...rest] = path;
  if (start === undefined) return false;
  let [first, second] = [firstSize - 1, secondSize - 1];
  while (isOdd(first)) [first, second] = [half(first), half(second)];
  let [oldHash, newHash] = [start, start];
  for (const sibling of rest) {
    if (second === 0) return false;
    if (isOdd(first) || first === second) {
      [oldHash, newHash] = [nodeHash(sibling, oldHash), nodeHash(sibling, newHash)];
      while (!isOdd(first) && first !== 0) [first, second] = [half(first), half(second)];
    } else {
      newHash = nodeHash(newHash, sibling);
    }
    [first, second] = [half(first), half(second)];
  }
  return second === 0 && equalBytes(oldHash, firstRoot) && equalBytes(newHash, secondRoot);
}

function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  return sha256(NODE_PREFIX, left, right);
}

/** The largest power of two smaller than `size`, for `size` above 1. */
function splitOf(size: number): number {
  let split = 1;
  while (split * 2 < size) split *= 2;
  return split;
}

// Sizes may pass 2^31, where bit operators on numbers would lie.
const half = (n: number): number => Math.floor(n / 2);
const isOdd = (n: number): boolean => n % 2 === 1;
const isPowerOfTwo = (n: number): boolean => splitOf(n * 2) === n;
const isCount = (n: number): boolean => Number.isSafeInteger(n) && n >= 0;
const isHash = (bytes: Uint8Array): boolean => bytes.byteLength === HASH_BYTES;
