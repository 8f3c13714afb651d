/** A change of address: scope, standing, and a second factor while nobody vouches for the session's risk. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ALLOWED, codeOf } from '../../../support/answers.ts';
import { startScenario, type Scenario } from '../../../support/scenario.ts';

const CHANGE = 'accounts/change_address';
const ARGS = { customer: 'C1', street: 'Main Street 1' };
const RIGHT = { roles: ['customer'], scope: 'address_update', customer: 'C1', standing: 'good' };
const now = (): number => Math.floor(Date.now() / 1_000);

describe('a change of address', () => {
  let scenario: Scenario;

  beforeAll(async () => {
    scenario = await startScenario(import.meta.dirname, ['account-desk']);
  });
  afterAll(() => scenario?.close());

  it.each([['otp'], ['hwk']])('goes through with everything right and a fresh second factor: %s', async (method) => {
    const session = await scenario.session({ ...RIGHT, auth_time: now() - 60, amr: ['pwd', method] });
    expect(codeOf(await scenario.call(session, CHANGE, ARGS))).toEqual(ALLOWED);
    expect(scenario.arrived()).toEqual(['PUT /accounts/customers/C1/address {"street":"Main Street 1"}']);
  });

  it('[R3.36] an account not in good standing changes nothing, whatever else is right', async () => {
    const right = { ...RIGHT, auth_time: now(), amr: ['otp'] };
    expect(codeOf(await scenario.call(await scenario.session(right), CHANGE, ARGS))).toEqual(ALLOWED);
    scenario.arrived();
    for (const standing of ['delinquent', 'Good', 'good ', '', undefined]) {
      const refused = await scenario.call(await scenario.session({ ...right, standing }), CHANGE, ARGS);
      expect([standing, ...codeOf(refused)]).toEqual([standing, 403, 'no_matching_policy']);
      const record = await scenario.record(refused);
      expect(record.rule_id).toBe('change-address');
      expect(record.detail).toContain('standing');
    }
    expect(scenario.arrived()).toEqual([]);
  });

  const refusals: readonly (readonly [string, string, Readonly<Record<string, unknown>>])[] = [
    ['without the scope', 'insufficient_scope', { scope: 'address_read', amr: ['otp'] }],
    ['of another customer', 'resource_binding_mismatch', { customer: 'C2', amr: ['otp'] }],
    ['without a second factor', 'step_up_required', { amr: ['pwd'] }],
    ['without a word on how the person signed in', 'step_up_required', {}],
    ['with a second factor of eleven minutes ago', 'step_up_required', { amr: ['otp'], auth_time: now() - 660 }],
  ];
  it.each(refusals)('%s: %s', async (_, code, claims) => {
    const refused = await scenario.call(await scenario.session({ ...RIGHT, ...claims }), CHANGE, ARGS);
    expect(codeOf(refused)).toEqual([403, code]);
    expect(await scenario.record(refused)).toMatchObject({ decision: 'deny', rule_id: 'change-address', code });
    expect(scenario.arrived()).toEqual([]);
  });
});
