/**
 * Orders for people who asked, and refunds that two colleagues must approve. How an approval is given is no part of this
 * story: here nobody has approved anything, and saying so does not make it so.
 */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ALLOWED, codeOf } from '../../../support/answers.ts';
import { startScenario, type Scenario } from '../../../support/scenario.ts';

const REFUND = { order: 'O-000123', amount: 5 };

describe('orders and refunds', () => {
  let scenario: Scenario;
  let session: string;

  beforeAll(async () => {
    scenario = await startScenario(import.meta.dirname, ['order-desk']);
    session = await scenario.session({});
  });
  afterAll(() => scenario?.close());

  it('an order goes out for the person who opened the session; the record says who, what, when and by which rule', async () => {
    const before = Date.now();
    expect(codeOf(await scenario.call(session, 'orders/create_order', { sku: 'S1', reason: 'asked by phone' }))).toEqual(ALLOWED);
    expect(scenario.arrived()).toEqual(['POST /orders/orders {"sku":"S1","reason":"asked by phone"}']);
    const event = await scenario.allowed('orders/create_order');
    expect(event).toMatchObject({
      operator: 'alice@company.com',
      agent_id: 'order-desk',
      tool: 'orders/create_order',
      tool_effect: 'write',
      decision: 'allow',
      rule_id: 'order-for-a-person',
      result: 'ok',
      release_seq: 1,
    });
    expect(Date.parse(event.at)).toBeGreaterThanOrEqual(before - 1_000);
  });

  it('what is the schedule’s to do is no person’s', async () => {
    const refused = await scenario.call(session, 'orders/restock', { sku: 'S1' });
    expect(codeOf(refused)).toEqual([403, 'delegation_not_allowed']);
    const record = await scenario.record(refused);
    expect(record).toMatchObject({ rule_id: 'order-by-schedule', operator: 'alice@company.com' });
    expect(record.detail).toContain('schedule');
    expect(scenario.arrived()).toEqual([]);
  });

  it('a refund without approvals is refused as what it is', async () => {
    const refused = await scenario.call(session, 'orders/refund', REFUND);
    expect(refused.json()).toMatchObject({ status: 403, code: 'requires_approval', next_action: 'get_approval', retryable: false });
    const record = await scenario.record(refused);
    expect(record.rule_id).toBe('refund-by-two');
    expect(record.detail).toContain('2 by role team-lead');
    expect(scenario.arrived()).toEqual([]);
  });

  it('an approval that somebody merely speaks of is none', async () => {
    const json = { ...REFUND, approved: true, approvals: [{ person: 'dana', roles: ['team-lead'] }] };
    expect(codeOf(await scenario.call(session, 'orders/refund', json))).toEqual([422, 'field_not_allowed']);
    const lead = await scenario.session({ roles: ['support-rep', 'team-lead'], approvals: ['dana', 'eli'], approved: true });
    expect(codeOf(await scenario.call(lead, 'orders/refund', REFUND))).toEqual([403, 'requires_approval']);
    expect(scenario.arrived()).toEqual([]);
  });
});
