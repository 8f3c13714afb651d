import { publicDenial, type RuleId } from '@sallyport/model';
import { describe, expect, it } from 'vitest';
import { decideAuthorization } from './authorization.ts';

describe('authorization', () => {
  it('keeps the policy’s own code, rule and fields', () => {
    const judgement = decideAuthorization({
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
    });
  });

  it('default deny is a deny', () => {
    const judgement = decideAuthorization({
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
    expect(decideAuthorization(decision)).toEqual({ verdict: 'pass', facts: { decision } });
  });

  it('says of a refusal which rules in shadow would have let it pass, to the record alone', () => {
    const judgement = decideAuthorization({
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
