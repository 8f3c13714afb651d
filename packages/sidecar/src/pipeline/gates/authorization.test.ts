import { publicDenial, type RuleId } from '@sallyport/model';
import type { PolicyDecision } from '@sallyport/policy';
import { describe, expect, it } from 'vitest';
import { decideAuthorization } from './authorization.ts';

const of = (decision: PolicyDecision): ReturnType<typeof decideAuthorization> => decideAuthorization({ decision, isolation: 'enforced' });

describe('authorization', () => {
  it('keeps the policy’s own code, rule and fields', () => {
    const judgement = of({
      decision: 'deny',
      code: 'resource_binding_mismatch',
      ruleId: 'own-ticket' as RuleId,
      detail: 'args.ticket_id is T-8, session.case is T-7',
      fields: ['ticket_id'],
      unmet: [],
    });
    expect(judgement).toMatchObject({
      verdict: 'deny',
      denial: { code: 'resource_binding_mismatch', ruleId: 'own-ticket', fields: ['ticket_id'] },
      // What it went by is on record with the refusal.
      proven: { isolation: 'enforced' },
    });
  });

  it('default deny is a deny', () => {
    const judgement = of({
      decision: 'deny',
      code: 'no_matching_policy',
      ruleId: 'default-deny' as RuleId,
      detail: '',
      unmet: [],
    });
    expect(judgement).toMatchObject({ verdict: 'deny', denial: { code: 'no_matching_policy', ruleId: 'default-deny' } });
  });

  it('passes an allow with the rule that allows', () => {
    const decision = { decision: 'allow', ruleId: 'r' as RuleId, reservations: [], isStep: false, comparedArguments: [] } as const;
    expect(of(decision)).toEqual({ verdict: 'pass', facts: { decision, isolation: 'enforced' } });
  });

  it('says of a refusal which rules in shadow would have let it pass, to the record alone', () => {
    const judgement = of({
      decision: 'deny',
      code: 'insufficient_scope',
      ruleId: 'r' as RuleId,
      detail: 'lacks scope x',
      unmet: [],
      shadow: [{ ruleId: 's' as RuleId, would: 'allow' }],
    });
    if (judgement.verdict !== 'deny') throw new Error('passed');
    expect(judgement.denial).toEqual({
      code: 'insufficient_scope',
      ruleId: 'r',
      detail: 'lacks scope x; rule s in shadow would have allowed it',
      shadow: ['s'],
    });
    expect(JSON.stringify(publicDenial(judgement.denial, { decisionId: 'd', effect: 'none' }))).not.toContain('shadow');
  });
});
