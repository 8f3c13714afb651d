/** A ticket with fields that nobody asked for: refused, or left out and listed. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ALLOWED, codeOf } from '../../../support/answers.ts';
import { startScenario, type Scenario } from '../../../support/scenario.ts';

const [STRICT, FORGIVING] = ['tickets/create_ticket', 'tickets/create_ticket_forgiving'];
const TICKET = { contact: 'a@b.org', category: 'delivery', order: 'O-000123', description: 'The parcel is late' };
const EXTRAS: readonly (readonly [string, object])[] = [
  ['an internal id', { internal_customer_id: 'K-77' }],
  ['a free object', { metadata: { internal_customer_id: 'K-77', nested: [{ deep: true }] } }],
  ['a name of the language', { constructor: 'x' }],
];

describe('a ticket', () => {
  let scenario: Scenario;
  let session: string;

  beforeAll(async () => {
    scenario = await startScenario(import.meta.dirname, ['ticket-intake']);
    session = await scenario.session({});
  });
  afterAll(() => scenario?.close());

  it.each([STRICT, FORGIVING])('of its four fields is created: %s', async (tool) => {
    expect(codeOf(await scenario.call(session, tool, TICKET))).toEqual(ALLOWED);
    expect(scenario.arrived()).toEqual([expect.stringContaining(` ${JSON.stringify(TICKET)}`)]);
    expect((await scenario.allowed(tool)).detail).toBeNull();
  });

  it.each(EXTRAS)('[R5.08] with %s is refused by the strict tool, and nothing of it applied', async (_, extra) => {
    const refused = await scenario.call(session, STRICT, { ...TICKET, ...extra });
    expect([...codeOf(refused), refused.json()['fields']]).toEqual([422, 'field_not_allowed', Object.keys(extra)]);
    expect(await scenario.record(refused)).toMatchObject({ decision: 'deny', gate: 'validation', tool: STRICT });
    expect(scenario.arrived()).toEqual([]);
  });

  it.each(EXTRAS.map(([name, extra], index) => [name, extra, index] as const))(
    '[R5.08] with %s loses it on the way where the tool says so, and the record lists it',
    async (_, extra, index) => {
      expect(codeOf(await scenario.call(session, FORGIVING, { ...TICKET, ...extra }))).toEqual(ALLOWED);
      expect(scenario.arrived()).toEqual([`POST /tickets/forgiving ${JSON.stringify(TICKET)}`]);
      // One was created above.
      const { detail } = await scenario.allowed(FORGIVING, index + 2);
      for (const name of Object.keys(extra)) expect(detail).toContain(`\`${name}\``);
      expect(detail).not.toContain('K-77');
    },
  );

  it('with two names that differ by case alone has no one meaning, and is refused before anybody is asked', async () => {
    for (const tool of [STRICT, FORGIVING])
      expect(codeOf(await scenario.call(session, tool, { ...TICKET, Contact: 'eve@evil.test' }))).toEqual([400, 'malformed_request']);
    expect(scenario.arrived()).toEqual([]);
  });

  it('that lacks a field or has a wrong one is forgiven nothing', async () => {
    const { order, ...without } = TICKET;
    const wrong = [without, { ...without, Order: order }, { ...TICKET, order: 'O-1' }, { ...TICKET, category: 'refund', extra: 1 }];
    for (const args of wrong) expect(codeOf(await scenario.call(session, FORGIVING, args))).toEqual([422, 'schema_violation']);
    expect(scenario.arrived()).toEqual([]);
  });
});
