import { recordingUpstream, type RecordingUpstream } from '@sallyport/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { pipelineHarness, type Harness } from '../../support/pipeline-harness.ts';

const POLICY = (url: string): string => `
apiVersion: sallyport.dev/v1
kind: Agent
name: support-triage
owner: team-support
uses: [orders]
sessions: { roots: [operator], idle: 15m, max: 8h }
---
kind: ToolServer
name: orders
http: { url: "${url}" }
network: loopback
---
kind: Tool
name: orders/get_order
description: Reads one order.
effect: read
route: { method: POST, path: /get_order }
arguments:
  required: [order_id]
  properties:
    order_id: { type: string, pattern: "^O-[0-9]{6}$" }
---
kind: Policy
agent: support-triage
rules:
  - id: read-orders
    allow: [orders/get_order]
    for: { roles: [support-rep] }
`;

describe('a call through the pipeline', () => {
  let up: RecordingUpstream;
  let gate: Harness;
  beforeEach(async () => {
    up = await recordingUpstream();
    gate = await pipelineHarness(POLICY(up.url));
  });
  afterEach(async () => {
    await gate.close();
    await up.close();
  });

  it('is allowed, forwarded once, and recorded before and after', async () => {
    const session = await gate.session();
    const answer = await gate.call('orders/get_order', { order_id: 'O-000123' }, session);
    expect([answer.status, answer.text]).toEqual([200, '{"ok":true}']);
    expect(up.requests).toHaveLength(1);
    expect(up.requests[0]).toMatchObject({ method: 'POST', target: '/get_order', body: '{"order_id":"O-000123"}' });
    expect(gate.decisions.map(({ action, decision, rule_id }) => [action, decision, rule_id])).toEqual([
      ['session/open', 'allow', 'local:session'],
      ['tools/call', 'allow', 'read-orders'],
    ]);
    expect(gate.outcomes.map(({ result }) => result)).toEqual(['local', 'ok']);
    expect(gate.account.inFlight).toBe(0);
  });

  it('is denied without a session, and the upstream sees nothing', async () => {
    const answer = await gate.request('/tools/orders/get_order', { body: '{}', headers: { 'content-type': 'application/json' } });
    expect(answer.status).toBe(401);
    expect(answer.json()).toMatchObject({ code: 'unauthenticated', effect: 'none' });
    expect(up.requests).toHaveLength(0);
  });
});
