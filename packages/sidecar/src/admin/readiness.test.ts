import { Fault, type CredentialName, type Instant, type ReleaseSeq } from '@sallyport/model';
import type { AppendRefusal } from '@sallyport/store';
import type { PolicyState } from '@sallyport/trust';
import { describe, expect, it } from 'vitest';
import type { Identity } from '../enrolment/identity-files.ts';
import type { Held } from '../pipeline/ports.ts';
import { judgeReadiness, type ReadinessOf } from './readiness.ts';

const held = (state: 'fresh' | 'stale'): Held =>
  ({ state, snapshot: { releaseSeq: 7 as ReleaseSeq }, freshnessSeq: 1, ageMs: 12.4, freshForMs: 100 }) as unknown as Held;
const journal = (refusal?: AppendRefusal): ReadinessOf['journal'] => ({ refuses: () => refusal });
const GOOD: ReadinessOf = {
  held: held('fresh'),
  policy: { kind: 'fresh', ttlMs: 60_000 } as unknown as PolicyState,
  identity: { spiffeId: 'spiffe://t/sidecar/a/one', notAfter: Date.UTC(2026, 10, 20) as Instant } as unknown as Identity,
  journal: journal(),
  hasStream: true,
  isLeaving: false,
  isolation: { isolation: 'enforced', reasons: [] },
  isConnected: true,
  allowsDevelopmentRoot: false,
  credentials: [],
};
const fault = new Fault('journal_failed', 'internal', 'while syncing: EIO');

describe('readiness', () => {
  it('is a fresh bundle and a journal that takes records', () => {
    expect(judgeReadiness(GOOD)).toEqual({
      ready: true,
      reason: 'fresh',
      state: 'fresh',
      release_seq: 7,
      policy_age_ms: 12,
      ttl_ms: 60_000,
      identity: 'spiffe://t/sidecar/a/one',
      identity_expires_at: '2026-11-20T00:00:00.000Z',
      connected: true,
      development_root: false,
      draining: false,
      isolation: 'enforced',
      isolation_reasons: [],
      stale_credentials: [],
      leaked_credentials: [],
      critical_credentials: [],
      failing_credentials: [],
    });
  });

  it('is not lost by credentials that are too old or cannot be read, which it lists by name', () => {
    const name = (text: string): CredentialName => text as CredentialName;
    const credentials = [
      { name: name('fine'), stale: false, leak: null, failure: null },
      { name: name('old'), stale: true, leak: null, failure: null },
      { name: name('found'), stale: false, leak: 'open' as const, failure: null },
      { name: name('known'), stale: false, leak: 'critical' as const, failure: null },
      { name: name('gone'), stale: false, leak: null, failure: 'missing' },
    ];
    expect(judgeReadiness({ ...GOOD, credentials })).toMatchObject({
      ready: true,
      stale_credentials: ['old'],
      leaked_credentials: ['found', 'known'],
      critical_credentials: ['known'],
      failing_credentials: ['gone'],
    });
  });

  it.each<[what: string, over: Partial<ReadinessOf>, reason: RegExp]>([
    ['leaving', { isLeaving: true }, /^draining$/],
    ['no bundle', { held: { state: 'absent', why: 'not enrolled yet' }, policy: { kind: 'absent' } as PolicyState }, /^not enrolled yet$/],
    ['a stale one', { held: held('stale'), policy: { kind: 'stale', reason: 'too_old', ttlMs: 1 } as unknown as PolicyState }, /^too_old$/],
    ['stale at one reading and fresh at the next', { held: held('stale') }, /^stale$/],
    ['a full journal', { journal: journal({ code: 'full' }) }, /^journal_full/],
    ['a failed journal', { journal: journal({ code: 'failed', fault }) }, /^journal_failed: .*EIO/],
    ['a closed journal', { journal: journal({ code: 'closed' }) }, /^journal_closed$/],
    ['no journal yet', { journal: undefined }, /^starting$/],
    ['no stream yet', { hasStream: false }, /^starting$/],
  ])('%s: not ready, and says so', (_, over, reason) => {
    const judged = judgeReadiness({ ...GOOD, ...over });
    expect([judged.ready, judged.reason]).toEqual([false, expect.stringMatching(reason)]);
  });

  it('of several reasons names the first that a person has to act on', () => {
    const all = { ...GOOD, held: held('stale'), journal: journal({ code: 'failed', fault }) };
    expect(judgeReadiness(all).reason).toMatch(/^journal_failed/);
    expect(judgeReadiness({ ...all, isLeaving: true }).reason).toBe('draining');
  });
});
