/** Runs the published vectors through `@sallyport/crypto`. The JSON files are the contract; this file only reads them. */

import { readFileSync } from 'node:fs';
import {
  consistencyProof,
  crc32c,
  decodeHex,
  encodeHex,
  fromUtf8,
  hmacSha256,
  inclusionProof,
  leafHash,
  merkleRoot,
  pae,
  readVerifyKey,
  sha256,
  utf8,
  verify,
  verifyConsistency,
  verifyInclusion,
} from '@sallyport/crypto';
import { describe, expect, test } from 'vitest';

function load(name: string): unknown {
  return JSON.parse(readFileSync(new URL(`${name}.json`, import.meta.url), 'utf8'));
}

function bytes(hex: string): Uint8Array {
  const decoded = decodeHex(hex);
  if (decoded === undefined) throw new TypeError(`not hex: ${hex}`);
  return decoded;
}

interface SignatureVectors {
  readonly valid: readonly SignatureVector[];
  readonly refused_signatures: readonly SignatureVector[];
  readonly refused_keys: readonly { readonly name: string; readonly public: string }[];
}
interface SignatureVector {
  readonly name: string;
  readonly public: string;
  readonly message: string;
  readonly signature: string;
}

describe.each(['ed25519', 'es256'] as const)('%s', (alg) => {
  const vectors = load(alg) as SignatureVectors;

  test.each(vectors.valid)('accepts $name', (vector) => {
    const key = readVerifyKey(alg, bytes(vector.public));
    expect(key).toBeDefined();
    expect(key !== undefined && verify(key, bytes(vector.message), bytes(vector.signature))).toBe(true);
  });

  test.each(vectors.refused_signatures)('refuses a signature: $name', (vector) => {
    const key = readVerifyKey(alg, bytes(vector.public));
    expect(key).toBeDefined();
    expect(key !== undefined && verify(key, bytes(vector.message), bytes(vector.signature))).toBe(false);
  });

  test.each(vectors.refused_keys)('refuses a key: $name', ({ public: raw }) => {
    expect(readVerifyKey(alg, bytes(raw))).toBeUndefined();
  });
});

describe('hash', () => {
  const vectors = load('hash') as {
    sha256: { message: string; digest: string }[];
    hmac_sha256: { name: string; key: string; message: string; mac: string }[];
  };

  test.each(vectors.sha256)('SHA-256 of "$message" is $digest', ({ message, digest }) => {
    expect(encodeHex(sha256(bytes(message)))).toBe(digest);
  });
  test.each(vectors.hmac_sha256)('HMAC-SHA-256: $name', ({ key, message, mac }) => {
    expect(encodeHex(hmacSha256(bytes(key), bytes(message)))).toBe(mac);
  });
});

describe('CRC-32C', () => {
  const { cases } = load('crc32c') as { cases: { name: string; bytes: string; crc: string }[] };

  test.each(cases)('of $name', (vector) => {
    expect(crc32c(bytes(vector.bytes)).toString(16).padStart(8, '0')).toBe(vector.crc);
  });
});

describe('DSSE', () => {
  const { cases } = load('dsse') as { cases: { payload_type: string; payload: string; pae: string }[] };

  test.each(cases)('encodes $pae', (vector) => {
    expect(fromUtf8(pae(vector.payload_type, utf8(vector.payload)))).toBe(vector.pae);
  });
});

describe('RFC 6962', () => {
  const vectors = load('merkle') as {
    leaves: string[];
    roots: string[];
    inclusion: { index: number; size: number; proof: string[] }[];
    consistency: { first: number; second: number; proof: string[] }[];
  };
  const leaves = vectors.leaves.map((leaf) => leafHash(bytes(leaf)));
  const root = (size: number): Uint8Array => bytes(vectors.roots[size] ?? '');

  test.each(vectors.roots.map((head, size) => ({ size, head })))('head of $size leaves', ({ size, head }) => {
    expect(encodeHex(merkleRoot(leaves.slice(0, size)))).toBe(head);
  });

  test.each(vectors.inclusion)('inclusion of leaf $index in $size', ({ index, size, proof }) => {
    expect(inclusionProof(leaves.slice(0, size), index)?.map(encodeHex)).toEqual(proof);
    const leaf = leaves[index] ?? new Uint8Array();
    expect(verifyInclusion({ leafHash: leaf, index, size, proof: proof.map(bytes), root: root(size) })).toBe(true);
  });

  test.each(vectors.consistency)('consistency of $first with $second', ({ first, second, proof }) => {
    expect(consistencyProof(leaves.slice(0, second), first)?.map(encodeHex)).toEqual(proof);
    const claim = { firstSize: first, firstRoot: root(first), secondSize: second, secondRoot: root(second) };
    expect(verifyConsistency({ ...claim, proof: proof.map(bytes) })).toBe(true);
  });
});
