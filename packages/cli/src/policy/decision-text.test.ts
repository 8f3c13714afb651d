import { expect, it } from 'vitest';
import { decisionText, whyLines } from './decision-text.ts';
import type { SeenDecision } from './sidecar-decisions.ts';

const DECISION = {
  decision_id: 'D',
  decision: 'allow',
  code: '-',
  tool: 'crm/read',
  action: 'tools/call',
  agent_id: 'a',
  operator: 'alice',
  tenant_id: 'acme',
  session_id: 's',
  case: '-',
  gate: 'authorization',
  rule_id: 'r',
  release_seq: 1,
  policy_digest: null,
  policy_age_ms: 0,
  latency_ms: 1,
  detail: 'narrowed `since` from 2026-01-01 to 2026-05-02',
};
const seen = (more: object = {}, why?: object): SeenDecision =>
  ({
    at: '2026-01-01T00:00:00.000Z',
    decision: { ...DECISION, ...more },
    ...(why === undefined ? {} : { why }),
  }) as unknown as SeenDecision;

it('tells of an allowed call what was made of it before', () => {
  expect(whyLines(seen(), undefined)).toEqual(['narrowed `since` from 2026-01-01 to 2026-05-02']);
  expect(decisionText(seen(), undefined).split('\n').slice(0, 2)).toEqual([
    'allow crm/read, by rule r',
    '  narrowed `since` from 2026-01-01 to 2026-05-02',
  ]);
  expect(whyLines(seen({ detail: null }), undefined)).toEqual([]);
});

it('tells of a denial what was unmet, and of another gate’s refusal its own words', () => {
  const why = {
    source: null,
    fields: [],
    change: [],
    unmet: [{ requirement: 'task', says: 'wants a session for the task refunds', rule_id: 'r', source: null }],
  };
  expect(whyLines(seen({ decision: 'deny', detail: 'x' }, why), undefined)).toEqual(['task: wants a session for the task refunds']);
  expect(whyLines(seen({ decision: 'deny', detail: 'x' }), undefined)).toEqual(['x']);
});
