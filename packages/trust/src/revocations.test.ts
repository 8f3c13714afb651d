import { trustSimulator } from '@sallyport/testkit';
import type { TrustSimulator } from '@sallyport/testkit';
import { addMs } from '@sallyport/model';
import type { Digest, Instant } from '@sallyport/model';
import { beforeAll, describe, expect, it } from 'vitest';
import { REVOCATIONS_MAX } from './limits.ts';
import { parseSelector } from './objects/revocation.ts';
import type { RevocationEntry, Selector } from './objects/revocation.ts';
import { addEntries, allEntries, entriesOf, noEntries } from './revocation-index.ts';
import { applyRevocation, beginRevocations, compareRevocations, isRevoked } from './revocations.ts';
import type { RevocationState, RevocationSubject } from './revocations.ts';
import { trustRoot } from './roots.ts';
import type { TrustedRoot } from './roots.ts';

const NOON = Date.UTC(2026, 10, 20, 12) as Instant;
const BUNDLE = `sha256:${'ab'.repeat(32)}` as Digest;
const START = beginRevocations({ seq: 0, head: null });

const entry = (selector: Selector, before: RevocationEntry['before'] = NOON): RevocationEntry => ({
  selector,
  before,
  expiresAt: addMs(NOON, 3_600_000),
  reason: 'test',
});
const holding = (...entries: RevocationEntry[]): RevocationState => ({ ...START, index: addEntries(noEntries(), entries) });

describe('isRevoked', () => {
  const earlier = addMs(NOON, -1);
  const subject = (authenticatedAt: Instant | undefined): RevocationSubject => {
    const when = authenticatedAt === undefined ? {} : { authenticatedAt };
    return {
      token: { value: 't1', ...when },
      credentials: [
        { value: 't1', ...when },
        { value: 'sha256:aa', ...when },
      ],
      run: { value: 'r1', ...when },
      account: { value: 'https://idp.test alice', ...when },
      session: { value: 's1', ...when },
      principal: { value: 'alice', ...when },
      agent: { value: 'support', ...when },
      sidecar: { value: 'spiffe://x/sidecar/support/one', ...when },
      tool: 'orders/refund',
      bundles: [BUNDLE],
    };
  };
  const selectors: readonly Selector[] = [
    { type: 'token', value: 't1' },
    { type: 'credential', value: 't1' },
    { type: 'credential', value: 'sha256:aa' },
    { type: 'session', value: 's1' },
    { type: 'run', value: 'r1' },
    { type: 'account', value: 'https://idp.test alice' },
    { type: 'principal', value: 'alice' },
    { type: 'agent', value: 'support' },
    { type: 'sidecar', value: 'spiffe://x/sidecar/support/one' },
    { type: 'tool', value: 'orders/refund' },
    { type: 'bundle', value: BUNDLE },
    { type: 'everything', value: '*' },
  ];

  it.each(selectors)('$type: denies what was authenticated before the instant, and a missing instant is earlier', (selector) => {
    const state = holding(entry(selector));
    expect(isRevoked(state, subject(earlier), NOON)).toMatchObject({ selector });
    expect(isRevoked(state, subject(undefined), NOON)).toMatchObject({ selector });
    expect(isRevoked(state, subject(NOON), NOON)).toBeUndefined();
  });

  it.each(selectors)('$type: a ban denies however fresh the authentication is', (selector) => {
    expect(isRevoked(holding(entry(selector, 'never')), subject(addMs(NOON, 60_000)), NOON)).toMatchObject({ selector });
  });

  it.each(selectors.filter(({ type }) => type !== 'everything'))('$type: another value is not denied', ({ type, value }) => {
    expect(isRevoked(holding(entry({ type, value: `${value}x` }, 'never')), subject(earlier), NOON)).toBeUndefined();
  });

  it('a value of one kind does not select another kind', () => {
    expect(isRevoked(holding(entry({ type: 'session', value: 't1' }, 'never')), { token: { value: 't1' } }, NOON)).toBeUndefined();
  });

  it('judges tool, bundle and everything by the earliest credential in use', () => {
    const mixed: RevocationSubject = {
      token: { value: 't1', authenticatedAt: addMs(NOON, 5) },
      principal: { value: 'alice', authenticatedAt: addMs(NOON, -5) },
      tool: 'orders/refund',
    };
    expect(isRevoked(holding(entry({ type: 'tool', value: 'orders/refund' })), mixed, NOON)).toBeDefined();
    expect(isRevoked(holding(entry({ type: 'everything', value: '*' })), mixed, NOON)).toBeDefined();
    expect(isRevoked(holding(entry({ type: 'everything', value: '*' })), {}, NOON)).toBeDefined();
  });
});

describe('the index of revocations', () => {
  it('drops what another entry covers, and keeps what reaches further', () => {
    const selector: Selector = { type: 'token', value: 't1' };
    const narrow = entry(selector, addMs(NOON, -1));
    const wide = entry(selector, NOON);
    const brief: RevocationEntry = { ...entry(selector, 'never'), expiresAt: addMs(NOON, 1) };
    const index = addEntries(addEntries(noEntries(), [narrow]), [wide, brief, narrow]);
    expect(entriesOf(index, selector)).toEqual([wide, brief]);
    expect(index.size).toBe(2);
  });

  it('never changes under a reader of the old state', () => {
    const before = addEntries(noEntries(), [entry({ type: 'token', value: 't1' })]);
    const after = addEntries(
      before,
      Array.from({ length: 2_000 }, (_, i) => entry({ type: 'token', value: `t${i}` })),
    );
    expect([allEntries(before).length, allEntries(after).length, after.size]).toEqual([1, 2_000, 2_000]);
  });
});

describe('the log', () => {
  let sim: TrustSimulator;
  let root: TrustedRoot;
  beforeAll(async () => {
    sim = await trustSimulator();
    const trusted = trustRoot({ pin: sim.pin, chain: sim.chain, allowDevelopmentRoot: true });
    if (!trusted.ok) throw new Error(trusted.error.detail);
    root = trusted.value;
  });

  it('makes room by letting expired entries go, and refuses one more than fits: a full log is a gap, not a hole', async () => {
    const full = Array.from({ length: REVOCATIONS_MAX }, (_, i) => entry({ type: 'token', value: `t${i}` }));
    const state = { ...START, index: addEntries(noEntries(), full) };
    const next = await sim.revoke({ selector: { type: 'principal', value: 'alice' } });
    expect(applyRevocation(state, next.envelope, { root, at: NOON })).toMatchObject({ ok: false, error: { code: 'RESOURCE' } });
    const later = applyRevocation(state, next.envelope, { root, at: addMs(NOON, 3_600_001) });
    expect(later).toMatchObject({ ok: true, value: { kind: 'applied', state: { index: { size: 1 } } } });
  });

  it('compares an attested head: reached, behind, forked, and too old to tell', () => {
    const [one, two] = [BUNDLE, `sha256:${'cd'.repeat(32)}` as Digest];
    const state: RevocationState = {
      ...START,
      seq: 300,
      head: two,
      knownSeq: 300,
      heads: new Map([
        [299, one],
        [300, two],
      ]),
    };
    expect(compareRevocations(state, { seq: 300, head: two })).toBe('reached');
    expect(compareRevocations(state, { seq: 299, head: one })).toBe('reached');
    expect(compareRevocations(state, { seq: 0, head: null })).toBe('reached');
    expect(compareRevocations(state, { seq: 301, head: one })).toBe('behind');
    expect(compareRevocations(state, { seq: 3, head: one })).toBe('behind');
    expect(compareRevocations(state, { seq: 300, head: one })).toBe('forked');
    expect(compareRevocations(state, { seq: 299, head: null })).toBe('forked');
    expect(compareRevocations(state, { seq: 0, head: one })).toBe('forked');
  });
});

describe('parseSelector', () => {
  it.each([
    ['token', 'any jti'],
    ['agent', 'support-triage'],
    ['tool', 'orders/create_refund'],
    ['sidecar', 'spiffe://x/sidecar/a/b'],
    ['bundle', BUNDLE],
    ['everything', '*'],
  ])('takes %s %s', (type, value) => {
    expect(parseSelector(type, value)).toEqual({ ok: true, value: { type, value } });
  });

  it.each([
    ['tool', 'create_refund'],
    ['agent', 'Support'],
    ['bundle', 'sha256:ab'],
    ['everything', 'all'],
    ['token', ''],
    ['planet', 'earth'],
    ['account', 'alice'],
    ['account', 'https://idp.test '],
    ['sidecar', 'one'],
  ])('refuses %s %j, which would select nothing', (type, value) => {
    expect(parseSelector(type, value)).toMatchObject({ ok: false });
  });
});
