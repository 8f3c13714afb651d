/** Tokens that are each for one step: every token against every tool. Who issues which token when is the issuer's matter. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ALLOWED, codeOf } from '../../../support/answers.ts';
import { startScenario, type Scenario } from '../../../support/scenario.ts';

const TOOLS = ['get_order_status', 'create_refund_ticket', 'update_refund'] as const;
const MISMATCH = [403, 'tool_step_mismatch'] as const;

describe('a token for one step', () => {
  let scenario: Scenario;
  const call = (session: string, tool: string): ReturnType<Scenario['call']> => scenario.call(session, `desk/${tool}`, {});

  beforeAll(async () => {
    scenario = await startScenario(import.meta.dirname, ['refund-steps']);
  });
  afterAll(() => scenario?.close());

  it.each(TOOLS)('for %s opens that tool alone', async (step) => {
    const session = await scenario.session({ tool_step: step });
    for (const tool of TOOLS.filter((other) => other !== step)) {
      const refused = await call(session, tool);
      expect([tool, ...codeOf(refused)]).toEqual([tool, ...MISMATCH]);
      const record = await scenario.record(refused);
      expect(record).toMatchObject({ decision: 'deny', rule_id: 'workflow', tool: `desk/${tool}` });
      expect(record.detail).toContain(step);
    }
    expect(scenario.arrived()).toEqual([]);
    expect(codeOf(await call(session, step))).toEqual(ALLOWED);
    expect(scenario.arrived()).toEqual([`POST /desk/${step} {}`]);
  });

  it('is for it by its whole name as well', async () => {
    const session = await scenario.session({ tool_step: 'desk/update_refund' });
    expect(codeOf(await call(session, 'update_refund'))).toEqual(ALLOWED);
    expect(codeOf(await call(session, 'create_refund_ticket'))).toEqual(MISMATCH);
    expect(scenario.arrived()).toHaveLength(1);
  });

  it.each(['desk', 'update', 'UPDATE_REFUND', 'desk/*', '*', 'other/update_refund', 'none'])('for `%s` is for no tool', async (step) => {
    const session = await scenario.session({ tool_step: step });
    for (const tool of TOOLS) expect([tool, ...codeOf(await call(session, tool))]).toEqual([tool, ...MISMATCH]);
    expect(scenario.arrived()).toEqual([]);
  });

  it('of a step that is no text opens no session', async () => {
    for (const step of ['update_refund ', 7, null, ['update_refund'], { name: 'update_refund' }, ''])
      await expect(scenario.session({ tool_step: step })).rejects.toThrow('401');
  });

  it('stays what it is beside a session that has no step, and whatever the body says', async () => {
    const [bound, free] = [await scenario.session({ tool_step: 'get_order_status' }), await scenario.session({})];
    expect(codeOf(await call(free, 'update_refund'))).toEqual(ALLOWED);
    expect(codeOf(await call(bound, 'update_refund'))).toEqual(MISMATCH);
    expect(codeOf(await scenario.call(bound, 'desk/update_refund', { tool_step: 'update_refund' }))).toEqual([422, 'field_not_allowed']);
    expect(scenario.arrived()).toHaveLength(1);
  });
});
