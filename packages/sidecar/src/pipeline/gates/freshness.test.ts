import { describe, expect, it } from 'vitest';
import type { Held, Snapshot } from '../ports.ts';
import { decideFreshness } from './freshness.ts';

const snapshot = { releaseSeq: 7 } as unknown as Snapshot;

describe('freshness', () => {
  it('denies without a bundle', () => {
    expect(decideFreshness({ state: 'absent', why: 'not enrolled yet' })).toMatchObject({
      verdict: 'deny',
      denial: { code: 'policy_unavailable' },
    });
  });

  it('denies with a bundle that is too old, however little', () => {
    const held: Held = { state: 'stale', snapshot, freshnessSeq: 1, ageMs: 60_000, freshForMs: 0 };
    expect(decideFreshness(held)).toMatchObject({ verdict: 'deny', denial: { code: 'policy_stale' } });
  });

  it('passes a fresh one, and hands on the snapshot that the call is judged by', () => {
    const held: Held = { state: 'fresh', snapshot, freshnessSeq: 1, ageMs: 1, freshForMs: 59_999 };
    expect(decideFreshness(held)).toEqual({ verdict: 'pass', facts: { held } });
  });
});
