import { certificatePem } from '@sallyport/crypto/keys';
import { readCertificate } from '@sallyport/crypto';
import type { Clock, Destination, ServerName } from '@sallyport/model';
import { fakeClock, recordingUpstream, testAuthority, type RecordingUpstream, type TestAuthority } from '@sallyport/testkit';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createUpstreams, type UpstreamRequest, type Upstreams } from './upstream.ts';
import type { UpstreamFault } from './upstream-fault.ts';
import { isUsablePair, type TlsOf, type UpstreamTls } from './upstream-tls.ts';

const SERVICE = 'spiffe://test.sallyport.dev/service/orders';
let authority: TestAuthority;
let up: RecordingUpstream;
let client: { readonly certificate: string; readonly key: string };
const opened: Upstreams[] = [];

async function pair(path: string, usage: 'tls-client' | 'tls-server'): Promise<{ readonly certificate: string; readonly key: string }> {
  const { chain, privatePem } = await authority.issue(path, { usage });
  return { certificate: chain.map(certificatePem).join(''), key: privatePem };
}

beforeAll(async () => {
  authority = await testAuthority();
  client = await pair('/sidecar/desk/one', 'tls-client');
  const { certificate, key } = await pair('/service/orders', 'tls-server');
  up = await recordingUpstream(undefined, { cert: certificate, key, ca: certificatePem(authority.ca.certificate) });
});
afterEach(() => {
  for (const one of opened.splice(0)) one.close();
});
afterAll(() => up.close());

const demanding = (): UpstreamTls => ({ authorities: [certificatePem(authority.ca.certificate)], identity: SERVICE, client });
const to = (): Destination => ({
  server: 'orders' as ServerName,
  scheme: 'https',
  host: '127.0.0.1',
  port: up.port,
  network: 'loopback',
  tls: { authorities: 'workload', identity: SERVICE, client: 'workload' },
});
const GET: UpstreamRequest = { method: 'GET', path: '/', headers: [], signal: new AbortController().signal, bodyBytesMax: 1_000 };

function dialler(tls?: TlsOf, clock: Clock = fakeClock()): Upstreams {
  const made = createUpstreams({ clock, ...(tls === undefined ? {} : { tls }) });
  opened.push(made);
  return made;
}

async function asked(upstreams: Upstreams, destination = to()): Promise<string> {
  const shown = up.requests.length;
  const answer = await upstreams.request(destination, GET);
  for await (const _ of answer.body) continue;
  return up.requests[shown]?.shown === undefined ? 'nothing shown' : Buffer.from(up.requests[shown].shown).toString('hex');
}

test('what is demanded anew ends the connections that were made before, and what is not demanded anew keeps them', async () => {
  let terms = demanding();
  const upstreams = dialler(() => terms);
  const first = await asked(upstreams);
  expect(await asked(upstreams)).toBe(first);
  terms = { ...terms, client: await pair('/sidecar/desk/two', 'tls-client') };
  expect(await asked(upstreams)).not.toBe(first);
});

test('a connection that is never idle is made anew after ten minutes: the certificate at its other end may have ended', async () => {
  const { certificate, key } = await pair('/service/orders', 'tls-server');
  let connections = 0;
  const server = createServer({ cert: certificate, key }, (_, response) => response.end('{}'));
  server.on('secureConnection', () => connections++);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const clock = fakeClock();
  const terms = demanding();
  const upstreams = dialler(() => terms, clock);
  const get = async (): Promise<number> => {
    const answer = await upstreams.request({ ...to(), port }, GET);
    for await (const _ of answer.body) continue;
    return connections;
  };
  expect([await get(), await get()]).toEqual([1, 1]);
  await clock.advance(599_999);
  expect(await get()).toBe(1);
  await clock.advance(1);
  expect([await get(), await get()]).toEqual([2, 2]);
  server.close();
  server.closeAllConnections();
});

test('a destination that demands something is not dialled by who cannot meet it', async () => {
  const before = up.requests.length;
  await expect(dialler().request(to(), GET)).rejects.toThrow('can be met here');
  await expect(dialler(() => demanding()).request({ ...to(), scheme: 'http' }, GET)).rejects.toThrow('can be met here');
  expect(up.requests).toHaveLength(before);
});

test.each([
  ['a key of another certificate', async () => ({ ...client, key: (await pair('/x', 'tls-client')).key })],
  ['no key', async () => ({ ...client, key: 'none' })],
])('%s sends nothing, and is in no message', async (_, broken) => {
  const shown = await broken();
  const before = up.requests.length;
  const failed = await dialler(() => ({ ...demanding(), client: shown }))
    .request(to(), GET)
    .catch((fault: UpstreamFault) => fault);
  expect(failed).toMatchObject({ code: 'upstream_untrusted', wasSent: false });
  expect((failed as UpstreamFault).message).not.toContain('PRIVATE');
  expect([isUsablePair(shown), isUsablePair(client), up.requests.length]).toEqual([false, true, before]);
});

test('a certificate that names another workload is refused, although its authority is the right one', async () => {
  const named = { ...demanding(), identity: 'spiffe://test.sallyport.dev/service/orders2' };
  await expect(dialler(() => named).request(to(), GET)).rejects.toMatchObject({ code: 'upstream_untrusted', wasSent: false });
});

describe('headers for the very server that has proven itself', () => {
  const ofOrders = (): UpstreamTls => ({
    authorities: [certificatePem(authority.ca.certificate)],
    identityUnder: SERVICE.slice(0, -6),
    client,
  });
  const named = (der: Uint8Array): string => readCertificate(der)?.spiffeId ?? '';

  test('are asked for with its certificate, on a new connection and on a kept one, and sent with the rest', async () => {
    const upstreams = dialler(() => ofOrders());
    const asked: string[] = [];
    const request: UpstreamRequest = {
      ...GET,
      method: 'POST',
      body: new TextEncoder().encode('{}'),
      headers: [['content-type', 'application/json']],
      headersFor: async (der) => {
        asked.push(named(der));
        return [['x-for', named(der)]];
      },
    };
    for (const _ of [1, 2]) {
      const answer = await upstreams.request(to(), request);
      for await (const part of answer.body) expect(part.length).toBeGreaterThan(0);
    }
    expect(asked).toEqual([SERVICE, SERVICE]);
    const [before, last] = up.requests.slice(-2);
    for (const seen of [before, last])
      expect([seen?.headers['x-for'], seen?.headers['content-type'], seen?.headers['content-length'], seen?.body]).toEqual([
        SERVICE,
        'application/json',
        '2',
        '{}',
      ]);
  });

  test('are not asked for where it is another, and then nothing is sent', async () => {
    const before = up.requests.length;
    const other = { ...ofOrders(), identityUnder: 'spiffe://test.sallyport.dev/service/orders/' };
    const asked: string[] = [];
    const failed = await dialler(() => other)
      .request(to(), { ...GET, headersFor: async (der) => (asked.push(named(der)), []) })
      .catch((fault: UpstreamFault) => fault);
    expect([failed, asked, up.requests.length]).toEqual([
      expect.objectContaining({ code: 'upstream_untrusted', wasSent: false }),
      [],
      before,
    ]);
  });

  test('that cannot be had keep the request back', async () => {
    const before = up.requests.length;
    const refusing = { ...GET, headersFor: async () => Promise.reject(new Error('none')) };
    await expect(dialler(() => ofOrders()).request(to(), refusing)).rejects.toThrow();
    expect(up.requests).toHaveLength(before);
  });
});
