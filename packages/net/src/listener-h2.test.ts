/** HTTP/2 on the port that callers reach: the same exchanges as over HTTP/1.1, and what only this protocol lets a client try. */

import { once } from 'node:events';
import { connect as h2Connect, type ClientHttp2Session, type ClientHttp2Stream, type OutgoingHttpHeaders } from 'node:http2';
import { connect as tlsConnect, type TLSSocket } from 'node:tls';
import { certificatePem } from '@sallyport/crypto/keys';
import { fakeClock, testAuthority, type FakeClock, type TestAuthority } from '@sallyport/testkit';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { HttpExchange } from './http-exchange.ts';
import { HTTP_LIMITS, startHttpListener, type HttpLimits, type HttpListener, type ListenerRefusal } from './http-listener.ts';
import { FLAG, FRAME, PREFACE, frame, headerBlock, headersFrame, readFrames, type ReceivedFrame } from './testing/h2-frames.ts';

const cleanups: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

let authority: TestAuthority;
beforeAll(async () => {
  authority = await testAuthority();
});

let clock: FakeClock;
let refusals: ListenerRefusal[];
let seen: HttpExchange[];
beforeEach(() => {
  clock = fakeClock();
  refusals = [];
  seen = [];
});

type Handler = (exchange: HttpExchange) => Promise<void>;
const hello: Handler = (exchange) => exchange.respond({ status: 200, headers: [['X-Method', exchange.method]] }, Buffer.from('hello'));

async function serving(handler: Handler = hello, limits: Partial<HttpLimits> = {}): Promise<{ listener: HttpListener; port: number }> {
  const { chain, privatePem } = await authority.issue('/sidecar/triage/one', { dnsNames: ['localhost'] });
  const listener = await startHttpListener({
    listen: { kind: 'tcp', host: '127.0.0.1', port: 0 },
    clock,
    limits,
    tls: { certificate: chain.map((der) => certificatePem(der)).join(''), key: privatePem },
    onExchange: async (exchange) => {
      seen.push(exchange);
      await handler(exchange).catch(() => undefined);
    },
    onRefusal: (refusal) => {
      refusals.push(refusal);
      return 'decision-1';
    },
    onBug: (error) => expect.unreachable(String(error)),
  });
  cleanups.push(async () => {
    const drained = listener.drain({ graceMs: 0 });
    await clock.advance(0);
    await drained;
  });
  return { listener, port: listener.address.kind === 'tcp' ? listener.address.port : 0 };
}

async function client(port: number): Promise<ClientHttp2Session> {
  const session = h2Connect(`https://localhost:${port}`, { ca: certificatePem(authority.ca.certificate) });
  session.on('error', () => undefined);
  cleanups.push(() => session.destroy());
  await once(session, 'connect');
  return session;
}

interface Got {
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
  /** Of the stream's end: 0 where it ended as it should. */
  readonly code: number;
}

function answerTo(stream: ClientHttp2Stream): Promise<Got> {
  return new Promise((resolve) => {
    let [headers, text]: [Readonly<Record<string, unknown>>, string] = [{}, ''];
    stream.on('response', (given) => (headers = given));
    stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
    stream.on('error', () => undefined);
    stream.on('close', () => resolve({ headers, text, code: stream.rstCode ?? 0 }));
  });
}

function ask(session: ClientHttp2Session, headers: OutgoingHttpHeaders = {}, body?: string): Promise<Got> {
  const stream = session.request({ ':path': '/agents/triage', ...headers }, { endStream: body === undefined });
  if (body !== undefined) stream.end(body);
  return answerTo(stream);
}

async function textOf(exchange: HttpExchange): Promise<string> {
  let text = '';
  for await (const chunk of exchange.body()) text += Buffer.from(chunk).toString();
  return text;
}

const echo: Handler = async (exchange) => exchange.respond({ status: 200, headers: [] }, Buffer.from(await textOf(exchange)));

describe('HTTP/2', () => {
  it('brings a request in the words of HTTP/1: the authority as its host, fields as they came', async () => {
    const { port } = await serving();
    const got = await ask(await client(port), { ':path': '/agents/triage?a=1', 'x-case': 'T-7', cookie: ['a=1', 'b=2'] });
    expect(got).toMatchObject({ headers: { ':status': 200, 'x-method': 'GET', 'content-length': '5' }, text: 'hello', code: 0 });
    const [exchange] = seen;
    expect(exchange).toMatchObject({ kind: 'request', method: 'GET', target: '/agents/triage?a=1', httpVersion: '2.0', contentLength: 0 });
    expect(exchange?.rawHeaders).toEqual(['host', `localhost:${port}`, 'x-case', 'T-7', 'cookie', 'a=1; b=2']);
  });

  it('gives many exchanges on one connection each its own body and answer', async () => {
    const { port } = await serving(echo);
    const session = await client(port);
    const bodies = Array.from({ length: 20 }, (_, i) => `body ${i} ${'x'.repeat(i * 1_000)}`);
    const got = await Promise.all(bodies.map((body) => ask(session, { ':method': 'POST' }, body)));
    expect(got.map(({ text }) => text)).toEqual(bodies);
  });

  it.each([
    ['announced', { 'content-length': '5' }, 5],
    ['of unknown length', {}, undefined],
  ])('tells a body %s from none', async (_, headers, contentLength) => {
    const { port } = await serving(echo);
    expect(await ask(await client(port), { ':method': 'POST', ...headers }, 'hello')).toMatchObject({ text: 'hello' });
    expect(seen[0]?.contentLength).toBe(contentLength);
  });

  it('asks for a body only when somebody reads it, and answers without where nobody does', async () => {
    const { port } = await serving(echo);
    const stream = (await client(port)).request({ ':method': 'POST', ':path': '/x', expect: '100-continue' }, { endStream: false });
    await once(stream, 'continue');
    stream.end('now');
    expect(await answerTo(stream)).toMatchObject({ text: 'now' });

    const refusing = await serving();
    const other = (await client(refusing.port)).request({ ':method': 'POST', ':path': '/x', expect: '100-continue' }, { endStream: false });
    other.on('continue', () => expect.unreachable('asked for a body that nobody reads'));
    expect(await answerTo(other)).toMatchObject({ headers: { ':status': 200 }, text: 'hello', code: 0 });
  });

  it('ends a stream with its answer where the rest of the body is wanted by nobody', async () => {
    const { port } = await serving(async (exchange) => {
      for await (const _ of exchange.body()) break;
      await hello(exchange);
    });
    const stream = (await client(port)).request({ ':method': 'POST', ':path': '/x' }, { endStream: false });
    stream.write('half');
    expect(await answerTo(stream)).toMatchObject({ text: 'hello', code: 0 });
  });

  it('streams an answer as it comes, and says that it is over', async () => {
    const { port } = await serving((exchange) =>
      exchange.respond(
        { status: 200, headers: [['Content-Type', 'text/event-stream']] },
        (async function* () {
          for (const part of ['one ', 'two ', 'three']) yield Buffer.from(part);
        })(),
      ),
    );
    expect(await ask(await client(port))).toMatchObject({
      headers: { 'content-type': 'text/event-stream' },
      text: 'one two three',
      code: 0,
    });
  });

  it('a stream that is cut does not look finished, and the others of its connection go on', async () => {
    const { port } = await serving((exchange) =>
      exchange.target === '/cut'
        ? exchange.respond(
            { status: 200, headers: [] },
            (async function* () {
              yield Buffer.from('half');
              throw new Error('no more');
            })(),
          )
        : hello(exchange),
    );
    const session = await client(port);
    expect(await ask(session, { ':path': '/cut' })).toMatchObject({ code: 2 });
    expect(await ask(session)).toMatchObject({ text: 'hello', code: 0 });
  });

  it('a drain lets what runs end and takes nothing more', async () => {
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    const { listener, port } = await serving(async (exchange) => {
      await held;
      await hello(exchange);
    });
    const session = await client(port);
    const running = ask(session);
    await expect.poll(() => seen.length).toBe(1);
    const goaway = once(session, 'goaway');
    const drained = listener.drain({ graceMs: 60_000 });
    await goaway;
    release();
    expect(await running).toMatchObject({ text: 'hello', code: 0 });
    await drained;
    expect(seen.length).toBe(1);
  });
});

describe('a client that leaves', () => {
  it.each([
    ['for no reason', 0],
    ['and says so', 8],
  ])('%s aborts its exchange, and its body does not look whole', async (_, code) => {
    const read: string[] = [];
    const { port } = await serving(async (exchange) => {
      await textOf(exchange).then(
        (text) => read.push(`whole: ${text}`),
        (error: unknown) => read.push((error as { code: string }).code),
      );
    });
    const { socket } = await raw(port);
    socket.write(Buffer.concat([headersFrame(1, HEAD, false), frame(FRAME.data, 0, 1, Buffer.from('half'))]));
    await expect.poll(() => seen.length).toBe(1);
    const { signal } = seen[0] as HttpExchange;
    socket.write(frame(FRAME.reset, 0, 1, Buffer.of(0, 0, 0, code)));
    await expect.poll(() => read).toEqual(['aborted']);
    expect(signal.aborted).toBe(true);
  });

  it('with its connection, too', async () => {
    const { port } = await serving(async (exchange) => void (await textOf(exchange)));
    const session = await client(port);
    const stream = session.request({ ':method': 'POST', ':path': '/x' }, { endStream: false });
    stream.on('error', () => undefined);
    await expect.poll(() => seen.length).toBe(1);
    const { signal } = seen[0] as HttpExchange;
    session.destroy();
    await expect.poll(() => signal.aborted).toBe(true);
  });
});

/** A connection of which every byte is ours. */
async function raw(port: number): Promise<{ socket: TLSSocket; frames(): readonly ReceivedFrame[]; isOver(): boolean }> {
  const socket = tlsConnect({
    host: '127.0.0.1',
    port,
    ca: certificatePem(authority.ca.certificate),
    ALPNProtocols: ['h2'],
    servername: 'localhost',
  });
  cleanups.push(() => void socket.destroy());
  let [received, isOver] = [Buffer.alloc(0), false];
  socket.on('data', (chunk: Buffer) => (received = Buffer.concat([received, chunk])));
  socket.on('error', () => undefined);
  socket.on('close', () => (isOver = true));
  await once(socket, 'secureConnect');
  socket.write(Buffer.concat([PREFACE, frame(FRAME.settings, 0, 0)]));
  return { socket, frames: () => readFrames(received), isOver: () => isOver };
}

const HEAD = [
  [':method', 'POST'],
  [':scheme', 'https'],
  [':path', '/agents/triage'],
  [':authority', 'gate.example'],
] as const;
const replaced = (name: string, value: string): readonly (readonly [string, string])[] =>
  HEAD.map((field) => (field[0] === name ? [name, value] : field));

describe('a head that reads two ways', () => {
  it.each<[string, readonly (readonly [string, string])[]]>([
    ['another host than the authority', [...HEAD, ['host', 'other.example']]],
    ['the scheme of another connection', replaced(':scheme', 'http')],
  ])('%s is answered 400, recorded, and reaches nobody', async (_, fields) => {
    const { port } = await serving();
    const { socket, frames } = await raw(port);
    socket.write(headersFrame(1, fields));
    await expect.poll(() => frames().some(({ type, payload }) => type === FRAME.data && payload.includes('malformed_request'))).toBe(true);
    expect(refusals).toMatchObject([{ code: 'malformed_request', status: 400 }]);
    expect(seen).toEqual([]);
  });

  it.each<[string, readonly (readonly [string, string])[]]>([
    ['no method', HEAD.slice(1)],
    ['no path', [HEAD[0], HEAD[1], HEAD[3]]],
    ['two hosts', [...HEAD.slice(0, 3), ['host', 'gate.example'], ['host', 'gate.example']]],
    ['two paths', [...HEAD, [':path', '/agents/other']]],
    ['a pseudo-header after the others', [...HEAD.slice(0, 3), ['x-case', '1'], HEAD[3]]],
    ['a pseudo-header that is none', [...HEAD, [':role', 'admin']]],
    ['an extended CONNECT', [...replaced(':method', 'CONNECT'), [':protocol', 'websocket']]],
    ['a name in upper case', [...HEAD, ['X-Case', '1']]],
    ['Connection', [...HEAD, ['connection', 'close']]],
    ['Transfer-Encoding', [...HEAD, ['transfer-encoding', 'chunked']]],
    ['Upgrade', [...HEAD, ['upgrade', 'websocket']]],
    ['a line feed in the path', replaced(':path', '/a\r\nhost: b')],
  ])('%s never becomes an exchange', async (_, fields) => {
    const { port } = await serving();
    const { socket, frames, isOver } = await raw(port);
    socket.write(headersFrame(1, fields));
    await expect.poll(() => isOver() || frames().some(({ type }) => type === FRAME.reset || type === FRAME.goaway)).toBe(true);
    expect(seen).toEqual([]);
  });

  it.each<[string, readonly [string, string]]>([
    ['a line feed in its value', ['x-case', 'a\r\nx-role: admin']],
    ['a zero in its value', ['x-case', 'a\u0000b']],
    ['a space in its name', ['x case', 'a']],
  ])('a field with %s is nobody’s header: the parser leaves it out', async (_, field) => {
    const { port } = await serving();
    const { socket } = await raw(port);
    socket.write(headersFrame(1, [...HEAD, field]));
    await expect.poll(() => seen.length).toBe(1);
    expect(seen[0]?.rawHeaders).toEqual(['host', 'gate.example']);
  });

  it.each([
    ['more than it announced', '3', 'hello'],
    ['less than it announced', '9', 'hello'],
  ])('a body with %s does not look whole', async (_, length, body) => {
    const read: string[] = [];
    const { port } = await serving(async (exchange) => {
      await textOf(exchange).then(
        () => read.push('whole'),
        () => read.push('broken'),
      );
    });
    const { socket } = await raw(port);
    socket.write(
      Buffer.concat([
        headersFrame(1, [...HEAD, ['content-length', length]], false),
        frame(FRAME.data, FLAG.endStream, 1, Buffer.from(body)),
      ]),
    );
    await expect.poll(() => seen.length === 0 || read.length === 1).toBe(true);
    expect(read).not.toContain('whole');
  });

  it('trailers are nobody’s headers', async () => {
    const { port } = await serving(echo);
    const { socket, frames } = await raw(port);
    const trailers = frame(FRAME.headers, FLAG.endHeaders | FLAG.endStream, 1, headerBlock([['x-role', 'admin']]));
    socket.write(Buffer.concat([headersFrame(1, HEAD, false), frame(FRAME.data, 0, 1, Buffer.from('hello')), trailers]));
    await expect.poll(() => frames().some(({ type, payload }) => type === FRAME.data && payload.toString() === 'hello')).toBe(true);
    expect(seen[0]?.rawHeaders).toEqual(['host', 'gate.example']);
  });

  it('an expectation that nobody can meet is answered 417', async () => {
    const { port } = await serving();
    expect(await ask(await client(port), { expect: 'more' })).toMatchObject({ headers: { ':status': 417 } });
    expect(seen).toEqual([]);
  });
});

describe('bounds', () => {
  it('a head of too many fields is answered 431 or cut, and reaches nobody', async () => {
    const { port } = await serving();
    const fields = Array.from({ length: HTTP_LIMITS.headersMax + 1 }, (_, i) => [`x-${i}`, '1'] as const);
    const { socket, frames, isOver } = await raw(port);
    socket.write(headersFrame(1, [...HEAD, ...fields]));
    await expect
      .poll(() => isOver() || frames().some(({ type }) => type === FRAME.data || type === FRAME.reset || type === FRAME.goaway))
      .toBe(true);
    expect(seen).toEqual([]);
  });

  it('a head that is too large reaches nobody', async () => {
    const { port } = await serving();
    const fields = Array.from({ length: 10 }, (_, i) => [`x-${i}`, 'y'.repeat(1_800)] as const);
    const { socket, frames, isOver } = await raw(port);
    socket.write(headersFrame(1, [...HEAD, ...fields]));
    await expect
      .poll(() => isOver() || frames().some(({ type }) => type === FRAME.data || type === FRAME.reset || type === FRAME.goaway))
      .toBe(true);
    expect(seen).toEqual([]);
  });

  it('CONTINUATION flood (CVE-2024-27983): a head that never ends is cut with its connection', async () => {
    const { port } = await serving();
    const { socket, isOver } = await raw(port);
    socket.write(frame(FRAME.headers, 0, 1, headerBlock(HEAD)));
    const piece = frame(FRAME.continuation, 0, 1, headerBlock([['x-more', 'y'.repeat(100)]]));
    for (let i = 0; i < 400 && !isOver(); i++) socket.write(piece);
    await expect.poll(() => isOver()).toBe(true);
    expect(seen).toEqual([]);
  });

  it('rapid reset (CVE-2023-44487): who opens streams to reset them loses the connection', async () => {
    const { port } = await serving(() => new Promise(() => undefined));
    const { socket, isOver } = await raw(port);
    for (let i = 0; i < 1_000 && !isOver(); i++) {
      const id = 2 * i + 1;
      socket.write(Buffer.concat([headersFrame(id, HEAD), frame(FRAME.reset, 0, id, Buffer.of(0, 0, 0, 8))]));
      if (i % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await expect.poll(() => isOver()).toBe(true);
    expect(seen.length).toBeLessThan(300);
    expect(refusals.at(-1)).toMatchObject({ code: 'malformed_request', status: 0 });
  });

  it('more streams than allowed are refused, whether or not the client has taken note', async () => {
    const { port } = await serving(() => new Promise(() => undefined), { streamsMax: 4 });
    const { socket, frames } = await raw(port);
    // The settings are not acknowledged.
    socket.write(Buffer.concat(Array.from({ length: 10 }, (_, i) => headersFrame(2 * i + 1, HEAD))));
    await expect.poll(() => frames().filter(({ type }) => type === FRAME.reset).length).toBe(6);
    expect(seen.length).toBe(4);
  });

  it.each<[string, Buffer]>([
    ['PING', frame(FRAME.ping, 0, 0, Buffer.alloc(8))],
    ['SETTINGS', frame(FRAME.settings, 0, 0)],
    ['empty DATA on a stream that is closed', frame(FRAME.data, 0, 1)],
  ])('a flood of %s whose answers are not read ends the connection', async (_, piece) => {
    const { port } = await serving();
    const { socket, isOver } = await raw(port);
    socket.pause();
    const many = Buffer.concat(Array.from({ length: 1_000 }, () => piece));
    for (let i = 0; i < 400 && !isOver() && socket.writable; i++) {
      if (!socket.write(many))
        await Promise.race([once(socket, 'drain').catch(() => undefined), once(socket, 'close').catch(() => undefined)]);
    }
    socket.resume();
    await expect.poll(() => isOver()).toBe(true);
  });
});

describe('waiting', () => {
  const later = async (ms: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed += 1_000) await clock.advance(1_000);
  };

  it('a connection that asks nothing is closed when a head would be', async () => {
    const { port } = await serving();
    const { isOver } = await raw(port);
    await later(HTTP_LIMITS.headMsMax + 1_000);
    await expect.poll(() => isOver()).toBe(true);
  });

  it('one that asked is closed after its idle time', async () => {
    const { port } = await serving();
    const session = await client(port);
    await ask(session);
    await later(HTTP_LIMITS.idleMsMax - 2_000);
    expect(await ask(session)).toMatchObject({ text: 'hello' });
    await later(HTTP_LIMITS.idleMsMax + 1_000);
    await expect.poll(() => session.closed || session.destroyed).toBe(true);
  });

  it.each([
    ['at once', 0],
    ['a moment later', 1],
  ])('a stream that is reset %s keeps no connection open', async (_, turns) => {
    const { port } = await serving(() => new Promise(() => undefined));
    const { socket, isOver } = await raw(port);
    const reset = frame(FRAME.reset, 0, 1, Buffer.of(0, 0, 0, 8));
    if (turns === 0) socket.write(Buffer.concat([headersFrame(1, HEAD), reset]));
    else {
      socket.write(headersFrame(1, HEAD));
      await expect.poll(() => seen.length).toBe(1);
      socket.write(reset);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
    await later(HTTP_LIMITS.idleMsMax + 1_000);
    await expect.poll(() => isOver()).toBe(true);
  });

  it('slowloris: a body that never ends is answered 408, and its reader told', async () => {
    const broken: string[] = [];
    const { port } = await serving(async (exchange) => {
      await textOf(exchange).catch((error: unknown) => broken.push((error as { code: string }).code));
    });
    const stream = (await client(port)).request({ ':method': 'POST', ':path': '/x' }, { endStream: false });
    const got = answerTo(stream);
    stream.write('half');
    await expect.poll(() => seen.length).toBe(1);
    await later(HTTP_LIMITS.bodyMsMax + 1_000);
    expect(await got).toMatchObject({ headers: { ':status': 408 } });
    expect(broken).toEqual(['aborted']);
    expect(refusals).toMatchObject([{ code: 'body_timeout', isWithinExchange: true }]);
  });

  it('a request that came whole may take its handler longer than its body could have', async () => {
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    const { port } = await serving(async (exchange) => {
      await held;
      await echo(exchange);
    });
    const running = ask(await client(port), { ':method': 'POST' }, 'hello');
    await expect.poll(() => seen.length).toBe(1);
    await later(HTTP_LIMITS.bodyMsMax + 1_000);
    release();
    expect(await running).toMatchObject({ text: 'hello', code: 0 });
  });

  it.each<[string, Handler]>([
    ['a whole answer', (exchange) => exchange.respond({ status: 200, headers: [] }, Buffer.alloc(1_000_000))],
    [
      'a stream',
      (exchange) =>
        exchange.respond(
          { status: 200, headers: [] },
          (async function* () {
            for (;;) yield Buffer.alloc(100_000);
          })(),
        ),
    ],
  ])('a client that opens no window for %s keeps it for the time of a body and no longer', async (_, handler) => {
    const ended: string[] = [];
    const { port } = await serving(async (exchange) => {
      await handler(exchange).catch((error: unknown) => ended.push((error as { code: string }).code));
    });
    const stream = (await client(port)).request({ ':path': '/x' });
    stream.on('error', () => undefined);
    stream.pause();
    await once(stream, 'response');
    await later(HTTP_LIMITS.bodyMsMax + 1_000);
    await expect.poll(() => ended).toEqual(['aborted']);
  });

  it('and none for what the listener refuses by itself: a refusal that is not taken does not keep the connection', async () => {
    const { port } = await serving();
    const { socket, isOver } = await raw(port);
    const noWindow = Buffer.of(0, 4, 0, 0, 0, 0);
    socket.write(Buffer.concat([frame(FRAME.settings, 0, 0, noWindow), headersFrame(1, replaced(':scheme', 'http'))]));
    await expect.poll(() => refusals.length).toBe(1);
    await later(HTTP_LIMITS.bodyMsMax + HTTP_LIMITS.idleMsMax + 2_000);
    await expect.poll(() => isOver()).toBe(true);
  });
});
