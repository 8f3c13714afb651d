import type { Isolation, RuleId } from '@sallyport/model';
import { describe, expect, test } from 'vitest';
import { buildParts } from '../compile/build.ts';
import { parseDocuments } from '../compile/documents.ts';
import type { CompiledPolicy } from '../compile/compile.ts';
import { explain } from '../explain/explain.ts';
import { inputOf } from '../testing/calls.ts';
import { policyOf } from '../testing/policies.ts';
import { decide } from './decide.ts';
import { observe } from './observe.ts';

const REFUND = { tool: 'pay/refund', args: '{"order":"A","amount":1}' } as const;
const FIND = { tool: 'pay/find', args: '{"order":"A"}' } as const;
const DROP = { tool: 'pay/drop', args: '{}' } as const;

const allow = (tool: string, more = ''): string => `  - { id: a, allow: [${tool}]${more} }\n`;
const advisoryAgent = (text: string): string => text.replace('uses: [pay]\n', 'uses: [pay]\nisolation: advisory\n');
const ofClass = (name: string) => (text: string) => text.replace('effect: read\n', `effect: read\nclasses: [${name}]\n`);

/** `allow`, or the code and the rule. */
function answer(policy: CompiledPolicy, call: typeof REFUND | typeof FIND | typeof DROP, isolation: Isolation | undefined): string {
  const { isolation: _, ...input } = inputOf(policy, call);
  const decision = decide(policy, isolation === undefined ? input : { ...input, isolation });
  return decision.decision === 'allow' ? 'allow' : `${decision.code} ${decision.ruleId}`;
}

describe('an agent that could go round its sidecar', () => {
  test.each<[string, CompiledPolicy, typeof REFUND | typeof FIND | typeof DROP]>([
    ['moves no money', policyOf({ rules: allow('pay/refund') }).policy, REFUND],
    ['destroys nothing', policyOf({ rules: allow('pay/drop') }).policy, DROP],
    ['reads no personal data', policyOf({ rules: allow('pay/find') }, ofClass('pii')).policy, FIND],
    ['exports nothing', policyOf({ rules: allow('pay/find') }, ofClass('export')).policy, FIND],
    ['does nothing that a rule wants it kept for', policyOf({ rules: allow('pay/find', ', isolation: enforced') }).policy, FIND],
    [
      'is not let by its own document what a rule wants',
      policyOf({ rules: allow('pay/find', ', isolation: enforced') }, advisoryAgent).policy,
      FIND,
    ],
  ])('%s', (_, policy, call) => {
    expect(answer(policy, call, 'enforced')).toBe('allow');
    for (const isolation of ['advisory', undefined] as const) expect(answer(policy, call, isolation)).toBe('obligation_unsupported a');
  });

  test('is stopped by a require rule, whatever allow rule and agent say', () => {
    const rules = `${allow('pay/refund', ', isolation: advisory')}  - { id: q, require: [{ class: money }], isolation: enforced }\n`;
    const { policy } = policyOf({ rules }, advisoryAgent);
    expect(answer(policy, REFUND, 'advisory')).toBe('obligation_unsupported q');
    expect(answer(policy, REFUND, 'enforced')).toBe('allow');
  });

  test('is stopped by a denial that reads it, known or not', () => {
    const rules = `${allow('pay/find')}  - { id: d, deny: [pay/find], when: agent.isolation == "advisory" }\n`;
    const { policy } = policyOf({ rules });
    expect([undefined, 'advisory', 'enforced'].map((one) => answer(policy, FIND, one as Isolation | undefined))).toEqual([
      'no_matching_policy d',
      'no_matching_policy d',
      'allow',
    ]);
  });

  test('is told that by no rule in shadow, which would have refused it too', () => {
    const shadow = '  - { id: s, allow: [pay/refund], shadow: true }\n';
    const { policy } = policyOf({ rules: `  - { id: a, allow: [pay/refund], scopes: [s] }\n${shadow}` });
    const decision = decide(policy, inputOf(policy, { ...REFUND, isolation: 'advisory' }));
    expect(decision).toMatchObject({ decision: 'deny', code: 'insufficient_scope' });
    expect(decision.shadow).toBeUndefined();
  });

  test('is not let past by an Observe', () => {
    const more = 'kind: Observe\nagents: [triage]\nfrom: 1970-01-01T00:00:00Z\nuntil: 1970-01-20T00:00:00Z\n';
    const { policy } = policyOf({ rules: allow('pay/refund'), more });
    const input = inputOf(policy, { ...REFUND, isolation: 'advisory' });
    const refused = decide(policy, input);
    if (refused.decision !== 'deny') throw new Error('allowed');
    expect(observe(policy, input, refused)).toBeUndefined();
  });

  test.each([
    ['a read of no such class', policyOf({ rules: allow('pay/find') }).policy, FIND],
    ['a rule that takes it as it is', policyOf({ rules: allow('pay/refund', ', isolation: advisory') }).policy, REFUND],
    ['an agent that is meant for a laptop', policyOf({ rules: allow('pay/drop') }, advisoryAgent).policy, DROP],
  ] as const)('passes by %s', (_, policy, call) => {
    expect([answer(policy, call, 'advisory'), answer(policy, call, undefined), answer(policy, call, 'enforced')]).toEqual([
      'allow',
      'allow',
      'allow',
    ]);
  });

  test('is answered by the rule that asks least: one for a laptop beside one for production', () => {
    const rules = `${allow('pay/refund', ', when: args.amount < 100')}  - { id: b, allow: [pay/refund], when: args.amount < 5, isolation: advisory }\n`;
    const { policy } = policyOf({ rules });
    const of = (amount: number, isolation: Isolation): unknown => {
      const decision = decide(policy, inputOf(policy, { tool: 'pay/refund', args: `{"order":"A","amount":${amount}}`, isolation }));
      return decision.decision === 'allow' ? decision.ruleId : decision.code;
    };
    expect([of(4, 'enforced'), of(4, 'advisory'), of(50, 'enforced'), of(50, 'advisory')]).toEqual([
      'a',
      'b',
      'a',
      'obligation_unsupported',
    ]);
  });

  test('and its author are told what would help', () => {
    const { policy } = policyOf({ rules: allow('pay/refund') });
    const { rules, change } = explain(policy, inputOf(policy, { ...REFUND, isolation: 'advisory' }));
    expect(rules[0]).toMatchObject({
      ruleId: 'a' as RuleId,
      unmet: [{ requirement: 'isolation', values: { 'agent.isolation': '"advisory"' } }],
    });
    expect(change).toEqual([
      'run the agent apart from its sidecar, so that `agent.isolation` is "enforced", or write `isolation: advisory`',
    ]);
  });
});

describe('what can be written', () => {
  const problems = (text: string): readonly string[] => {
    const source = parseDocuments([{ path: 'p.yaml', text: `apiVersion: sallyport.dev/v1\n${text}` }]);
    const built = source.ok ? buildParts(source.value) : source;
    return built.ok ? [] : built.error.map(({ message }) => message);
  };

  test.each([
    [
      'a require rule that asks for nothing',
      'kind: Policy\nagent: a\nrules: [{ id: r, require: [a/b], isolation: advisory }]\n',
      /require rule cannot ask/,
    ],
    [
      'a deny rule that asks',
      'kind: Policy\nagent: a\nrules: [{ id: r, deny: [a/b], isolation: enforced }]\n',
      /deny rule cannot have `isolation`/,
    ],
    ['a third state', 'kind: Policy\nagent: a\nrules: [{ id: r, allow: [a/b], isolation: partial }]\n', /isolation/],
    ['an agent that asks for all its tools', 'kind: Agent\nname: a\nowner: o\nuses: []\nisolation: enforced\n', /isolation/],
    ['a condition on a third state', 'kind: Policy\nagent: a\nrules: [{ id: r, allow: [a/b], when: agent.isolation }]\n', /./],
  ])('%s is refused', (_, text, message) => {
    expect(problems(text).join('\n')).toMatch(message);
  });

  test('what is written names its feature, so that a sidecar of before refuses it; what is not is asked all the same', () => {
    const features = (rules: string, amend?: (text: string) => string): readonly string[] =>
      policyOf({ rules }, amend).policy.features.filter((name) => name.endsWith('isolation'));
    expect(features(allow('pay/refund'))).toEqual([]);
    expect(features(allow('pay/refund', ', isolation: advisory'))).toEqual(['rule.isolation']);
    expect(features(allow('pay/refund'), advisoryAgent)).toEqual(['agent.isolation']);
  });
});
