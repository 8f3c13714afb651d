import type { AuditRecord } from '@sallyport/audit';
import type { Instant } from '@sallyport/model';
import { expect, it } from 'vitest';
import { storyOf, totalsOf } from './session-story.ts';
import { storyText } from './session-text.ts';

const SESSION = '5f0c1d2e.kH3mY0o1QmW9';
const STANDING = { proven: null, doubts: [] };

interface Told {
  readonly tool?: string;
  readonly action?: string;
  readonly code?: string;
  readonly detail?: string | null;
  readonly result?: string;
  readonly outcomeDetail?: string;
}

/** A call a line: denied where it has a code, and with an outcome where it has a result. */
function told(...calls: readonly Told[]): ReturnType<ReturnType<typeof storyOf>['end']> {
  const story = storyOf(SESSION);
  for (const [i, { tool = '-', action = 'tools/call', code = '-', detail = null, result, outcomeDetail }] of calls.entries()) {
    const place = { stream: 's', seq: i, prev: '', at: (1_000 * i) as Instant, decision_id: `D${i}` };
    const about = { session_id: SESSION, operator: 'alice', tenant_id: 'acme', agent_id: 'a', case: '-', dialect: 'mcp', release_seq: 1 };
    const decision = code === '-' ? 'allow' : 'deny';
    story.add({ ...place, ...about, kind: 'DECISION', tool, action, code, decision, rule_id: 'r', detail } as unknown as AuditRecord);
    if (result !== undefined)
      story.add({ ...place, kind: 'OUTCOME', result, code: '-', latency_ms: 1, detail: outcomeDetail ?? null } as unknown as AuditRecord);
  }
  return story.end();
}

it('counts no retries of what names no tool, and those of a tool across it', () => {
  const refused = { action: 'POST /mcp/crm', code: 'method_not_allowed' };
  const story = told(
    { ...refused, detail: 'mcp: `resources/list` is not served' },
    { ...refused, detail: 'mcp: `prompts/list` is not served' },
    { tool: 'crm/read', result: 'upstream_error' },
    { action: 'GET /', code: 'route_not_found' },
    { tool: 'crm/read', result: 'ok' },
    { tool: 'crm/pay', code: 'no_matching_policy' },
    { tool: 'crm/pay', code: 'no_matching_policy' },
  );
  expect(story.calls.map(({ retry }) => retry)).toEqual([0, 0, 0, 0, 1, 0, 1]);
  expect(totalsOf(story).retries).toBe(2);
});

it('tells below a call what was changed of it, which method was refused, and what went wrong', () => {
  const text = storyText(
    told(
      { tool: 'crm/read', result: 'ok', detail: 'took out the unknown argument `page`; narrowed `since` from 2026-01-01 to 2026-05-02' },
      { action: 'POST /mcp/crm', code: 'method_not_allowed', detail: 'mcp: `resources/list` is not served' },
      { tool: 'crm/read', result: 'upstream_error', outcomeDetail: 'status 503\u001B[2J' },
      { tool: 'crm/pay', result: 'ok' },
    ),
    STANDING,
  );
  const rows = text.split('\n').slice(4, 11);
  expect(rows.map((row) => row.trim().replaceAll(/ {2,}/g, ' | '))).toEqual([
    '1 | +0.000 s | allow | crm/read | ok in 1 ms | rule r | release 1 | D0',
    'took out the unknown argument `page`; narrowed `since` from 2026-01-01 to 2026-05-02',
    '2 | +1.000 s | deny | POST /mcp/crm | method_not_allowed | rule r | release 1 | D1',
    'mcp: `resources/list` is not served',
    '3 | +2.000 s | allow | crm/read | upstream_error in 1 ms | rule r | release 1 | D2',
    expect.stringMatching(/^status 503\S*\[2J$/),
    '4 | +3.000 s | allow | crm/pay | ok in 1 ms | rule r | release 1 | D3',
  ]);
  expect(text).not.toContain('\u001B');
});
