/**
 * Runs the tests that travel with a policy: real arguments through the real schema, real decisions. Cases stand each by
 * itself; steps share a session, in which an allowed call counts as completed and what it reserves stays reserved.
 */

import { utf8 } from '@sallyport/crypto';
import type { DenialCode, Instant, Principal, PrincipalId, Problem, SessionId, TenantId, Tool, ToolName } from '@sallyport/model';
import { judge } from '@sallyport/strict';
import type { TypedArguments } from '@sallyport/strict';
import type { CompiledPolicy } from './compile.ts';
import { decide } from './decide.ts';
import type { PolicyInput } from './decide.ts';
import { explain, formatExplanation } from './explain.ts';
import type { Explanation } from './explanation.ts';
import type { Source, TestCase, TestGiven, TestSuite } from './rule.ts';
import type { SessionFacts } from './session.ts';
import { visible } from './visible.ts';

export interface TestOutcome {
  readonly call: ToolName;
  readonly source: Source;
  readonly expected: 'allow' | DenialCode;
  readonly seen: 'allow' | DenialCode;
  readonly passed: boolean;
  /** Where a decision was made: not for calls that visibility or the schema refused. */
  readonly explanation?: Explanation;
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
    ...suite.cases.map((one) => runCase(policy, suite, one, newSession(suite.given))),
    ...runSteps(policy, suite),
  ]);
  const failing = outcomes.filter(({ passed }) => !passed);
  return { passed: outcomes.length - failing.length, failed: failing.length, outcomes, problems: failing.map(problemOf) };
}

/** What the steps of one suite share. */
interface StepSession {
  readonly attempted: ToolName[];
  readonly completed: ToolName[];
  readonly denied: ToolName[];
  readonly case?: string;
  readonly reserved: Set<string>;
}

function newSession(given: TestGiven): StepSession {
  const { completed } = given.session;
  return {
    attempted: [...completed],
    completed: [...completed],
    denied: [],
    ...(given.session.case === undefined ? {} : { case: given.session.case }),
    reserved: new Set(),
  };
}

function runSteps(policy: CompiledPolicy, suite: TestSuite): readonly TestOutcome[] {
  const session = newSession(suite.given);
  return suite.steps.map((step) => {
    const outcome = runCase(policy, suite, step, session);
    session.attempted.push(step.call);
    (outcome.seen === 'allow' ? session.completed : session.denied).push(step.call);
    return outcome;
  });
}

function runCase(policy: CompiledPolicy, suite: TestSuite, one: TestCase, session: StepSession): TestOutcome {
  const about = { call: one.call, source: one.source, expected: one.expect };
  const outcome = (seen: 'allow' | DenialCode, explanation?: Explanation): TestOutcome => ({
    ...about,
    seen,
    passed: seen === one.expect,
    ...(explanation === undefined ? {} : { explanation }),
  });
  const principal = principalOf(suite.given);
  const tool = policy.tool(one.call);
  if (tool === undefined || !visible(policy, { principal, agent: suite.agent }, one.call)) return outcome('tool_not_allowed');
  const args = argumentsOf(policy, tool, one);
  if (typeof args === 'string') return outcome(args);
  const input: PolicyInput = { principal, agent: suite.agent, tool, args, session: factsOf(session), now: 0 as Instant };
  const decision = decide(policy, input);
  if (decision.decision === 'deny') return outcome(decision.code, explain(policy, input));
  const isSpent = decision.reservations.some(({ key }) => session.reserved.has(key));
  for (const { key } of decision.reservations) session.reserved.add(key);
  return outcome(isSpent ? 'call_limit_exceeded' : 'allow', explain(policy, input));
}

function principalOf({ principal, tenant, roles, scopes, attributes }: TestGiven): Principal {
  const kind = principal === 'anonymous' ? 'anonymous' : 'person';
  return {
    id: principal as PrincipalId,
    kind,
    tenant: tenant as TenantId,
    issuer: kind === 'anonymous' ? '' : 'test',
    roles,
    scopes,
    attributes,
    authenticatedAt: 0 as Instant,
  };
}

function argumentsOf(policy: CompiledPolicy, tool: Tool, one: TestCase): TypedArguments | DenialCode {
  const judged = judge(utf8(one.argsJson));
  if (!judged.ok) return 'malformed_request';
  const validated = policy.argumentSchema(one.call)?.validate(judged.value);
  if (validated === undefined) return 'tool_not_allowed';
  if (!validated.ok) return validated.error[0]?.code ?? 'schema_violation';
  return policy.misspelled(tool, validated.value).length === 0 ? validated.value : 'schema_violation';
}

function factsOf({ attempted, completed, denied, case: name }: StepSession): SessionFacts {
  const done = new Set(completed);
  return {
    id: 'test' as SessionId,
    ...(name === undefined ? {} : { case: name }),
    attempted: [...attempted],
    completed: [...completed],
    failed: [],
    denied: [...denied],
    hasCompleted: (tool) => done.has(tool),
  };
}

function problemOf({ call, source, expected, seen, explanation }: TestOutcome): Problem {
  const why = explanation === undefined ? undefined : formatExplanation(explanation).replaceAll('\n', '\n    ');
  return {
    path: '',
    file: source.file,
    line: source.line,
    message: `\`${call}\`: expected ${expected}, seen ${seen}${why === undefined ? '' : `\n    ${why}`}`,
  };
}
