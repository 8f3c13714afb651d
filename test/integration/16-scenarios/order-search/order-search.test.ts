/** A search over more time than anybody needs: refused with what is permitted, or made narrower and said so. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ALLOWED, codeOf } from '../../../support/answers.ts';
import { startScenario, type Scenario } from '../../../support/scenario.ts';

const [SEARCH, BROWSE] = ['orders/search_orders', 'orders/browse_orders'];
const TEN_YEARS = { from: '2016-11-01', to: '2026-11-01' };
const ONE_MONTH = { from: '2026-10-02', to: '2026-11-01' };

describe('an order search', () => {
  let scenario: Scenario;
  let session: string;

  beforeAll(async () => {
    scenario = await startScenario(import.meta.dirname, ['order-search']);
    session = await scenario.session({});
  });
  afterAll(() => scenario?.close());

  it('[R5.07 R12.08] of ten years is refused; the answer names the argument and what is permitted, and nothing else', async () => {
    const refused = await scenario.call(session, SEARCH, TEN_YEARS);
    expect(codeOf(refused)).toEqual([422, 'schema_violation']);
    const { decision_id: id, instance, ...said } = refused.json();
    expect(instance).toBe(`urn:sallyport:decision:${String(id)}`);
    expect(said).toEqual({
      type: 'https://sallyport.dev/problems/schema_violation',
      title: 'the arguments do not fit the tool',
      status: 422,
      code: 'schema_violation',
      effect: 'none',
      retryable: false,
      next_action: 'fix_arguments',
      user_message: 'I cannot do that.',
      fields: ['from'],
      limits: [{ field: 'from', max: '90d', before: 'to' }],
    });
    expect(await scenario.record(refused)).toMatchObject({ gate: 'validation', tool: SEARCH });
    expect(scenario.arrived()).toEqual([]);
  });

  it('[R5.07 R12.08] of ten years is made one of ninety days where the tool says so: the tool sees that, the caller and the record are told', async () => {
    const answer = await scenario.call(session, BROWSE, TEN_YEARS);
    expect(codeOf(answer)).toEqual(ALLOWED);
    expect(scenario.arrived()).toEqual(['POST /orders/browse {"from":"2026-08-03","to":"2026-11-01"}']);
    expect(answer.headers['sallyport-narrowed']).toBe('from');
    const { detail } = await scenario.allowed(BROWSE);
    expect(detail).toContain('2016-11-01');
    expect(detail).toContain('2026-08-03');
  });

  it.each([SEARCH, BROWSE])('of a month goes through as it is: %s', async (tool) => {
    const answer = await scenario.call(session, tool, ONE_MONTH);
    expect(codeOf(answer)).toEqual(ALLOWED);
    expect(scenario.arrived()).toEqual([expect.stringContaining('{"from":"2026-10-02","to":"2026-11-01"}')]);
    expect(answer.headers['sallyport-narrowed']).toBeUndefined();
  });

  it('of exactly ninety days is permitted, of one more is not', async () => {
    expect(codeOf(await scenario.call(session, SEARCH, { from: '2026-08-03', to: '2026-11-01' }))).toEqual(ALLOWED);
    expect(scenario.arrived()).toHaveLength(1);
    expect(codeOf(await scenario.call(session, SEARCH, { from: '2026-08-02', to: '2026-11-01' }))).toEqual([422, 'schema_violation']);
  });

  it.each<[string, object]>([
    ['without an end', { from: '2026-01-01' }],
    ['without a beginning', { to: '2026-01-01' }],
    ['backwards', { from: '2026-11-01', to: '2026-10-02' }],
    ['from a day that is none', { from: '2026-02-30', to: '2026-11-01' }],
    ['in another notation', { from: '01/10/2026', to: '2026-11-01' }],
    ['from before the calendar', { from: '-002016-11-01', to: '2026-11-01' }],
    ['of null', { from: null, to: '2026-11-01' }],
  ])('%s is refused by both, and narrowed by neither', async (_, args) => {
    for (const tool of [SEARCH, BROWSE])
      expect([tool, ...codeOf(await scenario.call(session, tool, args))]).toEqual([tool, 422, 'schema_violation']);
    expect(scenario.arrived()).toEqual([]);
  });
});
