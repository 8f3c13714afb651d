import { trustSimulator } from '@sallyport/testkit';
import { PART_NAMES } from '@sallyport/model';
import type { Area, Digest, Instant, KeyId, PartName, ReleaseSeq, Revision, Ring } from '@sallyport/model';
import * as fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { encodeBundle, readBundle } from './objects/bundle.ts';
import { encodeFreshness, encodeLiveProof, freshnessLeaf, freshnessTree, readFreshness, readLiveProof } from './objects/freshness.ts';
import { encodeRelease, readRelease } from './objects/release.ts';
import {
  SELECTOR_TYPES,
  encodeRevocation,
  encodeRevocationSnapshot,
  readRevocation,
  readRevocationSnapshot,
} from './objects/revocation.ts';
import { leafHash, verifyInclusion } from '@sallyport/crypto';

const whole = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
const instant = fc.integer({ min: 0, max: 4_102_444_800_000 }).map((ms) => ms as Instant);
const digest = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => `sha256:${Buffer.from(bytes).toString('hex')}` as Digest);
const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,20}$/);
const area = fc.array(name, { minLength: 1, maxLength: 4 }).map((names) => names.join('/') as Area);
const ring = name.map((text) => text as Ring);
const hash = fc.uint8Array({ minLength: 32, maxLength: 32 });
const words = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 50 });
const part = fc.record({ digest, bytes: fc.nat() });

const bundle = fc.record({
  area,
  revision: whole.map((n) => n as Revision),
  previous: fc.option(digest),
  source: fc.record({ commit: fc.option(fc.stringMatching(/^[0-9a-f]{7,64}$/)) }),
  parts: fc.record(Object.fromEntries(PART_NAMES.map((one) => [one, part])) as Record<PartName, typeof part>),
  features: fc.array(fc.stringMatching(/^[a-z][a-z0-9_.-]{0,10}$/), { maxLength: 5 }),
  testsDigest: digest,
});
const release = fc.record({
  area,
  ring,
  releaseSeq: whole.map((n) => n as ReleaseSeq),
  bundles: fc.array(fc.record({ area, digest, revision: whole.map((n) => n as Revision) }), { minLength: 1, maxLength: 8 }),
  freshnessTtlMsMax: whole,
  rollback: fc.boolean(),
  reason: fc.option(words),
  fallbacks: fc.array(digest, { maxLength: 3 }),
  createdAt: instant,
});
const freshness = fc.record({
  seq: whole,
  rootNumber: whole,
  merkleRoot: hash,
  revocation: fc.record({ seq: fc.nat(), head: fc.option(digest) }),
  issuedAt: instant,
  ttlMs: whole,
});
const entry = fc.record({
  selector: fc.record({ type: fc.constantFrom(...SELECTOR_TYPES.filter((type) => type !== 'everything')), value: words }),
  before: fc.oneof(instant, fc.constant('never' as const)),
  expiresAt: instant,
  reason: fc.string({ unit: 'grapheme', maxLength: 50 }),
});

describe('signed objects read back as they were written', () => {
  it('Bundle', () =>
    fc.assert(
      fc.property(bundle, (value) => {
        expect(readBundle(encodeBundle(value))).toEqual({ ok: true, value });
      }),
    ));
  it('Release', () =>
    fc.assert(
      fc.property(release, (value) => {
        expect(readRelease(encodeRelease(value))).toEqual({ ok: true, value });
      }),
    ));
  it('Freshness', () =>
    fc.assert(
      fc.property(freshness, (value) => {
        expect(readFreshness(encodeFreshness(value))).toEqual({ ok: true, value });
      }),
    ));
  it('LiveProof', () =>
    fc.assert(
      fc.property(freshness, hash, words, (payload, nonce, identity) => {
        const value = { ...payload, nonce, identity };
        expect(readLiveProof(encodeLiveProof(value))).toEqual({ ok: true, value });
      }),
    ));
  it('Revocation', () =>
    fc.assert(
      fc.property(whole, fc.option(digest), entry, instant, (seq, previous, denied, issuedAt) => {
        const value = { seq, previous, entry: denied, issuedAt };
        expect(readRevocation(encodeRevocation(value))).toEqual({ ok: true, value });
      }),
    ));
  it('RevocationSnapshot', () =>
    fc.assert(
      fc.property(fc.nat(), fc.option(digest), fc.array(entry, { maxLength: 5 }), (seq, head, entries) => {
        const value = { seq, head, entries };
        expect(readRevocationSnapshot(encodeRevocationSnapshot(value))).toEqual({ ok: true, value });
      }),
    ));
});

describe('the tree of a statement', () => {
  let sim: Awaited<ReturnType<typeof trustSimulator>>;
  beforeAll(async () => {
    sim = await trustSimulator();
  });

  it('proves every leaf that it holds, and no other', () => {
    const leaf = fc.record({ area, ring, release: digest, releaseSeq: whole.map((n) => n as ReleaseSeq) });
    fc.assert(
      fc.property(fc.array(leaf, { minLength: 1, maxLength: 20 }), fc.nat(), (leaves, pick) => {
        const tree = freshnessTree(leaves);
        const one = tree.entries[pick % leaves.length];
        if (one === undefined) return;
        const claim = { index: one.leafIndex, size: one.treeSize, proof: one.proof, root: tree.merkleRoot };
        expect(verifyInclusion({ ...claim, leafHash: leafHash(freshnessLeaf(one)) })).toBe(true);
        expect(
          verifyInclusion({ ...claim, leafHash: leafHash(freshnessLeaf({ ...one, releaseSeq: (one.releaseSeq - 1) as ReleaseSeq })) }),
        ).toBe(false);
      }),
    );
  });

  it('spells a leaf in one way: these keys in this order, no spaces', () => {
    const spelled = freshnessLeaf({ area: 'company/prod' as Area, ring: 'default' as Ring, release: sim.pin, releaseSeq: 7 as ReleaseSeq });
    expect(new TextDecoder().decode(spelled)).toBe(`{"area":"company/prod","release":"${sim.pin}","release_seq":7,"ring":"default"}`);
    expect(sim.signer('root-1').keyId as KeyId).toMatch(/^[0-9a-f]{32}$/);
  });
});
