/** A tool that takes three fields of a ticket, and what it is asked to take beside them. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ALLOWED, codeOf } from '../../../support/answers.ts';
import { startScenario, type Scenario } from '../../../support/scenario.ts';

const TOOL = 'tickets/update_ticket';
const FIELDS = { status: 'solved', notes_category: 'delivery', draft: 'Your parcel has arrived.' };

describe('a ticket’s update', () => {
  let scenario: Scenario;
  let session: string;

  beforeAll(async () => {
    scenario = await startScenario(import.meta.dirname, ['ticket-desk']);
    session = await scenario.session({ ticket: 'T-7' });
  });
  afterAll(() => scenario?.close());

  it.each([
    ['all three', FIELDS],
    ['status', { status: 'open' }],
    ['category of the notes', { notes_category: 'payment' }],
    ['draft', { draft: 'x' }],
  ])('[R3.30] takes its fields: %s', async (_, fields) => {
    expect(codeOf(await scenario.call(session, TOOL, { ticket: 'T-7', ...fields }))).toEqual(ALLOWED);
    expect(scenario.arrived()).toEqual([`PATCH /tickets/T-7 ${JSON.stringify(fields)}`]);
  });

  const FORBIDDEN: readonly (readonly [string, Readonly<Record<string, unknown>>])[] = [
    ['a refund', { refund_issued: true }],
    ['a refund that is none', { refund_issued: false }],
    ['another plan', { change_billing_plan: 'gold' }],
    ['both', { refund_issued: true, change_billing_plan: 'gold' }],
    ['a refund spelled otherwise', { refundIssued: true }],
    ['a refund one level down', { update: { refund_issued: true } }],
  ];
  it.each(FORBIDDEN)('[R3.30] takes nothing else, and then nothing in part: %s', async (_, extra) => {
    for (const fields of [{}, FIELDS]) {
      const refused = await scenario.call(session, TOOL, { ticket: 'T-7', ...fields, ...extra });
      expect([...codeOf(refused), refused.json()['fields']]).toEqual([422, 'field_not_allowed', Object.keys(extra)]);
      const byPath = await scenario.http(session, 'PATCH /tickets/T-7', { ...fields, ...extra });
      expect(codeOf(byPath)).toEqual([422, 'field_not_allowed']);
      expect(await scenario.record(byPath)).toMatchObject({ decision: 'deny', gate: 'validation', tool: TOOL });
    }
    expect(scenario.arrived()).toEqual([]);
  });

  it('[R3.30] does not take them from the query either', async () => {
    expect(codeOf(await scenario.http(session, 'PATCH /tickets/T-7?refund_issued=true', FIELDS))).toEqual([422, 'field_not_allowed']);
    expect(scenario.arrived()).toEqual([]);
  });

  it('is of the ticket of the case', async () => {
    expect(codeOf(await scenario.call(session, TOOL, { ticket: 'T-8', ...FIELDS }))).toEqual([403, 'resource_binding_mismatch']);
    expect(scenario.arrived()).toEqual([]);
  });
});
