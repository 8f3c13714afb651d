import { describe, expect, test } from 'vitest';
import { formatProblem } from '@sallyport/model';
import type { AgentName, RuleId, ServerName, Tool, ToolName } from '@sallyport/model';
import { LIMITS } from '../reader/limits.ts';
import type { Rule, RuleBody } from '../rule.ts';
import { compile } from './compile.ts';
import type { Parts } from './parts.ts';

const AGENT = 'triage' as AgentName;

function partsOf(toolCount: number, rules: readonly Partial<RuleBody>[]): Parts {
  const tools = Array.from({ length: toolCount }, (_, index): Tool => ({
    name: `a/t${index}` as ToolName,
    effect: 'read',
    classes: [],
    description: '',
    arguments: { type: 'object', required: ['id'], properties: { id: { type: 'string' }, amount: { type: 'integer' } } },
    denyAs: 'tool_result',
  }));
  return {
    agents: [{ name: AGENT, owner: 'o', uses: ['a' as ServerName], sessions: { roots: ['operator'], idleMs: 1_000, maxMs: 1_000 } }],
    servers: [],
    tools,
    issuers: [],
    environment: {},
    destinations: [],
    tests: [],
    sources: {},
    rules: rules.map((rule, index): Rule => ({
      id: `r${index}` as RuleId,
      agent: AGENT,
      verb: 'allow',
      tools: [{ tool: 'a/*' }],
      ...rule,
    })),
  };
}

/** One line for each problem; fails where the parts compile. */
function problemsOf(parts: Parts): readonly string[] {
  const compiled = compile(parts);
  return compiled.ok ? ['compiled'] : compiled.error.map(formatProblem);
}

describe('a hurtful policy is refused after bounded work', () => {
  test('many rules about many tools', () => {
    const rules = Array.from({ length: 300 }, () => ({}));
    expect(problemsOf(partsOf(2_000, rules))).toEqual([
      `policy.rules[250]: rules and their tools make more than ${LIMITS.rulePairsMax} pairs (name tools instead of classes, or divide the bundle)`,
    ]);
  });

  test('long conditions over many tools', () => {
    const long = Array.from({ length: 60 }, (_, index) => `args.id != "${index}"`).join(' && ');
    const rules = Array.from({ length: 200 }, (_, index) => ({ when: `${long} && args.id != "x${index}"` }));
    expect(problemsOf(partsOf(1_000, rules))).toEqual([
      expect.stringMatching(/^policy\.rules\[\d+\]: the conditions up to this rule take too long to check/),
    ]);
  });

  test.each([
    ['brackets', `${'('.repeat(900)}args.id == "x"${')'.repeat(900)}`, 'exceeded maxDepth'],
    ['lists', `${'['.repeat(900)}args.id${']'.repeat(900)} == 1`, 'exceeded maxDepth'],
    ['indices', `args${'[0]'.repeat(600)} == 1`, 'exceeded maxDepth'],
    ['negations', `${'!'.repeat(1_900)}true`, 'exceeded maxAstNodes'],
    ['ternaries', `${'args.id == "x" ? true : '.repeat(80)}true`, 'exceeded maxDepth'],
    ['a catastrophic pattern that is no pattern', 'args.id.matches("(a*)*\\\\1")', 'not a pattern'],
    ['a pattern that grows', 'args.id.matches("((a{1,100}){1,100}){1,100}")', 'not a pattern'],
    [
      'macros inside macros',
      'session.completed.all(a, session.completed.all(b, session.completed.all(c, a == b && b == c)))',
      'more than 200000',
    ],
    ['a string without end', `args.id == "${'x'.repeat(1_900)}`, 'has no closing quote'],
    ['not a number', '0.0 / 0.0 < args.amount', 'cannot apply `/` to double and double'],
    ['infinity', 'args.amount < 1.0 / 0.0', 'cannot apply `/` to double and double'],
    ['a number that is none', 'args.amount < 1e999', 'invalid number'],
  ])('a condition of %s', (_, when, message) => {
    const problems = problemsOf(partsOf(1, [{ when }])).join('\n');
    expect(problems).toContain(message);
  });
});
