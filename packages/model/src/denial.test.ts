import { describe, expect, it } from 'vitest';
import { ANSWERS, DENIAL_CODES, deny, isRetryable, publicDenial } from './denial.ts';

describe('denial answers', () => {
  it('never leak the inner detail or the rule into the public form', () => {
    const denial = deny('no_matching_policy', 'rule secret-rule did not match card 4111', { ruleId: 'secret-rule' as never });
    const text = JSON.stringify(publicDenial(denial, { decisionId: 'd1', effect: 'none' }));
    expect(text).not.toContain('secret-rule');
    expect(text).not.toContain('4111');
  });

  it('answer a policy refusal with a 4xx: only fail-closed conditions and upstream faults are 5xx', () => {
    const fiveHundreds = DENIAL_CODES.filter((code) => ANSWERS[code].status >= 500);
    expect(fiveHundreds.toSorted()).toEqual(
      [
        'audit_unavailable',
        'credential_unavailable',
        'dlp_unavailable',
        'identity_unavailable',
        'internal',
        'overloaded',
        'policy_stale',
        'policy_unavailable',
        'upstream_error',
        'upstream_timeout',
        'upstream_untrusted',
      ].toSorted(),
    );
  });

  it('never invite a repeat of a write that may have happened', () => {
    expect(isRetryable('upstream_timeout', 'possible', { toolEffect: 'write' })).toBe(false);
    expect(isRetryable('upstream_timeout', 'possible', { toolEffect: 'read' })).toBe(true);
    expect(isRetryable('upstream_timeout', 'possible', { toolEffect: 'write', hasIdempotencyKey: true })).toBe(true);
    expect(isRetryable('no_matching_policy', 'none', { toolEffect: 'read' })).toBe(false);
  });

  it('give the end user a text that names no control', () => {
    for (const code of DENIAL_CODES)
      expect(ANSWERS[code].userMessage).not.toMatch(/polic|rule|gateway|secur|denied|forbidden|token|bundle/i);
  });
});
