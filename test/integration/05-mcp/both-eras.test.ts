import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MCP_CLIENTS, type McpClient } from '../../support/mcp-clients.ts';
import { OFFICIAL_TOOLS, startDualEraServer, startLegacyServer, type OfficialServer } from '../../support/mcp-official-servers.ts';
import { issuerDocument } from '../../support/policies.ts';
import { watched, type WatchedServer } from '../../support/watched-server.ts';
import { eventually, startWorld, type RunningSidecar, type World } from '../../support/world.ts';

type Era = 'legacy' | 'dual';
const ERAS: readonly Era[] = ['legacy', 'dual'];

const server = (name: string, url: string): string => `
kind: ToolServer
name: ${name}
mcp: { url: "${url}" }
network: loopback
${OFFICIAL_TOOLS.map(
  ({ name: tool, effect, schema }) => `---
kind: Tool
name: ${name}/${tool}
description: ${tool} it
effect: ${effect}
arguments: ${JSON.stringify(schema)}`,
).join('\n')}`;

const policy = (world: World, urls: Readonly<Record<Era, string>>): string => `
apiVersion: sallyport.dev/v1
kind: Agent
name: support-triage
owner: team-support
uses: [legacy, dual]
---
${server('legacy', urls.legacy)}
---
${server('dual', urls.dual)}
---
kind: Policy
agent: support-triage
rules:
${ERAS.flatMap((name) => OFFICIAL_TOOLS.map(({ name: tool }) => `  - { id: ${name}-${tool}, allow: [${name}/${tool}], for: { roles: [support-rep] } }`)).join('\n')}
---
kind: Test
given: { roles: [support-rep] }
cases:
  - { call: legacy/add, args: { a: 1, b: 2 }, expect: allow }
${issuerDocument(world.idp)}`;

let world: World;
let sidecar: RunningSidecar;
const servers = {} as Record<Era, OfficialServer>;
const seen = {} as Record<Era, WatchedServer>;

beforeAll(async () => {
  [servers.legacy, servers.dual] = await Promise.all([startLegacyServer(), startDualEraServer()]);
  [seen.legacy, seen.dual] = await Promise.all([watched(servers.legacy.url), watched(servers.dual.url)]);
  world = await startWorld();
  await world.admin.publish(policy(world, { legacy: seen.legacy.url, dual: seen.dual.url }));
  sidecar = await world.startSidecar();
  await eventually(() => sidecar.ready(), 'readiness');
});
afterAll(async () => {
  await world?.close();
  await Promise.all(ERAS.flatMap((era) => [seen[era]?.close(), servers[era]?.close()]));
});

/** What a client makes of a call, in one line. */
async function outcome(call: Promise<unknown>): Promise<string> {
  try {
    return JSON.stringify(await call);
  } catch (thrown) {
    const { code, message, data } = thrown as { code?: unknown; message: string; data?: unknown };
    return `throws ${String(code)} ${message} ${JSON.stringify(data)}`;
  }
}

type Script = Readonly<Record<string, unknown>>;

/** The one session that every pair is put through. */
async function play(connect: () => Promise<McpClient>, target: OfficialServer): Promise<{ script: Script; era: string }> {
  const script: Record<string, unknown> = {};
  const client = await connect();
  script['list'] = (await client.listTools()).map(({ name, description, inputSchema }) => ({ name, description, inputSchema }));
  script['structured content'] = await outcome(client.call('add', { a: 2, b: 40, note: 'größe' }));
  const progress: unknown[] = [];
  script['a call with progress'] = await outcome(client.call('step', {}, (told) => progress.push(told)));
  script['its progress'] = JSON.stringify(progress);
  const before = target.waiting();
  const cancelling = new AbortController();
  const cancelled = outcome(client.call('wait', {}, undefined, cancelling.signal));
  await eventually(() => target.waiting() === before + 1, 'the call is under way');
  cancelling.abort('changed my mind');
  // The words are the client's own, and so are the same whoever it speaks to.
  script['cancelled in the middle'] = (await cancelled).replace(/\d+ /g, '');
  script['a tool that fails'] = await outcome(client.call('fail'));
  script['a protocol error'] = await outcome(client.call('refuse'));
  // Ours has the machine's half of a denial in its data; code and words are the same.
  script['a tool that is not there'] = (await outcome(client.call('erase'))).replace(/ (?:undefined|\{.*)$/, '');
  await client.close();
  const again = await connect();
  script['once more, after a new beginning'] = await outcome(again.call('add', { a: 1, b: 1 }));
  const era = again.era();
  await again.close();
  return { script, era };
}

describe('one session, with and without the sidecar in between', () => {
  const table: string[][] = [];
  afterAll(() => {
    const [head, ...rows] = table;
    if (head !== undefined)
      process.stdout.write(`\n${[head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n')}\n`);
  });

  for (const [name, connect] of Object.entries(MCP_CLIENTS)) {
    for (const era of ERAS) {
      it(`the official client ${name} and a server of ${era === 'dual' ? 'both eras' : 'the legacy era'}: the same outcomes`, async () => {
        const session = await sidecar.session();
        const direct = await play(() => connect(servers[era].url, 'none'), servers[era]);
        const before = servers[era].cancelled();
        const through = await play(() => connect(`${sidecar.url}/mcp/${era}`, session), servers[era]);
        const steps = Object.keys(direct.script);
        table[0] ??= ['client', 'server', 'era with / without', ...steps];
        const same = (step: string): boolean => isDeepStrictEqual(direct.script[step], through.script[step]);
        table.push([name, era, `${through.era} / ${direct.era}`, ...steps.map((step) => (same(step) ? 'same' : 'DIFFERENT'))]);
        expect(through.script).toEqual(direct.script);
        // A client that negotiates finds the sidecar in its own era, whatever the server speaks.
        const negotiated = ['modern', era === 'dual' ? 'modern' : 'legacy'];
        expect([through.era, direct.era]).toEqual(name === 'v2 told to negotiate' ? negotiated : ['legacy', 'legacy']);
        // A cancelling reaches the server in every pair.
        await eventually(() => servers[era].cancelled() === before + 1, 'the cancelling arrived');
      });
    }
  }

  it('each server was spoken to in its own era, and asked for it once', () => {
    const asked = (era: Era, method: string): number => seen[era].seen.filter(({ rpcMethod }) => rpcMethod === method).length;
    expect(ERAS.map((era) => asked(era, 'server/discover'))).toEqual([1, 1]);
    expect([asked('dual', 'initialize'), asked('legacy', 'initialize') > 0]).toEqual([0, true]);
    expect(seen.dual.sessions().size).toBe(0);
    for (const { headers, body } of seen.dual.calls()) {
      const { params } = JSON.parse(body) as { params: { name: string; arguments: Record<string, unknown>; _meta: object } };
      expect(headers).toMatchObject({ 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': params.name });
      expect(params['_meta']).toMatchObject({
        'io.modelcontextprotocol/protocolVersion': '2026-07-28',
        'io.modelcontextprotocol/clientInfo': { name: 'sallyport' },
        'io.modelcontextprotocol/clientCapabilities': {},
      });
      if (params.name === 'add') expect(headers['mcp-param-left']).toBe(String(params.arguments['a']));
    }
    expect(seen.dual.calls().find(({ headers }) => headers['mcp-param-note'] !== undefined)?.headers['mcp-param-note']).toBe(
      '=?base64?Z3LDtsOfZQ==?=',
    );
  });

  it('a server that forgot its sessions is asked anew, and its agent notices nothing', async () => {
    const client = await MCP_CLIENTS.v1(`${sidecar.url}/mcp/legacy`, await sidecar.session());
    await client.call('add', { a: 1, b: 1 });
    servers.legacy.restart();
    expect((await client.call('add', { a: 2, b: 2 })).structuredContent).toMatchObject({ sum: 4 });
    await client.close();
  });

  it('a server that changes its era in the middle of its life is spoken to in the new one', async () => {
    const client = await MCP_CLIENTS.v2(`${sidecar.url}/mcp/dual`, await sidecar.session());
    const sum = async (a: number): Promise<unknown> => (await client.call('add', { a, b: 0 })).structuredContent;
    expect(await sum(1)).toMatchObject({ sum: 1 });
    seen.dual.pointTo(servers.legacy.url);
    expect(await sum(2)).toMatchObject({ sum: 2 });
    seen.dual.pointTo(servers.dual.url);
    expect(await sum(3)).toMatchObject({ sum: 3 });
    await client.close();
  });
});
