/**
 * One connection of HTTP/2 (RFC 9113): every stream an exchange of its own, heads brought into the words of HTTP/1 so that
 * everything behind judges one form. What a client can make us hold or do without being answered is bounded here: streams,
 * resets, frames that ask for an answer, heads, and time.
 */

import type { ServerHttp2Session, ServerHttp2Stream, ServerSessionOptions } from 'node:http2';
import type { Socket } from 'node:net';
import { Fault } from '@sallyport/model';
import { H2Exchange, type H2Head } from './h2-exchange.ts';
import { ownProblem, type OwnAnswer, statusOf } from './http-answer.ts';
import { connectionEnds, type ConnectionEnds } from './connection-ends.ts';
import { addressOf, type HttpExchange } from './http-exchange.ts';
import type { HttpLimits, ListenerRefusal } from './http-listener.ts';
import { peerChainOf } from './peer-chain.ts';
import type { Watch, Watched } from './watch.ts';

/** What a session is made with. */
export function h2Options({ headBytesMax, headersMax, streamsMax }: HttpLimits): ServerSessionOptions {
  return {
    settings: { enablePush: false, enableConnectProtocol: false, maxConcurrentStreams: streamsMax, maxHeaderListSize: headBytesMax },
    maxHeaderListPairs: headersMax + PSEUDO_MAX,
    maxSessionInvalidFrames: 16,
    maxSessionRejectedStreams: 32,
    // In megabytes; heads, windows and what waits to be written, of all its streams.
    maxSessionMemory: 4,
    // Streams that are opened to be reset cost us and not their client (CVE-2023-44487).
    streamResetBurst: RESETS_MAX,
    streamResetRate: 10,
  };
}

const PSEUDO_MAX = 4;
const RESETS_MAX = 100;
/** RFC 9113, section 7. */
const NO_ERROR = 0;
const PROTOCOL_ERROR = 1;
const CANCEL = 8;

export interface H2Context {
  readonly limits: HttpLimits;
  readonly watch: Watch;
  readonly onExchange: (exchange: HttpExchange) => Promise<void>;
  readonly onRefusal: (refusal: ListenerRefusal) => string | void;
  readonly onBug: (error: unknown) => void;
}

/** Owner of its fields: itself. */
export class H2Connection {
  readonly #session: ServerHttp2Session;
  readonly #context: H2Context;
  readonly #watched: Watched;
  readonly #address: string;
  readonly #peerChain: readonly Uint8Array[];
  readonly #ends: ConnectionEnds;
  #open = 0;

  constructor(session: ServerHttp2Session, socket: Socket, context: H2Context) {
    this.#session = session;
    this.#context = context;
    this.#address = addressOf(socket);
    this.#peerChain = peerChainOf(socket);
    this.#ends = connectionEnds(socket);
    this.#watched = context.watch.add(() => session.destroy());
    this.#watched.within(context.limits.headMsMax);
    session.once('close', () => this.#watched.end());
    session.on('error', (error: NodeJS.ErrnoException) => this.#refuse('malformed_request', error.code ?? 'unreadable', 0));
    session.on('stream', (stream, _headers, _flags, rawHeaders) => this.#take(stream, rawHeaders as unknown as readonly string[]));
  }

  /** Nothing more is taken; what runs may end. */
  closeAfter(): void {
    this.#session.close();
  }

  #take(stream: ServerHttp2Stream, rawHeaders: readonly string[]): void {
    // A stream that is broken off is no news: whoever waits on it is told by its own exchange.
    stream.on('error', () => undefined);
    // Reset before it was seen: its end may have been told already, and nothing of it runs.
    if (stream.destroyed) return;
    this.#open += 1;
    this.#watched.pause();
    stream.once('close', () => {
      this.#open -= 1;
      if (this.#open === 0) this.#watched.within(this.#context.limits.idleMsMax);
    });
    if (stream.aborted) return;
    const head = readHead(rawHeaders);
    if (typeof head === 'string') this.#answer(stream, 'malformed_request', head);
    else if (head.mayContinue === undefined) this.#answer(stream, 'expectation_failed', 'an expectation that nobody here can meet');
    else this.#begin(stream, { ...head, mayContinue: head.mayContinue });
  }

  #begin(stream: ServerHttp2Stream, head: H2Head): void {
    const { limits, watch, onExchange, onBug } = this.#context;
    const watched = watch.add(() => this.#overdue(stream, exchange));
    stream.once('close', () => watched.end());
    const of = { address: this.#address, peerChain: this.#peerChain, ends: this.#ends };
    const parts = { stream, head, ...of, watched, bodyMsMax: limits.bodyMsMax };
    const exchange = new H2Exchange(parts);
    onExchange(exchange).catch((error: unknown) => {
      exchange.cut();
      onBug(error);
    });
  }

  /** Its body does not come, or its answer is not taken. */
  #overdue(stream: ServerHttp2Stream, exchange: H2Exchange): void {
    if (exchange.hasBegunAnswer) {
      stream.close(CANCEL);
      return;
    }
    // A whole request may take its handler as long as its own deadlines allow.
    if (exchange.hasWholeRequest) return;
    exchange.fail(new Fault('aborted', 'downstream', 'the request broke off: the body took too long'));
    this.#answer(stream, 'body_timeout', 'the body took too long', true);
  }

  /** An answer by the listener itself, and the end of the stream. */
  #answer(stream: ServerHttp2Stream, code: OwnAnswer, detail: string, isWithinExchange = false): void {
    const decisionId = this.#refuse(code, detail, statusOf(code), isWithinExchange);
    const { limits, watch } = this.#context;
    // A client may open no window for it, and a stream that stays would keep the connection.
    const watched = watch.add(() => stream.close(CANCEL));
    watched.within(limits.bodyMsMax);
    stream.once('close', () => watched.end());
    const { status, body } = ownProblem(code, decisionId);
    stream.respond({ ':status': status, 'content-type': 'application/problem+json', 'cache-control': 'no-store' });
    stream.end(body, () => stream.close(stream.endAfterHeaders ? NO_ERROR : PROTOCOL_ERROR));
  }

  #refuse(code: ListenerRefusal['code'], detail: string, status: number, isWithinExchange = false): string | undefined {
    const named = this.#context.onRefusal({ code, detail, address: this.#address, status, isWithinExchange });
    return typeof named === 'string' ? named : undefined;
  }
}

/**
 * RFC 9113, section 8.3.1. What is connection-specific, upper-case, doubled or out of order the parser has refused; this is
 * what it leaves open. A text says what is wrong. `mayContinue` is undefined for an expectation that nobody can meet.
 */
function readHead(raw: readonly string[]): (Omit<H2Head, 'mayContinue'> & { readonly mayContinue: boolean | undefined }) | string {
  const pseudo = new Map<string, string>();
  const rawHeaders: string[] = [];
  const cookies: string[] = [];
  const [hosts, expectations]: [string[], string[]] = [[], []];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const [name = '', value = ''] = [raw[i], raw[i + 1]];
    if (name.startsWith(':')) pseudo.set(name, value);
    else if (name === 'host') hosts.push(value);
    // Clients split it to compress it better (section 8.2.3).
    else if (name === 'cookie') cookies.push(value);
    else rawHeaders.push(name, value);
    if (name === 'expect') expectations.push(value);
  }
  const [method, target, authority] = [pseudo.get(':method'), pseudo.get(':path'), pseudo.get(':authority')];
  if (method === undefined || target === undefined) return 'no method or no path';
  if (pseudo.get(':scheme') !== 'https') return 'a scheme other than that of the connection';
  if (pseudo.has(':protocol')) return 'an extended CONNECT';
  const host = authority ?? hosts[0];
  // Two readers would each believe another one.
  if (authority !== undefined && hosts.some((other) => other !== authority)) return 'two hosts';
  if (cookies.length > 0) rawHeaders.push('cookie', cookies.join('; '));
  const mayContinue = expectations.every((value) => value.toLowerCase() === '100-continue') ? expectations.length > 0 : undefined;
  return { method, target, rawHeaders: host === undefined ? rawHeaders : ['host', host, ...rawHeaders], mayContinue };
}
