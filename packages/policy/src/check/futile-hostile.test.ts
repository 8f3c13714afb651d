import { expect, test } from 'vitest';
import type { AgentName, RuleId, ServerName, Tool, ToolName } from '@sallyport/model';
import { Problems } from '../reader/node.ts';
import { DAYS } from '../rule.ts';
import type { Rule } from '../rule.ts';
import type { RulePlan } from './analyse.ts';
import { checkFutile } from './futile.ts';

const agent = {
  name: 'desk' as AgentName,
  owner: 'o',
  uses: ['a' as ServerName],
  sessions: { roots: ['operator'] as const, idleMs: 1_000, maxMs: 1_000 },
};
const tools = Array.from({ length: 2_000 }, (_, index) => ({ name: `a/t${index}` as ToolName }) as Tool);

test('windows of many requirements about many tools are put together in bounded work, and nothing is reported that was not seen', () => {
  let looks = 0;
  // Each leaves out another minute of every day, so that ever more spans are left.
  const plan = (index: number, verb: Rule['verb']): RulePlan => ({
    rule: {
      id: `r${index}` as RuleId,
      agent: agent.name,
      verb,
      tools: [],
      hours: {
        from: index * 2 + 1,
        to: index * 2,
        offset: 0,
        get days() {
          looks++;
          return DAYS;
        },
      },
    },
    targets: [{ agent, tools }],
  });
  const problems = new Problems();
  checkFutile(
    [...Array.from({ length: 125 }, (_, index) => plan(index, 'require')), plan(200, 'allow')],
    ({ rule }) => ({ path: rule.id }),
    problems,
  );
  expect(problems.count).toBe(0);
  // 250,000 pairs; without a bound each would be looked at.
  expect(looks).toBeLessThan(40_000);
  expect(looks).toBeGreaterThan(1_000);
});
