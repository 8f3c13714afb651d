/** Exports for tests of commands: chained and well-formed, signed by nobody. */

import { appendRecord, openStream } from '@sallyport/audit';
import type { DecisionBody, OutcomeBody, RecordBody } from '@sallyport/audit';
import { fromUtf8 } from '@sallyport/crypto';
import type { Instant, StreamId } from '@sallyport/model';

export const DECIDED_AT: number = Date.UTC(2026, 10, 20, 12);

/** A call of `smallPolicy`'s tool that was allowed, unless said otherwise. */
export function decided(id: string, more: Partial<DecisionBody> = {}): DecisionBody {
  return {
    kind: 'DECISION',
    decision_id: id,
    request_id: `req-${id}`,
    leg: 'outbound',
    dialect: 'mcp',
    action: 'tools/call',
    agent_id: 'support-triage',
    operator: 'alice',
    user_id: 'alice',
    tenant_id: 't1',
    session_id: 's-1',
    case: '-',
    tool: 'sums/add',
    tool_effect: 'read',
    decision: 'allow',
    code: '-',
    gate: 'authorization',
    rule_id: 'small-sums',
    release_seq: 7,
    policy_digest: `sha256:${'5'.repeat(64)}`,
    freshness_seq: 91,
    policy_age_ms: 1200,
    latency_ms: 1,
    detail: null,
    ...more,
  };
}

/** Denied because no rule is for the caller. */
export function hidden(id: string, more: Partial<DecisionBody> = {}): DecisionBody {
  const { tool = 'sums/add' } = more;
  return decided(id, {
    decision: 'deny',
    code: 'tool_not_allowed',
    gate: 'tool',
    rule_id: 'gate:tool',
    detail: `no rule could allow ${tool}`,
    ...more,
  });
}

export function cameOut(id: string, more: Partial<OutcomeBody> = {}): OutcomeBody {
  return { kind: 'OUTCOME', decision_id: id, result: 'ok', upstream_status: 200, code: '-', latency_ms: 12.5, bytes: 411, ...more };
}

/** One stream, a second between records. */
export function exportOf(bodies: readonly RecordBody[]): string {
  let state = openStream({ stream: 'a'.repeat(32) as StreamId, previous: null });
  return bodies
    .map((body, index) => {
      const next = appendRecord(state, (DECIDED_AT + index * 1_000) as Instant, body);
      state = next.state;
      return `${fromUtf8(next.line) ?? ''}\n`;
    })
    .join('');
}
