import { assertionGuard, replayMemory, verifyAssertion, type Assertion, type Verification, type VerifyOptions } from '@sallyport/verifier';
import {
  recordingMcpUpstream,
  recordingUpstream,
  type RecordedRequest,
  type RecordingMcpUpstream,
  type RecordingUpstream,
} from '@sallyport/testkit';
import { spawn, type ChildProcess } from 'node:child_process';
import { createPublicKey, verify, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { mcpPost, toolCall } from '../../support/mcp-clients.ts';
import { issuerDocument } from '../../support/policies.ts';
import { eventually, request, startWorld, type RunningSidecar, type World } from '../../support/world.ts';

/** One HTTP service with two tools behind a guard of its own, one plain service, one MCP server. */
const policy = (world: World, urls: { ocr: string; accounting: string; bench: string; desk: string }): string => `
apiVersion: sallyport.dev/v1
kind: Agent
name: support-triage
owner: team-support
uses: [ocr, accounting, bench, desk]
---
kind: ToolServer
name: ocr
http: { url: "${urls.ocr}" }
network: loopback
---
kind: ToolServer
name: accounting
http: { url: "${urls.accounting}" }
network: loopback
audience: https://accounting.demo.local
---
kind: ToolServer
name: bench
mcp: { url: "${urls.bench}" }
network: loopback
---
kind: Tool
name: ocr/receipt_ocr
effect: read
route: { method: POST, path: /receipt_ocr }
---
kind: Tool
name: ocr/page_ocr
effect: read
route: { method: POST, path: /page_ocr }
---
kind: Tool
name: accounting/post
effect: write
route: { method: POST, path: /post }
---
kind: Tool
name: accounting/refund
effect: write
route: { method: POST, path: /refund }
arguments: { required: [amount], properties: { amount: { type: number, format: decimal }, note: { type: string } } }
assertion: { arguments: true }
---
kind: Tool
name: bench/look
effect: read
---
kind: ToolServer
name: desk
http: { url: "${urls.desk}" }
network: loopback
---
kind: Tool
name: desk/greeting
effect: read
route: { method: GET, path: /greeting }
---
kind: Tool
name: desk/farewell
effect: write
route: { method: POST, path: /farewell }
---
kind: Policy
agent: support-triage
rules:
  - { id: desk, allow: [desk/*], for: { roles: [support-rep] } }
  - { id: tools, allow: [ocr/receipt_ocr, ocr/page_ocr, accounting/post, accounting/refund, bench/look], for: { roles: [support-rep] } }
---
kind: Test
given: { roles: [support-rep] }
cases:
  - { call: ocr/receipt_ocr, expect: allow }
${issuerDocument(world.idp)}`;

const OCR = 'sallyport:demo.local:server:ocr';

/** The example tool: answers what the guard lets through, with what it learned. */
async function guardedTool(
  options: () => Pick<VerifyOptions, 'authorities'>,
): Promise<{ server: Server; port: number; served: Assertion[] }> {
  const served: Assertion[] = [];
  const server = createServer((incoming, response) => {
    const guard = assertionGuard({ trustDomain: 'demo.local', audience: OCR, tool: ({ url = '' }) => `ocr${url}`, ...options() });
    const assertion = guard(incoming, response);
    if (assertion === undefined) return;
    served.push(assertion);
    response.writeHead(200, { 'content-type': 'application/json' }).end('{"ok":true}');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, port: (server.address() as AddressInfo).port, served };
}

/** `examples/verified-tool` as its reader starts it. */
async function exampleTool(authorityFile: string): Promise<{ process: ChildProcess; url: string; port: number }> {
  const script = join(import.meta.dirname, '..', '..', '..', 'examples', 'verified-tool', 'tool.mjs');
  const child = spawn(process.execPath, ['--conditions=sallyport-src', script, authorityFile, 'demo.local', '0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [said] = (await once(child.stdout, 'data')) as [Buffer];
  const url = /http:\S+/.exec(said.toString())?.[0] ?? '';
  return { process: child, url, port: Number(new URL(url).port) };
}

let world: World;
let sidecar: RunningSidecar;
let ocr: Awaited<ReturnType<typeof guardedTool>>;
let accounting: RecordingUpstream;
let bench: RecordingMcpUpstream;
let desk: Awaited<ReturnType<typeof exampleTool>>;
let authorities: string;

const urls = (): Parameters<typeof policy>[1] => ({
  ocr: `http://127.0.0.1:${ocr.port}`,
  accounting: accounting.url,
  bench: bench.url,
  desk: desk.url,
});

beforeAll(async () => {
  world = await startWorld();
  authorities = readFileSync(join(world.dir, 'control-plane', 'workload-ca.crt'), 'utf8');
  ocr = await guardedTool(() => ({ authorities }));
  accounting = await recordingUpstream();
  bench = await recordingMcpUpstream();
  desk = await exampleTool(join(world.dir, 'control-plane', 'workload-ca.crt'));
  await world.admin.publish(policy(world, urls()));
  sidecar = await world.startSidecar();
  await eventually(() => sidecar.ready(), 'readiness');
});
afterAll(async () => {
  await world?.close();
  ocr?.server.close();
  ocr?.server.closeAllConnections();
  await accounting?.close();
  await bench?.close();
  desk?.process.kill();
});
beforeEach(() => void ocr.served.splice(0));

const assertionOf = (received: RecordedRequest | undefined): string => received?.headers['sallyport-assertion'] as string;
const believed = (token: string, over: Partial<VerifyOptions> = {}): Verification =>
  verifyAssertion(token, {
    trustDomain: 'demo.local',
    authorities,
    audience: 'https://accounting.demo.local',
    tool: 'accounting/post',
    ...over,
  });

/** The assertion of a new call of the plain service. */
async function fresh(session: string): Promise<string> {
  const answer = await sidecar.call('accounting/post', {}, session);
  expect([answer.status, answer.text]).toEqual([200, '{"ok":true}']);
  return assertionOf(accounting.requests.at(-1));
}

const direct = (path: string, headers: Record<string, string | string[]> = {}): ReturnType<typeof request> =>
  request(ocr.port, path, { body: '{}', headers: { 'content-type': 'application/json', ...headers } });

describe('a call that is let out', () => {
  it('[R2.18] carries an assertion that verifies offline, and lives a minute at most', async () => {
    const token = await fresh(await sidecar.session());
    const verified = believed(token);
    expect(verified).toMatchObject({ ok: true });
    if (!verified.ok) return;
    expect(verified.assertion.expiresAt - verified.assertion.issuedAt).toBe(60_000);
  });

  it('[R2.19] it names the operator, the agent, the service, the tool and the session', async () => {
    const session = await sidecar.session({ sub: 'alice@company.com' });
    await sidecar.call('ocr/receipt_ocr', {}, session);
    expect(ocr.served).toMatchObject([
      {
        operator: 'alice@company.com',
        agent: 'support-triage',
        audience: OCR,
        tool: 'ocr/receipt_ocr',
        rootKind: 'human',
        issuer: 'spiffe://demo.local/sidecar/support-triage/one',
      },
    ]);
    const claims = JSON.parse(Buffer.from(session.split('.')[1] ?? '', 'base64url').toString()) as { sid: string };
    expect(ocr.served[0]?.sessionId).toBe(claims.sid);
  });

  it('to an MCP server has it on the call and on the handshake that was made for it', async () => {
    const session = await sidecar.session();
    const answer = await mcpPost(sidecar, 'bench', toolCall('look', {}), { 'sallyport-session': session });
    expect(answer.status).toBe(200);
    const tokens = bench.requests.map(assertionOf);
    expect(tokens.length).toBeGreaterThan(1);
    expect(new Set(tokens).size).toBe(1);
    expect(believed(tokens[0] ?? '', { audience: 'sallyport:demo.local:server:bench', tool: 'bench/look' })).toMatchObject({ ok: true });
  });

  it('has the one of its session and tool for half a life, and no other session’s', async () => {
    const [one, two] = [await sidecar.session(), await sidecar.session()];
    const tokens = [await fresh(one), await fresh(one), await fresh(two)];
    expect([tokens[0] === tokens[1], tokens[0] === tokens[2]]).toEqual([true, false]);
  });

  it('[R2.17] nothing that the caller sent beside its arguments goes along: no bearer, no cookie, no field of ours', async () => {
    const sent = {
      authorization: 'Bearer callers-own-token',
      cookie: 'sid=callers-own-cookie',
      'x-api-key': 'callers-own-key',
      'sallyport-assertion': 'callers-own-assertion',
      'sallyport-agent': 'callers-own-agent',
      'sallyport-approval': 'callers-own-approval',
      'Sallyport-Whatever': 'callers-own-something',
    };
    const session = await sidecar.session();
    const headers = { ...sent, 'content-type': 'application/json', 'sallyport-session': session };
    for (const [path, body, seen] of [
      ['/tools/accounting/post', '{}', () => accounting.requests.at(-1)],
      ['/mcp/bench', JSON.stringify(toolCall('look', {})), () => bench.requests.at(-1)],
    ] as const) {
      const answer = await sidecar.request(path, { body, headers: { ...headers, accept: 'application/json, text/event-stream' } });
      expect(answer.status).toBe(200);
      const text = JSON.stringify(seen()?.rawHeaders);
      expect(text).not.toContain('callers-own');
      expect(text).not.toContain(session);
      const ours = Object.keys(seen()?.headers ?? {}).filter((name) => name.startsWith('sallyport-'));
      expect(ours).toEqual(['sallyport-assertion']);
    }
  });

  it('an assertion that comes from a caller opens nothing at the sidecar', async () => {
    const token = await fresh(await sidecar.session());
    const before = accounting.requests.length;
    for (const headers of [{ 'sallyport-assertion': token }, { 'sallyport-session': token }, { authorization: `Bearer ${token}` }]) {
      const answer = await sidecar.request('/tools/accounting/post', {
        body: '{}',
        headers: { 'content-type': 'application/json', ...headers },
      });
      expect(answer.status).toBe(401);
      expect((await sidecar.request('/session', { headers })).status).toBe(401);
    }
    expect(accounting.requests).toHaveLength(before);
  });
});

describe('a tool that has its arguments asserted', () => {
  const refund = async (args: object): Promise<RecordedRequest> => {
    expect((await sidecar.call('accounting/refund', args, await sidecar.session())).status).toBe(200);
    const received = accounting.requests.at(-1);
    if (received === undefined) throw new Error('nothing came');
    return received;
  };

  it('gets the digest of exactly what it received, in whatever spelling the caller sent it', async () => {
    for (const args of [
      { amount: 12.5, note: 'ü' },
      { note: 'x', amount: 0.1 },
    ]) {
      const received = await refund(args);
      expect(believed(assertionOf(received), { tool: 'accounting/refund', arguments: received.body })).toMatchObject({ ok: true });
    }
  });

  it('refuses the assertion of another amount, and the same one twice', async () => {
    const received = await refund({ amount: 12.5 });
    const replay = replayMemory();
    const shown = (args: string): string => {
      const verified = believed(assertionOf(received), { tool: 'accounting/refund', arguments: args, replay });
      return verified.ok ? 'believed' : verified.code;
    };
    expect([shown('{"amount":1250}'), shown(received.body), shown(received.body)]).toEqual(['arguments_mismatch', 'believed', 'replayed']);
  });
});

describe('the key set', () => {
  it('[R2.22] holds the key of the latest assertion, and is enough to verify it offline, by other means than ours', async () => {
    const session = await sidecar.session();
    const token = await fresh(session);
    const answer = await request(sidecar.healthPort, '/.well-known/jwks.json', { method: 'GET' });
    expect([answer.status, answer.headers['content-type']]).toEqual([200, 'application/jwk-set+json']);
    const { keys } = answer.json() as {
      keys: ({ kty: string; crv: string; x: string; y: string } & { kid: string; x5c: string[]; spiffe_id: string })[];
    };
    const [head = '', payload = '', signature = ''] = token.split('.');
    const { kid } = JSON.parse(Buffer.from(head, 'base64url').toString()) as { kid: string };
    const key = keys.find((one) => one.kid === kid);
    if (key === undefined) throw new Error(`no key ${kid} in ${answer.text}`);

    const publicKey = createPublicKey({ key, format: 'jwk' });
    const isSigned = verify(
      'sha256',
      Buffer.from(`${head}.${payload}`),
      { key: publicKey, dsaEncoding: 'ieee-p1363' },
      Buffer.from(signature, 'base64url'),
    );
    const certificate = new X509Certificate(Buffer.from(key.x5c[0] ?? '', 'base64'));
    const issuer = (JSON.parse(Buffer.from(payload, 'base64url').toString()) as { iss: string }).iss;
    expect({
      isSigned,
      isCertified: certificate.verify(new X509Certificate(authorities).publicKey),
      isItsKey: certificate.publicKey.equals(publicKey),
      name: [key.spiffe_id, certificate.subjectAltName],
    }).toEqual({ isSigned: true, isCertified: true, isItsKey: true, name: [issuer, `URI:${issuer}`] });
    expect(answer.text).not.toContain('"d"');
  });
});

describe('a tool that verifies', () => {
  it('[R7.06] the example answers through the gate; without an assertion it says 401, to one for another tool 403', async () => {
    const session = await sidecar.session({ sub: 'alice@company.com' });
    const through = await sidecar.call('desk/greeting', {}, session);
    expect([through.status, through.json()]).toMatchObject([
      200,
      { tool: 'desk/greeting', said_to: 'alice@company.com', by: 'support-triage' },
    ]);

    const plain = await request(desk.port, '/greeting', { method: 'GET' });
    expect([plain.status, plain.headers['content-type'], plain.headers['www-authenticate']]).toEqual([
      401,
      'application/problem+json',
      'Sallyport-Assertion',
    ]);
    expect(plain.json()).toMatchObject({ status: 401, code: 'assertion_missing' });

    // The very assertion of another tool of the same service: one that points there, and takes down what it is given.
    await world.admin.publish(policy(world, { ...urls(), desk: accounting.url }));
    const { release_seq: before } = sidecar.sidecar.readiness();
    await eventually(
      async () => (await sidecar.call('desk/farewell', {}, session)).text === '{"ok":true}',
      `a release after ${String(before)}`,
    );
    const farewell = assertionOf(accounting.requests.at(-1));
    await world.admin.publish(policy(world, urls()));
    const forOther = await request(desk.port, '/greeting', { method: 'GET', headers: { 'sallyport-assertion': farewell } });
    expect([forOther.status, forOther.json()['code']]).toEqual([403, 'tool_mismatch']);
    const forIt = await request(desk.port, '/farewell', { headers: { 'sallyport-assertion': farewell } });
    expect([forIt.status, forIt.json()['tool']]).toEqual([200, 'desk/farewell']);
  });

  it('refuses who comes without an assertion (401), and who brings one for another tool (403)', async () => {
    const without = await direct('/receipt_ocr');
    expect([without.status, without.headers['content-type']]).toEqual([401, 'application/problem+json']);
    expect(without.json()).toMatchObject({ status: 401, code: 'assertion_missing' });

    const seen: string[] = [];
    ocr.server.on('request', ({ headers }) => seen.push(String(headers['sallyport-assertion'])));
    const through = await sidecar.call('ocr/page_ocr', {}, await sidecar.session());
    expect(through.status).toBe(200);
    const forOther = await direct('/receipt_ocr', { 'sallyport-assertion': seen[0] ?? '' });
    expect([forOther.status, forOther.json()['code']]).toEqual([403, 'tool_mismatch']);
    expect(ocr.served).toHaveLength(1);
  });

  it('[R2.20] refuses the assertion of one service when it is shown to another', async () => {
    const token = await fresh(await sidecar.session());
    const answer = await direct('/receipt_ocr', { 'sallyport-assertion': token });
    expect([answer.status, answer.json()['code']]).toEqual([401, 'audience_mismatch']);
    expect(believed(token, { audience: OCR, tool: 'accounting/post' })).toMatchObject({ ok: false, code: 'audience_mismatch' });
  });

  it('refuses a session token in the place of an assertion, and two at once', async () => {
    const session = await sidecar.session();
    const answer = await direct('/receipt_ocr', { 'sallyport-assertion': session });
    expect([answer.status, answer.json()['code']]).toEqual([401, 'wrong_type']);
    const token = await fresh(session);
    expect((await direct('/receipt_ocr', { 'sallyport-assertion': [token, token] })).json()['code']).toBe('malformed');
    expect(ocr.served).toEqual([]);
  });
});
