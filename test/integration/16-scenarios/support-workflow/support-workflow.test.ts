/** Five steps with five tokens: each does its own and nothing else, and a draft changes nothing. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ALLOWED, codeOf } from '../../../support/answers.ts';
import { startScenario, type Scenario } from '../../../support/scenario.ts';

const STEPS = {
  intake: ['tickets/read_ticket', { ticket: 'T-7' }],
  enrichment: ['knowledge/find_articles', { words: 'refund' }],
  drafting: ['drafts/render_draft', { text: 'Dear customer' }],
  verification: ['tickets/verify_facts', { ticket: 'T-7', claim: 'refund_requested' }],
  action: ['tickets/update_ticket', { ticket: 'T-7', status: 'solved' }],
} as const;
type Step = keyof typeof STEPS;
const NAMES = Object.keys(STEPS) as Step[];
/** Reads that a step lists beside its own tool. */
const LISTED: readonly string[] = ['enrichment intake'];
const WRITES = [
  ['tickets/update_ticket', { ticket: 'T-7', status: 'solved' }],
  ['tickets/close_account', { account: 'A1' }],
] as const;

describe('a support workflow in steps', () => {
  let scenario: Scenario;
  const sessionOf = (steps: readonly string[], more: object = {}): Promise<string> =>
    scenario.session({ scope: steps.map((step) => `step:${step}`).join(' '), ticket: 'T-7', ...more });

  beforeAll(async () => {
    scenario = await startScenario(import.meta.dirname, ['support-workflow']);
  });
  afterAll(() => scenario?.close());

  describe.each(NAMES)('[R3.21] the token of %s', (step) => {
    it.each(NAMES)('and the tool of %s', async (other) => {
      const [tool, args] = STEPS[other];
      const answer = await scenario.call(await sessionOf([step]), tool, args);
      if (step === other || LISTED.includes(`${step} ${other}`)) {
        expect(codeOf(answer)).toEqual(ALLOWED);
        expect(scenario.arrived()).toHaveLength(1);
        return;
      }
      const code = step === 'drafting' && other === 'action' ? 'no_matching_policy' : 'insufficient_scope';
      expect(codeOf(answer)).toEqual([403, code]);
      expect(await scenario.record(answer)).toMatchObject({ decision: 'deny', tool, code });
      expect(scenario.arrived()).toEqual([]);
    });
  });

  it.each(WRITES)('[R3.24] a drafting token changes nothing, whatever else it holds: %s', async (tool, args) => {
    const session = await sessionOf(NAMES, { roles: ['support-rep', 'supervisor'] });
    const refused = await scenario.call(session, tool, args);
    expect(codeOf(refused)).toEqual([403, 'no_matching_policy']);
    const record = await scenario.record(refused);
    expect(record.rule_id).toBe('drafting-writes-text-only');
    expect(record.detail).toContain('step:drafting');
    expect(scenario.arrived()).toEqual([]);
    expect(codeOf(await scenario.call(session, ...STEPS.drafting))).toEqual(ALLOWED);
    expect(scenario.arrived()).toEqual(['POST /drafts/render {"text":"Dear customer"}']);
  });

  it.each(WRITES)('[R3.24] without the drafting step in it the same token may: %s', async (tool, args) => {
    const session = await sessionOf(['action'], { roles: ['support-rep', 'supervisor'] });
    expect(codeOf(await scenario.call(session, tool, args))).toEqual(ALLOWED);
    expect(scenario.arrived()).toHaveLength(1);
  });

  it('an action has the fields of its schema, and is no other action', async () => {
    const session = await sessionOf(['action']);
    const extra = await scenario.call(session, 'tickets/update_ticket', { ticket: 'T-7', status: 'solved', refund: true });
    expect([...codeOf(extra), extra.json()['fields']]).toEqual([422, 'field_not_allowed', ['refund']]);
    expect(codeOf(await scenario.call(session, 'tickets/update_ticket', { ticket: 'T-7', status: 'deleted' }))).toEqual([
      422,
      'schema_violation',
    ]);
    expect(codeOf(await scenario.call(session, 'tickets/update_ticket', { ticket: 'T-8', status: 'solved' }))).toEqual([
      403,
      'resource_binding_mismatch',
    ]);
    expect(codeOf(await scenario.call(session, 'tickets/close_account', { account: 'A1' }))).toEqual([403, 'tool_not_allowed']);
    expect(scenario.arrived()).toEqual([]);
  });

  it('who reads tickets and articles updates no billing, with whatever token', async () => {
    for (const steps of [NAMES, ['intake', 'enrichment'], ['action']]) {
      const refused = await scenario.call(await sessionOf(steps), 'billing/update_plan', { plan: 'gold' });
      expect(codeOf(refused)).toEqual([403, 'tool_not_allowed']);
    }
    expect(scenario.arrived()).toEqual([]);
  });
});
