import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Destination, Instant, ServerName } from '@sallyport/model';
import { certificatePem } from '@sallyport/crypto/keys';
import { fakeClock, type FakeClock, testAuthority, type TestAuthority } from '@sallyport/testkit';
import { systemClock } from '@sallyport/runtime';
import { createUpstreams, type UpstreamAnswer, type UpstreamOptions, type UpstreamRequest, type Upstreams } from './upstream.ts';
import type { UpstreamFault } from './upstream-fault.ts';

/** OpenSSL reads the machine's clock, so certificates are made for it. */
const realNow = (): Instant => systemClock().wall();

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

async function listening(server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return (server.address() as AddressInfo).port;
}
const http = (listener: RequestListener): Promise<number> => listening(createHttpServer(listener));
/** An upstream that says these bytes, whatever it is asked, then does as told. */
const raw = (answer: string, then: (socket: Socket) => void = () => undefined): Promise<number> =>
  listening(
    createTcpServer((socket) => {
      socket.once('data', () => socket.write(answer, () => then(socket)));
    }),
  );

let clock: FakeClock;
function upstreams(options: Partial<UpstreamOptions> = {}): Upstreams {
  clock = fakeClock();
  const pool = createUpstreams({ clock, ...options });
  closers.push(() => pool.close());
  return pool;
}
const to = (port: number, more: Partial<Destination> = {}): Destination => ({
  server: 'orders' as ServerName,
  scheme: 'http',
  host: '127.0.0.1',
  port,
  network: 'loopback',
  ...more,
});
const never = new AbortController().signal;
const pairs = (raw: readonly string[]): string[] => raw.flatMap((name, i) => (i % 2 === 0 ? [`${name}: ${raw[i + 1]}`] : []));
const get = (more: Partial<UpstreamRequest> = {}): UpstreamRequest => ({
  method: 'GET',
  path: '/orders?limit=5',
  headers: [],
  signal: never,
  bodyBytesMax: 1_000_000,
  ...more,
});
async function textOf(answer: UpstreamAnswer): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of answer.body) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}
/** The fault of a call that must fail; anything else is the test's own failure. */
async function fault(call: Promise<unknown>): Promise<Pick<UpstreamFault, 'code' | 'wasSent' | 'message' | 'source'>> {
  const { code, wasSent, message, source } = await call.then(
    () => {
      throw new Error('the call succeeded');
    },
    (error: UpstreamFault) => error,
  );
  return { code, wasSent, message, source };
}
/** Moves the clock until the promise settles: for waits that begin only once a real socket has done something. */
async function advancing<T>(promise: Promise<T>, stepMs: number): Promise<T> {
  let isSettled = false;
  const settled = promise.finally(() => (isSettled = true));
  settled.catch(() => undefined);
  const isWaiting = (): boolean => !isSettled;
  for (let steps = 0; isWaiting() && steps < 1_000; steps++) await clock.advance(stepMs);
  return settled;
}

test('an answer that is let go of frees its place at once', async () => {
  const port = await http((_, response) => response.end('no'));
  const pool = upstreams({ limits: { inFlightMax: 1 } });
  for (let i = 0; i < 5; i++) (await pool.request(to(port), get())).discard();
});

test('sends exactly the method, path, headers and bytes it was given, and its own framing', async () => {
  let seen: unknown;
  const port = await http((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      seen = { line: `${request.method} ${request.url}`, headers: pairs(request.rawHeaders), body: Buffer.concat(chunks).toString() };
      response.writeHead(201, [
        ['X-One', 'a'],
        ['x-one', 'b'],
      ]);
      response.end('done');
    });
  });
  const headers = [
    ['Content-Type', 'application/json'],
    ['X-Twice', '1'],
    ['x-twice', '2'],
  ] as const;
  const answer = await upstreams().request(to(port), get({ method: 'POST', path: '/a%2Fb?c=%20', headers, body: Buffer.from('{"a":1}') }));
  expect(seen).toEqual({
    line: 'POST /a%2Fb?c=%20',
    headers: [
      `Host: 127.0.0.1:${port}`,
      'Content-Type: application/json',
      'X-Twice: 1',
      'x-twice: 2',
      'Accept-Encoding: identity',
      'Content-Length: 7',
      'Connection: keep-alive',
    ],
    body: '{"a":1}',
  });
  expect(answer.status).toBe(201);
  expect(answer.rawHeaders.slice(0, 4)).toEqual(['X-One', 'a', 'x-one', 'b']);
  expect(await textOf(answer)).toBe('done');
});

test.each([
  'Host',
  'content-length',
  'Transfer-Encoding',
  'Connection',
  'Upgrade',
  'TE',
  'Proxy-Authorization',
  'Accept-Encoding',
  'Expect',
])('a caller that writes %s has a bug, and nothing is dialled', async (name) => {
  let connections = 0;
  const port = await http(() => (connections += 1));
  await expect(upstreams().request(to(port), get({ headers: [[name, 'x']] }))).rejects.toThrow("the dialler's own header");
  expect(connections).toBe(0);
});

test('a header or path that would smuggle a line is refused before anything is dialled', async () => {
  let connections = 0;
  const port = await http(() => (connections += 1));
  await expect(upstreams().request(to(port), get({ headers: [['X-A', 'b\r\nX-C: d']] }))).rejects.toThrow();
  await expect(upstreams().request(to(port), get({ path: '/a b' }))).rejects.toThrow();
  await expect(upstreams().request(to(port), get({ path: 'http://other/' }))).rejects.toThrow('origin form');
  expect(connections).toBe(0);
});

test('no header of an answer is dropped in silence, however many there are', async () => {
  const port = await raw(`HTTP/1.1 200 OK\r\nContent-Length: 0\r\n${'a:b\r\n'.repeat(2_500)}\r\n`);
  const answer = await upstreams({ limits: { headersMax: 5_000 } }).request(to(port), get());
  expect(answer.rawHeaders).toHaveLength(5_002);
  answer.discard();
});

test('keeps a connection for the next call, and drops it when the destination changes', async () => {
  const ports: (number | undefined)[] = [];
  const port = await http((request, response) => {
    ports.push(request.socket.remotePort);
    response.end('ok');
  });
  const pool = upstreams();
  await textOf(await pool.request(to(port), get()));
  await textOf(await pool.request(to(port), get()));
  await textOf(await pool.request(to(port, { host: 'localhost' }), get()));
  expect(ports[1]).toBe(ports[0]);
  expect(ports[2]).not.toBe(ports[0]);
});

describe('which addresses are dialled', () => {
  test.each([
    ['a private address behind a public name', 'public', '10.0.0.1'],
    ['loopback behind a public name', 'public', '127.0.0.1'],
    ['the metadata service behind a private name', 'private', '169.254.169.254'],
    ['an IPv4-mapped address', 'public', '::ffff:127.0.0.1'],
    ['loopback behind a private name', 'private', '127.0.0.1'],
    ['a public address behind a loopback name', 'loopback', '93.184.216.34'],
  ] as const)('%s is refused', async (_what, network, address) => {
    const pool = upstreams({ resolve: async () => [address] });
    const failed = await fault(pool.request(to(1, { host: 'api.company.com', network }), get()));
    expect(failed).toMatchObject({ code: 'upstream_untrusted', wasSent: false, source: 'upstream' });
    expect(failed.message).toContain(address);
  });

  test('one bad address among good ones refuses them all', async () => {
    const pool = upstreams({ resolve: async () => ['93.184.216.34', '10.0.0.1'] });
    expect(await fault(pool.request(to(1, { host: 'api.company.com', network: 'public' }), get()))).toMatchObject({
      code: 'upstream_untrusted',
    });
  });

  test('a literal host is judged although nothing resolves it', async () => {
    expect(await fault(upstreams().request(to(1, { host: '127.0.0.1', network: 'public' }), get()))).toMatchObject({
      code: 'upstream_untrusted',
    });
    expect(await fault(upstreams().request(to(1, { host: '[::1]', network: 'private' }), get()))).toMatchObject({
      code: 'upstream_untrusted',
    });
  });

  test('DNS rebinding: the address that was judged is the one that is dialled; a second answer is never asked for', async () => {
    let asked = 0;
    const port = await http((_request, response) => response.end('the judged one'));
    const pool = upstreams({
      resolve: async () => {
        asked += 1;
        return asked === 1 ? ['127.0.0.1'] : ['10.0.0.1'];
      },
    });
    const rebinding = to(port, { host: 'rebind.company.com' });
    expect(await textOf(await pool.request(rebinding, get()))).toBe('the judged one');
    expect(asked).toBe(1);
    // The kept-alive connection goes to the judged address still; a new one asks anew and is refused.
    expect(await textOf(await pool.request(rebinding, get()))).toBe('the judged one');
    const fresh = { ...rebinding, server: 'other' as ServerName };
    expect(await fault(pool.request(fresh, get()))).toMatchObject({ code: 'upstream_untrusted' });
    expect(asked).toBe(2);
  });

  test.each([
    ['a name that does not resolve', () => Promise.reject(new Error('ENOTFOUND'))],
    ['a name without addresses', async () => []],
    ['a name with more addresses than anyone has', async () => Array.from({ length: 65 }, () => '127.0.0.1')],
  ])('%s is unreachable', async (_what, resolve) => {
    const failed = await fault(upstreams({ resolve }).request(to(1, { host: 'api.company.com' }), get()));
    expect(failed).toMatchObject({ code: 'upstream_unreachable', wasSent: false });
  });
});

describe('what is not done for an upstream', () => {
  test('a redirect is an answer, and is not followed', async () => {
    let asked = 0;
    const port = await http((_request, response) => {
      asked += 1;
      response.writeHead(302, { Location: 'http://169.254.169.254/latest/meta-data/' });
      response.end();
    });
    const answer = await upstreams().request(to(port), get());
    expect([answer.status, await textOf(answer), asked]).toEqual([302, '', 1]);
  });

  test('an encoded answer is reported, not decoded', async () => {
    const body = gzipSync('{"a":1}');
    const port = await http((_request, response) => {
      response.writeHead(200, { 'Content-Encoding': 'GZip' });
      response.end(body);
    });
    const answer = await upstreams().request(to(port), get());
    const chunks: Uint8Array[] = [];
    for await (const chunk of answer.body) chunks.push(chunk);
    expect([answer.contentEncoding, Buffer.concat(chunks).equals(body)]).toEqual(['gzip', true]);
  });

  test('a proxy of the environment is not used', async () => {
    const before = process.env['http_proxy'];
    process.env['http_proxy'] = 'http://127.0.0.1:1';
    try {
      const port = await http((_request, response) => response.end('direct'));
      expect(await textOf(await upstreams().request(to(port), get()))).toBe('direct');
    } finally {
      if (before === undefined) delete process.env['http_proxy'];
      else process.env['http_proxy'] = before;
    }
  });

  test('switching protocols unasked is a broken protocol', async () => {
    const port = await raw('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n');
    expect(await fault(upstreams().request(to(port), get()))).toMatchObject({ code: 'upstream_protocol', wasSent: true });
  });
});

describe('an answer that breaks', () => {
  const chunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n';
  test('the connection ends in the middle of a body with a length', async () => {
    const port = await raw('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello', (socket) => socket.destroySoon());
    const answer = await upstreams().request(to(port), get());
    expect(await fault(textOf(answer))).toMatchObject({ code: 'upstream_protocol', wasSent: true });
  });
  test('the connection ends in the middle of a chunked body', async () => {
    const port = await raw(chunked, (socket) => socket.destroySoon());
    expect(await fault(textOf(await upstreams().request(to(port), get())))).toMatchObject({ code: 'upstream_protocol' });
  });
  test('nobody listens: proof that nothing was sent', async () => {
    const port = await http(() => undefined);
    closers.splice(0).forEach((close) => close());
    expect(await fault(upstreams().request(to(port), get({ method: 'POST' })))).toMatchObject({
      code: 'upstream_unreachable',
      wasSent: false,
    });
  });
  test('the connection ends without an answer: the request may have been carried out', async () => {
    const port = await raw('', (socket) => socket.destroy());
    expect(await fault(upstreams().request(to(port), get({ method: 'POST' })))).toMatchObject({
      code: 'upstream_unreachable',
      wasSent: true,
    });
  });
  test.each([
    ['garbage', 'SSH-2.0-OpenSSH_9.6\r\n'],
    ['a length and chunks', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!'],
    ['a head without end', `HTTP/1.1 200 OK\r\nX-A: ${'a'.repeat(40_000)}`],
    ['too many headers', `HTTP/1.1 200 OK\r\n${'A: b\r\n'.repeat(201)}\r\n`],
    ['interim answers without end', 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(20)],
    ['a bare line feed in the head', 'HTTP/1.1 200 OK\nContent-Length: 0\n\n'],
  ])('%s', async (_what, answer) => {
    const port = await raw(answer);
    expect(await fault(upstreams().request(to(port), get()))).toMatchObject({ code: 'upstream_protocol', wasSent: true });
  });
  test('a body longer than was asked for', async () => {
    const port = await http((_request, response) => response.end('x'.repeat(1_001)));
    const answer = await upstreams().request(to(port), get({ bodyBytesMax: 1_000 }));
    expect(await fault(textOf(answer))).toMatchObject({ code: 'upstream_too_large', wasSent: true });
  });
});

describe('waiting', () => {
  test('an upstream that never answers is given up in time, not before', async () => {
    const port = await raw('');
    const call = fault(upstreams({ limits: { firstByteMsMax: 30_000 } }).request(to(port), get()));
    expect(await advancing(call, 1_000)).toMatchObject({ code: 'upstream_timeout', wasSent: true });
    expect(clock.boot()).toBeGreaterThanOrEqual(1_030_000);
  });
  test('an answer that stops is given up', async () => {
    const port = await raw('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello');
    const answer = await upstreams().request(to(port), get({ idleMsMax: 7_000 }));
    expect(await advancing(fault(textOf(answer)), 500)).toMatchObject({ code: 'upstream_timeout', wasSent: true });
  });
  test('the time that our own reader takes does not count as silence', async () => {
    let finish = (): void => undefined;
    const port = await http((_request, response) => {
      response.write('one ');
      finish = () => response.end('two');
    });
    const answer = await upstreams().request(to(port), get({ idleMsMax: 1_000 }));
    let text = '';
    for await (const chunk of answer.body) {
      text += Buffer.from(chunk).toString();
      await clock.advance(60_000);
      finish();
    }
    expect(text).toBe('one two');
  });
  test('a name that takes for ever to resolve is given up, and nothing was sent', async () => {
    const pool = upstreams({ resolve: () => new Promise(() => undefined) });
    const failed = await advancing(fault(pool.request(to(1, { host: 'slow.company.com' }), get())), 500);
    expect(failed).toMatchObject({ code: 'upstream_timeout', wasSent: false });
  });
  test('a caller that goes away cuts the call, before the answer and in it', async () => {
    let cut = 0;
    const port = await http((request, response) => {
      request.socket.on('close', () => (cut += 1));
      if (request.url === '/stream') response.write('first');
    });
    const pool = upstreams();
    const gone = new AbortController();
    const waiting = fault(pool.request(to(port), get({ signal: gone.signal })));
    await clock.advance(10);
    gone.abort();
    expect(await waiting).toMatchObject({ code: 'aborted' });
    const goneLater = new AbortController();
    const answer = await pool.request(to(port), get({ path: '/stream', signal: goneLater.signal }));
    const reading = fault(textOf(answer));
    await clock.advance(10);
    goneLater.abort();
    expect(await reading).toMatchObject({ code: 'aborted', wasSent: true });
    await expect.poll(() => cut).toBe(2);
    expect(await fault(pool.request(to(port), get({ signal: gone.signal })))).toMatchObject({ code: 'aborted', wasSent: false });
  });
  test('one call more than may be under way is refused, and a place is free again after any end', async () => {
    let held: (() => void)[] = [];
    const port = await http((_request, response) => held.push(() => response.end('ok')));
    const pool = upstreams({ limits: { inFlightMax: 2 } });
    const [one, two] = [pool.request(to(port), get()), pool.request(to(port), get())];
    expect(await fault(pool.request(to(port), get()))).toMatchObject({ code: 'upstream_unreachable', wasSent: false });
    await expect.poll(() => held.length).toBe(2);
    for (const answer of held.splice(0)) answer();
    (await one).discard();
    await textOf(await two);
    const later = [pool.request(to(port), get()), pool.request(to(port), get())];
    await expect.poll(() => held.length).toBe(2);
    for (const answer of held) answer();
    held = [];
    for (const answer of await Promise.all(later)) expect(await textOf(answer)).toBe('ok');
  });
});

describe('a kept-alive connection that the server has closed', () => {
  /** Answers the first request of a connection and resets it at the second. */
  const closing = (seen: string[]): Promise<number> =>
    listening(
      createTcpServer((socket) => {
        let requests = 0;
        socket.on('data', (data) => {
          requests += 1;
          seen.push(data.toString().split(' ')[0] ?? '');
          if (requests === 1) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
          else socket.resetAndDestroy();
        });
      }),
    );
  test('a read is sent once more, on a new connection', async () => {
    const seen: string[] = [];
    const port = await closing(seen);
    const pool = upstreams();
    await textOf(await pool.request(to(port), get()));
    expect(await textOf(await pool.request(to(port), get({ onlyReads: true })))).toBe('ok');
    expect(seen).toEqual(['GET', 'GET', 'GET']);
  });
  test('a GET that nobody says only reads is not', async () => {
    const seen: string[] = [];
    const port = await closing(seen);
    const pool = upstreams();
    await textOf(await pool.request(to(port), get()));
    expect(await fault(pool.request(to(port), get()))).toMatchObject({ code: 'upstream_unreachable', wasSent: true });
    expect(seen).toEqual(['GET', 'GET']);
  });
  test('a write is not: it may have been carried out', async () => {
    const seen: string[] = [];
    const port = await closing(seen);
    const pool = upstreams();
    await textOf(await pool.request(to(port), get()));
    expect(await fault(pool.request(to(port), get({ method: 'POST' })))).toMatchObject({ code: 'upstream_unreachable', wasSent: true });
    expect(seen).toEqual(['GET', 'POST']);
  });
});

describe('response queue poisoning', () => {
  const answerOf = (text: string): string => `HTTP/1.1 200 OK\r\nContent-Length: ${text.length}\r\n\r\n${text}`;

  /** Answers each request with its path, and the first one's connection with an answer more. */
  async function chatty(surplus: (socket: Socket) => void): Promise<{ port: number; spoken: Promise<void> }> {
    const { promise: spoken, resolve } = Promise.withResolvers<void>();
    const port = await listening(
      createTcpServer((socket) => {
        socket.on('data', (data) => {
          const path = /^GET (\S+)/.exec(data.toString())?.[1] ?? '';
          if (path !== '/first') socket.write(answerOf(path));
          else {
            surplus(socket);
            resolve();
          }
        });
      }),
    );
    return { port, spoken };
  }

  test.each<[string, (socket: Socket) => void]>([
    ['at once', (socket) => socket.write(answerOf('/first') + answerOf('/surplus'))],
    ['a moment later', (socket) => socket.write(answerOf('/first'), () => setImmediate(() => socket.write(answerOf('/surplus'))))],
    ['a while later', (socket) => socket.write(answerOf('/first'), () => setTimeout(() => socket.write(answerOf('/surplus')), 20))],
    ['in pieces', (socket) => socket.write(answerOf('/first'), () => setTimeout(() => socket.write('H'), 20))],
  ])('what a server says %s beyond what it was asked is nobody’s answer', async (_, surplus) => {
    const { port, spoken } = await chatty(surplus);
    const pool = upstreams();
    await pool.request(to(port), get({ path: '/first' })).then(textOf, () => undefined);
    await spoken;
    // The surplus comes while the connection is idle.
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(await textOf(await pool.request(to(port), get({ path: '/second' })))).toBe('/second');
  });

  test('a pool that keeps no connection asks each time on another one', async () => {
    let connections = 0;
    const port = await listening(
      createTcpServer((socket) => {
        connections += 1;
        socket.on('data', () => socket.write(answerOf('ok')));
      }),
    );
    const pool = upstreams({ limits: { idleConnectionsMax: 0 } });
    for (let i = 0; i < 3; i++) expect(await textOf(await pool.request(to(port), get()))).toBe('ok');
    expect(connections).toBe(3);
  });
});

describe('TLS', () => {
  let authority: TestAuthority;
  beforeAll(async () => {
    authority = await testAuthority();
  });
  const https = async (dnsNames: readonly string[], more: object = {}): Promise<number> => {
    const material = await authority.issue('/control-plane', { usage: 'tls-server', dnsNames, ...more });
    const cert = material.chain.map(certificatePem).join('');
    return listening(createHttpsServer({ cert, key: material.privatePem }, (_request, response) => response.end('secret')));
  };
  const resolve = async (): Promise<string[]> => ['127.0.0.1'];
  const secure = (port: number): Destination => to(port, { scheme: 'https', host: 'api.company.com' });
  const trusting = (): Partial<UpstreamOptions> => ({ resolve, authorities: [certificatePem(authority.ca.certificate)] });

  test('the name that was declared is the name that must be proven', async () => {
    const port = await https(['api.company.com']);
    const pool = upstreams(trusting());
    expect(await textOf(await pool.request(secure(port), get()))).toBe('secret');
    expect(await textOf(await pool.request(secure(port), get()))).toBe('secret');
  });
  test.each([
    ['another name', ['evil.company.com'], {}, true],
    ['an unknown authority', ['api.company.com'], {}, false],
    ['an expired certificate', ['api.company.com'], { notAfter: realNow() - 1_000, notBefore: realNow() - 9_000 }, true],
  ] as const)('%s is untrusted, and nothing was sent', async (_what, names, more, isTrusted) => {
    const port = await https(names, more);
    const failed = await fault(upstreams(isTrusted ? trusting() : { resolve }).request(secure(port), get({ method: 'POST' })));
    expect(failed).toMatchObject({ code: 'upstream_untrusted', wasSent: false });
  });
  test('a server that speaks no TLS is untrusted', async () => {
    const port = await raw('HTTP/1.1 200 OK\r\n\r\n');
    expect(await fault(upstreams(trusting()).request(secure(port), get()))).toMatchObject({ code: 'upstream_untrusted', wasSent: false });
  });
  test('NODE_TLS_REJECT_UNAUTHORIZED cannot switch verification off', async () => {
    const port = await https(['api.company.com']);
    const before = process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
    process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
    try {
      expect(await fault(upstreams({ resolve }).request(secure(port), get()))).toMatchObject({ code: 'upstream_untrusted' });
    } finally {
      if (before === undefined) delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
      else process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = before;
    }
  });
});
