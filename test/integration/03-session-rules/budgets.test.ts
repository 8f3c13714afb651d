/** Sums and counts that a session, a case or a person may come to: exact, also where many calls come at once. */

import type { CallEvent } from '@sallyport/audit';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ALLOWED, codeOf } from '../../support/answers.ts';
import { callsOfSession } from '../../support/audit.ts';
import { governed, type Governed } from '../../support/governed.ts';
import { eventually, type HttpAnswer, type RunningSidecar } from '../../support/world.ts';

const tool = (name: string): string => `
kind: Tool
name: orders/${name}
effect: write
classes: [money]
route: { method: POST, path: /${name} }
arguments:
  required: [amount]
  properties: { amount: { type: number, format: decimal }, note: { type: string } }
---`;

const DOCUMENTS = `
${['pay', 'pay_for_case', 'tip', 'letter'].map(tool).join('')}
kind: Policy
agent: support-triage
rules:
  - id: session-budget
    allow: [orders/pay]
    for: { roles: [support-rep] }
    budget: { sum: args.amount, max: "1000" }
  - id: case-budget
    allow: [orders/pay_for_case]
    for: { roles: [support-rep] }
    budget: { sum: args.amount, per: case, within: 30d, max: "1000" }
  - id: small-sums
    allow: [orders/tip]
    for: { roles: [support-rep] }
    budget: { sum: args.amount, max: "0.3" }
  - id: three-letters
    allow: [orders/letter]
    for: { roles: [support-rep] }
    max: { count: 3 }
---
kind: Test
given: { roles: [support-rep], session: { case: T-1 } }
steps:
  - { call: orders/pay, args: { amount: 600 }, expect: allow }
  - { call: orders/pay, args: { amount: 500 }, expect: budget_exceeded }
  - { call: orders/pay, args: { amount: 400 }, expect: allow }
`;

const EXCEEDED = [403, 'budget_exceeded'] as const;

describe('a budget', () => {
  let desk: Governed;
  const call = (session: string, name: string, amount: unknown, more: object = {}): Promise<HttpAnswer> =>
    desk.call(session, name, { amount, ...more });
  const totals = (events: readonly CallEvent[]): readonly (string | null)[] => events.map(({ detail }) => detail);

  beforeAll(async () => {
    desk = await governed(DOCUMENTS);
  });
  afterEach(() => {
    desk.up.answer({ kind: 'json', body: { ok: true } });
    desk.arrived();
  });
  afterAll(() => desk?.close());

  it('[R3.65] 600 of 1000, then 500: the second is refused, and the records hold the running total', async () => {
    const session = await desk.session();
    expect(codeOf(await call(session, 'pay', 600))).toEqual(ALLOWED);
    const refused = await call(session, 'pay', 500);
    expect(codeOf(refused)).toEqual(EXCEEDED);
    expect(refused.json()['next_action']).toBe('route_to_human');
    expect(refused.text).not.toMatch(/1000|600/);
    expect(codeOf(await call(session, 'pay', 400))).toEqual(ALLOWED);
    expect(codeOf(await call(session, 'pay', 0.01))).toEqual(EXCEEDED);
    expect(desk.arrived()).toEqual(['POST /pay {"amount":600}', 'POST /pay {"amount":400}']);
    const events = await callsOfSession(desk.world, session, 4);
    expect(events.map(({ decision, rule_id: rule }) => [decision, rule])).toEqual([
      ['allow', 'session-budget'],
      ['deny', 'session-budget'],
      ['allow', 'session-budget'],
      ['deny', 'session-budget'],
    ]);
    expect(totals(events)).toEqual([
      expect.stringContaining('600 of 1000 used'),
      expect.stringContaining('600 of 1000 used and 500 asked, in the session'),
      expect.stringContaining('1000 of 1000 used'),
      expect.stringContaining('1000 of 1000 used'),
    ]);
    expect(codeOf(await call(await desk.session(), 'pay', 1_000))).toEqual(ALLOWED);
  });

  it('[R3.65] twenty at once of 100 each: ten go through, and every total is told once', async () => {
    const session = await desk.session();
    const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => call(session, 'pay', 100, { note: `n${i}` })));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(10);
    expect(new Set(answers.filter(({ status }) => status !== 200).map((answer) => codeOf(answer).join(' ')))).toEqual(
      new Set([EXCEEDED.join(' ')]),
    );
    expect(desk.arrived()).toHaveLength(10);
    const events = await callsOfSession(desk.world, session, 20);
    const told = totals(events.filter(({ decision }) => decision === 'allow')).map((detail) =>
      Number(/(\d+) of 1000 used/.exec(detail ?? '')?.[1]),
    );
    expect(told.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 10 }, (_, i) => (i + 1) * 100));
  });

  it('[R3.65] of a case is one for all its sessions, and none of another case', async () => {
    const [one, two, other] = [
      await desk.session({ ticket_id: 'T-1' }),
      await desk.session({ ticket_id: 'T-1', sub: 'bob@company.com' }),
      await desk.session({ ticket_id: 'T-2' }),
    ];
    expect(codeOf(await call(one, 'pay_for_case', 600))).toEqual(ALLOWED);
    expect(codeOf(await call(two, 'pay_for_case', 500))).toEqual(EXCEEDED);
    expect(codeOf(await call(other, 'pay_for_case', 500))).toEqual(ALLOWED);
    const answers = await Promise.all(
      [one, two].flatMap((session) =>
        Array.from({ length: 10 }, (_, i) => call(session, 'pay_for_case', 50, { note: `${session.slice(-4)}${i}` })),
      ),
    );
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(8);
    // A session without a case has no budget to draw on.
    expect(codeOf(await call(await desk.session(), 'pay_for_case', 1))).toEqual(EXCEEDED);
  });

  it('[R3.65] counts as well as it sums: a fourth letter is refused', async () => {
    const session = await desk.session();
    const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => call(session, 'letter', i)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(3);
    expect(codeOf(await call(session, 'letter', 99))).toEqual([403, 'call_limit_exceeded']);
    expect(desk.arrived()).toHaveLength(3);
  });

  it('[R4.19] is what it was after a restart: what was spent is spent', async () => {
    const [name, claims] = ['restarted', { ticket_id: 'T-9' }];
    const pay = async (sidecar: RunningSidecar, amount: number): Promise<HttpAnswer> =>
      sidecar.call('orders/pay_for_case', { amount }, await sidecar.session(claims));
    const first = await desk.world.startSidecar({ name });
    await eventually(() => first.ready(), 'readiness');
    expect(codeOf(await pay(first, 600))).toEqual(ALLOWED);
    await first.drain();
    const second = await desk.world.startSidecar({ name, withToken: false });
    await eventually(() => second.ready(), 'readiness');
    expect(codeOf(await pay(second, 400.01))).toEqual(EXCEEDED);
    expect(codeOf(await pay(second, 400))).toEqual(ALLOWED);
    expect(codeOf(await pay(second, 0.01))).toEqual(EXCEEDED);
    expect(desk.arrived()).toHaveLength(2);
  });

  it('is exact where doubles are not', async () => {
    const session = await desk.session();
    for (const amount of [0.1, 0.2]) expect(codeOf(await call(session, 'tip', amount))).toEqual(ALLOWED);
    expect(codeOf(await call(session, 'tip', 0.000_001))).toEqual(EXCEEDED);
    expect(codeOf(await call(session, 'tip', 0))).toEqual(ALLOWED);
  });

  it('is not refilled: not by what is negative, not by a failure that may have been a payment', async () => {
    const session = await desk.session();
    expect(codeOf(await call(session, 'pay', 900))).toEqual(ALLOWED);
    expect(codeOf(await call(session, 'pay', -800))).toEqual(EXCEEDED);
    desk.up.answer({ kind: 'json', status: 500, body: {} });
    expect((await call(session, 'pay', 100)).status).toBe(502);
    desk.up.answer({ kind: 'json', body: { ok: true } });
    expect(codeOf(await call(session, 'pay', 1))).toEqual(EXCEEDED);
  });
});
