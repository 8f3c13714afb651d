import { describe, expect, test } from 'vitest';
import { formatProblem } from '@sallyport/model';
import { buildParts } from '../compile/build.ts';
import { parseDocuments } from '../compile/documents.ts';
import { runTests } from './run-tests.ts';
import type { TestReport } from './run-tests.ts';

const POLICY = `apiVersion: sallyport.dev/v1
kind: Agent
name: triage
owner: team
uses: [pay]
---
kind: ToolServer
name: pay
mcp: { url: "https://pay.internal" }
network: private
---
kind: Tool
name: pay/verify
effect: read
arguments: { required: [account], properties: { account: { type: string, pattern: "^[A-Z]$" } } }
---
kind: Tool
name: pay/refund
effect: write
arguments: { required: [order, amount], properties: { order: { type: string }, amount: { type: number, format: decimal } } }
---
kind: Policy
agent: triage
rules:
  - { id: verify, allow: [pay/verify], for: { roles: [clerk] }, bind: [args.account == session.case] }
  - { id: refund, allow: [pay/refund], for: { roles: [clerk] }, after: [pay/verify], when: args.amount <= 500, once: { per: args.order } }
---
`;

function run(tests: string): TestReport {
  const source = parseDocuments([{ path: 't.yaml', text: `${POLICY}kind: Test\n${tests}` }]);
  const built = source.ok ? buildParts(source.value) : source;
  if (!built.ok) throw new Error(built.error.map(formatProblem).join('\n'));
  return runTests(built.value.policy);
}

describe('runTests', () => {
  test('judges arguments by the schema, visibility and rules, as a sidecar would', () => {
    const report = run(`given: { roles: [clerk], session: { case: A, completed: [pay/verify] } }
cases:
  - { call: pay/verify, args: { account: A }, expect: allow }
  - { call: pay/verify, args: { account: B }, expect: resource_binding_mismatch }
  - { call: pay/verify, args: { account: "../A" }, expect: schema_violation }
  - { call: pay/verify, args: { account: "A,B" }, expect: schema_violation }
  - { call: pay/verify, args: { account: A, admin: true }, expect: field_not_allowed }
  - { call: pay/verify, expect: schema_violation }
  - { call: pay/refund, args: { order: x, amount: 500 }, expect: allow }
  - { call: pay/refund, args: { order: x, amount: 500.01 }, expect: no_matching_policy }
  - { call: pay/refund, args: { order: x, amount: "500" }, expect: schema_violation }
  - { call: pay/mystery, expect: tool_not_allowed }
`);
    expect(report.problems.map(formatProblem)).toEqual([]);
    expect(report).toMatchObject({ passed: 10, failed: 0 });
  });

  test('a caller whom no rule is for sees no tool', () => {
    expect(run('given: { roles: [guest] }\ncases: [{ call: pay/verify, args: { account: A }, expect: tool_not_allowed }]\n').failed).toBe(
      0,
    );
  });

  test('cases do not see each other', () => {
    const report = run(`given: { roles: [clerk], session: { case: A } }
cases:
  - { call: pay/verify, args: { account: A }, expect: allow }
  - { call: pay/refund, args: { order: x, amount: 1 }, expect: session_precondition_failed }
`);
    expect(report.failed).toBe(0);
  });

  test('steps share a session: what was allowed has completed, what was reserved is spent', () => {
    const report = run(`given: { roles: [clerk], session: { case: A } }
steps:
  - { call: pay/refund, args: { order: x, amount: 1 }, expect: session_precondition_failed }
  - { call: pay/verify, args: { account: B }, expect: resource_binding_mismatch }
  - { call: pay/refund, args: { order: x, amount: 1 }, expect: session_precondition_failed }
  - { call: pay/verify, args: { account: A }, expect: allow }
  - { call: pay/refund, args: { order: x, amount: 1 }, expect: allow }
  - { call: pay/refund, args: { order: x, amount: 2 }, expect: call_limit_exceeded }
  - { call: pay/refund, args: { order: z, amount: 2 }, expect: allow }
`);
    expect(report.problems.map(formatProblem)).toEqual([]);
    expect(report.passed).toBe(7);
  });

  test('a failing case gives file, line, what was expected, what was seen, and why', () => {
    const report = run(`given: { roles: [clerk], session: { case: A, completed: [pay/verify] } }
cases:
  - { call: pay/refund, args: { order: x, amount: 501 }, expect: allow }
  - { call: pay/verify, args: { account: A }, expect: resource_binding_mismatch }
`);
    expect(report).toMatchObject({ passed: 0, failed: 2 });
    expect(report.problems.map(formatProblem)).toEqual([
      `t.yaml:31: \`pay/refund\`: expected allow, seen no_matching_policy
    deny pay/refund: no_matching_policy, by refund (t.yaml:26)
      when: \`args.amount <= 500\` is false
        args.amount = 501
    to allow it:
      let args.amount be at most 500`,
      `t.yaml:32: \`pay/verify\`: expected resource_binding_mismatch, seen allow
    allow pay/verify, by rule verify (t.yaml:25)
    to deny it:
      rule verify: let \`args.account == session.case\` be false`,
    ]);
  });

  test('a step that a limit refused names the limit, not the rules that allowed it', () => {
    const report = run(`given: { roles: [clerk], session: { case: A, completed: [pay/verify] } }
steps:
  - { call: pay/refund, args: { order: x, amount: 1 }, expect: allow }
  - { call: pay/refund, args: { order: x, amount: 2 }, expect: allow }
`);
    expect(report.problems.map(formatProblem)).toEqual([
      `t.yaml:32: \`pay/refund\`: expected allow, seen call_limit_exceeded
    once of rule refund: already used, per args.order in the session`,
    ]);
  });
});
