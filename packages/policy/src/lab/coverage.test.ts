import { describe, expect, test } from 'vitest';
import { runTests } from '../suites/run-tests.ts';
import { policyOf } from '../testing/policies.ts';
import { coverageOf, gapsOf } from './coverage.ts';
import type { Coverage } from './coverage.ts';

const REFUND = `  - { id: refund, allow: [pay/refund], for: { roles: [clerk] }, scopes: [money], when: args.amount <= 500, once: { per: args.order } }\n`;

function coverage(rules: string, tests: string): Coverage {
  const { policy } = policyOf({ rules, more: `kind: Test\n${tests}` });
  const report = runTests(policy);
  expect(report.problems).toEqual([]);
  return coverageOf(policy, report);
}

const gaps = (found: Coverage): readonly string[] => gapsOf(found).map(({ message }) => message);

const ALLOWED = '{ call: pay/refund, args: { order: A, amount: 5 }, expect: allow }';

describe('coverage', () => {
  test('a rule that is only ever seen to allow lacks a denial, and so does each of its requirements', () => {
    const found = coverage(REFUND, `given: { roles: [clerk], scopes: [money] }\ncases: [${ALLOWED}]\n`);
    expect(gaps(found)).toEqual([
      'no test is denied by rule `refund`',
      'no test is denied by `for` of rule `refund` alone',
      'no test is denied by `scopes` of rule `refund` alone',
      'no test is denied by `when` of rule `refund` alone',
      'no test is denied by `once` of rule `refund` alone',
    ]);
    expect(found).toMatchObject({ allowCases: 1, denyCases: 0 });
  });

  test('a requirement counts only where it alone refuses: two that are unmet at once show neither', () => {
    const found = coverage(
      REFUND,
      `given: { roles: [clerk] }\ncases: [{ call: pay/refund, args: { order: A, amount: 501 }, expect: insufficient_scope }]\n`,
    );
    expect(gaps(found)).toContain('no test is denied by `scopes` of rule `refund` alone');
    expect(gaps(found)).toContain('no test is denied by `when` of rule `refund` alone');
    expect(gaps(found)).not.toContain('no test is denied by rule `refund`');
  });

  test('every requirement shown by itself, a limit by what was spent before it, a caller by being a stranger, leaves no gap', () => {
    const found = coverage(
      REFUND,
      `given: { roles: [clerk], scopes: [money] }
cases: [{ call: pay/refund, args: { order: A, amount: 501 }, expect: no_matching_policy }]
steps:
  - ${ALLOWED}
  - { call: pay/refund, args: { order: A, amount: 5 }, expect: call_limit_exceeded }
---
kind: Test
given: { roles: [clerk] }
cases: [{ call: pay/refund, args: { order: A, amount: 5 }, expect: insufficient_scope }]
---
kind: Test
given: { roles: [guest] }
cases: [{ call: pay/refund, args: { order: A, amount: 5 }, expect: tool_not_allowed }]
`,
    );
    expect(gaps(found)).toEqual([]);
    expect(found).toMatchObject({ allowCases: 1, denyCases: 4, rules: [{ allows: 1, denies: 4 }] });
  });

  test('a denial lacks both until a case runs into it and another passes beside it', () => {
    const rules = `  - { id: open, allow: [pay/find] }\n  - { id: no-guests, deny: [pay/find], for: { roles: [guest] } }\n`;
    const none = coverage(rules, `cases: [{ call: pay/find, args: { order: a }, expect: schema_violation }]\n`);
    expect(gaps(none)).toEqual([
      'no test is allowed by rule `open`',
      'no test is allowed past rule `no-guests`',
      'no test is denied by rule `no-guests`',
    ]);
    const both = coverage(
      rules,
      `given: { roles: [guest] }
cases: [{ call: pay/find, args: { order: A }, expect: no_matching_policy }]
---
kind: Test
cases: [{ call: pay/find, args: { order: A }, expect: allow }]
`,
    );
    expect(gaps(both)).toEqual([]);
  });

  test('a denial of everything cannot let anything past, and is not asked to', () => {
    const found = coverage(
      `  - { id: open, allow: ["pay/*"] }\n  - { id: never, deny: [pay/drop] }\n`,
      `cases: [{ call: pay/drop, expect: no_matching_policy }, { call: pay/find, args: { order: A }, expect: allow }]\n`,
    );
    expect(gaps(found)).toEqual([]);
  });

  test('a rule that cuts across is shown by a call that it refuses, one that it lets pass, and one that it is not about', () => {
    const rules = `  - { id: open, allow: [pay/refund] }\n  - { id: large, require: [{ class: money }], when: args.amount > 100, scopes: [large] }\n`;
    const call = (amount: number, expect: string): string =>
      `{ call: pay/refund, args: { order: A, amount: ${amount} }, expect: ${expect} }`;
    const some = coverage(rules, `cases: [${call(101, 'insufficient_scope')}]\n`);
    expect(gaps(some)).toEqual([
      'no test is allowed by rule `open`',
      'no test is allowed under rule `large`',
      'no test is allowed because of `when` of rule `large`',
    ]);
    const all = coverage(
      rules,
      `cases: [${call(101, 'insufficient_scope')}, ${call(100, 'allow')}]
---
kind: Test
given: { scopes: [large] }
cases: [${call(101, 'allow')}]
`,
    );
    expect(gaps(all)).toEqual([]);
  });

  test('a call of another agent shows nothing of a rule', () => {
    const { policy } = policyOf({ rules: REFUND, more: 'kind: Test\ncases: [{ call: pay/refund, expect: tool_not_allowed }]\n' });
    const suites = policy.parts.tests.map((suite) => ({ ...suite, agent: 'other' as typeof suite.agent }));
    expect(coverageOf(policy, runTests(policy, suites), suites).rules).toMatchObject([{ denies: 0 }]);
  });
});
