import { certificatePem } from '@sallyport/crypto/keys';
import type { Destination, ServerName } from '@sallyport/model';
import { fakeClock, recordingUpstream, testAuthority, type RecordingUpstream, type TestAuthority } from '@sallyport/testkit';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
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

function dialler(tls?: TlsOf): Upstreams {
  const made = createUpstreams({ clock: fakeClock(), ...(tls === undefined ? {} : { tls }) });
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
