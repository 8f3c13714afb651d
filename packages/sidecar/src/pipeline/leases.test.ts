import { deny, type Denial, type Effect, type ServerName, type SessionId } from '@sallyport/model';
import { fakeClock, type FakeClock } from '@sallyport/testkit';
import { beforeEach, describe, expect, it } from 'vitest';
import type { CallFacts } from './facts.ts';
import type { Dialect } from './gate.ts';
import { createLeases, LEASE_RECHECK_MS, REVOKED_RECHECK_MS, type Leases, type LeasesOptions } from './leases.ts';
import type { Held } from './ports.ts';

const CALL_MS_MAX = 60_000;

const heldAs = (state: 'fresh' | 'stale', generation: number, seq = 0): Held =>
  ({ state, snapshot: { generation, revocations: { seq } } }) as unknown as Held;

/** A call judged by release 1. */
const call = (
  effect: Effect,
  { signal = new AbortController().signal, dialect = 'mcp' as Dialect, message = {} as object, session = 's-1', server = 'files' } = {},
): CallFacts =>
  ({
    tool: { tool: { effect } },
    held: heldAs('fresh', 1),
    dialect,
    signal,
    session: { id: session },
    server: { name: server },
    ask: { dialect, message: { kind: 'call_tool', era: 'legacy', id: 1, mcpSession: 'm-1', ...message } },
  }) as unknown as CallFacts;

describe('the lease of a call that is out', () => {
  let clock: FakeClock;
  let held: Held;
  let judged: boolean[];
  let verdict: () => Promise<Denial | undefined>;
  const leases = (over: Partial<LeasesOptions> = {}): Leases =>
    createLeases({
      clock,
      callMsMax: CALL_MS_MAX,
      bundle: { read: () => held },
      judge: (_, { hasSwitched }) => {
        judged.push(hasSwitched);
        return verdict();
      },
      ...over,
    });
  beforeEach(() => {
    clock = fakeClock();
    held = heldAs('fresh', 1);
    judged = [];
    verdict = async () => undefined;
  });

  it('a bundle that turns stale cuts a read, within one look', async () => {
    const lease = leases().open(call('read'));
    await clock.advance(10 * LEASE_RECHECK_MS);
    expect(lease.signal.aborted).toBe(false);
    held = heldAs('stale', 1);
    await clock.advance(LEASE_RECHECK_MS);
    expect([lease.signal.aborted, lease.ended?.code]).toEqual([true, 'policy_stale']);
  });

  it('an absent bundle cuts it too', async () => {
    const lease = leases().open(call('read'));
    held = { state: 'absent', why: 'gone' };
    await clock.advance(LEASE_RECHECK_MS);
    expect(lease.ended?.code).toBe('policy_stale');
  });

  it('a write that has been sent is not cut: it is done already', async () => {
    for (const effect of ['write', 'side_effect', 'destructive'] as const) {
      held = heldAs('fresh', 1);
      const lease = leases().open(call(effect));
      held = heldAs('stale', 2);
      await clock.advance(10 * LEASE_RECHECK_MS);
      expect([lease.signal.aborted, judged]).toEqual([false, []]);
    }
  });

  it('a switch of release has a read judged anew, once; a refusal cuts it', async () => {
    const lease = leases().open(call('read'));
    held = heldAs('fresh', 2);
    await clock.advance(LEASE_RECHECK_MS);
    await clock.advance(LEASE_RECHECK_MS);
    expect(judged).toEqual([true, false]);
    verdict = async () => deny('token_revoked', 'revoked');
    held = heldAs('fresh', 3);
    await clock.advance(LEASE_RECHECK_MS);
    expect([judged.at(-1), lease.signal.aborted, lease.ended?.code]).toEqual([true, true, 'token_revoked']);
  });

  it.each<[dialect: Dialect, effect: Effect]>([
    ['mcp', 'read'],
    ['http-tool', 'read'],
    ['agent', 'side_effect'],
  ])('a revocation has a %s answer judged anew within a quarter of that, however young it is', async (dialect, effect) => {
    const lease = leases().open(call(effect, { dialect }));
    await clock.advance(REVOKED_RECHECK_MS);
    expect(judged).toEqual([]);
    held = heldAs('fresh', 2, 1);
    verdict = async () => deny('token_revoked', 'revoked');
    await clock.advance(REVOKED_RECHECK_MS);
    expect([judged, lease.signal.aborted, lease.ended?.code]).toEqual([[true], true, 'token_revoked']);
  });

  it('a revocation that does not touch a call has it judged once, and it goes on', async () => {
    const lease = leases().open(call('read'));
    held = heldAs('fresh', 2, 1);
    await clock.advance(3 * REVOKED_RECHECK_MS);
    expect([judged, lease.signal.aborted]).toEqual([[true], false]);
  });

  it('a revocation that comes with a bundle gone stale does not let the call go on', async () => {
    const lease = leases().open(call('read'));
    held = heldAs('stale', 2, 1);
    await clock.advance(REVOKED_RECHECK_MS);
    expect(lease.ended?.code).toBe('policy_stale');
  });

  it('a revocation cuts no write that has been sent', async () => {
    const lease = leases().open(call('write'));
    held = heldAs('fresh', 2, 1);
    verdict = async () => deny('token_revoked', 'revoked');
    await clock.advance(4 * REVOKED_RECHECK_MS);
    expect([judged, lease.signal.aborted]).toEqual([[], false]);
  });

  it('many calls are judged in slices, so that one revocation does not stop the process for all of them', async () => {
    const all = leases();
    const some = Array.from({ length: 200 }, () => all.open(call('read')));
    verdict = async () => deny('token_revoked', 'revoked');
    held = heldAs('fresh', 2, 1);
    const sizes: number[] = [];
    await clock.advance(REVOKED_RECHECK_MS);
    for (let slice = 0; slice < 4; slice++) {
      sizes.push(judged.length);
      await clock.advance(1);
    }
    expect(sizes).toEqual([64, 128, 192, 200]);
    expect(some.every(({ ended }) => ended?.code === 'token_revoked')).toBe(true);
  });

  it('a judgement that throws is a refusal', async () => {
    const lease = leases({ judge: () => Promise.reject(new Error('broken')) }).open(call('read'));
    await clock.advance(LEASE_RECHECK_MS);
    expect(lease.ended?.code).toBe('internal');
  });

  it('no call outlives call_ms_max, whatever it is doing', async () => {
    const all = leases();
    const [read, write] = [all.open(call('read')), all.open(call('write'))];
    await clock.advance(CALL_MS_MAX - LEASE_RECHECK_MS);
    expect([read.signal.aborted, write.signal.aborted]).toEqual([false, false]);
    await clock.advance(LEASE_RECHECK_MS);
    expect([read.ended?.code, write.ended?.code]).toEqual(['upstream_timeout', 'upstream_timeout']);
  });

  it('a sleeping machine does not stop the time of a call', async () => {
    const lease = leases().open(call('write'));
    await clock.suspend(CALL_MS_MAX);
    expect(lease.ended?.code).toBe('upstream_timeout');
  });

  it.each<[effect: Effect, dialect: Dialect, isEnded: boolean]>([
    ['read', 'http-tool', true],
    ['write', 'http-tool', false],
    ['read', 'mcp', false],
    ['write', 'mcp', false],
  ])('the caller of a %s over %s leaves: ended is %s, and no refusal is made of it', (effect, dialect, isEnded) => {
    const caller = new AbortController();
    const lease = leases().open(call(effect, { dialect, signal: caller.signal }));
    caller.abort();
    expect([lease.signal.aborted, lease.ended]).toEqual([isEnded, undefined]);
    const late = leases().open(call(effect, { dialect, signal: caller.signal }));
    expect(late.signal.aborted).toBe(isEnded);
  });

  it('leaving cuts all of them, and every one that comes later', () => {
    const all = leases();
    const early = all.open(call('write'));
    all.cutAll();
    const late = all.open(call('read'));
    expect([early.ended?.code, late.ended?.code, late.signal.aborted]).toEqual(['overloaded', 'overloaded', true]);
  });

  describe('a call that its client cancels', () => {
    const NAMED = { session: 's-1' as SessionId, server: 'files' as ServerName, mcpSession: 'm-1', id: 1 };

    it('ends, whatever its effect, and nothing is said to have gone wrong', () => {
      const all = leases();
      const lease = all.open(call('write'));
      all.cancel(NAMED);
      expect([lease.signal.aborted, lease.isCancelled, lease.ended]).toEqual([true, true, undefined]);
    });

    it.each<[string, object]>([
      ['another session’s', { session: 's-2' }],
      ['another server’s', { server: 'orders' }],
      ['another MCP session’s', { mcpSession: 'm-2' }],
      ['one without an MCP session', { mcpSession: undefined }],
      ['another id', { id: 2 }],
      ['an id that only looks the same', { id: '1' }],
    ])('is not %s', (_, other) => {
      const all = leases();
      const lease = all.open(call('read'));
      all.cancel({ ...NAMED, ...other });
      expect(lease.signal.aborted).toBe(false);
    });

    it('leaving cancels it in the modern era, also a write, and never in the legacy one', () => {
      const leaving = new AbortController();
      const { signal } = leaving;
      const [modern, legacy] = [{ era: 'modern' }, {}].map((message) => leases().open(call('write', { signal, message })));
      leaving.abort();
      expect([modern?.isCancelled, legacy?.signal.aborted]).toEqual([true, false]);
    });

    it('in the modern era nobody can name it', () => {
      const all = leases();
      const lease = all.open(call('read', { message: { era: 'modern', mcpSession: undefined } }));
      all.cancel({ ...NAMED, mcpSession: undefined });
      expect(lease.signal.aborted).toBe(false);
    });
  });

  it('what is closed is forgotten, and nothing ticks when nothing is out', async () => {
    const all = leases();
    const some = Array.from({ length: 100 }, () => all.open(call('read')));
    expect([all.size, clock.timers]).toEqual([100, 1]);
    for (const lease of some) lease.close();
    await clock.advance(LEASE_RECHECK_MS);
    expect([all.size, clock.timers, judged]).toEqual([0, 0, []]);
    held = heldAs('stale', 1);
    await clock.advance(LEASE_RECHECK_MS);
    expect(some.every(({ signal }) => !signal.aborted)).toBe(true);
  });
});
