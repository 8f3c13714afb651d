/** An agent that verifies what its sidecar hands on before it acts, with somebody on the way between them. */

import { replayMemory, verifyRequest, type Assertion } from '@sallyport/verifier';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { alteringProxy, type AlteringProxy, type InTransit } from '../../support/altering-proxy.ts';
import { codeOf, startInbound, type InboundSide } from '../../support/inbound.ts';
import { AGENT, eventually, type HttpAnswer } from '../../support/world.ts';

let side: InboundSide;
let proxy: AlteringProxy;
let agent: Server;
let authorities = '';
const replay = replayMemory();
/** What the agent did, and why it did not. */
const acted: { readonly assertion: Assertion; readonly body: string }[] = [];
const refused: string[] = [];

async function verifyingAgent(): Promise<Server> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { method = '', url: target = '', rawHeaders } = request;
      const body = Buffer.concat(chunks);
      const verified = verifyRequest(
        { method, target, rawHeaders, body },
        {
          trustDomain: 'demo.local',
          authorities,
          audience: `sallyport:demo.local:agent:${AGENT}`,
          tool: `agents/${AGENT}`,
          fields: ['sallyport-session'],
          scheme: 'http',
          authority: proxy.authority,
          replay,
        },
      );
      if (verified.ok) acted.push({ assertion: verified.assertion, body: body.toString() });
      else refused.push(verified.code);
      response.writeHead(verified.ok ? 200 : 401, { 'content-type': 'application/json' }).end('{}');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

const ask = (how: Parameters<InboundSide['ask']>[1] = {}): Promise<HttpAnswer> =>
  side.ask(`/agents/${AGENT}/run?fast=1`, { json: { task: 'refund', amount: 5 }, ...how });

beforeAll(async () => {
  agent = await verifyingAgent();
  proxy = await alteringProxy(() => (agent.address() as AddressInfo).port);
  side = await startInbound({ inbound: { url: proxy.url } });
  authorities = readFileSync(join(side.world.dir, 'control-plane', 'workload-ca.crt'), 'utf8');
});
beforeEach(() => {
  proxy.alter(() => ({}));
  acted.splice(0);
  refused.splice(0);
});
afterAll(async () => {
  await side?.close();
  await proxy?.close();
  agent?.close();
  agent?.closeAllConnections();
});

/** A header's value replaced. */
const withHeader =
  (name: string, value: string) =>
  ({ rawHeaders }: InTransit): Partial<InTransit> => ({
    rawHeaders: rawHeaders.map((text, at) => (at % 2 === 1 && rawHeaders[at - 1]?.toLowerCase() === name ? value : text)),
  });
const without =
  (...names: readonly string[]) =>
  ({ rawHeaders }: InTransit): Partial<InTransit> => ({
    rawHeaders: rawHeaders.filter((_, at) => !names.includes((rawHeaders[at - (at % 2)] ?? '').toLowerCase())),
  });

describe('a request that is handed to an agent', () => {
  it('is believed as it was sent', async () => {
    expect((await ask()).status).toBe(200);
    expect(acted.map(({ body }) => body)).toEqual(['{"task":"refund","amount":5}']);
    expect((await ask({ method: 'GET', json: undefined })).status).toBe(200);
    expect(acted.map(({ body }) => body)).toEqual(['{"task":"refund","amount":5}', '']);
  });

  it.each([
    ['[R7.21] whose body was altered on the way', () => ({ body: Buffer.from('{"task":"refund","amount":9}') }), 'request_digest_mismatch'],
    ['whose body was taken away', () => ({ body: Buffer.alloc(0) }), 'request_digest_mismatch'],
    [
      'whose body and digest were altered',
      (request: InTransit) => ({
        body: Buffer.from('{}'),
        ...withHeader('content-digest', `sha-256=:${createHash('sha256').update('{}').digest('base64')}:`)(request),
      }),
      'request_signature_invalid',
    ],
    ['whose path was altered', () => ({ target: '/delete?fast=1' }), 'request_signature_invalid'],
    ['whose query was altered', () => ({ target: '/run?fast=0' }), 'request_signature_invalid'],
    ['whose method was altered', () => ({ method: 'PUT' }), 'request_signature_invalid'],
    ['that is said to hold something else', withHeader('content-type', 'text/plain'), 'request_signature_invalid'],
    ['that is put into another session', withHeader('sallyport-session', 'eyJ.e30.x'), 'request_signature_invalid'],
    ['whose signature is gone', without('signature', 'signature-input'), 'request_unsigned'],
    ['whose assertion is gone', without('sallyport-assertion'), 'assertion_missing'],
    [
      'that is signed for less',
      ({ rawHeaders }: InTransit) => ({ rawHeaders: rawHeaders.map((text) => text.replace(' "sallyport-session"', '')) }),
      'request_not_covered',
    ],
    [
      'that is to live longer',
      ({ rawHeaders }: InTransit) => ({ rawHeaders: rawHeaders.map((text) => text.replace(/expires=\d+/, 'expires=4102444800')) }),
      'request_signature_invalid',
    ],
  ] as const)('%s is refused before the agent acts', async (_, change, code) => {
    proxy.alter(change);
    expect((await ask()).status).toBe(401);
    expect([acted.length, refused]).toEqual([0, [code]]);
  });

  it('is believed once', async () => {
    expect((await ask()).status).toBe(200);
    expect(await proxy.replay()).toBe(401);
    expect([acted.length, refused]).toEqual([1, ['request_replayed']]);
  });
});

describe('what the agent is told of its caller', () => {
  it('[R7.19] is the scopes of the proven credential, signed, whatever the client says they are', async () => {
    for (const scope of ['orders.read', 'orders.read orders.refund', '']) {
      const headers = {
        authorization: `Bearer ${side.token({ scope })}`,
        'sallyport-assertion': 'eyJhbGciOiJub25lIn0.eyJzY29wZXMiOlsiYWRtaW4iXX0.',
        'sallyport-scopes': 'admin',
        'x-scopes': 'admin',
        'content-digest': 'sha-256=:AAAA:',
        signature: 'sallyport=:AAAA:',
        'signature-input': 'sallyport=("@method");tag="sallyport-request"',
      };
      expect(codeOf(await ask({ headers, json: { task: 'x', scopes: ['admin'] } }))).toBe('200');
    }
    expect(acted.map(({ assertion }) => assertion.scopes)).toEqual([['orders.read'], ['orders.read', 'orders.refund'], []]);
    expect(acted[0]?.assertion).toMatchObject({
      operator: 'alice@company.com',
      agent: AGENT,
      audience: `sallyport:demo.local:agent:${AGENT}`,
      issuer: `spiffe://demo.local/sidecar/${AGENT}/one`,
    });
    // What the client sent under these names was not joined to what the sidecar says: there is one of each.
    const names = (proxy.seen?.rawHeaders ?? []).filter((_, at) => at % 2 === 0).map((name) => name.toLowerCase());
    for (const name of ['sallyport-assertion', 'signature', 'signature-input', 'content-digest'])
      expect(names.filter((one) => one === name)).toHaveLength(1);
    expect(names.filter((name) => name.includes('scopes'))).toEqual([]);
  });

  it('is on record as it was transmitted, also where the agent did not answer well', async () => {
    proxy.alter(() => ({ method: 'PUT' }));
    await ask();
    const sent = proxy.seen;
    const digest = `sha256:${createHash('sha256')
      .update(sent?.body ?? '')
      .digest('hex')}`;
    const field = sent?.rawHeaders[sent.rawHeaders.findIndex((name) => name.toLowerCase() === 'signature') + 1];
    const signature = /^sallyport=:(.*):$/.exec(field ?? '')?.[1];
    await eventually(async () => {
      const records = (await side.world.admin.tail('records')).map((line) => JSON.parse(line) as Record<string, unknown>);
      return records.some((one) => one['request_signature'] === signature && one['request_digest'] === digest);
    }, 'an OUTCOME with the digest and the signature');
  });
});
