/**
 * Both legs: takes exchanges from the strict listener, hands each to the pipeline, and writes what comes back.
 * Judges nothing. A refusal by the listener itself (a head that never became one) is recorded like any other.
 */

import { deny, Fault, type BootMs, type Clock, type DecisionId, type Denial, type RequestId } from '@sallyport/model';
import type { HttpExchange, ListenerRefusal } from '@sallyport/net';
import type { BytesAccount } from '@sallyport/runtime';
import { writeSseComment, writeSseEvent } from '@sallyport/dialects';
import type { Arrival } from '../pipeline/facts.ts';
import type { Answer, Leg } from '../pipeline/gate.ts';
import type { SessionsServed } from '../pipeline/ports.ts';
import { Serving } from '../sessions/sessions-served.ts';
import { requestBody } from './body.ts';
import { keptAlive } from './keep-alive.ts';

export interface ServedOptions {
  readonly leg: Leg;
  readonly clock: Clock;
  readonly account: BytesAccount;
  readonly sessionsServed: SessionsServed;
  readonly ids: { request(): RequestId; decision(): DecisionId };
  /** The pipeline. */
  readonly answer: (arrival: Arrival) => Promise<Answer>;
}

export interface Served {
  /** For the listener's `onExchange`. */
  readonly exchange: (exchange: HttpExchange) => Promise<void>;
  /** Resolves when no exchange is under way: every call that was let out has been settled. */
  whenIdle(): Promise<void>;
}

export function servedExchange(options: ServedOptions): Served {
  // Owner: this port.
  let underWay = 0;
  const waiting: (() => void)[] = [];
  return {
    async exchange(exchange) {
      underWay += 1;
      try {
        await answered(exchange, options);
      } finally {
        underWay -= 1;
        if (underWay === 0) for (const resolve of waiting.splice(0)) resolve();
      }
    },
    async whenIdle() {
      if (underWay > 0) await new Promise<void>((resolve) => waiting.push(resolve));
    },
  };
}

async function answered(exchange: HttpExchange, { leg, clock, account, sessionsServed, ids, answer }: ServedOptions): Promise<void> {
  const serving = new Serving(sessionsServed);
  const body = requestBody({ contentLength: exchange.contentLength, bytes: () => exchange.body() }, account);
  const receivedAt: BootMs = clock.boot();
  const arrival: Arrival = {
    requestId: ids.request(),
    decisionId: ids.decision(),
    receivedAt,
    leg,
    // An upgrade keeps its method and is refused for its header; a CONNECT is refused for its method.
    method: exchange.method,
    target: exchange.target,
    httpVersion: exchange.httpVersion,
    rawHeaders: exchange.rawHeaders,
    peer: exchange.address,
    peerChain: exchange.peerChain,
    ends: exchange.ends,
    body,
    serving,
    signal: exchange.signal,
  };
  let taken: Answer | undefined;
  try {
    taken = await answer(arrival);
    await write(exchange, taken, clock);
  } catch (thrown) {
    // The agent has gone. What became of its call is recorded; there is nobody left to tell.
    if (!(thrown instanceof Fault && thrown.code === 'aborted')) throw thrown;
  } finally {
    body.release();
    try {
      // An agent that has left has not ended its call.
      await taken?.close();
    } finally {
      serving.end();
    }
  }
}

/**
 * The denial in what the listener refused by itself, `undefined` where there is none to record: a connection too many asked
 * or one without a handshake asked for nothing, and a body that broke off is refused by the exchange that was reading it.
 */
export function denialOfRefusal({ code, detail, isWithinExchange }: ListenerRefusal): Denial | undefined {
  if (code === 'connections_exceeded' || code === 'handshake_failed' || isWithinExchange) return undefined;
  return deny(code === 'headers_too_large' ? code : 'malformed_request', `${code}: ${detail}`);
}

async function write(exchange: HttpExchange, answer: Answer, clock: Clock): Promise<void> {
  const head = { status: answer.status, headers: Object.entries(answer.headers) };
  if (answer.delivery === 'whole') {
    for await (const unit of answer.units) await exchange.respond(head, unit.bytes);
    return;
  }
  if (answer.delivery === 'stream') {
    await exchange.respond(head, chunksOf(answer));
    return;
  }
  // What the answer calls its content is inside each event; the stream of them is another type.
  const headers = Object.entries({ ...answer.headers, 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' });
  await exchange.respond({ ...head, headers }, keptAlive(eventsOf(answer), { comment: writeSseComment(), clock, signal: exchange.signal }));
}

/** Bytes of a stream as they came. One that was cut must not look finished, so that its connection ends with it. */
async function* chunksOf(answer: Answer): AsyncGenerator<Uint8Array, void, void> {
  for await (const unit of answer.units) {
    if (unit.isCut === true) throw new Fault('aborted', 'internal', 'the answer was cut');
    if (unit.bytes.byteLength > 0) yield unit.bytes;
  }
}

async function* eventsOf(answer: Answer): AsyncGenerator<Uint8Array, void, void> {
  // An event without data is nobody's message: the end of a call that was cancelled.
  for await (const unit of answer.units) if (unit.bytes.byteLength > 0) yield writeSseEvent({ data: unit.bytes });
}
