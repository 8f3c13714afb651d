/** Two groups with an agent each, readers who change nothing, and a group that loses its agent while it is at work. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ALLOWED, codeOf } from '../../../support/answers.ts';
import { startScenario, type Scenario, type ScenarioAgent } from '../../../support/scenario.ts';
import { eventually, type HttpAnswer } from '../../../support/world.ts';

const NOT_ALLOWED = [403, 'tool_not_allowed'] as const;

describe('groups and their agents', () => {
  let scenario: Scenario;
  let review: ScenarioAgent;
  let reporting: ScenarioAgent;
  const readDiff = (session: string): Promise<HttpAnswer> => review.call(session, 'repository/read_diff', { change: 7 });
  const merge = (session: string): Promise<HttpAnswer> => review.call(session, 'repository/merge', { change: 7 });
  const readBalance = (session: string): Promise<HttpAnswer> => reporting.call(session, 'ledger/read_balance', {});

  beforeAll(async () => {
    scenario = await startScenario(import.meta.dirname, ['code-review-agent', 'reporting-agent']);
    [review, reporting] = [scenario.agent('code-review-agent'), scenario.agent('reporting-agent')];
  });
  afterAll(() => scenario?.close());

  it.each([
    ['engineering', true, false],
    ['finance', false, true],
    ['visitors', false, false],
    ['', false, false],
    ['Engineering', false, false],
  ])('the group `%s`: review %s, reports %s', async (group, mayReview, mayReport) => {
    const roles = group === '' ? [] : [group];
    const [one, two] = [await review.session({ roles }), await reporting.session({ roles })];
    const answers = [await readDiff(one), await readBalance(two)];
    expect(answers.map(codeOf)).toEqual([mayReview ? ALLOWED : NOT_ALLOWED, mayReport ? ALLOWED : NOT_ALLOWED]);
    const reached = [...(mayReview ? ['GET /repository/changes/7'] : []), ...(mayReport ? ['GET /ledger/balance'] : [])];
    expect(scenario.arrived()).toEqual(reached);
  });

  it('a session with one agent is nothing to the other', async () => {
    const session = await review.session({ roles: ['engineering', 'finance'] });
    expect((await readBalance(session)).status).toBe(401);
    expect(scenario.arrived()).toEqual([]);
  });

  it('[R3.04] a reader asks, and changes nothing, an engineer’s role beside it or not', async () => {
    for (const roles of [['read-only'], ['read-only', 'engineering'], ['engineering', 'read-only']]) {
      const session = await review.session({ roles });
      expect(codeOf(await readDiff(session))).toEqual(ALLOWED);
      expect(scenario.arrived()).toEqual(['GET /repository/changes/7']);
      const refused = await merge(session);
      expect(codeOf(refused)).toEqual([403, 'no_matching_policy']);
      expect(await scenario.record(refused)).toMatchObject({ rule_id: 'readers-change-no-code', tool_effect: 'write' });
      expect(codeOf(await review.http(session, 'POST /repository/changes/7/merge', {}))).toEqual([403, 'no_matching_policy']);
      expect(scenario.arrived()).toEqual([]);
    }
    expect(codeOf(await merge(await review.session({ roles: ['engineering'] })))).toEqual(ALLOWED);
    expect(scenario.arrived()).toEqual(['POST /repository/changes/7/merge {}']);
  });

  it('who has left the group at the identity provider has no agent in the next session', async () => {
    const left = await review.session({ roles: [] });
    for (const answer of [await readDiff(left), await merge(left)]) expect(codeOf(answer)).toEqual(NOT_ALLOWED);
    expect(scenario.arrived()).toEqual([]);
  });

  it('[R3.05] a binding that is taken away: nothing that begins after the sidecar has said so goes through', async () => {
    const session = await review.session({ roles: ['engineering'] });
    const over = new AbortController();
    const seen: { begunAt: number; status: number }[] = [];
    const work = async (): Promise<void> => {
      while (!over.signal.aborted) {
        const begunAt = performance.now();
        seen.push({ begunAt, status: (await readDiff(session)).status });
      }
    };
    const workers = Array.from({ length: 4 }, () => work());
    await eventually(() => seen.some(({ status }) => status === 200), 'work before');
    await scenario.change((documents) => documents.replaceAll('roles: [engineering', 'roles: [former-engineering'));
    const saidAt = performance.now();
    await eventually(() => seen.filter(({ begunAt }) => begunAt > saidAt).length > 20, 'work after');
    over.abort();
    await Promise.all(workers);
    expect(new Set(seen.filter(({ begunAt }) => begunAt > saidAt).map(({ status }) => status))).toEqual(new Set([403]));
    expect(new Set(seen.map(({ status }) => status))).toEqual(new Set([200, 403]));
    scenario.arrived();
    const refused = await readDiff(session);
    expect(codeOf(refused)).toEqual(NOT_ALLOWED);
    expect(await scenario.record(refused)).toMatchObject({ decision: 'deny', release_seq: 2 });
    expect(scenario.arrived()).toEqual([]);
  });
});
