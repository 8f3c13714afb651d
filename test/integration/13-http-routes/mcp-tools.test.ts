/** A tool of an MCP server, called by a plain HTTP client that speaks no MCP. */

import { recordingMcpUpstream, type RecordedToolCall, type RecordingMcpUpstream } from '@sallyport/testkit';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { callsOfSession, recordOf } from '../../support/audit.ts';
import { issuerDocument } from '../../support/policies.ts';
import { AGENT, eventually, startWorld, type HttpAnswer, type RunningSidecar, type World } from '../../support/world.ts';

const policyOf = (url: string): string => `apiVersion: sallyport.dev/v1
kind: Agent
name: ${AGENT}
owner: team-support
uses: [desk]
---
kind: ToolServer
name: desk
mcp: { url: "${url}" }
network: loopback
---
kind: Tool
name: desk/look
effect: read
arguments: { required: [id], properties: { id: { type: string, maxLength: 20 }, limit: { type: number, format: decimal } } }
remember: { held: "result.held[]" }
---
kind: Tool
name: desk/close
effect: write
arguments: { required: [id], properties: { id: { type: string } } }
---
kind: Policy
agent: ${AGENT}
rules:
  - { id: look, allow: [desk/look], for: { roles: [support-rep] } }
  - { id: close-once, allow: [desk/close], for: { roles: [support-rep] }, after: [desk/look], once: {} }
  - { id: nothing-held, deny: [desk/close], when: args.id in session.remembered.held }
---
kind: Test
given: { roles: [support-rep] }
steps:
  - { call: desk/look, args: { id: x }, expect: allow }
  - { call: desk/close, args: { id: x }, expect: allow }
`;

type Scripted = { readonly result: unknown } | { readonly error: object };
const FOUND: Scripted = { result: { content: [{ type: 'text', text: 'é' }], structuredContent: { n: 1 } } };

describe('a tool of an MCP server over plain HTTP', () => {
  let world: World;
  let up: RecordingMcpUpstream;
  let sidecar: RunningSidecar;
  let script: (call: RecordedToolCall) => Scripted = () => FOUND;
  /** Calls of earlier tests. */
  let before = 0;
  const forwarded = (): readonly RecordedToolCall[] => up.calls.slice(before);

  beforeAll(async () => {
    up = await recordingMcpUpstream({
      form: 'events',
      before: (_id, token) => [
        { jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken: token ?? 'none', progress: 1 } },
      ],
      call: (call) => script(call),
    });
    world = await startWorld();
    await world.admin.publish(policyOf(up.mcpUrl) + issuerDocument(world.idp));
    sidecar = await world.startSidecar();
    await eventually(() => sidecar.ready(), 'readiness');
  });
  beforeEach(() => {
    before = up.calls.length;
    script = () => FOUND;
  });
  afterAll(async () => {
    await world?.close();
    await up?.close();
  });

  it('answers with its result as JSON, by its path and by the body form', async () => {
    const session = await sidecar.session();
    const headers = { 'content-type': 'application/json', 'sallyport-session': session };
    const answers = [
      await sidecar.call('desk/look', { id: 'T-7' }, session),
      await sidecar.request('/tools/desk/invoke', { headers, body: '{"tool":"look","id":"T-8","limit":0.10000000000000000001}' }),
    ];
    for (const answer of answers) {
      expect([answer.status, answer.headers['content-type'], answer.json()]).toEqual([
        200,
        'application/json',
        (FOUND as { result: object }).result,
      ]);
    }
    expect(forwarded().map(({ name, arguments: args, meta }) => [name, args, meta])).toEqual([
      ['look', { id: 'T-7' }, undefined],
      ['look', { id: 'T-8', limit: 0.1 }, undefined],
    ]);
    expect(forwarded()[1]?.source).toContain('0.10000000000000000001');
    const calls = await callsOfSession(world, session, 2);
    expect(calls.map(({ tool, dialect, result, rule_id: rule }) => [tool, dialect, result, rule])).toEqual([
      ['desk/look', 'http-tool', 'ok', 'look'],
      ['desk/look', 'http-tool', 'ok', 'look'],
    ]);
  });

  it('is judged by the same rules, whichever way it is called', async () => {
    const session = await sidecar.session();
    const codeOf = (answer: HttpAnswer): readonly unknown[] => [answer.status, answer.json()['code']];
    expect(codeOf(await sidecar.call('desk/close', { id: 'T-7' }, session))).toEqual([403, 'session_precondition_failed']);
    expect(codeOf(await sidecar.call('desk/look', { id: 'T-7', admin: true }, session))).toEqual([422, 'field_not_allowed']);
    expect(codeOf(await sidecar.call('desk/drop', {}, session))).toEqual([403, 'tool_not_allowed']);
    expect(forwarded()).toEqual([]);
    expect((await sidecar.call('desk/look', { id: 'T-7' }, session)).status).toBe(200);
    expect((await sidecar.call('desk/close', { id: 'T-7' }, session)).status).toBe(200);
    expect(codeOf(await sidecar.call('desk/close', { id: 'T-8' }, session))).toEqual([403, 'call_limit_exceeded']);
  });

  it('is remembered by its result as its server spelled it: plain HTTP is no way round a rule that reads it', async () => {
    const session = await sidecar.session();
    script = () => ({ result: { content: [], structuredContent: { held: ['T-1'] } } });
    expect((await sidecar.call('desk/look', { id: 'T-1' }, session)).status).toBe(200);
    expect((await sidecar.call('desk/close', { id: 'T-1' }, session)).json()['code']).toBe('no_matching_policy');
    expect((await sidecar.call('desk/close', { id: 'T-2' }, session)).status).toBe(200);
  });

  it('whose result cannot be read leaves unknown what was in it, and a rule that reads it denies', async () => {
    const session = await sidecar.session();
    script = () => ({ result: { content: [{ type: 'text', text: '{"held":["T-1"],"held":[]}' }] } });
    expect((await sidecar.call('desk/look', { id: 'T-1' }, session)).status).toBe(200);
    expect((await sidecar.call('desk/close', { id: 'T-1' }, session)).json()['code']).toBe('no_matching_policy');
  });

  it('that failed says so in its result; the record says it too, and no precondition is met', async () => {
    const session = await sidecar.session();
    script = () => ({ result: { content: [{ type: 'text', text: 'no such ticket' }], isError: true } });
    const answer = await sidecar.call('desk/look', { id: 'T-9' }, session);
    expect([answer.status, answer.json()['isError']]).toEqual([200, true]);
    expect((await callsOfSession(world, session, 1))[0]).toMatchObject({ result: 'tool_error' });
    expect((await sidecar.call('desk/close', { id: 'T-9' }, session)).status).toBe(403);
  });

  it('whose server answers with a JSON-RPC error is an upstream error', async () => {
    script = () => ({ error: { code: -32_603, message: 'secret words of the server' } });
    const answer = await sidecar.call('desk/look', { id: 'T-9' }, await sidecar.session());
    expect([answer.status, answer.json()['code']]).toEqual([502, 'upstream_error']);
    expect(answer.text).not.toContain('secret words');
  });

  it('has no path of an API: nothing is mapped to it', async () => {
    const session = await sidecar.session();
    const answer = await sidecar.request('/http/desk/look', {
      headers: { 'content-type': 'application/json', 'sallyport-session': session },
      body: '{"id":"T-7"}',
    });
    expect([answer.status, answer.json()['code']]).toEqual([403, 'tool_not_allowed']);
    expect(await recordOf(world, answer)).toMatchObject({ tool: '-', gate: 'tool' });
    expect(forwarded()).toEqual([]);
  });
});
