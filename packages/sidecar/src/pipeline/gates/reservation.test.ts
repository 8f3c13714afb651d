import { Decimal, type DecisionId, type RuleId, type SessionId } from '@sallyport/model';
import type { ReservationSpec } from '@sallyport/policy';
import { memoryReservations } from '@sallyport/store';
import { fakeClock } from '@sallyport/testkit';
import { describe, expect, it } from 'vitest';
import type { Ports } from '../ports.ts';
import { decideReservation, reservation } from './reservation.ts';

const code = 'call_limit_exceeded';
const once: ReservationSpec = {
  kind: 'count',
  limit: 'once',
  per: 'args.order_id',
  code,
  ruleId: 'refund' as RuleId,
  key: 'once:refund:"O-1"',
  scope: 'session',
  max: 1,
};
const monthly: ReservationSpec = {
  kind: 'count',
  limit: 'once',
  code,
  ruleId: 'monthly' as RuleId,
  key: 'monthly O-1',
  scope: 'agent',
  windowMs: 30 * 86_400_000,
  max: 1,
};

const bench = (): {
  take: (specs: readonly ReservationSpec[], session?: string) => Promise<ReturnType<typeof decideReservation>>;
  clock: ReturnType<typeof fakeClock>;
  ports: Ports;
} => {
  const clock = fakeClock();
  const reservations = memoryReservations({ entriesMax: 10 });
  const ports = { clock, reservations, recorder: { state: async () => {} } } as unknown as Ports;
  let id = 0;
  return {
    clock,
    ports,
    take: async (specs, session = 's1') => {
      const facts = {
        decision: { reservations: specs, isStep: true },
        decisionId: `d${++id}` as DecisionId,
        session: { id: session as SessionId },
      };
      return decideReservation(await reservation.gather(facts as never, ports));
    },
  };
};

describe('sessions at once', () => {
  const judged = async (sessionsConcurrentMax: number | undefined, count: number): Promise<unknown> => {
    const { ports } = bench();
    const decision = { reservations: [], isStep: false, ...(sessionsConcurrentMax === undefined ? {} : { sessionsConcurrentMax }) };
    const facts = { decision, decisionId: 'd' as DecisionId, session: { id: 's' as SessionId } };
    const judgement = decideReservation(await reservation.gather(facts as never, { ...ports, sessionsServed: { count } } as never));
    return judgement.verdict === 'deny' ? [judgement.denial.code, judgement.denial.retryAfterMs] : judgement.verdict;
  };

  it.each([
    ['one more than may be', 1, 2, ['rate_limited', 1_000]],
    ['many more', 1, 900, ['rate_limited', 1_000]],
    ['one more than its agent takes', 4, 5, ['rate_limited', 1_000]],
    ['its own alone', 1, 1, 'pass'],
    ['as many as its agent takes', 4, 4, 'pass'],
    ['any number, of a tool that asks nothing', undefined, 900, 'pass'],
  ])('%s', async (_, most, count, expected) => {
    expect(await judged(most, count)).toEqual(expected);
  });
});

describe('budgets and rows', () => {
  const amount = (text: string): Decimal => Decimal.parse(text) ?? Decimal.fromBigInt(0n);
  const budget = (of: string): ReservationSpec => ({
    kind: 'sum',
    limit: 'budget',
    code: 'budget_exceeded',
    ruleId: 'spend' as RuleId,
    key: 'budget:spend',
    scope: 'session',
    amount: amount(of),
    max: amount('1000'),
  });
  const inRow: ReservationSpec = {
    kind: 'run',
    limit: 'sequence',
    code,
    ruleId: 'look' as RuleId,
    key: 'sequence:look',
    scope: 'session',
    max: 2,
  };

  it('what would go beyond a budget is refused with its own code, and the record holds the running total', async () => {
    const { take } = bench();
    expect(await take([budget('600')])).toMatchObject({
      verdict: 'pass',
      facts: { reserved: { budgets: ['budget of rule spend: 600 of 1000 used'] } },
    });
    expect(await take([budget('500')])).toMatchObject({
      verdict: 'deny',
      denial: { code: 'budget_exceeded', ruleId: 'spend', detail: expect.stringContaining('600 of 1000 used') },
    });
    expect((await take([budget('400')])).verdict).toBe('pass');
  });

  it('many at once spend no more than there is', async () => {
    const { take } = bench();
    const answers = await Promise.all(Array.from({ length: 9 }, async () => take([budget('300')])));
    expect(answers.filter(({ verdict }) => verdict === 'pass')).toHaveLength(3);
  });

  it('the third in a row is refused; a call that reserves nothing is a step as well', async () => {
    const { take } = bench();
    const answers = [await take([inRow]), await take([inRow]), await take([inRow]), await take([]), await take([inRow])];
    expect(answers.map(({ verdict }) => verdict)).toEqual(['pass', 'pass', 'deny', 'pass', 'pass']);
  });
});

describe('reservation', () => {
  it('a second use in the session is refused, and names the rule', async () => {
    const { take } = bench();
    expect((await take([once])).verdict).toBe('pass');
    expect(await take([once])).toMatchObject({ verdict: 'deny', denial: { code: 'call_limit_exceeded', ruleId: 'refund' } });
    expect((await take([once], 's2')).verdict).toBe('pass');
  });

  it('a refusal does not tell the value that is counted by, and tells two that are counted by one from others', async () => {
    const { take } = bench();
    const detailOf = async (key: string): Promise<string> => {
      await take([{ ...once, key }]);
      const refused = await take([{ ...once, key }]);
      return refused.verdict === 'deny' ? refused.denial.detail : '';
    };
    const [one, other, again] = [
      await detailOf('once:refund:"hunter2"'),
      await detailOf('once:refund:"x"'),
      await detailOf('once:refund:"hunter2"'),
    ];
    expect(one).toMatch(/^once of rule refund: already used, per args\.order_id in the session, counted under sha256:[0-9a-f]{16}$/);
    expect(one).not.toContain('hunter2');
    expect([one === again, one === other]).toEqual([true, false]);
  });

  const daily = { scope: 'agent', windowMs: 86_400_000, per: 'principal.id' } as const;
  const spend = { kind: 'sum', limit: 'budget', code: 'budget_exceeded', ruleId: 'spend' as RuleId } as const;
  const decimal = (text: string): Decimal => Decimal.parse(text) ?? Decimal.fromBigInt(0n);
  it.each<[string, ReservationSpec, string, string]>([
    ['once', once, 'once of rule refund: already used, per args.order_id in the session', 'none'],
    ['max', { ...once, limit: 'max', max: 2, ...daily }, 'max of rule refund: all 2 calls used, per principal.id within 1d', 'none'],
    [
      'sequence',
      { kind: 'run', limit: 'sequence', code, ruleId: 'look' as RuleId, key: 'sequence:look', scope: 'session', max: 2 },
      'sequence of rule look: 2 calls in a row made (call another tool first), in the session',
      'use_allowed_tool',
    ],
    [
      'budget',
      { ...spend, ...daily, key: 'budget:spend:"alice"', amount: decimal('60'), max: decimal('100') },
      'budget of rule spend: 60 of 100 used and 60 asked, per principal.id within 1d',
      'none',
    ],
  ])('says which limit of which rule, how much of it, and of what it is one: %s', async (_, spec, said, next) => {
    const { take } = bench();
    let answer = await take([spec]);
    while (answer.verdict === 'pass') answer = await take([spec]);
    if (answer.verdict !== 'deny') throw new Error(answer.verdict);
    expect(answer.denial.detail.replace(/, counted under sha256:[0-9a-f]{16}$/, '')).toBe(said);
    expect(answer.denial.detail).not.toMatch(/alice|O-1/);
    // Public: after another tool the same call may be made, which is the one thing that an agent can do about it.
    expect(answer.denial.nextAction ?? 'none').toBe(next);
  });

  it('a window holds across sessions', async () => {
    const { take, clock } = bench();
    expect((await take([monthly])).verdict).toBe('pass');
    expect((await take([monthly], 's2')).verdict).toBe('deny');
    await clock.advance(30 * 86_400_000);
    expect((await take([monthly], 's2')).verdict).toBe('pass');
  });

  it('takes all or none: a refusal by the second limit leaves the first unused', async () => {
    const { take } = bench();
    await take([once]);
    expect((await take([monthly, once])).verdict).toBe('deny');
    expect((await take([monthly])).verdict).toBe('pass');
  });

  it('twenty at once: exactly one', async () => {
    const { take } = bench();
    const all = await Promise.all(Array.from({ length: 20 }, () => take([once])));
    expect(all.filter(({ verdict }) => verdict === 'pass')).toHaveLength(1);
  });

  it('given back by undo, it can be taken again', async () => {
    const { take } = bench();
    const first = await take([once]);
    if (first.verdict === 'pass') await reservation.undo?.(first.facts);
    expect((await take([once])).verdict).toBe('pass');
  });

  it('a full store refuses, and evicts nothing', async () => {
    const { take } = bench();
    for (let i = 0; i < 10; i++) await take([{ ...once, key: `k${i}` }]);
    expect(await take([{ ...once, key: 'one more' }])).toMatchObject({ verdict: 'deny', denial: { code: 'overloaded' } });
    expect((await take([{ ...once, key: 'k0' }])).verdict).toBe('deny');
  });

  it('a value as long as a caller likes is a key like any other: the same twice, and no other’s', async () => {
    const { take } = bench();
    const long = (tail: string): ReservationSpec => ({ ...monthly, key: `once:monthly:"${'x'.repeat(5_000)}${tail}"` });
    expect((await take([long('1')])).verdict).toBe('pass');
    expect(await take([long('1')], 's2')).toMatchObject({ verdict: 'deny', denial: { code: 'call_limit_exceeded', ruleId: 'monthly' } });
    expect((await take([long('2')])).verdict).toBe('pass');
    expect((await take([monthly])).verdict).toBe('pass');
  });
});
