/**
 * How agents are built with the popular frameworks: one MCP connection, opened once, and the calls of many people over it.
 * Whose a call is, is told by its own token, whatever the connection was opened with.
 */

import { AsyncLocalStorage } from 'node:async_hooks';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { startEverything, type RunningMcpServer } from '@sallyport/testkit';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { callsOfSession } from '../../support/audit.ts';
import { issuerDocument } from '../../support/policies.ts';
import { watched, type WatchedServer } from '../../support/watched-server.ts';
import { eventually, startWorld, type RunningSidecar, type World } from '../../support/world.ts';

const policy = (world: World, url: string): string => `
apiVersion: sallyport.dev/v1
kind: Agent
name: support-triage
owner: team-support
uses: [everything]
---
kind: ToolServer
name: everything
mcp: { url: "${url}" }
network: loopback
---
kind: Tool
name: everything/echo
effect: read
arguments: { required: [message], properties: { message: { type: string } } }
---
kind: Policy
agent: support-triage
rules:
  - { id: echo, allow: [everything/echo], for: { roles: [support-rep] } }
---
kind: Test
given: { roles: [support-rep] }
cases:
  - { call: everything/echo, args: { message: hi }, expect: allow }
${issuerDocument(world.idp)}`;

let world: World;
let sidecar: RunningSidecar;
let server: RunningMcpServer;
let everything: WatchedServer;
const open: Client[] = [];

beforeAll(async () => {
  server = await startEverything();
  everything = await watched(server.url);
  world = await startWorld();
  await world.admin.publish(policy(world, everything.url));
  sidecar = await world.startSidecar();
  await eventually(() => sidecar.ready(), 'readiness');
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((client) => client.close()));
});
afterAll(async () => {
  await world?.close();
  await everything?.close();
  await server?.close();
});

/** In whose conversation the agent is at this moment; what a framework keeps in its context. */
const conversation = new AsyncLocalStorage<string>();

/** The unmodified client; its one hook, as frameworks offer it, adds the token of the conversation to each request. */
async function connectedAs(token: string): Promise<Client> {
  const client = new Client({ name: 'agent', version: '1' });
  const withToken: typeof fetch = async (url, init) => {
    const headers = new Headers(init?.headers);
    const of = conversation.getStore();
    if (of !== undefined) headers.set('sallyport-session', of);
    return fetch(url, { ...init, headers });
  };
  const transport = new StreamableHTTPClientTransport(new URL(`${sidecar.url}/mcp/everything`), { fetch: withToken });
  await conversation.run(token, () => client.connect(transport));
  open.push(client);
  return client;
}

const echo = (client: Client, token: string, message: string): Promise<unknown> =>
  conversation.run(token, async () => client.callTool({ name: 'echo', arguments: { message } }));
const upstreamSessionOf = (message: string): unknown =>
  everything.calls().findLast(({ body }) => body.includes(message))?.headers['mcp-session-id'];

describe('one MCP connection for many people', () => {
  it('has each call judged, recorded and carried as its own person’s, however they interleave', async () => {
    const people = ['alice', 'bob', 'carol'].map((name) => `${name}@company.com`);
    const tokens = await Promise.all(people.map((sub) => sidecar.session({ sub })));
    const client = await connectedAs(tokens[0] ?? '');
    const said = tokens.flatMap((token, person) =>
      Array.from({ length: 6 }, (_, i) => ({ token, person, message: `words-${person}-${i}` })),
    );
    said.sort((a, b) => a.message.slice(-1).localeCompare(b.message.slice(-1)));
    const answers = await Promise.all(said.map(({ token, message }) => echo(client, token, message)));
    expect(answers.map((answer) => JSON.stringify(answer))).toEqual(said.map(({ message }) => expect.stringContaining(message)));

    for (const [person, token] of tokens.entries()) {
      const calls = (await callsOfSession(world, token, 6)).filter(({ tool }) => tool === 'everything/echo');
      expect(calls.map(({ operator, decision }) => [operator, decision])).toEqual(calls.map(() => [people[person], 'allow']));
      expect(calls).toHaveLength(6);
    }
    const upstream = people.map(
      (_, person) => new Set(said.filter((one) => one.person === person).map(({ message }) => upstreamSessionOf(message))),
    );
    expect(upstream.map(({ size }) => size)).toEqual([1, 1, 1]);
    expect(new Set(upstream.flatMap((ids) => [...ids])).size).toBe(3);
  });

  it('lends nobody the rights of whoever opened it', async () => {
    const [alice, guest] = [await sidecar.session(), await sidecar.session({ sub: 'guest@company.com', roles: ['guest'] })];
    const client = await connectedAs(alice);
    const before = everything.calls().length;
    await expect(echo(client, guest, 'guest-words')).rejects.toThrow();
    await expect(client.callTool({ name: 'echo', arguments: { message: 'no conversation' } })).rejects.toThrow();
    expect(everything.calls().length).toBe(before);
    expect(JSON.stringify(await echo(client, alice, 'alice-words'))).toContain('alice-words');
  });

  it('goes on for the others when the session that opened it is over', async () => {
    const [alice, bob] = [await sidecar.session(), await sidecar.session({ sub: 'bob@company.com' })];
    const client = await connectedAs(alice);
    await echo(client, alice, 'before-alice');
    await echo(client, bob, 'before-bob');
    const ended = await sidecar.request('/session', { method: 'DELETE', headers: { 'sallyport-session': alice } });
    expect(ended.status).toBe(204);
    await expect(echo(client, alice, 'after-alice')).rejects.toThrow();
    expect(JSON.stringify(await echo(client, bob, 'after-bob'))).toContain('after-bob');
    expect(upstreamSessionOf('after-bob')).toBe(upstreamSessionOf('before-bob'));
  });
});
