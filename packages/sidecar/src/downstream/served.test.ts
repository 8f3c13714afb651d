import { Bug, Fault, type DecisionId, type RequestId } from '@sallyport/model';
import { startHttpListener, type HttpListener, type ListenerRefusal } from '@sallyport/net';
import { bytesAccount, systemClock } from '@sallyport/runtime';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { Arrival } from '../pipeline/facts.ts';
import type { Answer, AnswerUnit } from '../pipeline/gate.ts';
import type { SessionsServed, UnderWay } from '../pipeline/ports.ts';
import { sessionsServed } from '../sessions/sessions-served.ts';
import { denialOfRefusal, servedExchange, type Served } from './served.ts';

const closing: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

interface Bench {
  readonly listener: HttpListener;
  readonly outbound: Served;
  readonly account: ReturnType<typeof bytesAccount>;
  readonly sessionsServed: SessionsServed;
  readonly arrivals: Arrival[];
  readonly bugs: unknown[];
  say(text: string): Promise<{ socket: Socket; heard: () => string; closed: Promise<unknown> }>;
}

async function bench(answer: (arrival: Arrival) => Promise<Answer>): Promise<Bench> {
  const account = bytesAccount(100_000);
  const served = sessionsServed();
  const arrivals: Arrival[] = [];
  const bugs: unknown[] = [];
  let id = 0;
  const ids = { request: () => `R${++id}` as RequestId, decision: () => `D${++id}` as DecisionId };
  const outbound = servedExchange({
    leg: 'outbound',
    clock: systemClock(),
    account,
    sessionsServed: served,
    ids,
    answer: (arrival) => {
      arrivals.push(arrival);
      return answer(arrival);
    },
  });
  const listener = await startHttpListener({
    listen: { kind: 'tcp', host: '127.0.0.1', port: 0 },
    clock: systemClock(),
    onExchange: outbound.exchange,
    onRefusal: () => undefined,
    onBug: (error) => bugs.push(error),
  });
  closing.push(() => listener.drain({ graceMs: 0 }));
  const { port } = listener.address as { port: number };
  return {
    listener,
    outbound,
    account,
    sessionsServed: served,
    arrivals,
    bugs,
    say: async (text) => {
      const socket = connect(port, '127.0.0.1');
      closing.push(() => void socket.destroy());
      await once(socket, 'connect');
      let heard = '';
      socket.on('data', (chunk: Buffer) => (heard += chunk.toString()));
      socket.write(text);
      return { socket, heard: () => heard, closed: once(socket, 'close') };
    },
  };
}

const unit = (text: string, isLast = true): AnswerUnit => ({ bytes: Buffer.from(text), isLast });
function answerOf(units: AsyncIterable<AnswerUnit>, over: Partial<Answer> = {}): Answer {
  return {
    status: 200,
    headers: { 'content-type': 'application/json' },
    delivery: 'whole',
    units,
    outcome: () => ({ result: 'ok' }),
    close: async () => {},
    ...over,
  };
}
async function* units(...all: AnswerUnit[]): AsyncGenerator<AnswerUnit, void, void> {
  yield* all;
}
const POST = (body: string, more = ''): string =>
  `POST /x?q=1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${more}Content-Length: ${body.length}\r\n\r\n${body}`;

describe('the agent’s port', () => {
  it('hands on a request as it stood, its body unread, with ids of its own', async () => {
    const { say, arrivals, account } = await bench(async () => answerOf(units(unit('{}'))));
    const client = await say(POST('hello', 'X-One: 1\r\nX-one: 2\r\n'));
    await client.closed;
    expect(arrivals[0]).toMatchObject({
      requestId: 'R1',
      decisionId: 'D2',
      leg: 'outbound',
      method: 'POST',
      target: '/x?q=1',
      httpVersion: '1.1',
    });
    expect(arrivals[0]?.rawHeaders.slice(4, 8)).toEqual(['X-One', '1', 'X-one', '2']);
    expect(account.inFlight).toBe(0);
  });

  it('writes a whole answer with its length, and a stream as events, each a message', async () => {
    const whole = await bench(async () => answerOf(units(unit('{"a":1}'))));
    const one = await whole.say(POST(''));
    await one.closed;
    expect(one.heard()).toMatch(/content-type: application\/json\r\n.*Content-Length: 7\r\n[^]*\r\n\r\n\{"a":1\}$/is);

    const stream = await bench(async () => answerOf(units(unit('{"a":1}', false), unit('{"b":2}')), { delivery: 'messages' }));
    const two = await stream.say(POST(''));
    await two.closed;
    expect(two.heard()).toMatch(/content-type: text\/event-stream\r\n/i);
    expect(two.heard().replaceAll(/\r\n[0-9a-f]+\r\n/g, '')).toMatch(/data: \{"a":1\}\n\n[^]*data: \{"b":2\}\n\n/);
  });

  it('serves a session until the exchange is over, however it ends: answered, thrown, or left by its client while the answer runs', async () => {
    for (const how of ['answered', 'thrown', 'left'] as const) {
      const session: UnderWay = { exchanges: 0 };
      const [begun, over] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
      const { say, sessionsServed: all } = await bench(async ({ serving }) => {
        serving.begin(session);
        // A call that is judged anew is still one.
        serving.begin(session);
        begun.resolve();
        if (how === 'thrown') throw new Bug('never');
        // As the pipeline does: what became of the call is awaited, whoever has left.
        return answerOf(units(unit('{}')), { close: () => (how === 'left' ? over.promise : Promise.resolve()) });
      });
      const client = await say(POST('hello'));
      await begun.promise;
      if (how === 'left') {
        client.socket.destroy();
        expect([all.count, session.exchanges]).toEqual([1, 1]);
        over.resolve();
      } else await client.closed;
      await expect.poll(() => [all.count, session.exchanges]).toEqual([0, 0]);
    }
  });

  it('gives the body’s bytes back and closes the answer, however it went', async () => {
    for (const fails of [false, true]) {
      let closes = 0;
      const { say, account, bugs, arrivals } = await bench(async ({ body }) => {
        await body.read({ bytesMax: 1_000, coding: 'identity' });
        expect(account.inFlight).toBe(5);
        const broken = (async function* read(): AsyncGenerator<AnswerUnit, void, void> {
          if (fails) throw new Bug('never');
          yield unit('{}');
        })();
        return answerOf(broken, { close: async () => void (closes += 1) });
      });
      const client = await say(POST('hello'));
      await client.closed;
      await expect.poll(() => [closes, account.inFlight, bugs.length, arrivals.length]).toEqual([1, 0, fails ? 1 : 0, 1]);
    }
  });

  it('closes the answer of a client that has gone before there was one, and reports nothing', async () => {
    const asked = Promise.withResolvers<void>();
    const mayAnswer = Promise.withResolvers<void>();
    let closes = 0;
    const { say, bugs, outbound, arrivals } = await bench(async () => {
      asked.resolve();
      await mayAnswer.promise;
      return answerOf(units(unit('one', false), unit('two')), { delivery: 'messages', close: async () => void (closes += 1) });
    });
    const client = await say(POST(''));
    await asked.promise;
    client.socket.destroy();
    await once(arrivals[0]!.signal, 'abort');
    mayAnswer.resolve();
    await outbound.whenIdle();
    expect([closes, bugs]).toEqual([1, []]);
  });

  it('is idle when every exchange is over, and not before', async () => {
    const mayClose = Promise.withResolvers<void>();
    const { say, outbound } = await bench(async () => answerOf(units(unit('{}')), { close: () => mayClose.promise }));
    await outbound.whenIdle();
    const client = await say(POST(''));
    await client.closed;
    let isIdle = false;
    const idle = outbound.whenIdle().then(() => (isIdle = true));
    await new Promise((resolve) => setImmediate(resolve));
    expect(isIdle).toBe(false);
    mayClose.resolve();
    await idle;
  });

  it('refuses a length early, and reserves nothing where no body can come', async () => {
    const seen: unknown[] = [];
    const { say, account } = await bench(async ({ body }) => {
      const reading = body.read({ bytesMax: 1_000, coding: 'identity' });
      seen.push(account.inFlight);
      const result = await reading;
      seen.push(result.ok ? 'read' : result.error.code);
      return answerOf(units(unit('{}')));
    });
    await (
      await say('GET /x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
    ).closed;
    await (
      await say(POST('x'.repeat(2_000)))
    ).closed;
    await (
      await say('POST /x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n')
    ).closed;
    expect(seen).toEqual([0, 'read', 0, 'payload_too_large', 1_000, 'read']);
  });
});

describe('what the listener refused by itself', () => {
  const refusal = (over: Partial<ListenerRefusal>): ListenerRefusal => ({
    code: 'malformed_request',
    detail: 'HPE_X',
    address: '',
    status: 400,
    isWithinExchange: false,
    ...over,
  });

  it.each<[over: Partial<ListenerRefusal>, code: string | undefined]>([
    [{ code: 'malformed_request' }, 'malformed_request'],
    [{ code: 'headers_too_large' }, 'headers_too_large'],
    [{ code: 'head_timeout' }, 'malformed_request'],
    [{ code: 'pipelined' }, 'malformed_request'],
    [{ code: 'expectation_failed' }, 'malformed_request'],
    [{ code: 'connections_exceeded' }, undefined],
    [{ code: 'body_timeout', isWithinExchange: true }, undefined],
  ])('%j is recorded as %s', (over, code) => {
    expect(denialOfRefusal(refusal(over))?.code).toBe(code);
  });
});

it('a Fault other than a client that left is no silence', async () => {
  const { say, bugs } = await bench(() => Promise.reject(new Fault('store_failed', 'internal', 'disk')));
  await (
    await say(POST(''))
  ).closed;
  expect(bugs).toMatchObject([{ code: 'store_failed' }]);
});
