import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { runTests } from '../suites/run-tests.ts';
import { pair } from '../testing/pairs.ts';
import { policyOf } from '../testing/policies.ts';
import { allowsMore, diffPolicies } from './diff.ts';

const CALLS = `kind: Test
given: GIVEN
cases:
${[1, 2, 3, 4, 5, 6, 7].flatMap((amount) => ['', ', currency: EUR', ', currency: USD'].map((more) => `  - { call: pay/refund, args: { order: A, amount: ${amount}${more} }, expect: allow }`)).join('\n')}
steps:
  - { call: pay/refund, args: { order: A, amount: 3 }, expect: allow }
  - { call: pay/refund, args: { order: A, amount: 3 }, expect: allow }
  - { call: pay/refund, args: { order: A, amount: 3 }, expect: allow }
`;
const GIVENS = [
  '{ roles: [a] }',
  '{ roles: [b], scopes: [s] }',
  '{ roles: [a, b], scopes: [s, t], session: { risk: 15 } }',
  '{ scopes: [s, t], session: { risk: 10 } }',
  '{ roles: [a], scopes: [s, t], tenant: other, session: { risk: 0 } }',
];

/** Calls that no difference has seen: they stand in a third policy. */
const { policy: tries } = policyOf({
  rules: '  - { id: base, allow: ["pay/*"] }\n',
  more: GIVENS.map((given) => CALLS.replace('GIVEN', given)).join('---\n'),
});

test('changes none of which could allow more let no call through that was denied before', () => {
  fc.assert(
    fc.property(pair, ([before, after]) => {
      const [old, now] = [policyOf({ rules: before }), policyOf({ rules: after })];
      const found = diffPolicies(old, now);
      // What the calls show is set aside: the change alone has to tell.
      if (found.changes.some(({ couldAllowMore }) => couldAllowMore)) return;
      expect(allowsMore({ ...found, newlyAllowed: [] })).toBe(false);
      const [was, is] = [runTests(old.policy, tries.parts.tests).outcomes, runTests(now.policy, tries.parts.tests).outcomes];
      const through = is.filter((one, index) => one.seen === 'allow' && was[index]?.seen !== 'allow');
      // In a session a step that is newly denied takes nothing, so that a later one may: only single calls are promised.
      expect(through.filter(({ source }) => !STEPS.has(source.line))).toEqual([]);
    }),
    { numRuns: 150 },
  );
});

const STEPS: ReadonlySet<number> = new Set(tries.parts.tests.flatMap(({ steps }) => steps.map(({ source }) => source.line)));

test('a tool that is said to be answered alike is: what is not touched has no call that differs', () => {
  fc.assert(
    fc.property(pair, ([before, after]) => {
      const [old, now] = [policyOf({ rules: before }), policyOf({ rules: after })];
      if (diffPolicies(old, now).touched.some(({ tool }) => tool === 'pay/refund')) return;
      const seen = (policy: typeof old): readonly string[] => runTests(policy.policy, tries.parts.tests).outcomes.map((one) => one.seen);
      expect(seen(now)).toEqual(seen(old));
    }),
    { numRuns: 80 },
  );
});
