import { once } from 'node:events';
import { request as httpsRequest } from 'node:https';
import { createServer, type RequestListener } from 'node:http';
import { connect, type Socket } from 'node:net';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as tlsConnect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { certificatePem } from '@sallyport/crypto/keys';
import type { Destination } from '@sallyport/model';
import { fakeClock, testAuthority, type FakeClock, type TestAuthority } from '@sallyport/testkit';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startHttpListener, type HttpListener, type ListenerRefusal } from './http-listener.ts';
import type { ListenerTls } from './listener-tls.ts';
import { createUpstreams } from './upstream.ts';

const cleanups: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

let authority: TestAuthority;
let stranger: TestAuthority;
beforeAll(async () => {
  authority = await testAuthority();
  stranger = await testAuthority('strangers.example');
});

let clock: FakeClock;
let refusals: ListenerRefusal[];
/** What each request's peer had shown. */
let chains: (readonly Uint8Array[])[];
beforeEach(() => {
  clock = fakeClock();
  chains = [];
  refusals = [];
});

const names = { dnsNames: ['localhost'], ipAddresses: ['127.0.0.1'] };
async function pairOf(from: TestAuthority, path = '/sidecar/triage/one'): Promise<ListenerTls> {
  const { chain, privatePem } = await from.issue(path, names);
  return { certificate: chain.map((der) => certificatePem(der)).join(''), key: privatePem };
}
const caOf = ({ ca }: TestAuthority): string => certificatePem(ca.certificate);

async function serving(more: Partial<ListenerTls> = {}): Promise<{ listener: HttpListener; port: number }> {
  const listener = await startHttpListener({
    listen: { kind: 'tcp', host: '127.0.0.1', port: 0 },
    clock,
    tls: { ...(await pairOf(authority)), ...more },
    onExchange: (exchange) => {
      chains.push(exchange.peerChain);
      return exchange.respond({ status: 200, headers: [['x-method', exchange.method]] }, Buffer.from('hello'));
    },
    onRefusal: (refusal) => void refusals.push(refusal),
    onBug: (error) => expect.unreachable(String(error)),
  });
  cleanups.push(async () => {
    const drained = listener.drain({ graceMs: 0 });
    await clock.advance(0);
    await drained;
  });
  return { listener, port: listener.address.kind === 'tcp' ? listener.address.port : 0 };
}

function get(port: number, options: object = {}): Promise<{ status: number; text: string; peer: string }> {
  return new Promise((resolve, reject) => {
    const asked = { host: '127.0.0.1', port, path: '/agents/triage', agent: false, ca: caOf(authority), ...options };
    const sent = httpsRequest(asked, (response) => {
      const peer = (response.socket as TLSSocket).getPeerX509Certificate()?.serialNumber ?? '';
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text, peer }));
    });
    sent.on('error', reject);
    sent.end();
  });
}

async function handshake(port: number, options: ConnectionOptions): Promise<string> {
  const socket = tlsConnect({ host: '127.0.0.1', port, ca: caOf(authority), ...options });
  cleanups.push(() => void socket.destroy());
  return new Promise((resolve) => {
    socket.once('secureConnect', () => resolve(`${socket.getProtocol()} ${socket.getCipher().name}`));
    socket.once('error', () => resolve('refused'));
  });
}

async function plain(port: number): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port });
  cleanups.push(() => void socket.destroy());
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

describe('a listener under TLS', () => {
  it('answers over it, and over nothing else', async () => {
    const { port } = await serving();
    expect(await get(port)).toMatchObject({ status: 200, text: 'hello' });
    const socket = await plain(port);
    socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await once(socket, 'close');
    await expect.poll(() => refusals.map(({ code }) => code)).toEqual(['handshake_failed']);
  });

  it.each<[string, ConnectionOptions, string]>([
    ['TLS 1.3', {}, 'TLSv1.3 TLS_AES_128_GCM_SHA256'],
    ['TLS 1.2 with forward secrecy', { maxVersion: 'TLSv1.2' }, 'TLSv1.2 ECDHE-ECDSA-AES128-GCM-SHA256'],
    ['TLS 1.1', { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }, 'refused'],
    ['a cipher without authentication of what it encrypts', { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA256' }, 'refused'],
    ['a protocol that is not served', { ALPNProtocols: ['spdy/3'] }, 'refused'],
  ])('and %s', async (_name, options, expected) => {
    const { port } = await serving();
    expect(await handshake(port, options)).toBe(expected);
  });

  it('slow handshake: a connection that says nothing is cut when a head would be', async () => {
    const { port } = await serving();
    const socket = await plain(port);
    const closed = once(socket, 'close');
    socket.write(Buffer.from([0x16, 0x03, 0x01]));
    await expect.poll(() => clock.timers).toBeGreaterThan(0);
    await clock.advance(10_500);
    await closed;
    expect(refusals.map(({ code, detail }) => [code, detail])).toEqual([['handshake_failed', 'the handshake took too long']]);
  });

  it('a handshake is no request: a connection that stays idle after it is closed without an answer', async () => {
    const { port } = await serving();
    const socket = tlsConnect({ host: '127.0.0.1', port, ca: caOf(authority) });
    await once(socket, 'secureConnect');
    let heard = '';
    socket.on('data', (chunk: Buffer) => (heard += chunk.toString()));
    const closed = once(socket, 'close');
    // The server's side of the handshake is over a moment after the client's.
    await new Promise((resolve) => setImmediate(resolve));
    await clock.advance(10_500);
    await closed;
    expect(heard).toBe('');
  });

  it('uses another certificate from the next connection on, and keeps what it has when the new one does not fit', async () => {
    const { listener, port } = await serving();
    const first = await get(port);
    listener.secure(await pairOf(authority));
    const second = await get(port);
    expect(second.peer).not.toBe(first.peer);
    const { certificate } = await pairOf(authority);
    const { key } = await pairOf(authority);
    expect(() => listener.secure({ certificate, key })).toThrow();
    expect((await get(port)).peer).toBe(second.peer);
  });
});

describe('a listener that asks callers for a certificate', () => {
  it.each<[string, boolean, () => Promise<object>]>([
    ['one of its authority', true, async () => clientOf(authority)],
    ['none', false, async () => ({})],
    ['one of a stranger', false, async () => clientOf(stranger)],
  ])('with %s: %s', async (_name, isServed, options) => {
    const { port } = await serving({ clientAuthorities: caOf(authority) });
    const answered = await get(port, await options()).then(
      ({ status }) => status === 200,
      () => false,
    );
    expect(answered).toBe(isServed);
    await expect.poll(() => refusals.map(({ code }) => code)).toEqual(isServed ? [] : ['handshake_failed']);
  });
});

it('a listener that asks for certificates cannot be made to ask no more, or of anybody’s authority', async () => {
  const { listener, port } = await serving({ clientAuthorities: caOf(authority) });
  const { certificate, key } = await pairOf(authority);
  expect(() => listener.secure({ certificate, key })).toThrow('a listener asks for proof from its start on, or never');
  await expect(get(port)).rejects.toThrow();
  expect(await get(port, await clientOf(authority))).toMatchObject({ status: 200 });
});

it('a connection that only looks whether anybody is there is no failure', async () => {
  const { port } = await serving();
  const socket = await plain(port);
  const closed = once(socket, 'close');
  socket.destroy();
  await closed;
  expect(await get(port)).toMatchObject({ status: 200 });
  expect(refusals).toEqual([]);
});

describe('what the peer of a request has shown', () => {
  it('is its certificate, without the root that it did not send', async () => {
    const { port } = await serving({ clientAuthorities: caOf(authority) });
    const { chain, privatePem: key } = await authority.issue('/admin/caller', names);
    const cert = chain.map((der) => certificatePem(der)).join('');
    await get(port, { cert, key });
    expect(chains.map((shown) => shown.map((der) => Buffer.from(der).toString('base64')))).toEqual([
      [Buffer.from(chain[0] ?? []).toString('base64')],
    ]);
  });

  it('is nothing where nobody was asked, or nothing is encrypted', async () => {
    const { port } = await serving();
    await get(port, await clientOf(authority));
    expect(chains).toEqual([[]]);
  });

  it('is what opened the connection: nothing is shown in a renegotiation', async () => {
    const { port } = await serving({ clientAuthorities: caOf(authority) });
    const socket = tlsConnect({ host: '127.0.0.1', port, ca: caOf(authority), ...(await clientOf(authority)), maxVersion: 'TLSv1.2' });
    cleanups.push(() => void socket.destroy());
    await once(socket, 'secureConnect');
    const outcome = new Promise<string>((resolve) => {
      socket.once('error', () => resolve('refused'));
      socket.renegotiate({}, (error) => resolve(error === null ? 'renegotiated' : 'refused'));
    });
    expect(await outcome).toBe('refused');
  });

  it.each(['TLSv1.3', 'TLSv1.2'] as const)('is shown anew on each connection: no session of %s is resumed', async (maxVersion) => {
    const { port } = await serving({ clientAuthorities: caOf(authority) });
    const client = { ...(await clientOf(authority)), maxVersion };
    const reused: boolean[] = [];
    const asked = async (session?: Buffer): Promise<Buffer | undefined> => {
      const socket = tlsConnect({ host: '127.0.0.1', port, ca: caOf(authority), ...client, ...(session === undefined ? {} : { session }) });
      cleanups.push(() => void socket.destroy());
      let kept: Buffer | undefined;
      socket.on('session', (given: Buffer) => (kept = given));
      await once(socket, 'secureConnect');
      socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
      await once(socket, 'data');
      reused.push(socket.isSessionReused());
      return kept ?? socket.getSession();
    };
    await asked(await asked());
    expect(reused).toEqual([false, false]);
  });
});

async function clientOf(from: TestAuthority): Promise<object> {
  const { certificate, key } = await pairOf(from, '/admin/caller');
  return { cert: certificate, key };
}

describe('an upstream behind a Unix socket', () => {
  const destination = { server: 'agent', scheme: 'http', host: 'localhost', port: 80, network: 'loopback' } as unknown as Destination;

  async function listeningAt(path: string, handler: RequestListener): Promise<void> {
    const server = createServer(handler);
    server.listen(path);
    await once(server, 'listening');
    cleanups.push(() => void server.close());
  }

  it('is dialled there, whatever listens at the host that its destination names', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'sallyport-up-'));
    cleanups.push(() => rmSync(dir, { recursive: true }));
    const socketPath = join(dir, 'agent.sock');
    await listeningAt(socketPath, (request, response) => response.end(`${request.headers.host} ${request.url}`));
    const upstreams = createUpstreams({ clock, socketPath });
    cleanups.push(() => upstreams.close());
    const ask = { method: 'GET', path: '/x', headers: [], signal: new AbortController().signal, bodyBytesMax: 100 };
    const answer = await upstreams.request(destination, ask);
    let text = '';
    for await (const chunk of answer.body) text += Buffer.from(chunk).toString();
    expect(text).toBe('localhost /x');
  });

  it('where nobody listens is an upstream that is not reached', async () => {
    const upstreams = createUpstreams({ clock, socketPath: join(tmpdir(), 'sallyport-nobody.sock') });
    cleanups.push(() => upstreams.close());
    const ask = { method: 'GET', path: '/x', headers: [], signal: new AbortController().signal, bodyBytesMax: 100 };
    await expect(upstreams.request(destination, ask)).rejects.toMatchObject({ code: 'upstream_unreachable', wasSent: false });
  });
});
