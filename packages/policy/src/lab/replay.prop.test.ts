import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { AgentName, Digest, Instant } from '@sallyport/model';
import type { CompiledPolicy } from '../compile/compile.ts';
import type { TestSuite } from '../rule.ts';
import { runTests } from '../suites/run-tests.ts';
import { pair } from '../testing/pairs.ts';
import { policyOf } from '../testing/policies.ts';
import type { RecordedCall } from './recorded.ts';
import { replayer } from './replay.ts';

const DIGEST = `sha256:${'1'.repeat(64)}` as Digest;
const GIVENS = [
  '{ roles: [a] }',
  '{ roles: [b], scopes: [s], session: { case: A, task: t } }',
  '{ roles: [a, b], scopes: [s, t], session: { risk: 15, completed: [pay/find], task: u, case: A } }',
  '{ scopes: [s, t], tenant: other, session: { risk: 10, completed: [pay/find] } }',
  '{ roles: [a], scopes: [s, t], principal: alice, session: { risk: 0, completed: [pay/find], task: t, case: B }, at: "2026-01-01T03:00:00.000Z" }',
];
const AMOUNTS = ['1', '5', '6', '"x"'];
const { policy: tries } = policyOf({
  rules: '  - { id: base, allow: ["pay/*"] }\n',
  more: GIVENS.map(
    (given) =>
      `kind: Test\ngiven: ${given}\ncases:\n${AMOUNTS.flatMap((amount) =>
        ['', ', currency: USD'].map((more) => `  - { call: pay/refund, args: { order: A, amount: ${amount}${more} }, expect: allow }`),
      ).join('\n')}\n`,
  ).join('---\n'),
});

/** What a sidecar under this policy would have written of each call: no arguments, no roles, no scopes. */
function recordsUnder(policy: CompiledPolicy, suite: TestSuite): readonly RecordedCall[] {
  const { given, agent } = suite;
  return runTests(policy, [suite]).outcomes.map(({ call, seen, explanation, limit }, index) => {
    const decision = explanation?.decision;
    const isHidden = explanation === undefined && seen === 'tool_not_allowed';
    return {
      decisionId: String(index),
      at: given.at,
      agent,
      tool: call,
      principal: given.principal,
      tenant: given.tenant,
      ...(given.session.case === undefined ? {} : { case: given.session.case }),
      decision: seen === 'allow' ? 'allow' : 'deny',
      code: seen === 'allow' ? '-' : seen,
      gate: limit === undefined ? (decision === undefined ? (isHidden ? 'tool' : 'validation') : 'authorization') : 'reservation',
      ruleId: limit?.ruleId ?? decision?.ruleId ?? (isHidden ? 'gate:tool' : 'gate:validation'),
      policyDigest: DIGEST,
      detail: decision?.decision === 'deny' ? decision.detail : isHidden ? `no rule could allow ${call}` : null,
      session: { completed: new Set<string>(given.session.completed), isWhole: true, openedAt: given.at },
    };
  });
}

test('what a replay decides is what the candidate would have answered, arguments and all', () => {
  const counts = { same: 0, flipped: 0, undecidable: 0, elsewhere: 0 };
  fc.assert(
    fc.property(pair, ([before, after]) => {
      const [old, now] = [policyOf({ rules: before }).policy, policyOf({ rules: after }).policy];
      const withKnown = replayer({ candidate: now, known: [{ digest: DIGEST, policy: old }] });
      const without = replayer({ candidate: now, known: [] });
      for (const suite of tries.parts.tests) {
        const truth = runTests(now, [suite]).outcomes.map(({ seen }) => (seen === 'allow' ? 'allow' : 'deny'));
        for (const [index, record] of recordsUnder(old, suite).entries()) {
          for (const replay of [withKnown, without]) {
            const { verdict, now: answered, missing } = replay(record);
            expect([verdict === 'undecidable', missing.length > 0]).toEqual([answered === undefined, answered === undefined]);
            if (answered !== undefined) expect([suite.given, record, answered]).toEqual([suite.given, record, truth[index]]);
          }
          counts[withKnown(record).verdict]++;
        }
      }
    }),
    { numRuns: 60 },
  );
  // It must not buy its soundness by never answering.
  expect(counts.same).toBeGreaterThan(counts.undecidable);
});

test('a record of an agent that no policy at hand has says nothing', () => {
  const { policy } = policyOf({ rules: '  - { id: base, allow: ["pay/*"] }\n' });
  const [record] = recordsUnder(policy, tries.parts.tests[0]!);
  const replay = replayer({ candidate: policy, known: [] });
  expect(replay({ ...record!, agent: 'other' as AgentName, at: 0 as Instant })).toEqual({ verdict: 'elsewhere', missing: [] });
});
