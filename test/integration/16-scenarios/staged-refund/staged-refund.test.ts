/** Reading about a refund, and making it faster: two stages, two tokens, one customer. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ALLOWED, codeOf } from '../../../support/answers.ts';
import { startScenario, type Scenario } from '../../../support/scenario.ts';

const READS = ['shop/get_order_status', 'shop/get_purchase_details', 'shop/get_refund_state'];
const ACCELERATE = 'shop/accelerate_refund';

describe('a refund in stages', () => {
  let scenario: Scenario;
  let reading: string;
  let writing: string;

  beforeAll(async () => {
    scenario = await startScenario(import.meta.dirname, ['refund-desk']);
    reading = await scenario.session({ scope: 'refunds:read', customer: 'C1' });
    writing = await scenario.session({ scope: 'refunds:accelerate', customer: 'C1' });
  });
  afterAll(() => scenario?.close());

  it.each(READS)('the read stage: %s, of the customer alone', async (tool) => {
    expect(codeOf(await scenario.call(reading, tool, { customer: 'C1' }))).toEqual(ALLOWED);
    expect(scenario.arrived()).toHaveLength(1);
    const refused = await scenario.call(reading, tool, { customer: 'C2' });
    expect(codeOf(refused)).toEqual([403, 'resource_binding_mismatch']);
    expect(await scenario.record(refused)).toMatchObject({ rule_id: 'one-customer' });
    expect(scenario.arrived()).toEqual([]);
  });

  it('the read stage makes nothing faster', async () => {
    const refused = await scenario.call(reading, ACCELERATE, { customer: 'C1', refund: 'R1' });
    expect(codeOf(refused)).toEqual([403, 'insufficient_scope']);
    expect((await scenario.record(refused)).detail).toContain('refunds:accelerate');
    expect(scenario.arrived()).toEqual([]);
  });

  it('the write stage does, for the customer alone', async () => {
    expect(codeOf(await scenario.call(writing, ACCELERATE, { customer: 'C1', refund: 'R1' }))).toEqual(ALLOWED);
    expect(scenario.arrived()).toEqual(['POST /shop/customers/C1/refunds/R1/acceleration {}']);
    const refused = await scenario.call(writing, ACCELERATE, { customer: 'C2', refund: 'R2' });
    expect(codeOf(refused)).toEqual([403, 'resource_binding_mismatch']);
    expect(codeOf(await scenario.http(writing, 'POST /shop/customers/C2/refunds/R2/acceleration', {}))).toEqual([
      403,
      'resource_binding_mismatch',
    ]);
    expect(scenario.arrived()).toEqual([]);
  });

  it.each(READS)('the write stage reads nothing: %s', async (tool) => {
    expect(codeOf(await scenario.call(writing, tool, { customer: 'C1' }))).toEqual([403, 'insufficient_scope']);
    expect(scenario.arrived()).toEqual([]);
  });
});
