/** A question inside its scope, the same about somebody else, and one outside of it. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ALLOWED, codeOf } from '../../../support/answers.ts';
import { startScenario, type Scenario } from '../../../support/scenario.ts';

const STATUS = 'refunds/get_refund_status';
const INSTRUMENT = 'payments/get_payment_instrument';

describe('where is my refund?', () => {
  let scenario: Scenario;
  let session: string;

  beforeAll(async () => {
    scenario = await startScenario(import.meta.dirname, ['refund-status']);
    session = await scenario.session({ scope: 'refunds:status:read', customer: 'C1' });
  });
  afterAll(() => scenario?.close());

  it('is answered for the customer of the case', async () => {
    expect(codeOf(await scenario.call(session, STATUS, { customer: 'C1' }))).toEqual(ALLOWED);
    expect(scenario.arrived()).toEqual(['GET /refunds/customers/C1/refund-status']);
  });

  it('gives no right to the payment instrument', async () => {
    const refused = await scenario.call(session, INSTRUMENT, { customer: 'C1' });
    expect(codeOf(refused)).toEqual([403, 'insufficient_scope']);
    const record = await scenario.record(refused);
    expect(record).toMatchObject({ decision: 'deny', rule_id: 'payment-instrument', case: 'C1', tool: INSTRUMENT });
    expect(record.detail).toContain('payments:instrument:read');
    expect(scenario.arrived()).toEqual([]);
  });

  it('is not answered about another customer, however the id is written', async () => {
    const refused = await scenario.call(session, STATUS, { customer: 'C2' });
    expect(codeOf(refused)).toEqual([403, 'resource_binding_mismatch']);
    expect(await scenario.record(refused)).toMatchObject({ rule_id: 'refund-status' });
    expect(codeOf(await scenario.http(session, 'GET /refunds/customers/C2/refund-status'))).toEqual([403, 'resource_binding_mismatch']);
    for (const customer of ['C1,C2', 'c2', '../C2', 'C1/../C2', ' C2'])
      expect([customer, ...codeOf(await scenario.call(session, STATUS, { customer }))]).toEqual([customer, 422, 'schema_violation']);
    expect(scenario.arrived()).toEqual([]);
  });

  it('is not answered in a session without a case', async () => {
    const bare = await scenario.session({ scope: 'refunds:status:read' });
    expect(codeOf(await scenario.call(bare, STATUS, { customer: 'C1' }))).toEqual([403, 'resource_binding_mismatch']);
    expect(scenario.arrived()).toEqual([]);
  });
});
