import { describe, expect, test } from 'vitest';
import { formatProblem } from '@sallyport/model';
import type { PrincipalId, Problem, TenantId, ToolName } from '@sallyport/model';
import { buildParts } from '../compile/build.ts';
import type { BuiltParts } from '../compile/build.ts';
import { parseDocuments } from '../compile/documents.ts';
import { readParts } from '../compile/parts.ts';
import { explain, formatExplanation } from '../explain/explain.ts';
import { runTests } from '../suites/run-tests.ts';
import { inputOf } from '../testing/calls.ts';
import type { PolicyDecision } from './decide.ts';
import { decide } from './decide.ts';
import { visible } from './visible.ts';

const WORLD = `apiVersion: sallyport.dev/v1
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
name: pay/refund
effect: write
classes: [money]
arguments: { required: [order, amount], properties: { order: { type: string }, amount: { type: integer } } }
---
kind: Tool
name: pay/look
effect: read
---
kind: Policy
agent: triage
rules:
`;

const parsed = (rules: string, more = ''): ReturnType<typeof parseDocuments> =>
  parseDocuments([{ path: 'p.yaml', text: `${WORLD}${rules}${more === '' ? '' : `---\n${more}`}` }]);

function built(rules: string, more = ''): BuiltParts {
  const source = parsed(rules, more);
  const parts = source.ok ? buildParts(source.value) : source;
  if (!parts.ok) throw new Error(parts.error.map(formatProblem).join('\n'));
  return parts.value;
}

function refusal(rules: string): readonly Problem[] {
  const source = parsed(rules);
  return source.ok ? [] : source.error.filter(({ severity }) => severity === undefined);
}

const ALLOW = '  - { id: refund, allow: [pay/refund], when: args.amount <= 100 }\n';
const REFUND = { tool: 'pay/refund', args: '{"order":"A","amount":50}' } as const;
const LARGE = { tool: 'pay/refund', args: '{"order":"A","amount":500}' } as const;

function decided(rules: string, call: Parameters<typeof inputOf>[1] = REFUND): PolicyDecision {
  const { policy } = built(rules);
  return decide(policy, inputOf(policy, call));
}

describe('a rule in shadow', () => {
  test.each([
    ['a deny rule', '  - { id: s, deny: [pay/refund], shadow: true }\n', 'no_matching_policy'],
    [
      'a deny rule that cannot be evaluated',
      '  - { id: s, deny: [pay/refund], shadow: true, when: 1 / (args.amount - 50) == 1 }\n',
      'no_matching_policy',
    ],
    [
      'a require rule',
      '  - { id: s, require: [{ class: money }], shadow: true, scopes: [refunds], step_up: { max_age: 1m } }\n',
      'insufficient_scope',
    ],
    [
      'a rule of a policy across agents',
      '  - { id: t, deny: [pay/look] , for: { roles: [x] } }\n---\nkind: Policy\nagents: "*"\nrules: [{ id: s, deny: [{ effect: write }], shadow: true }]\n',
      'no_matching_policy',
    ],
  ])('that is %s lets the call through and says that it would have denied it', (_, rule, code) => {
    expect(decided(ALLOW + rule)).toEqual({ ...decided(ALLOW), shadow: [{ ruleId: 's', would: 'deny', code }] });
  });

  test('that would not have denied says nothing', () => {
    expect(decided(`${ALLOW}  - { id: s, deny: [pay/refund], shadow: true, when: args.amount > 50 }\n`)).toEqual(decided(ALLOW));
    expect(decided(`${ALLOW}  - { id: s, require: [pay/refund], shadow: true, justification: {}, when: args.amount > 50 }\n`)).toEqual(
      decided(ALLOW),
    );
    expect(decided(`${ALLOW}  - { id: s, deny: [pay/refund], shadow: true, for: { roles: [guest] } }\n`)).toEqual(decided(ALLOW));
  });

  test('that is an allow rule grants nothing, and says that it would have', () => {
    const shadow = '  - { id: s, allow: [pay/refund], shadow: true, when: args.amount <= 900 }\n';
    expect(decided(ALLOW + shadow, LARGE)).toEqual({ ...decided(ALLOW, LARGE), shadow: [{ ruleId: 's', would: 'allow' }] });
    expect(decided(ALLOW + shadow, { ...LARGE, args: '{"order":"A","amount":901}' })).not.toHaveProperty('shadow');
  });

  test('that is an allow rule would not have allowed what a deny rule or a requirement forbids', () => {
    const shadow = '  - { id: s, allow: [pay/refund], shadow: true }\n';
    const deny = '  - { id: stop, deny: [pay/refund], when: args.amount > 100 }\n';
    const requires = '  - { id: stop, require: [pay/refund], scopes: [refunds] }\n';
    expect(decided(ALLOW + shadow + deny, LARGE)).toMatchObject({ decision: 'deny', ruleId: 'stop' });
    expect(decided(ALLOW + shadow + deny, LARGE)).not.toHaveProperty('shadow');
    expect(decided(ALLOW + shadow + requires, LARGE)).not.toHaveProperty('shadow');
  });

  test('that denies hides no allow rule: not from the decision, not from listings, not from what waits for it', () => {
    const { policy, warnings } = built(
      '  - { id: look, allow: [pay/look] }\n  - { id: refund, allow: [pay/refund], after: [pay/look] }\n  - { id: s, deny: [pay/look], shadow: true }\n',
      'kind: Test\nsteps: [{ call: pay/look, expect: allow }, { call: pay/refund, args: { order: A, amount: 1 }, expect: allow }]\n',
    );
    expect(warnings).toEqual([]);
    expect(runTests(policy)).toMatchObject({ passed: 2, failed: 0 });
  });

  test('that allows makes nothing visible', () => {
    const { policy, warnings } = built('  - { id: refund, allow: [pay/refund] }\n  - { id: s, allow: [pay/look], shadow: true }\n');
    const { principal, agent } = inputOf(policy, REFUND);
    expect(visible(policy, { principal, agent }, 'pay/look' as ToolName)).toBe(false);
    expect(warnings.map(({ message }) => message)).toContain('no rule allows `pay/look`');
    expect(
      decided('  - { id: refund, allow: [pay/refund] }\n  - { id: s, allow: [pay/look], shadow: true }\n', {
        tool: 'pay/look',
        args: '{}',
      }),
    ).toMatchObject({
      decision: 'deny',
      ruleId: 'default-deny',
    });
  });

  test('is judged for whom it is for, with the principal’s own roles', () => {
    const rules = `${ALLOW}  - { id: s, deny: [pay/refund], shadow: true, for: { tenants: [acme] } }\n`;
    const { policy } = built(rules);
    const of = (tenant: string): PolicyDecision => {
      const input = inputOf(policy, REFUND);
      return decide(policy, { ...input, principal: { ...input.principal, id: 'x' as PrincipalId, tenant: tenant as TenantId } });
    };
    expect(of('acme')).toHaveProperty('shadow');
    expect(of('other')).not.toHaveProperty('shadow');
  });

  test('is written to the parts and read back, and a decider that does not know of it is told', () => {
    const one = built(`${ALLOW}  - { id: s, deny: [pay/refund], shadow: true }\n`);
    expect(one.features).toContain('rule.shadow');
    expect(readParts(one.parts)).toMatchObject({ ok: true, value: { rules: [{ id: 'refund' }, { id: 's', shadow: true }] } });
  });

  test('stands in an explanation as what it is, and in no advice on what to change', () => {
    const { policy } = built(`${ALLOW}  - { id: s, allow: [pay/refund], shadow: true }\n`);
    const explanation = explain(policy, inputOf(policy, LARGE));
    expect(formatExplanation(explanation)).toMatch(/in shadow: allow s \(p\.yaml:\d+\): matches$/);
    expect(explanation.change.join()).not.toContain('rule s');
  });

  test.each([
    ['once', 'once: {}'],
    ['max', 'max: { count: 2 }'],
    ['sequence', 'sequence: { consecutive: 2 }'],
    ['budget', 'budget: { sum: args.amount, max: "5" }'],
  ])('cannot have `%s`: nothing is reserved for it, and it would seem never to refuse', (field, text) => {
    expect(refusal(`${ALLOW}  - { id: s, require: [pay/refund], shadow: true, ${text} }\n`).map(({ message }) => message)).toContain(
      `a rule in shadow cannot have \`${field}\``,
    );
  });

  test.each(['false', '"true"', '1', 'null'])('is so by `shadow: true` alone, not by %s', (value) => {
    expect(refusal(`${ALLOW}  - { id: s, deny: [pay/refund], shadow: ${value} }\n`).map(({ message }) => message)).toContain(
      'must be `true`',
    );
  });
});
