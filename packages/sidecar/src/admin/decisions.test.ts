import { describe, expect, it } from 'vitest';
import { decisionBody, outcomeBody } from '../testing/audit-side.ts';
import { lastDecisions } from './decisions.ts';

describe('the last decisions', () => {
  it('are a thousand and no more: the oldest leave first', () => {
    const seen = lastDecisions();
    for (let i = 0; i < 5_000; i++) seen.see(decisionBody(`D${i}`));
    expect(seen.list()).toHaveLength(1_000);
    expect([seen.find('D3999'), seen.find('D4000')?.decision.decision_id]).toEqual([undefined, 'D4000']);
    expect(seen.list()[0]?.decision.decision_id).toBe('D4999');
  });

  it('an outcome joins its decision and keeps its place; one of a forgotten decision brings nothing back', () => {
    const seen = lastDecisions();
    seen.see(decisionBody('old'));
    for (let i = 0; i < 1_000; i++) seen.see(decisionBody(`D${i}`));
    seen.see(outcomeBody('old'));
    expect(seen.find('old')).toBeUndefined();
    seen.see(outcomeBody('D0'));
    expect(seen.find('D0')?.outcome?.result).toBe('ok');
    seen.see(decisionBody('next'));
    expect(seen.find('D0')).toBeUndefined();
  });

  it('other records are none', () => {
    const seen = lastDecisions();
    seen.see({ kind: 'ALERT', code: 'x', subject: null, detail: null });
    expect(seen.list()).toEqual([]);
  });
});
