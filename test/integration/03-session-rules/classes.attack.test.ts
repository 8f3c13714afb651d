/** Kinds of data that a caller has seen without the call having succeeded: each must count, or a failing tool is the way out. */

import { recordingUpstream, type RecordingUpstream, type ScriptedAnswer } from '@sallyport/testkit';
import { request as httpRequest } from 'node:http';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ALLOWED, codeOf } from '../../support/answers.ts';
import { MCP_HEADERS, mcpPost, toolCall } from '../../support/mcp-clients.ts';
import { messageOf, rpcResult, scriptedMcp } from '../../support/mcp-server.ts';
import { issuerDocument } from '../../support/policies.ts';
import { AGENT, eventually, startWorld, type HttpAnswer, type RunningSidecar, type World } from '../../support/world.ts';

const policy = (people: string, outside: string): string => `apiVersion: sallyport.dev/v1
kind: Agent
name: ${AGENT}
owner: team-support
uses: [people, outside]
---
kind: ToolServer
name: people
mcp: { url: "${people}/mcp" }
network: loopback
---
kind: ToolServer
name: outside
http: { url: "${outside}" }
network: loopback
---
{ kind: Tool, name: people/read, effect: read, classes: [pii] }
---
{ kind: Tool, name: outside/send, effect: side_effect, route: { method: POST, path: /send } }
---
kind: Policy
agent: ${AGENT}
rules:
  - { id: read, allow: [people/read], for: { roles: [support-rep] } }
  - id: send-before-pii
    allow: [outside/send]
    for: { roles: [support-rep] }
    when: '!("pii" in session.classes)'
---
kind: Test
given: { roles: [support-rep] }
cases:
  - { call: people/read, expect: allow }
  - { call: outside/send, expect: allow }
`;

const PERSON = 'Bob, born on 1 January 1970';
const REFUSED = [403, 'no_matching_policy'] as const;

describe('kinds of data that were seen', () => {
  let world: World;
  let people: RecordingUpstream;
  let outside: RecordingUpstream;
  let sidecar: RunningSidecar;
  let session: string;
  const send = (): Promise<HttpAnswer> => sidecar.call('outside/send', {}, session);
  const read = (): Promise<HttpAnswer> => mcpPost(sidecar, 'people', toolCall('read'), { 'sallyport-session': session });

  beforeAll(async () => {
    [people, outside] = await Promise.all([recordingUpstream(), recordingUpstream()]);
    world = await startWorld();
    await world.admin.publish(policy(people.url, outside.url) + issuerDocument(world.idp));
    sidecar = await world.startSidecar();
    await eventually(() => sidecar.ready(), 'readiness');
  });
  beforeEach(async () => {
    session = await sidecar.session();
  });
  afterAll(async () => {
    await world?.close();
    await Promise.all([people?.close(), outside?.close()]);
  });

  it('count where the call went well', async () => {
    people.answer(scriptedMcp());
    expect(codeOf(await send())).toEqual(ALLOWED);
    expect((await read()).status).toBe(200);
    const before = outside.requests.length;
    expect(codeOf(await send())).toEqual(REFUSED);
    expect(outside.requests).toHaveLength(before);
  });

  it('count where the tool calls its own answer an error, and the answer is delivered all the same', async () => {
    const failed = { content: [{ type: 'text', text: PERSON }], isError: true };
    people.answer(scriptedMcp((id) => ({ kind: 'json', body: rpcResult(id, failed) })));
    expect((await read()).text).toContain(PERSON);
    const before = outside.requests.length;
    expect(codeOf(await send())).toEqual(REFUSED);
    expect(outside.requests).toHaveLength(before);
  });

  it.each<[string, object]>([
    ['an error of the protocol', { error: { code: -32_000, message: PERSON, data: { name: PERSON } } }],
    ['an error that tells of bad arguments', { error: { code: -32_602, message: PERSON } }],
    ['a result of another shape', { result: { content: [], structuredContent: { name: PERSON } } }],
  ])('count where it is told by %s, or else it is not told', async (_, outcome) => {
    people.answer(scriptedMcp((id) => ({ kind: 'json', body: { jsonrpc: '2.0', id, ...outcome } })));
    for (const ask of [read, () => sidecar.call('people/read', {}, session)]) {
      session = await sidecar.session();
      const told = await ask();
      expect((await send()).status).toBe(told.text.includes(PERSON) ? 403 : 200);
    }
  });

  it('count as soon as the first of an answer is delivered, and go on counting when the rest never comes', async () => {
    const over = Promise.withResolvers<void>();
    const parts: ScriptedAnswer[] = [];
    people.answer((request) => {
      const message = messageOf(request);
      if (message.method !== 'tools/call') return scriptedMcp()(request);
      const progressToken = message.params?.['_meta']?.progressToken;
      const progress = { jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken, progress: 1, message: PERSON } };
      let sent = 0;
      const answer: ScriptedAnswer = {
        kind: 'parts',
        parts: [`event: message\ndata: ${JSON.stringify(progress)}\n\n`, ': never'],
        between: () => (sent++ === 0 ? Promise.resolve() : over.promise),
      };
      parts.push(answer);
      return answer;
    });
    const first = await firstOf(sidecar, session);
    expect(first.text).toContain(PERSON);
    const before = outside.requests.length;
    expect(codeOf(await send())).toEqual(REFUSED);
    first.leave();
    over.resolve();
    expect(codeOf(await send())).toEqual(REFUSED);
    expect(outside.requests).toHaveLength(before);
  });

  it('do not count where nothing of the answer was delivered', async () => {
    people.answer(scriptedMcp(() => ({ kind: 'json', status: 500, body: { name: PERSON } })));
    expect((await read()).text).not.toContain(PERSON);
    expect(codeOf(await send())).toEqual(ALLOWED);
  });
});

/** Calls the tool, asks for its progress, and gives what comes first of its answer. */
function firstOf({ port }: RunningSidecar, session: string): Promise<{ text: string; leave: () => void }> {
  return new Promise((resolve, reject) => {
    const headers = { ...MCP_HEADERS, 'sallyport-session': session };
    const sent = httpRequest({ host: '127.0.0.1', port, path: '/mcp/people', method: 'POST', headers, agent: false }, (response) => {
      response.on('error', () => undefined);
      response.once('data', (chunk: Buffer) => resolve({ text: chunk.toString(), leave: () => sent.destroy() }));
      response.once('end', () => reject(new Error('no answer')));
    });
    sent.on('error', reject);
    sent.end(JSON.stringify(toolCall('read', {}, { progressToken: 'p' })));
  });
}
