import { addMs } from '@sallyport/model';
import type { Area, Digest, Instant, Revision, Ring } from '@sallyport/model';
import { describe, expect, it } from 'vitest';
import { decodeHighWater, encodeHighWater, recallHighWater } from './high-water-file.ts';
import { EMPTY_HIGH_WATER, judgeNumber, raiseDelegations, raiseOnlineKeys, raiseRelease, raiseRevocation } from './high-water.ts';
import type { HighWater } from './high-water.ts';

const NOON = Date.UTC(2026, 10, 20, 12) as Instant;
const digest = (byte: string): Digest => `sha256:${byte.repeat(32)}` as Digest;
const AREA = 'default' as Area;
const RING = 'default' as Ring;

const FULL: HighWater = {
  root: { number: 2, digest: digest('01') },
  delegations: [{ area: AREA, number: 3, digest: digest('02') }],
  onlineKeys: { number: 4, digest: digest('03') },
  releases: [{ area: AREA, ring: RING, number: 5, digest: digest('04') }],
  revisions: [{ area: AREA, revision: 6 as Revision }],
  freshness: { number: 7, digest: digest('05'), issuedAtMax: NOON, signerTime: addMs(NOON, 1_000), signerSlackMs: 3_000 },
  revocation: { seq: 8, head: digest('06'), awaitsRecovery: false },
  charged: [{ statement: digest('05'), ageMs: 9 }],
};

describe('the high-water file', () => {
  it.each([
    ['a full mark', FULL],
    ['an empty mark', EMPTY_HIGH_WATER],
  ])('reads back %s', (_name, mark) => {
    expect(decodeHighWater(encodeHighWater(mark, NOON))).toEqual({ ok: true, value: mark });
  });

  it('is unreadable wherever it is torn', () => {
    const bytes = encodeHighWater(FULL, NOON);
    for (let length = 0; length < bytes.byteLength; length++) expect(decodeHighWater(bytes.subarray(0, length)).ok).toBe(false);
  });

  it('is unreadable whichever bit is turned', () => {
    const bytes = encodeHighWater(FULL, NOON);
    for (let index = 0; index < bytes.byteLength; index++) {
      const bent = bytes.slice();
      bent[index] = (bent[index] ?? 0) ^ 1;
      expect(decodeHighWater(bent).ok).toBe(false);
    }
  });

  it('is unreadable with something after its end', () => {
    const bytes = encodeHighWater(FULL, NOON);
    expect(decodeHighWater(new Uint8Array([...bytes, 10])).ok).toBe(false);
    expect(decodeHighWater(new Uint8Array([...bytes, ...bytes])).ok).toBe(false);
  });

  it('must be proven anew when it is missing, unreadable or without freshness; a readable one goes on', () => {
    expect(recallHighWater(undefined)).toMatchObject({ mustProve: true, highWater: EMPTY_HIGH_WATER });
    expect(recallHighWater(new Uint8Array())).toMatchObject({ mustProve: true, highWater: EMPTY_HIGH_WATER });
    expect(recallHighWater(encodeHighWater({ ...FULL, freshness: undefined }, NOON))).toMatchObject({ mustProve: true });
    expect(recallHighWater(encodeHighWater(FULL, NOON))).toEqual({ mustProve: false, highWater: FULL, problems: [] });
  });
});

describe('the high-water mark', () => {
  it.each([
    [4, digest('04'), 'ROLLBACK'],
    [5, digest('04'), 'already'],
    [5, digest('99'), 'EQUIVOCATION'],
    [6, digest('99'), 'newer'],
  ])('number %d with digest %s is %s', (number, named, outcome) => {
    const judged = judgeNumber('release', { number, digest: named }, FULL.releases[0]);
    expect(judged.ok ? judged.value : judged.error.code).toBe(outcome);
  });

  it('never sinks', () => {
    const release = { area: AREA, ring: RING, releaseSeq: 6, digest: digest('07'), bundles: [{ area: AREA, revision: 1 as Revision }] };
    expect(raiseRelease(FULL, release)).toMatchObject({ releases: [{ number: 6 }], revisions: [{ revision: 6 }] });
    expect(raiseDelegations(FULL, [{ area: AREA, number: 1, digest: digest('07') }])).toEqual(FULL);
    expect(raiseOnlineKeys(FULL, { number: 1, digest: digest('07') })).toEqual(FULL);
    expect(raiseRevocation(FULL, { seq: 7, head: digest('07'), awaitsRecovery: false })).toEqual(FULL);
  });

  it('keeps areas and rings apart', () => {
    const canary = raiseRelease(FULL, { area: AREA, ring: 'canary' as Ring, releaseSeq: 1, digest: digest('07'), bundles: [] });
    expect(canary.releases).toHaveLength(2);
    expect(raiseDelegations(FULL, [{ area: 'other' as Area, number: 1, digest: digest('07') }]).delegations).toHaveLength(2);
  });
});
