import { lstatSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { Agent, request as httpRequest } from 'node:http';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Fault } from '@sallyport/model';
import { fakeClock, type FakeClock } from '@sallyport/testkit';
import type { HttpExchange } from './http-exchange.ts';
import { type HttpListener, type HttpListenerOptions, type ListenerRefusal, startHttpListener } from './http-listener.ts';

const cleanups: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

let clock: FakeClock;
let refusals: ListenerRefusal[];
let bugs: unknown[];
let seen: HttpExchange[];
beforeEach(() => {
  clock = fakeClock();
  refusals = [];
  bugs = [];
  seen = [];
});

const hello = (exchange: HttpExchange): Promise<void> =>
  exchange.respond({ status: 200, headers: [['X-Answer', exchange.target]] }, Buffer.from('hello'));

async function listener(onExchange = hello, more: Partial<HttpListenerOptions> = {}): Promise<HttpListener> {
  const running = await startHttpListener({
    listen: { kind: 'tcp', host: '127.0.0.1', port: 0 },
    clock,
    onExchange: (exchange) => {
      seen.push(exchange);
      return onExchange(exchange);
    },
    onRefusal: (refusal) => {
      refusals.push(refusal);
      return '01K0000000000000000000000R';
    },
    onBug: (error) => bugs.push(error),
    ...more,
  });
  cleanups.push(async () => {
    const drained = running.drain({ graceMs: 0 });
    await clock.advance(0);
    await drained.catch(() => undefined);
  });
  return running;
}

/** A client that says exactly these bytes, and hears everything until the end. */
interface RawClient {
  readonly socket: Socket;
  say(bytes: string): void;
  /** Everything heard so far. */
  heard(): string;
  /** Waits until the answer matches. */
  until(pattern: RegExp): Promise<string>;
  /** Waits until the other side has closed. */
  closed(): Promise<string>;
}
function client(to: HttpListener): RawClient {
  const socket = to.address.kind === 'unix' ? connect(to.address.path) : connect(to.address.port, to.address.host);
  cleanups.push(() => void socket.destroy());
  let heard = '';
  let isClosed = false;
  socket.on('data', (data) => (heard += data.toString('latin1')));
  socket.on('error', () => undefined);
  socket.on('close', () => (isClosed = true));
  return {
    socket,
    say: (bytes) => void socket.write(bytes, 'latin1'),
    heard: () => heard,
    async until(pattern) {
      await expect.poll(() => heard).toMatch(pattern);
      return heard;
    },
    async closed() {
      await expect.poll(() => isClosed).toBe(true);
      return heard;
    },
  };
}
async function textOf(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}
const HEAD = 'GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n';

test('hands on the request line and the raw headers exactly as they came, and frames the answer', async () => {
  const raw = client(await listener());
  raw.say('GET /a%2Fb?c=%20#d HTTP/1.1\r\nhOsT: one\r\nX-A:  b \r\nx-a: c\r\nCookie: d\r\n\r\n');
  const answer = await raw.until(/hello$/);
  expect(seen[0]).toMatchObject({ kind: 'request', method: 'GET', target: '/a%2Fb?c=%20#d', httpVersion: '1.1' });
  expect(seen[0]?.rawHeaders).toEqual(['hOsT', 'one', 'X-A', 'b', 'x-a', 'c', 'Cookie', 'd']);
  expect(seen[0]?.address).toMatch(/^127\.0\.0\.1:\d+$/);
  expect(answer).toMatch(
    /^HTTP\/1\.1 200 OK\r\nX-Answer: \/a%2Fb\?c=%20#d\r\nContent-Length: 5\r\nDate: [^\r]+\r\nConnection: keep-alive\r\n\r\nhello$/,
  );
});

test('no header is dropped in silence, however many there are', async () => {
  const raw = client(await listener(hello, { limits: { headersMax: 5_000 } }));
  raw.say(`GET /a HTTP/1.1\r\n${'a:b\r\n'.repeat(2_500)}\r\n`);
  await raw.until(/hello$/);
  expect(seen[0]?.rawHeaders).toHaveLength(5_000);
});

test('serves one request after the other on a connection', async () => {
  const raw = client(await listener());
  raw.say(HEAD);
  await raw.until(/hello$/);
  raw.say(HEAD.replace('/a', '/b'));
  await raw.until(/X-Answer: \/b[^]*hello$/);
  expect(refusals).toEqual([]);
});

describe('what the parser refuses is answered as a problem, reported, and reaches nobody', () => {
  test.each([
    [
      'a length and chunks (request smuggling, CL.TE)',
      'POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
    ['chunks and a length (TE.CL)', 'POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n'],
    ['two lengths', 'POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!'],
    ['the same length twice', 'POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello'],
    ['a signed length', 'POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello'],
    ['a list of lengths', 'POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\nhello'],
    [
      'a length with a leading zero: eight to one reader, ten to another',
      'POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 010\r\n\r\nhellohello',
    ],
    ['an encoding after chunked', 'POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n'],
    ['an encoding that is not chunked', 'POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n'],
    ['a bare line feed after the request line', 'GET /a HTTP/1.1\nHost: a\r\n\r\n'],
    ['a bare line feed after a header', 'GET /a HTTP/1.1\r\nHost: a\nX: y\r\n\r\n'],
    ['a bare line feed as the end', 'GET /a HTTP/1.1\r\nHost: a\r\n\n'],
    ['a folded header', 'GET /a HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n'],
    ['a space before the colon', 'GET /a HTTP/1.1\r\nHost : a\r\n\r\n'],
    ['a header without a name', 'GET /a HTTP/1.1\r\n: a\r\n\r\n'],
    ['a header before which there is a space', 'GET /a HTTP/1.1\r\n Host: a\r\n\r\n'],
    ['a null byte in a value', 'GET /a HTTP/1.1\r\nHost: a\0b\r\n\r\n'],
    ['a bare carriage return in a value', 'GET /a HTTP/1.1\r\nHost: a\rX: b\r\n\r\n'],
    ['a space in the target', 'GET /a b HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['an unknown method', 'STEAL /a HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['a method in lower case', 'get /a HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['another version', 'GET /a HTTP/1.2\r\nHost: a\r\n\r\n'],
    ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['a TLS handshake', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
    ['HTTP/0.9', 'GET /a\r\n\r\n'],
    ['chunks in HTTP/1.0', 'POST /a HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['chunks twice', 'POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
  ])('%s', async (_what, bytes) => {
    const raw = client(await listener());
    raw.say(bytes);
    const answer = await raw.closed();
    expect(answer).toMatch(/^HTTP\/1\.1 400 Bad Request\r\nContent-Type: application\/problem\+json\r\n/);
    expect(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n')))).toMatchObject({
      code: 'malformed_request',
      status: 400,
      decision_id: '01K0000000000000000000000R',
      effect: 'none',
      retryable: false,
    });
    expect(refusals).toMatchObject([
      { code: 'malformed_request', status: 400, isWithinExchange: false, address: expect.stringMatching(/^127\.0\.0\.1:\d+$/) as string },
    ]);
    expect(seen).toEqual([]);
  });

  test.each([
    ['a header that is too long', `GET /a HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`],
    ['a target that is too long', `GET /${'x'.repeat(20_000)} HTTP/1.1\r\nHost: a\r\n\r\n`],
    ['too many headers', `GET /a HTTP/1.1\r\n${'X: y\r\n'.repeat(101)}\r\n`],
  ])('%s', async (_what, bytes) => {
    const raw = client(await listener());
    raw.say(bytes);
    expect(await raw.closed()).toMatch(/^HTTP\/1\.1 431 Request Header Fields Too Large\r\n[^]*"code":"headers_too_large"/);
    expect(refusals).toMatchObject([{ code: 'headers_too_large', status: 431 }]);
    expect(seen).toEqual([]);
  });
});

describe('what Node alone would accept is handed on raw, for the framing gate to refuse', () => {
  test.each([
    ['two Host headers', 'GET /a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n', { rawHeaders: ['Host', 'a', 'Host', 'b'] }],
    ['no Host header', 'GET /a HTTP/1.1\r\nX: y\r\n\r\n', { rawHeaders: ['X', 'y'] }],
    [
      'two Authorization headers',
      'GET /a HTTP/1.1\r\nAuthorization: a\r\nauthorization: b\r\n\r\n',
      { rawHeaders: ['Authorization', 'a', 'authorization', 'b'] },
    ],
    ['an absolute target that disagrees with Host', 'GET http://evil/a HTTP/1.1\r\nHost: a\r\n\r\n', { target: 'http://evil/a' }],
    ['HTTP/1.0', 'GET /a HTTP/1.0\r\nHost: a\r\n\r\n', { httpVersion: '1.0' }],
  ])('%s', async (_what, bytes, expected) => {
    const raw = client(await listener());
    raw.say(bytes);
    await raw.until(/hello$/);
    expect(seen[0]).toMatchObject(expected);
  });
});

test.each([
  [
    'CONNECT',
    'CONNECT evil.company.com:443 HTTP/1.1\r\nHost: a\r\n\r\n',
    { kind: 'connect', method: 'CONNECT', target: 'evil.company.com:443' },
  ],
  [
    'an upgrade',
    'GET /a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    { kind: 'upgrade', method: 'GET', target: '/a' },
  ],
  [
    'an upgrade to HTTP/2',
    'GET /a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n\r\n',
    { kind: 'upgrade' },
  ],
])('%s can only be answered, and that closes the connection', async (_what, bytes, expected) => {
  const raw = client(await listener((exchange) => exchange.respond({ status: 405, headers: [['Allow', 'GET']] }, Buffer.from('no'))));
  raw.say(`${bytes}GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n`);
  expect(await raw.closed()).toMatch(
    /^HTTP\/1\.1 405 Method Not Allowed\r\nAllow: GET\r\nContent-Length: 2\r\nDate: [^\r]+\r\nConnection: close\r\n\r\nno$/,
  );
  expect(seen).toHaveLength(1);
  expect(seen[0]).toMatchObject(expected);
});

describe('bodies', () => {
  const echo = async (exchange: HttpExchange): Promise<void> =>
    exchange.respond({ status: 200, headers: [] }, Buffer.from((await textOf(exchange.body())).toUpperCase()));

  test.each([
    ['with a length', 'Content-Length: 5\r\n\r\nhello'],
    ['in chunks', 'Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n'],
  ])('is read %s', async (_what, rest) => {
    const raw = client(await listener(echo));
    raw.say(`POST /a HTTP/1.1\r\nHost: a\r\n${rest}`);
    await raw.until(/HELLO$/);
    raw.say(`POST /a HTTP/1.1\r\nHost: a\r\n${rest}`);
    await raw.until(/HELLO[^]*HELLO$/);
  });

  test.each([
    ['a chunk without a length', 'Transfer-Encoding: chunked\r\n\r\nxyz\r\n'],
    ['a chunk that ends in a bare line feed', 'Transfer-Encoding: chunked\r\n\r\n3\nhel\r\n0\r\n\r\n'],
    ['a chunk longer than it says', 'Transfer-Encoding: chunked\r\n\r\n3\r\nhello\r\n0\r\n\r\n'],
  ])('%s breaks the request, once, for the reader and for the client', async (_what, rest) => {
    let failure: unknown;
    const raw = client(
      await listener(async (exchange) => {
        failure = await textOf(exchange.body()).catch((error: unknown) => error);
        await exchange.respond({ status: 200, headers: [] }).catch(() => undefined);
      }),
    );
    raw.say(`POST /a HTTP/1.1\r\nHost: a\r\n${rest}`);
    expect((await raw.closed()).match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 400']);
    expect(failure).toMatchObject({ name: 'Fault', code: 'aborted', source: 'downstream' });
    expect(refusals).toMatchObject([{ code: 'malformed_request', isWithinExchange: true }]);
  });

  test('a client that asks first is told to send only when the body is wanted', async () => {
    const running = await listener((exchange) =>
      exchange.target === '/wanted' ? echo(exchange) : exchange.respond({ status: 401, headers: [] }),
    );
    const wanted = client(running);
    wanted.say('POST /wanted HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n');
    await wanted.until(/^HTTP\/1\.1 100 Continue\r\n\r\n$/);
    wanted.say('ok');
    await wanted.until(/OK$/);
    const refused = client(running);
    refused.say('POST /no HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n');
    expect(await refused.until(/\r\n\r\n/)).toMatch(/^HTTP\/1\.1 401 Unauthorized\r\n[^]*Connection: close\r\n\r\n$/);
  });

  test('an expectation that nobody can meet is refused', async () => {
    const raw = client(await listener());
    raw.say('POST /a HTTP/1.1\r\nHost: a\r\nExpect: 200-maybe\r\nContent-Length: 2\r\n\r\n');
    expect(await raw.closed()).toMatch(/^HTTP\/1\.1 417 /);
    expect([refusals[0]?.code, seen.length]).toEqual(['expectation_failed', 0]);
  });

  test.each([
    ['its head', async () => undefined],
    ['the beginning of its body', async (exchange: HttpExchange) => exchange.body()[Symbol.asyncIterator]().next()],
  ])('a refusal after %s is heard by a client that reads only when it has sent', async (_what, read) => {
    const answered = Promise.withResolvers<void>();
    const running = await listener(async (exchange) => {
      await read(exchange);
      await exchange.respond({ status: 401, headers: [] });
      answered.resolve();
    });
    const raw = client(running);
    raw.socket.pause();
    raw.say('POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 50000000\r\n\r\nfirst');
    await answered.promise;
    // Each of these meets a closed connection, a reset, and then a broken pipe, where nobody listens any more.
    for (let i = 0; i < 10; i++) await new Promise<void>((resolve) => raw.socket.write(Buffer.alloc(500_000), () => setImmediate(resolve)));
    raw.socket.resume();
    expect(await raw.until(/\r\n\r\n$/)).toMatch(/^HTTP\/1\.1 401 /);
  });

  test('a refusal is heard by a client that is still sending, and its body is not kept', async () => {
    const running = await listener((exchange) => exchange.respond({ status: 401, headers: [] }, Buffer.from('who are you')));
    const raw = client(running);
    raw.say(`POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 50000000\r\n\r\n${'x'.repeat(1_000_000)}`);
    await raw.until(/Connection: close\r\n\r\nwho are you$/);
    raw.say('x'.repeat(1_000_000));
    // What is still sent is no next request, and the connection does not stay.
    raw.say(HEAD);
    for (let i = 0; i < 10; i++) await clock.advance(500);
    await raw.closed();
    expect(seen).toHaveLength(1);
  });

  test('a client that goes away in the middle ends the reading and the signal', async () => {
    const failed = Promise.withResolvers<unknown>();
    const aborted = Promise.withResolvers<unknown>();
    const raw = client(
      await listener(async (exchange) => {
        exchange.signal.addEventListener('abort', () => aborted.resolve(exchange.signal.reason));
        failed.resolve(await textOf(exchange.body()).catch((error: unknown) => error));
      }),
    );
    raw.say('POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhal');
    await expect.poll(() => seen.length).toBe(1);
    raw.socket.destroy();
    expect(await failed.promise).toMatchObject({ code: 'aborted' });
    expect(await aborted.promise).toMatchObject({ code: 'aborted' });
  });

  test('a body is read once', async () => {
    const raw = client(await listener());
    raw.say(HEAD);
    await raw.until(/hello/);
    const exchange = seen[0];
    if (exchange === undefined) throw new Error('no exchange');
    await textOf(exchange.body());
    await expect(textOf(exchange.body())).rejects.toThrow('read once');
  });
});

describe('answers', () => {
  test('a stream goes out as it comes, at the speed of its reader', async () => {
    const next = Promise.withResolvers<void>();
    const raw = client(
      await listener((exchange) =>
        exchange.respond(
          { status: 200, headers: [['Content-Type', 'text/event-stream']] },
          (async function* () {
            yield Buffer.from('data: 1\n\n');
            await next.promise;
            yield Buffer.from('data: 2\n\n');
          })(),
        ),
      ),
    );
    raw.say(HEAD);
    expect(await raw.until(/data: 1/)).toMatch(/Transfer-Encoding: chunked/);
    next.resolve();
    await raw.until(/data: 2\n\n\r\n0\r\n\r\n$/);
  });

  test('a stream whose client has gone is told so, and rejects the answer', async () => {
    const rejected = Promise.withResolvers<unknown>();
    let isReturned = false;
    const source = {
      [Symbol.asyncIterator]: () => ({
        next: () =>
          source.sent++ === 0 ? Promise.resolve({ done: false, value: Buffer.from('one') }) : new Promise<never>(() => undefined),
        return: () => {
          isReturned = true;
          return Promise.resolve({ done: true as const, value: undefined });
        },
      }),
      sent: 0,
    };
    const raw = client(await listener((exchange) => exchange.respond({ status: 200, headers: [] }, source).catch(rejected.resolve)));
    raw.say(HEAD);
    await raw.until(/one/);
    raw.socket.destroy();
    expect(await rejected.promise).toMatchObject({ name: 'Fault', code: 'aborted' });
    expect(isReturned).toBe(true);
  });

  test('a reader that stops reading a stream is given up, and its source told', async () => {
    const rejected = Promise.withResolvers<unknown>();
    let chunks = 0;
    let isReturned = false;
    async function* endless(): AsyncGenerator<Uint8Array, void, void> {
      try {
        for (;;) {
          chunks += 1;
          yield Buffer.alloc(1_000_000);
        }
      } finally {
        isReturned = true;
      }
    }
    const running = await listener((exchange) => exchange.respond({ status: 200, headers: [] }, endless()).catch(rejected.resolve), {
      limits: { bodyMsMax: 5_000 },
    });
    const raw = client(running);
    raw.say(HEAD);
    await raw.until(/200 OK/);
    raw.socket.pause();
    let before = -1;
    await expect.poll(() => [before, (before = chunks)].every((count) => count === chunks), { interval: 50 }).toBe(true);
    await clock.advance(4_000);
    expect(isReturned).toBe(false);
    await clock.advance(1_250);
    expect(await rejected.promise).toMatchObject({ name: 'Fault', code: 'aborted' });
    await expect.poll(() => isReturned).toBe(true);
  });

  test('a reader that is slow but reads is served to the end', async () => {
    const raw = client(
      await listener(
        (exchange) =>
          exchange.respond(
            { status: 200, headers: [] },
            (async function* () {
              for (let i = 0; i < 30; i++) {
                await clock.advance(3_000);
                yield Buffer.alloc(300_000, 'x');
              }
            })(),
          ),
        { limits: { bodyMsMax: 5_000 } },
      ),
    );
    raw.say(HEAD);
    await raw.until(/0\r\n\r\n$/);
    expect(raw.heard().length).toBeGreaterThan(9_000_000);
  });

  test('a stream that fails is cut, so that it does not look finished', async () => {
    const raw = client(
      await listener((exchange) =>
        exchange.respond(
          { status: 200, headers: [] },
          (async function* () {
            yield Buffer.from('half');
            throw new Error('upstream broke');
          })(),
        ),
      ),
    );
    raw.say(HEAD);
    expect(await raw.closed()).not.toMatch(/0\r\n\r\n$/);
    expect(bugs).toMatchObject([{ message: 'upstream broke' }]);
  });

  test.each(['Content-Length', 'transfer-encoding', 'Connection', 'Upgrade'])('a caller that writes %s has a bug', async (name) => {
    const raw = client(await listener((exchange) => exchange.respond({ status: 200, headers: [[name, 'x']] })));
    raw.say(HEAD);
    expect(await raw.closed()).toBe('');
    expect(bugs).toMatchObject([{ name: 'Bug' }]);
  });

  test('a second answer is a bug, and a value that would split the response never leaves', async () => {
    const running = await listener(async (exchange) => {
      if (exchange.target === '/split') return exchange.respond({ status: 200, headers: [['X', 'a\r\nY: b']] });
      await exchange.respond({ status: 200, headers: [] });
      return exchange.respond({ status: 500, headers: [] });
    });
    const split = client(running);
    split.say(HEAD.replace('/a', '/split'));
    expect(await split.closed()).toBe('');
    const twice = client(running);
    twice.say(HEAD);
    expect((await twice.closed()).match(/HTTP/g)).toHaveLength(1);
    expect(bugs).toHaveLength(2);
  });

  test('HEAD and 204 have no body', async () => {
    const running = await listener((exchange) =>
      exchange.respond({ status: exchange.method === 'HEAD' ? 200 : 204, headers: [] }, Buffer.from('hello')),
    );
    const raw = client(running);
    raw.say('HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n');
    expect(await raw.until(/\r\n\r\n$/)).toMatch(/Content-Length: 5/);
    raw.say(HEAD);
    expect(await raw.until(/204 No Content[^]*\r\n\r\n$/)).not.toMatch(/hello|204[^]*Content-Length/);
  });

  test('an exchange that is cut says nothing more', async () => {
    const raw = client(await listener(async (exchange) => exchange.cut()));
    raw.say(HEAD);
    expect(await raw.closed()).toBe('');
  });
});

describe('waiting', () => {
  /** What was said before on other connections has been read: a later request has its answer. */
  const arrived = async (running: HttpListener): Promise<void> => {
    const fence = client(running);
    fence.say(HEAD);
    await fence.until(/hello$/);
    fence.socket.destroy();
  };
  const advance = async (ms: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed += 250) await clock.advance(250);
  };

  test('slowloris: a head that never ends is given up, answered and reported', async () => {
    const running = await listener();
    const raw = client(running);
    raw.say('GET /a HTTP/1.1\r\nHost: a\r\nX');
    await arrived(running);
    await advance(9_000);
    expect(refusals).toEqual([]);
    await advance(2_000);
    expect(await raw.until(/\r\n\r\n/)).toMatch(/^HTTP\/1\.1 408 /);
    expect(refusals).toMatchObject([{ code: 'head_timeout', status: 408, isWithinExchange: false }]);
    await advance(3_000);
    await raw.closed();
  });

  test('slowloris: a body that never ends is given up, and its reader told', async () => {
    const failed = Promise.withResolvers<unknown>();
    const raw = client(await listener(async (exchange) => failed.resolve(await textOf(exchange.body()).catch((error: unknown) => error))));
    raw.say('POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhal');
    await expect.poll(() => seen.length).toBe(1);
    await advance(61_000);
    expect(await raw.until(/\r\n\r\n/)).toMatch(/^HTTP\/1\.1 408 /);
    expect(await failed.promise).toMatchObject({ code: 'aborted' });
    expect(refusals).toMatchObject([{ code: 'body_timeout', isWithinExchange: true }]);
  });

  test('a handler may take as long as it likes over a whole request', async () => {
    const answer = Promise.withResolvers<void>();
    const raw = client(await listener((exchange) => answer.promise.then(() => hello(exchange))));
    raw.say(HEAD);
    await expect.poll(() => seen.length).toBe(1);
    await advance(120_000);
    answer.resolve();
    await raw.until(/hello$/);
  });

  test('a connection that says nothing, at first or after an answer, is closed without a word', async () => {
    const running = await listener();
    const [silent, served] = [client(running), client(running)];
    served.say(HEAD);
    await served.until(/hello$/);
    await advance(10_500);
    expect(await silent.closed()).toBe('');
    await advance(20_000);
    await served.closed();
    expect(refusals).toEqual([]);
  });

  test('a second head that never ends is given up too', async () => {
    const running = await listener();
    const raw = client(running);
    raw.say(HEAD);
    await raw.until(/hello$/);
    raw.say('GET /b HT');
    await arrived(running);
    await advance(31_000);
    expect(await raw.until(/408/)).toMatch(/hello[^]*HTTP\/1\.1 408 /);
    expect(refusals).toMatchObject([{ code: 'head_timeout', isWithinExchange: false }]);
  });
});

test('pipelining: a second request before the first was answered is never taken, and the connection ends with the first answer', async () => {
  const answer = Promise.withResolvers<void>();
  const raw = client(await listener((exchange) => answer.promise.then(() => hello(exchange))));
  raw.say(`${HEAD}${HEAD.replace('/a', '/b')}${HEAD.replace('/a', '/c')}`);
  await expect.poll(() => refusals.length).toBe(1);
  answer.resolve();
  const heard = await raw.closed();
  expect(heard.match(/X-Answer: \S+/g)).toEqual(['X-Answer: /a']);
  expect(heard).toMatch(/Connection: close/);
  expect(refusals).toMatchObject([{ code: 'pipelined', status: 0, isWithinExchange: false }]);
  expect(seen).toHaveLength(1);
});

test('more connections than allowed are closed at once and reported', async () => {
  const running = await listener(hello, { limits: { connectionsMax: 2 } });
  const [one, two] = [client(running), client(running)];
  one.say(HEAD);
  two.say(HEAD);
  await Promise.all([one.until(/hello/), two.until(/hello/)]);
  expect(await client(running).closed()).toBe('');
  expect(refusals).toMatchObject([{ code: 'connections_exceeded' }]);
  one.socket.destroy();
  await one.closed();
  const three = client(running);
  three.say(HEAD);
  await three.until(/hello/);
});

test('what a handler throws cuts the connection and is reported as a bug, not told to the client', async () => {
  const raw = client(await listener(() => Promise.reject(new Error('secret detail'))));
  raw.say(HEAD);
  expect(await raw.closed()).toBe('');
  expect(bugs).toMatchObject([{ message: 'secret detail' }]);
});

describe('drain', () => {
  test('closes what is idle, lets what runs end, and takes no more', async () => {
    const answer = Promise.withResolvers<void>();
    const running = await listener((exchange) =>
      exchange.target === '/slow' ? answer.promise.then(() => hello(exchange)) : hello(exchange),
    );
    const [idle, silent, busy] = [client(running), client(running), client(running)];
    idle.say(HEAD);
    await idle.until(/hello/);
    busy.say(HEAD.replace('/a', '/slow'));
    await expect.poll(() => seen.length).toBe(2);
    const drained = running.drain({ graceMs: 5_000 });
    await Promise.all([idle.closed(), silent.closed()]);
    const late = client(running);
    await late.closed();
    answer.resolve();
    expect(await busy.closed()).toMatch(/Connection: close\r\n\r\nhello$/);
    await drained;
    expect(late.heard()).toBe('');
    await clock.advance(1_000);
    expect(clock.timers).toBe(0);
  });

  test('cuts what is left when the grace is over, and aborts its signal', async () => {
    const running = await listener(() => new Promise(() => undefined));
    const busy = client(running);
    busy.say(HEAD);
    await expect.poll(() => seen.length).toBe(1);
    const signal = seen[0]?.signal;
    const drained = running.drain({ graceMs: 5_000 });
    await clock.advance(4_999);
    expect(signal?.aborted).toBe(false);
    await clock.advance(1);
    await drained;
    expect(await busy.closed()).toBe('');
    expect(signal?.reason as Fault | undefined).toMatchObject({ code: 'aborted' });
  });
});

describe('a Unix socket', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'sallyport-listen-'));
    cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
  });
  const at = (path: string): Partial<HttpListenerOptions> => ({ listen: { kind: 'unix', path } });

  test('is its owner’s alone from the first moment, in an open folder and whatever the process allows for files', async () => {
    const before = process.umask(0);
    cleanups.push(() => void process.umask(before));
    const path = join(folder, 'agent.sock');
    // Binding makes the file: what mode it has then is what others find until somebody changes it.
    const opened = listener(hello, at(path));
    await expect.poll(() => lstatSync(path, { throwIfNoEntry: false })?.mode, { interval: 0 }).toBeDefined();
    expect(statSync(path).mode & 0o777).toBe(0o600);
    await opened;
    expect(process.umask()).toBe(0);
  });

  test('is for its owner alone, in a folder for its owner alone', async () => {
    const path = join(folder, 'run/agent.sock');
    const raw = client(await listener(hello, at(path)));
    raw.say(HEAD);
    await raw.until(/hello$/);
    expect([statSync(join(folder, 'run')).mode & 0o777, statSync(path).mode & 0o777]).toEqual([0o700, 0o600]);
    expect(seen[0]?.address).toBe('');
  });

  test('takes the place of one that a dead process left, not of a living one, nor of a file', async () => {
    const path = join(folder, 'agent.sock');
    const dead = createServer().listen(path);
    await new Promise<void>((resolve) => dead.once('listening', () => resolve()));
    await expect(listener(hello, at(path))).rejects.toMatchObject({ code: 'listen_failed' });
    // As after a kill: the socket stays, nobody listens.
    await new Promise<void>((resolve) => dead.close(() => resolve()));
    await listener(hello, at(path));
    writeFileSync(join(folder, 'file'), 'precious');
    await expect(listener(hello, at(join(folder, 'file')))).rejects.toThrow('no socket');
  });
});

test('a port that is taken is a fault that names it', async () => {
  const running = await listener();
  await expect(listener(hello, { listen: running.address })).rejects.toMatchObject({ code: 'listen_failed', source: 'internal' });
});

test("an ordinary client's keep-alive works over many requests", async () => {
  const running = await listener(async (exchange) =>
    exchange.respond({ status: 200, headers: [] }, Buffer.from(await textOf(exchange.body()))),
  );
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  cleanups.push(() => agent.destroy());
  const port = running.address.kind === 'tcp' ? running.address.port : 0;
  const large = 'x'.repeat(300_000);
  for (let i = 0; i < 20; i++) {
    const body = await new Promise<string>((resolve, reject) => {
      const outgoing = httpRequest({ agent, host: '127.0.0.1', port, method: 'POST' }, (incoming) => {
        let text = '';
        incoming.on('data', (chunk) => (text += String(chunk)));
        incoming.on('end', () => resolve(text));
      });
      outgoing.on('error', reject);
      outgoing.end(large);
    });
    expect(body.length).toBe(large.length);
  }
  expect(refusals).toEqual([]);
});
