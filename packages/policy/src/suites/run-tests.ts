/**
 * Runs the tests that travel with a policy: real arguments through the real schema, real decisions. Cases stand each by
 * itself; steps share a session, in which an allowed call counts as completed and what it reserves stays reserved.
 */

import { utf8 } from '@sallyport/crypto';
import type { DenialCode, Problem, Tool, ToolName } from '@sallyport/model';
import { judge } from '@sallyport/strict';
import type { TypedArguments } from '@sallyport/strict';
import type { CompiledPolicy } from '../compile/compile.ts';
import { decide } from '../decide/decide.ts';
import { notesOf } from '../decide/notes.ts';
import { visible } from '../decide/visible.ts';
import { describeReached } from '../demand/limit.ts';
import type { ReservationSpec } from '../demand/limit.ts';
import { explain, formatExplanation } from '../explain/explain.ts';
import type { Explanation } from '../explain/explanation.ts';
import type { PolicyInput } from '../input.ts';
import type { Source, TestCase, TestSuite } from '../rule.ts';
import { inputGiven } from './given-input.ts';
import { testSession } from './test-session.ts';
import type { TestSession } from './test-session.ts';

export interface TestOutcome {
  readonly call: ToolName;
  readonly source: Source;
  readonly expected: 'allow' | DenialCode;
  readonly seen: 'allow' | DenialCode;
  readonly passed: boolean;
  /** Where a decision was made: not for calls that visibility or the schema refused. */
  readonly explanation?: Explanation;
  /** What could not be reserved: rules allowed the call, and this limit refused it. */
  readonly limit?: ReservationSpec;
  /** The same in words: which limit, how much of it, and of what. */
  readonly reached?: string;
}

export interface TestReport {
  readonly passed: number;
  readonly failed: number;
  readonly outcomes: readonly TestOutcome[];
  /** One for each failing case, with file and line, what was expected, what was seen, and why. */
  readonly problems: readonly Problem[];
}

/** The tests default to those of the policy's own parts. */
export function runTests(policy: CompiledPolicy, tests: readonly TestSuite[] = policy.parts.tests): TestReport {
  const outcomes = tests.flatMap((suite) => [
    ...suite.cases.map((one) => runCase(policy, suite, one, testSession(suite.given))),
    ...runSteps(policy, suite),
  ]);
  const failing = outcomes.filter(({ passed }) => !passed);
  return { passed: outcomes.length - failing.length, failed: failing.length, outcomes, problems: failing.map(problemOf) };
}

function runSteps(policy: CompiledPolicy, suite: TestSuite): readonly TestOutcome[] {
  const session = testSession(suite.given);
  return suite.steps.map((step) => runCase(policy, suite, step, session));
}

function runCase(policy: CompiledPolicy, suite: TestSuite, one: TestCase, session: TestSession): TestOutcome {
  const about = { call: one.call, source: one.source, expected: one.expect };
  const outcome = (seen: 'allow' | DenialCode, more: Pick<TestOutcome, 'explanation' | 'limit' | 'reached'> = {}): TestOutcome => {
    if (seen !== 'allow') session.denied(one.call);
    return { ...about, seen, passed: seen === one.expect, ...more };
  };
  const { given, agent } = suite;
  const facts = inputGiven(given, session.facts());
  const tool = policy.tool(one.call);
  if (tool === undefined || !visible(policy, { principal: facts.principal, agent }, one.call)) return outcome('tool_not_allowed');
  const args = argumentsOf(policy, tool, one);
  if (typeof args === 'string') return outcome(args);
  const input: PolicyInput = { ...facts, agent, tool, args };
  const decision = decide(policy, input);
  if (decision.decision === 'deny') return outcome(decision.code, { explanation: explain(policy, input) });
  const refused = session.reserve(decision.reservations);
  if (refused === undefined) session.completed(notesOf({ tool, args, comparedArguments: decision.comparedArguments }), tool);
  const explanation = explain(policy, input);
  if (refused === undefined) return outcome('allow', { explanation });
  const { limit, used } = refused;
  return outcome(limit.code, { explanation, limit, reached: describeReached(limit, used) });
}

function argumentsOf(policy: CompiledPolicy, tool: Tool, one: TestCase): TypedArguments | DenialCode {
  const judged = judge(utf8(one.argsJson));
  if (!judged.ok) return 'malformed_request';
  const shaped = policy.shape(one.call, judged.value);
  if (shaped === undefined) return 'tool_not_allowed';
  if (!shaped.ok) return shaped.error[0]?.code ?? 'schema_violation';
  const { args } = shaped.value;
  return policy.misspelled(tool, args).length === 0 ? args : 'schema_violation';
}

function problemOf({ call, source, expected, seen, explanation, reached }: TestOutcome): Problem {
  // Where a limit refused, rules allowed the call: why they did would read as if it had been.
  const why = reached ?? (explanation === undefined ? undefined : formatExplanation(explanation).replaceAll('\n', '\n    '));
  return {
    path: '',
    file: source.file,
    line: source.line,
    message: `\`${call}\`: expected ${expected}, seen ${seen}${why === undefined ? '' : `\n    ${why}`}`,
  };
}
