/** What a caller or an agent breaks off gives back what it held: calls under way, buffered bytes. One that stayed would add up. */

import { once } from 'node:events';
import { connect, constants } from 'node:http2';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { codeOf, startInbound, type InboundSide } from '../../support/inbound.ts';
import { eventually, request } from '../../support/world.ts';

const INVOKE = '/agents/support-triage/invoke';
/** Fewer than the times that each attack is made. */
const IN_FLIGHT_MAX = 3;
const TIMES = 8;

let side: InboundSide;
let server: Server;
const sockets = new Set<Socket>();
let answer: (socket: Socket) => void = () => undefined;
let asked = 0;
beforeAll(async () => {
  server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      if (!/^(?:GET|POST) /.test(chunk.toString('latin1'))) return;
      asked += 1;
      answer(socket);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  side = await startInbound({ inbound: { url }, sidecar: { config: { upstream: { in_flight_max: IN_FLIGHT_MAX } } } });
});
afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  server?.close();
  await side?.close();
});

const WHOLE = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}';
const says =
  (text: string, { ends = false } = {}) =>
  (socket: Socket): void => {
    socket.write(text);
    if (ends) socket.end();
  };
const CHUNKS = 'Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n';

/** Nothing is held, and a request is served. */
async function isAsBefore(): Promise<void> {
  answer = says(WHOLE);
  await eventually(async () => codeOf(await side.ask(INVOKE, { json: {} })) === '200', 'a place');
  await eventually(async () => {
    const { text } = await request(side.sidecar.healthPort, '/metrics', { method: 'GET' });
    return /^sallyport_bytes_in_flight(?:\{[^}]*\})? 0$/m.test(text);
  }, 'the bytes that were held');
}

const HEAD = (): string =>
  `POST ${INVOKE} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${side.token()}\r\nContent-Type: application/json\r\n`;

describe('a caller that leaves', () => {
  const nothing = (): void => undefined;
  it.each<[when: string, bytes: () => string, agent: (socket: Socket) => void, reachesAgent: boolean]>([
    ['in its head', () => HEAD(), nothing, false],
    ['before its body', () => `${HEAD()}Content-Length: 100000\r\n\r\n`, nothing, false],
    ['in its body', () => `${HEAD()}Transfer-Encoding: chunked\r\n\r\n5\r\n{"a":\r\n`, nothing, false],
    ['before its agent answers', () => `${HEAD()}Content-Length: 2\r\n\r\n{}`, nothing, true],
    [
      'in the answer',
      () => `${HEAD()}Content-Length: 2\r\n\r\n{}`,
      says(`HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n${CHUNKS}`),
      true,
    ],
    [
      'in a stream',
      () => `${HEAD()}Content-Length: 2\r\n\r\n{}`,
      says(`HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n${CHUNKS}`),
      true,
    ],
  ])('%s', async (_when, bytes, agent, reachesAgent) => {
    answer = agent;
    for (let i = 0; i < TIMES; i++) {
      const before = asked;
      const socket = await side.raw();
      socket.on('error', () => undefined);
      socket.write(bytes());
      if (reachesAgent) await eventually(() => asked > before, 'the agent');
      socket.destroy();
      // The agent hears of it before the next one comes: a place is free again.
      if (reachesAgent) await eventually(() => [...sockets].every((one) => one.destroyed || one.readableEnded), 'the end of the request');
    }
    await isAsBefore();
  });

  it('from one stream of a connection of HTTP/2', async () => {
    answer = () => undefined;
    const session = connect(`https://localhost:${side.port}`, { ca: side.ca });
    session.on('error', () => undefined);
    await once(session, 'connect');
    for (let i = 0; i < TIMES; i++) {
      const before = asked;
      const stream = session.request({
        ':method': 'POST',
        ':path': INVOKE,
        authorization: `Bearer ${side.token()}`,
        'content-type': 'application/json',
      });
      stream.on('error', () => undefined);
      stream.end('{}');
      await eventually(() => asked > before, 'the agent');
      stream.close(constants.NGHTTP2_CANCEL);
      await eventually(() => [...sockets].every((one) => one.destroyed || one.readableEnded), 'the end of the request');
    }
    await isAsBefore();
    session.destroy();
  });
});

describe('an agent that answers badly', () => {
  it.each<[how: string, agent: (socket: Socket) => void]>([
    ['with a redirect', says('HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n')],
    ['with a head of two meanings', says('HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Type: c/d\r\nContent-Length: 0\r\n\r\n')],
    ['with a body that is packed', says('HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nabc')],
    ['with another protocol', says('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n')],
    ['with many interim answers', says('HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(50))],
    ['with less than it said', says('HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{}', { ends: true })],
    ['with two answers', says(WHOLE + WHOLE)],
    ['with no JSON in an envelope', says('HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{]')],
    ['with a stream that breaks off', says(`HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n${CHUNKS}`, { ends: true })],
    ['with nothing', (socket) => void socket.destroy()],
  ])('%s', async (_how, agent) => {
    answer = agent;
    for (let i = 0; i < TIMES; i++) await side.ask(INVOKE, { json: {} }).catch(() => undefined);
    await isAsBefore();
  });

  it('and gives two answers at once: the second is nobody’s', async () => {
    let nth = 0;
    answer = (socket) => {
      nth += 1;
      socket.write(WHOLE.replace('{}', String(10 + nth)) + (nth === 1 ? WHOLE.replace('{}', '99') : ''));
    };
    const results: unknown[] = [];
    for (let i = 0; i < 3; i++) results.push((await side.ask(INVOKE, { json: {} })).json()['result']);
    expect(results).toEqual([11, 12, 13]);
  });
});

it('none of it was a defect of ours', () => {
  const said = side.world.log.map((line) => Object.values(JSON.parse(line) as Record<string, unknown>));
  expect(said.filter((values) => values.includes('connection_refused')).length).toBeGreaterThan(0);
  expect(said.filter((values) => values.includes('bug'))).toEqual([]);
});
