import { recordingUpstream, tokenIssuer, type RecordingUpstream } from '@sallyport/testkit';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { Client as ClientV2, StreamableHTTPClientTransport as TransportV2 } from '@modelcontextprotocol/client';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { callAt, developer, isRunning, type Developer, type DevEvent, type RunningDev } from '../../support/dev.ts';
import { rpcResult, scriptedMcp } from '../../support/mcp-server.ts';
import { issuerDocument, ordersPolicy } from '../../support/policies.ts';
import { eventually, request } from '../../support/world.ts';

const IDP = tokenIssuer();

/** Reads of orders whose number has at most so many characters; two tests. */
function policy(url: string, { maxLength = 8, expect: expected = 'allow', rule = 'read-orders' } = {}): string {
  return ordersPolicy(
    url,
    `
kind: Tool
name: orders/get_order
effect: read
route: { method: POST, path: /get_order }
arguments: { required: [order_id], properties: { order_id: { type: string } } }
---
kind: Policy
agent: support-triage
rules:
  - id: ${rule}
    allow: [orders/get_order]
    for: { roles: [support-rep] }
    arguments: { order_id: { maxLength: ${maxLength} } }
---
kind: Test
given: { roles: [support-rep] }
cases:
  - { call: orders/get_order, args: { order_id: O-1 }, expect: ${expected} }
  - { call: orders/get_order, args: { order_id: O-1000000000000000000 }, expect: parameter_not_allowed }
`,
    IDP,
  );
}

/** One MCP server with one tool, whose argument may not be large. */
function sumsPolicy(url: string): string {
  return `apiVersion: sallyport.dev/v1
kind: Agent
name: support-triage
owner: team-support
uses: [sums]
---
kind: ToolServer
name: sums
mcp: { url: "${url}" }
network: loopback
---
kind: Tool
name: sums/add
effect: read
arguments: { required: [n], properties: { n: { type: integer } } }
---
kind: Policy
agent: support-triage
rules:
  - { id: small, allow: [sums/add], arguments: { n: { maximum: 100 } } }
${issuerDocument(IDP)}`;
}

const DENIED_SUM = {
  source: { file: 'orders.yaml', line: 20 },
  fields: ['n'],
  unmet: [
    {
      requirement: 'arguments',
      code: 'parameter_not_allowed',
      rule_id: 'small',
      source: { file: 'orders.yaml', line: 20 },
      says: 'n: must be at most 100',
    },
  ],
  change: ['change n: must be at most 100'],
};

/** Runs until it is told to end, and says so. */
const WAITING = [
  '--',
  process.execPath,
  '-e',
  'process.on("SIGTERM", () => process.exit(5)); setInterval(() => {}, 1e6); console.log("up")',
];

let up: RecordingUpstream;
let at: Developer;
beforeAll(async () => {
  up = await recordingUpstream();
});
afterAll(async () => up.close());
beforeEach(() => {
  at = developer();
  at.write('policy/orders.yaml', policy(up.url));
});
afterEach(async () => at.close());

/** Ready, with the URLs. */
const ready = async (
  dev: RunningDev,
): Promise<DevEvent & { readonly url: string; readonly sidecar_url: string; readonly admin_socket: string }> =>
  (await dev.event({ event: 'ready' })) as Awaited<ReturnType<typeof ready>>;

describe('dev', () => {
  it('runs the command with the ways in, shows each decision with rule, file and line, and ends with its exit code', async () => {
    const script = `
      const call = async (order_id) => (await fetch(process.env.SALLYPORT_URL + '/tools/orders/get_order', {
        method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ order_id }) })).status;
      const api = process.env.SALLYPORT_HTTP_ORDERS_URL.startsWith(process.env.SALLYPORT_URL + '/http/orders');
      const own = await fetch(process.env.SALLYPORT_SIDECAR_URL + '/tools/orders/get_order', { method: 'POST',
        headers: { 'content-type': 'application/json', 'sallyport-session': process.env.SALLYPORT_SESSION }, body: '{"order_id":"O-2"}' });
      console.log(await call('O-1'), await call('O-123456789'), own.status, api);
      process.exit(7);`;
    const dev = at.dev('--', process.execPath, '--input-type=module', '-e', script);
    expect(await dev.ended).toBe(7);
    expect(dev.out).toBe('200 403 200 true\n');
    expect(dev.err.replaceAll(/[0-9A-Z]{26}/g, '<id>').replaceAll(/\d+ ms/g, '<ms>')).toBe(`\
policy: release 1 in force after <ms>: 1 rule, 1 tool, 2 tests passed
dev: agent support-triage acts for developer (roles: support-rep; scopes: none)
allow orders/get_order  rule read-orders  policy/orders.yaml:22
allow orders/get_order  rule read-orders  policy/orders.yaml:22
deny orders/get_order parameter_not_allowed  rule read-orders  policy/orders.yaml:22
    arguments: order_id: must have at most 8 characters
    sallyport explain <id>
dev: the command ended with 7
`);
  });

  it('is whom it is told to be, and tells in whose name a rule wants to be asked', async () => {
    const strict = policy(up.url).replace(
      'for: { roles: [support-rep] }',
      'for: { roles: [support-rep] }\n    task: [refunds]\n    step_up: { acr: [gold], amr: [mfa] }',
    );
    at.write(
      'policy/orders.yaml',
      strict.replaceAll(
        'given: { roles: [support-rep] }',
        'given: { roles: [support-rep], session: { task: refunds }, signed_in: { acr: gold, amr: [mfa] } }',
      ),
    );
    const script = `await fetch(process.env.SALLYPORT_URL + '/tools/orders/get_order', { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"order_id":"O-1"}' })`;
    const ran = async (...argv: readonly string[]): Promise<string> => {
      const dev = at.dev(...argv, '--', process.execPath, '--input-type=module', '-e', script);
      expect(await dev.ended).toBe(0);
      return dev.err;
    };
    expect(await ran()).toContain('    dev is told so with --task, --acr\n');
    expect(await ran('--task', 'refunds', '--acr', 'gold')).toContain('    dev is told so with --amr\n');
    expect(await ran('--task', 'refunds', '--acr', 'gold', '--amr', 'mfa', '--role', 'support-rep', '--role', 'suport-rep')).toMatch(
      /dev: --role: warning: no rule of support-triage is for role `suport-rep` \(did you mean support-rep\?\)\n(?:.*\n)*allow orders\/get_order/,
    );
  });

  it('puts a saved edit in force; keeps the last good policy when one is broken, and says where; takes the mended one', async () => {
    const dev = at.dev('--json', ...WAITING);
    const { url } = await ready(dev);
    const status = async (): Promise<number> => (await callAt(url, 'orders/get_order', { order_id: 'O-123456789' })).status;
    expect(await status()).toBe(403);

    at.write('policy/orders.yaml', policy(up.url, { maxLength: 12 }));
    await dev.event({ event: 'policy', state: 'in_force', release_seq: 2 });
    expect(await status()).toBe(200);

    at.write('policy/orders.yaml', policy(up.url, { maxLength: 4 }).replace('allow: [orders', 'alow: [orders'));
    const refused = await dev.event({ event: 'policy', state: 'refused' });
    expect(refused).toMatchObject({
      release_seq: 2,
      problems: expect.arrayContaining([expect.objectContaining({ file: 'policy/orders.yaml', line: 23, remedy: 'did you mean `allow`' })]),
    });
    expect(await status()).toBe(200);

    at.write('policy/orders.yaml', policy(up.url, { maxLength: 4 }));
    await dev.event({ event: 'policy', state: 'in_force', release_seq: 3 });
    expect(await status()).toBe(403);
  });

  it('takes no edit that its own tests refuse, and none that loses the agent; tells people so in lines that can be opened', async () => {
    const dev = at.dev(...WAITING);
    await dev.says('up\n');
    at.write('policy/orders.yaml', policy(up.url, { expect: 'insufficient_scope' }));
    await dev.says(
      /policy: not taken, 1 problem; release 1 stays in force\npolicy\/orders\.yaml:30: .*expected insufficient_scope, seen allow/,
    );
    at.write('policy/orders.yaml', policy(up.url).replaceAll('support-triage', 'somebody-else'));
    await dev.says('policy: Agent: agent `support-triage` is gone (put it back, or start dev anew with --agent)');
    // A new file is a change like any other.
    at.write('policy/more.yaml', 'kind: Tool\n');
    await dev.says('policy/more.yaml:1');
    expect(dev.err).not.toContain('release 2');
  });

  it('takes a change that only moves lines, so that places stay right', async () => {
    const dev = at.dev('--json', ...WAITING);
    const { url } = await ready(dev);
    at.write('policy/orders.yaml', policy(up.url).replace('  - id: read-orders', '  # moved\n  - id: read-orders'));
    await dev.event({ event: 'policy', release_seq: 2 });
    await callAt(url, 'orders/get_order', { order_id: 'O-1' });
    expect(
      await dev.event({ event: 'decision', why: { source: { file: 'orders.yaml', line: 23 }, fields: [], unmet: [], change: [] } }),
    ).toBeDefined();
  });

  it('with --json gives its events on standard output, and the command’s output on standard error', async () => {
    const dev = at.dev('--json', '--', process.execPath, '-e', 'console.log("mine"); console.error("too")');
    expect(await dev.ended).toBe(0);
    expect(dev.events.map(({ event }) => event)).toEqual(expect.arrayContaining(['policy', 'session', 'ready', 'command']));
    expect(dev.err).toBe('mine\ntoo\n');
  });

  it('without a command stays, says how to connect, and is found by explain; after its end explain says that nothing runs', async () => {
    const dev = at.dev();
    await dev.says('Ctrl-C ends all of this');
    const url = /POST (http:\S+)\/tools\//.exec(dev.err)?.[1] ?? '';
    const denied = await callAt(url, 'orders/get_order', { order_id: 'O-123456789' });
    const id = denied.json()['decision_id'] as string;
    await dev.says(`sallyport explain ${id}`);
    const explained = await at.type('explain', id);
    expect([explained.exit, explained.out]).toEqual([1, expect.stringContaining(`by rule read-orders (policy/orders.yaml:22)`)]);
    dev.kill('SIGINT');
    expect(await dev.ended).toBe(0);
    expect(await at.type('explain', id)).toMatchObject({
      exit: 1,
      err: expect.stringContaining('the dev that ran here has ended, and what its sidecar remembered with it'),
    });
    expect(await at.type('audit', 'tail', '--dir', '.sallyport/dev')).toMatchObject({
      exit: 1,
      err: expect.stringMatching(
        /the dev of `\S+` has ended: nothing listens at \S+ \(its record is still there; to read it, start its control plane: `sallyport control-plane --config \.sallyport\/dev\/control-plane\/config\.yaml`\)/,
      ),
    });
  });
});

describe('the end of dev', () => {
  it('the command’s death takes the rest down: nothing listens, nothing runs, and the folder is free again', async () => {
    const first = at.dev('--json', ...WAITING);
    const { url, sidecar_url: sidecar, admin_socket: socket } = await ready(first);
    const { pid } = await first.event({ event: 'command', argv: WAITING.slice(1) });
    process.kill(pid as number, 'SIGKILL');
    expect(await first.ended).toBe(128 + 9);
    for (const port of [url, sidecar].map((one) => Number(new URL(one).port)))
      expect(await answers({ port, host: '127.0.0.1' })).toBe(false);
    expect(await answers({ path: socket })).toBe(false);
    expect(isRunning(first.pid)).toBe(false);
    expect(await at.dev('--', 'true').ended).toBe(0);
  });

  it.each(['SIGINT', 'SIGTERM'] as const)('%s ends the command in order, and gives its exit code', async (signal) => {
    const dev = at.dev(...WAITING);
    await dev.says('up\n');
    dev.kill(signal);
    expect(await dev.ended).toBe(5);
  });

  it('a command that does not listen is ended all the same, with what it has started', async () => {
    const dev = at.dev('--json', '--', 'sh', '-c', 'trap "" TERM; sleep 1000 & echo $!; echo up; wait; wait; sleep 1000');
    const { pid } = await dev.event({ event: 'command' });
    await dev.says(/up\n/);
    const grandchild = Number(/^\d+$/m.exec(dev.err)?.[0]);
    dev.kill('SIGTERM');
    expect(await dev.ended).toBe(128 + 9);
    await eventually(() => !isRunning(pid as number) && !isRunning(grandchild), 'the end of both');
  });

  it('kill -9 leaves no orphan: the command is ended by its watcher', async () => {
    const dev = at.dev('--json', ...WAITING);
    const { pid } = await dev.event({ event: 'command' });
    await dev.says('up\n');
    dev.kill('SIGKILL');
    await eventually(() => !isRunning(pid as number), 'the end of the command');
    // And the folder can be taken again from a process that is no more.
    expect(await at.dev('--', 'true').ended).toBe(0);
  });

  it('its keys, record and log stay for a look; what speaks of a running one goes, and no session stands in the log', async () => {
    const script = `await fetch(process.env.SALLYPORT_URL + '/tools/orders/get_order', { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"order_id":"O-1"}' })`;
    expect(await at.dev('--', process.execPath, '--input-type=module', '-e', script).ended).toBe(0);
    expect(readdirSync(at.path('.sallyport/dev')).toSorted()).toEqual(
      expect.arrayContaining(['control-plane', 'log', 'root', 'root-pin', 'sidecar', 'signing']),
    );
    for (const name of ['env', 'connection.json', 'lock']) expect(readdirSync(at.path('.sallyport/dev'))).not.toContain(name);
    expect(at.read('.sallyport/dev/log')).not.toMatch(/"level":"error"|eyJ/);
  });
});

describe('the log of dev', () => {
  it('calls no end of a short command a bug', async () => {
    for (let i = 0; i < 3; i++) {
      expect(await at.dev('--', 'true').ended).toBe(0);
      expect(at.read('.sallyport/dev/log')).not.toContain('"event":"bug"');
    }
  });
});

describe('a second one', () => {
  it('in the same folder is refused, and says which process holds it; with a folder of its own it runs beside', async () => {
    const first = at.dev(...WAITING);
    await first.says('up\n');
    const second = at.dev('--', 'true');
    expect(await second.ended).toBe(1);
    expect(second.err).toMatch(new RegExp(`is used by process ${first.pid}: one dev at a time; .*--state`));
    expect(await at.dev('--state', 'other', '--', 'true').ended).toBe(0);
    first.kill('SIGTERM');
    expect(await first.ended).toBe(5);
  });

  it('keeps the URL of the one before where the port is said: a client need not be told again', async () => {
    const port = await freePort();
    const urls: string[] = [];
    for (let i = 0; i < 2; i++) {
      const dev = at.dev('--json', '--port', String(port));
      urls.push((await ready(dev)).url);
      dev.kill('SIGTERM');
      expect(await dev.ended).toBe(0);
    }
    expect(urls[0]).toBe(urls[1]);
    expect(new URL(urls[0] ?? '').port).toBe(String(port));
  });
});

describe('what dev does not start with', () => {
  it('a port that is taken: says so, and runs nothing', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as AddressInfo;
    const dev = at.dev('--port', String(port), '--', 'sh', '-c', 'echo ran');
    expect(await dev.ended).toBe(1);
    expect([dev.out, dev.err]).toEqual(['', expect.stringMatching(new RegExp(`${port}.*\\(choose another with --port`))]);
    taken.close();
  });

  it('a policy that does not hold: every problem with its place, nothing made, nothing run', async () => {
    at.write('policy/orders.yaml', policy(up.url).replace('effect: read', 'effect: reed'));
    const dev = at.dev('--', 'sh', '-c', 'echo ran');
    expect(await dev.ended).toBe(1);
    expect([dev.out, dev.err]).toEqual(['', expect.stringContaining('policy/orders.yaml:15:9: effect:')]);
    expect(dev.err).toMatch(/sallyport dev: \d+ problems? in the policy; nothing was started\n$/);
    expect(() => readdirSync(at.path('.sallyport'))).toThrow();
  });

  it.each([
    ['a policy that is not there', ['--policy', 'nowhere'], 64, 'nowhere: '],
    ['a command that is not there', ['--', 'no-such-command-anywhere'], 127, 'there is no command `no-such-command-anywhere`'],
    ['an agent that is not there', ['--agent', 'support-triag'], 2, 'did you mean support-triage?'],
    ['an attribute that nobody maps', ['--attribute', 'limt=3'], 2, 'did you mean limit?'],
    ['a port that is none', ['--port', '70000'], 2, '`--port` is more than 65535'],
  ])('%s', async (_, argv, exit, message) => {
    expect(await at.type('dev', ...argv)).toMatchObject({ exit, out: '', err: expect.stringContaining(message) });
  });

  it('a folder with something else in it, of which nothing is touched', async () => {
    at.write('precious/thesis.txt', 'years of work');
    const dev = at.dev('--state', 'precious', '--', 'true');
    expect(await dev.ended).toBe(1);
    expect(dev.err).toContain('is not empty, and no dev has made it (name a folder of its own)');
    expect(at.read('precious/thesis.txt')).toBe('years of work');
  });
});

describe('the way in', () => {
  it('is shut to whoever does not know its key, and leads to the agent’s port alone', async () => {
    const dev = at.dev('--json', ...WAITING);
    const { url, admin_socket: socket } = await ready(dev);
    const { port, pathname } = new URL(url);
    const get = async (path: string): Promise<number> => (await request(Number(port), path, { method: 'GET' })).status;
    for (const path of [
      '/',
      '/s/',
      '/tools/orders/get_order',
      '/s/AAAAAAAAAAAAAAAAAAAAAA/tools/orders/get_order',
      pathname,
      `${pathname}x/tools/orders/get_order`,
    ])
      expect([path, await get(path)]).toEqual([path, 404]);
    const before = up.requests.length;
    for (const path of ['/decisions', '/status', '/drain', '/../decisions', '/%2e%2e/decisions'])
      expect(await get(`${pathname}${path}`)).toBeGreaterThanOrEqual(400);
    expect(up.requests.length).toBe(before);
    // What the agent is told does not name the socket either.
    expect(at.read('.sallyport/dev/env')).not.toContain(socket);
  });

  it.each([
    [
      'v1',
      async (url: URL) => {
        const client = new ClientV1({ name: 'agent', version: '1' });
        await client.connect(new TransportV1(url));
        return client;
      },
    ],
    [
      'v2',
      async (url: URL) => {
        const client = new ClientV2({ name: 'agent', version: '1' }, { versionNegotiation: { mode: 'auto' } });
        await client.connect(new TransportV2(url));
        return client;
      },
    ],
  ])('is all that the official %s client has to be told: it lists, calls, and is denied', async (_, connected) => {
    const sums = await recordingUpstream(
      scriptedMcp((id) => ({ kind: 'json', body: rpcResult(id, { content: [{ type: 'text', text: '5' }] }) })),
    );
    at.write('policy/orders.yaml', sumsPolicy(sums.url));
    const dev = at.dev('--json', ...WAITING);
    const { servers } = (await ready(dev)) as unknown as { servers: { url: string }[] };
    const client = await connected(new URL(servers[0]?.url ?? ''));
    expect((await client.listTools()).tools.map(({ name }) => name)).toEqual(['add']);
    expect(await client.callTool({ name: 'add', arguments: { n: 2 } })).toMatchObject({ content: [{ text: '5' }] });
    expect(await client.callTool({ name: 'add', arguments: { n: 2000 } })).toMatchObject({
      isError: true,
      _meta: { 'dev.sallyport/denial': { code: 'parameter_not_allowed' } },
    });
    await client.close();
    expect(await dev.event({ event: 'decision', why: DENIED_SUM })).toBeDefined();
    // And without a client at all, by name.
    expect((await callAt((await ready(dev)).url, 'sums/add', { n: 2 })).status).toBe(200);
    await sums.close();
  });

  it('hands on a session that the client names itself, also one that is none', async () => {
    const dev = at.dev('--json', ...WAITING);
    const { url } = await ready(dev);
    const { port, pathname } = new URL(url);
    const answer = await request(Number(port), `${pathname}/tools/orders/get_order`, {
      body: '{"order_id":"O-1"}',
      headers: { 'content-type': 'application/json', 'sallyport-session': 'forged' },
    });
    expect(answer.status).toBe(401);
  });

  it('has room for a socket in a folder whose name is too long for one', async () => {
    const deep = developer('a-folder-with-a-long-name/'.repeat(5));
    deep.write('policy/orders.yaml', policy(up.url));
    try {
      const dev = deep.dev('--json', ...WAITING);
      const { url, admin_socket: socket } = await ready(dev);
      await callAt(url, 'orders/get_order', { order_id: 'O-123456789' });
      await dev.event({ event: 'decision' });
      expect(Buffer.byteLength(socket)).toBeLessThanOrEqual(103);
      dev.kill('SIGTERM');
      await dev.ended;
      expect(await answers({ path: socket })).toBe(false);
    } finally {
      await deep.close();
    }
  });
});

async function answers(to: { readonly host: string; readonly port: number } | { readonly path: string }): Promise<boolean> {
  const socket = connect(to);
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    // Nobody listens.
    return false;
  } finally {
    socket.destroy();
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
