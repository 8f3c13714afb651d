import { publicDenial } from '@sallyport/model';
import { describe, expect, it } from 'vitest';
import type { LocalAnswer } from '../gate.ts';
import { decideTool } from './tool.ts';

describe('tool', () => {
  it('what no rule could allow is told as what does not exist, and recorded as refused by default', () => {
    const missing = decideTool({ missing: '`orders/mystery` is not in the catalog' });
    const forbidden = decideTool({ forbidden: 'no rule could allow orders/delete_order' });
    if (missing.verdict !== 'deny' || forbidden.verdict !== 'deny') throw new Error('both are refused');
    const told = [missing, forbidden].map(({ denial }) => publicDenial(denial, { decisionId: 'd1', effect: 'none' }));
    expect(told[0]).toEqual(told[1]);
    expect([missing.denial.ruleId, forbidden.denial.ruleId]).toEqual([undefined, 'default-deny']);
  });

  it('a server that shows the caller nothing is not there', () => {
    expect(decideTool({ local: undefined })).toMatchObject({ verdict: 'deny', denial: { code: 'egress_denied' } });
  });

  it('passes the one tool, and hands on a local answer', () => {
    const found = { tool: {}, server: {}, destination: {} } as never;
    expect(decideTool({ found })).toEqual({ verdict: 'pass', facts: found });
    const local = { verdict: 'local' } as LocalAnswer;
    expect(decideTool({ local })).toBe(local);
  });
});
