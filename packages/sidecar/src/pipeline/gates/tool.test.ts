import { describe, expect, it } from 'vitest';
import type { LocalAnswer } from '../gate.ts';
import { decideTool } from './tool.ts';

describe('tool', () => {
  it('what no rule could allow answers as what does not exist: same code, no word of why', () => {
    const missing = decideTool({ missing: '`orders/mystery` is not in the catalog' });
    const forbidden = decideTool({ missing: 'no rule could allow orders/delete_order' });
    const codes = [missing, forbidden].map((judgement) => (judgement.verdict === 'deny' ? { ...judgement.denial, detail: '' } : undefined));
    expect(codes).toEqual([
      { code: 'tool_not_allowed', detail: '' },
      { code: 'tool_not_allowed', detail: '' },
    ]);
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
