/** Tools that ask for signed calls, and the record that proves what was transmitted. */

import {
  recordingMcpUpstream,
  recordingUpstream,
  type RecordedRequest,
  type RecordingMcpUpstream,
  type RecordingUpstream,
} from '@sallyport/testkit';
import { verifyAssertion, verifyRequest, type RequestOptions, type RequestVerification } from '@sallyport/verifier';
import { createHash, verify, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mcpPost, toolCall } from '../../support/mcp-clients.ts';
import { issuerDocument } from '../../support/policies.ts';
import { AGENT, eventually, startWorld, type RunningSidecar, type World } from '../../support/world.ts';

const policyOf = (bank: string, desk: string): string => `apiVersion: sallyport.dev/v1
kind: Agent
name: ${AGENT}
owner: team-support
uses: [bank, desk]
---
kind: ToolServer
name: bank
http: { url: "${bank}/api" }
network: loopback
---
kind: ToolServer
name: desk
mcp: { url: "${desk}" }
network: loopback
---
kind: Tool
name: bank/transfer
effect: write
route: { method: POST, path: "/transfers/{to}" }
arguments: { required: [to, amount], properties: { to: { type: string }, amount: { type: number, format: decimal } } }
sign: {}
---
kind: Tool
name: bank/balance
effect: read
route: { method: GET, path: /balance }
arguments: { properties: { of: { type: string } } }
sign: { headers: [traceparent] }
---
kind: Tool
name: bank/rates
effect: read
route: { method: GET, path: /rates }
---
kind: Tool
name: desk/look
effect: read
sign: {}
---
kind: Policy
agent: ${AGENT}
rules:
  - { id: all, allow: [bank/*, desk/*], for: { roles: [support-rep] } }
---
kind: Test
given: { roles: [support-rep] }
cases:
  - { call: bank/rates, expect: allow }
`;

let world: World;
let sidecar: RunningSidecar;
let session: string;
let bank: RecordingUpstream;
let desk: RecordingMcpUpstream;
let authorities: string;

beforeAll(async () => {
  world = await startWorld();
  [bank, desk] = [await recordingUpstream(), await recordingMcpUpstream()];
  authorities = readFileSync(join(world.dir, 'control-plane', 'workload-ca.crt'), 'utf8');
  await world.admin.publish(policyOf(bank.url, desk.mcpUrl) + issuerDocument(world.idp));
  sidecar = await world.startSidecar();
  await eventually(() => sidecar.ready(), 'readiness');
  session = await sidecar.session();
});
afterAll(async () => {
  await world?.close();
  await bank?.close();
  await desk?.close();
});

const TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const believed = ({ method, target, rawHeaders, body }: RecordedRequest, more: Partial<RequestOptions>): RequestVerification =>
  verifyRequest(
    { method, target, rawHeaders, body },
    {
      trustDomain: 'demo.local',
      authorities,
      audience: 'sallyport:demo.local:server:bank',
      tool: 'bank/transfer',
      scheme: 'http',
      ...more,
    },
  );
const called = (tool: string, args: object, headers: Record<string, string> = {}): ReturnType<RunningSidecar['request']> =>
  sidecar.request(`/tools/${tool}`, {
    body: JSON.stringify(args),
    headers: { 'content-type': 'application/json', 'sallyport-session': session, ...headers },
  });
const last = (of: RecordingUpstream): RecordedRequest => {
  const request = of.requests.at(-1);
  if (request === undefined) throw new Error('nothing came');
  return request;
};
const field = ({ rawHeaders }: RecordedRequest, name: string): string =>
  rawHeaders[rawHeaders.findIndex((one, at) => at % 2 === 0 && one.toLowerCase() === name) + 1] ?? '';

describe('a tool that wants its calls signed', () => {
  it('gets them so that they verify: HTTP with a body, HTTP with a query and a header that matters, MCP', async () => {
    expect((await called('bank/transfer', { to: 'DE1', amount: 5 })).status).toBe(200);
    expect(last(bank).target).toBe('/api/transfers/DE1');
    expect(believed(last(bank), {})).toMatchObject({ ok: true, assertion: { tool: 'bank/transfer' } });

    expect((await called('bank/balance', { of: 'a b' }, { traceparent: TRACE })).status).toBe(200);
    expect(last(bank).target).toBe('/api/balance?of=a%20b');
    expect(believed(last(bank), { tool: 'bank/balance', fields: ['traceparent'] })).toMatchObject({ ok: true });

    const answer = await mcpPost(sidecar, 'desk', toolCall('look', {}), { 'sallyport-session': session });
    expect(answer.status).toBe(200);
    const audience = 'sallyport:demo.local:server:desk';
    expect(believed(last(desk), { tool: 'desk/look', audience })).toMatchObject({ ok: true });
    // What calls nothing carries no signature.
    expect(desk.requests.filter(({ headers }) => headers['signature'] !== undefined)).toHaveLength(1);
  });

  it('gets another signature each time, although the assertion is the same', async () => {
    await called('bank/transfer', { to: 'DE1', amount: 5 });
    const first = last(bank);
    await called('bank/transfer', { to: 'DE1', amount: 5 });
    const second = last(bank);
    expect(field(first, 'sallyport-assertion')).toBe(field(second, 'sallyport-assertion'));
    expect(field(first, 'signature-input')).not.toBe(field(second, 'signature-input'));
    expect(field(first, 'signature')).not.toBe(field(second, 'signature'));
  });

  it('is not called without a header that has to be signed, and nothing of the call counts', async () => {
    const before = bank.requests.length;
    const answer = await called('bank/balance', {});
    expect([answer.status, answer.json()['code'], answer.json()['effect']]).toEqual([403, 'obligation_unsupported', 'none']);
    expect(bank.requests).toHaveLength(before);
  });

  it('is alone in that: another tool of its server gets no signature, and its record has none', async () => {
    const answer = await called('bank/rates', {});
    expect([answer.status, last(bank).headers['signature'], last(bank).headers['content-digest']]).toEqual([200, undefined, undefined]);
  });
});

describe('the record of a signed call', () => {
  const outcomes = async (): Promise<readonly Record<string, unknown>[]> =>
    (await world.admin.tail('records')).map((line) => JSON.parse(line) as Record<string, unknown>).filter(({ kind }) => kind === 'OUTCOME');

  it('[R10.32] holds the digest and the signature of what was transmitted, and both can be recomputed from the captured request', async () => {
    await called('bank/transfer', { to: 'DE2', amount: 7 });
    const captured = last(bank);
    const digest = `sha256:${createHash('sha256').update(captured.body).digest('hex')}`;
    const outcome = await eventually(async () => (await outcomes()).find((one) => one['request_digest'] === digest), 'the OUTCOME');
    expect(outcome['result']).toBe('ok');

    // By hand and not by our own code: the lines that RFC 9421 has under the signature.
    const input = field(captured, 'signature-input').replace(/^sallyport=/, '');
    const names = [...(/^\(([^)]*)\)/.exec(input)?.[1] ?? '').matchAll(/"([^"]+)"/g)].map(([, name = '']) => name);
    const derived: Record<string, string> = {
      '@method': captured.method,
      '@authority': field(captured, 'host'),
      '@path': captured.target,
      '@query': '?',
    };
    const lines = names.map((name) => `"${name}": ${derived[name] ?? field(captured, name)}`);
    const base = [...lines, `"@signature-params": ${input}`].join('\n');
    const [head = ''] = field(captured, 'sallyport-assertion').split('.');
    const { x5c } = JSON.parse(Buffer.from(head, 'base64url').toString()) as { x5c: readonly string[] };
    const key = { key: new X509Certificate(Buffer.from(x5c[0] ?? '', 'base64')).publicKey, dsaEncoding: 'ieee-p1363' } as const;
    const recorded = Buffer.from(String(outcome['request_signature']), 'base64');
    expect(verify('sha256', Buffer.from(base), key, recorded)).toBe(true);
    expect(verify('sha256', Buffer.from(base.replace('DE2', 'DE3')), key, recorded)).toBe(false);
    expect(field(captured, 'signature')).toBe(`sallyport=:${recorded.toString('base64')}:`);
    expect(field(captured, 'content-digest')).toBe(`sha-256=:${createHash('sha256').update(captured.body).digest('base64')}:`);
    // The assertion under the signature says whose call it was.
    const assertion = verifyAssertion(field(captured, 'sallyport-assertion'), {
      trustDomain: 'demo.local',
      authorities,
      audience: 'sallyport:demo.local:server:bank',
      tool: 'bank/transfer',
    });
    expect(assertion.ok && assertion.assertion.operator).toBe('alice@company.com');
  });

  it('holds them where the tool failed as well, and nothing where nothing was sent', async () => {
    bank.answer({ kind: 'json', status: 500, body: {} });
    await called('bank/transfer', { to: 'DE4', amount: 1 });
    const signature = /:(.*):/.exec(field(last(bank), 'signature'))?.[1];
    bank.answer({ kind: 'json', body: { ok: true } });
    await called('bank/balance', {});
    const found = await eventually(async () => {
      const all = await outcomes();
      return all.some(({ code }) => code === 'obligation_unsupported') && all.find((one) => one['request_signature'] === signature);
    }, 'both');
    expect(found).toMatchObject({ result: 'upstream_error', upstream_status: 500 });
    const unsent = (await outcomes()).filter(({ result }) => result === 'not_forwarded');
    expect(unsent.length).toBeGreaterThan(0);
    for (const one of unsent) expect(one).not.toHaveProperty('request_signature');
  });
});
