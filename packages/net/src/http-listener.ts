/**
 * The strict HTTP listener: HTTP/1.1, plain or under TLS, and under TLS HTTP/2 for those who choose it. Every size, count and wait bounded, raw headers handed on as they
 * came, one exchange at a time on a connection. What a request means is decided by whoever takes the exchange; what
 * Node's parser refuses, or would silently repair, is refused here and reported.
 */

import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http';
import { createConnection, type Server as NetServer, type Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { lstatSync, unlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { listenFault } from './listen-fault.ts';
import { invariant, type Clock } from '@sallyport/model';
import { formatListenAddress, makeFolders, type ListenAddress } from '@sallyport/runtime';
import { H2Connection, h2Options } from './h2-connection.ts';
import { Connection } from './http-connection.ts';
import { Exchange, type HttpExchange, valuesOf } from './http-exchange.ts';
import { handshakes } from './handshakes.ts';
import { listenerTls, type ListenerTls } from './listener-tls.ts';
import { createWatch } from './watch.ts';

/** Why the listener itself turned a connection away; it has answered already where an answer was possible. */
export type ListenerRefusalCode =
  | 'malformed_request'
  | 'headers_too_large'
  | 'head_timeout'
  | 'body_timeout'
  | 'pipelined'
  | 'connections_exceeded'
  | 'handshake_failed'
  | 'expectation_failed';

export interface ListenerRefusal {
  readonly code: ListenerRefusalCode;
  /** For the log: what the parser said, without the bytes. */
  readonly detail: string;
  readonly address: string;
  /** What is answered, 0 where the connection is only closed. */
  readonly status: number;
  /** An exchange was still reading its body: it hears of the break too, and what it makes of it is its own to record. */
  readonly isWithinExchange: boolean;
}

export interface HttpLimits {
  readonly headBytesMax: number;
  readonly headersMax: number;
  readonly connectionsMax: number;
  /** At a time, on one connection of HTTP/2. */
  readonly streamsMax: number;
  /** From the opening of a connection to the end of the first head. */
  readonly headMsMax: number;
  /** From the end of the head to the end of the body; and the other way, for a client to take a part of a stream. */
  readonly bodyMsMax: number;
  /** From an answer to the end of the next head on the same connection. */
  readonly idleMsMax: number;
}

export const HTTP_LIMITS: HttpLimits = {
  headBytesMax: 16_384,
  headersMax: 100,
  connectionsMax: 512,
  streamsMax: 32,
  headMsMax: 10_000,
  bodyMsMax: 60_000,
  idleMsMax: 30_000,
};

export interface HttpListenerOptions {
  readonly listen: ListenAddress;
  readonly clock: Clock;
  readonly limits?: Partial<HttpLimits>;
  /** Under TLS alone; what is not TLS is cut. */
  readonly tls?: ListenerTls;
  /** Takes an exchange. What it throws cuts the connection and goes to `onBug`. */
  readonly onExchange: (exchange: HttpExchange) => Promise<void>;
  /** So that what never became an exchange is still recorded; the id of the record, if any, goes into the answer. */
  readonly onRefusal: (refusal: ListenerRefusal) => string | void;
  readonly onBug: (error: unknown) => void;
}

export interface HttpListener {
  /** With the real port. */
  readonly address: ListenAddress;
  /** Uses another certificate for new connections. Throws, and keeps what it has, where the two do not fit together. */
  secure(tls: ListenerTls): void;
  /** Accepts no more, closes what is idle, lets running exchanges end for `graceMs`, then cuts them. */
  drain(options: { readonly graceMs: number }): Promise<void>;
}

/** How late a deadline may be noticed. */
const SWEEP_MS = 250;

/**
 * Starts listening. A Unix socket's folder is made with mode 0700 where it is absent, a socket that nobody serves any
 * more is replaced, and the new one is for its owner alone. Rejects with a Fault `listen_failed`.
 */
export async function startHttpListener(options: HttpListenerOptions): Promise<HttpListener> {
  const limits: HttpLimits = { ...HTTP_LIMITS, ...options.limits };
  const watch = createWatch(options.clock, SWEEP_MS);
  // Owner: this listener.
  const connections = new Map<Socket, Connection | H2Connection>();
  const { tls } = options;
  const isProofAsked = tls?.clientAuthorities !== undefined;
  const handshaking = handshakes({ watch, msMax: limits.headMsMax, isProofAsked, onRefusal: options.onRefusal });
  const strict = {
    insecureHTTPParser: false,
    maxHeaderSize: limits.headBytesMax,
    // Judged by the framing gate, which records what it refuses; Node would answer by itself.
    requireHostHeader: false,
    requestTimeout: 0,
    headersTimeout: 0,
    keepAliveTimeout: 0,
    noDelay: true,
  };
  const http = createServer(strict);
  // Node would silently drop what is beyond its own count; we count, and refuse.
  http.maxHeadersCount = 0;
  const parts: Parts = { options, limits, connections, watch, handshaking };
  attach(http, parts);
  const secured = tls === undefined ? undefined : createTlsServer(listenerTls(tls));
  if (secured !== undefined) await attachTls(secured, http, parts);
  if (isProofAsked) secured?.on('keylog', (line, socket) => handshaking.noted(line, socket));
  const server: NetServer = secured ?? http;
  server.maxConnections = limits.connectionsMax;
  server.on('drop', (data) => {
    const from = data?.remoteAddress === undefined ? '' : `${data.remoteAddress}:${data.remotePort ?? 0}`;
    const detail = `more than ${limits.connectionsMax} connections`;
    options.onRefusal({ code: 'connections_exceeded', detail, address: from, status: 0, isWithinExchange: false });
  });
  await listen(server, options.listen);
  const address = addressOfServer(server, options.listen);
  return {
    address,
    secure(next) {
      invariant(secured !== undefined, 'only a listener under TLS has a certificate');
      invariant((next.clientAuthorities !== undefined) === isProofAsked, 'a listener asks for proof from its start on, or never');
      secured.setSecureContext(listenerTls(next));
    },
    async drain({ graceMs }) {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      handshaking.cutAll();
      for (const connection of connections.values()) connection.closeAfter();
      const over = new AbortController();
      const grace = new Promise<void>((resolve) => options.clock.timer(graceMs, resolve, { signal: over.signal }));
      await Promise.race([closed, grace]);
      over.abort();
      for (const socket of connections.keys()) socket.destroy();
      await closed;
      watch.close();
    },
  };
}

interface Parts {
  readonly options: HttpListenerOptions;
  readonly limits: HttpLimits;
  readonly connections: Map<Socket, Connection | H2Connection>;
  readonly watch: ReturnType<typeof createWatch>;
  readonly handshaking: ReturnType<typeof handshakes>;
}

function attach(server: Server, parts: Parts): void {
  const { options, limits, connections, watch } = parts;
  const context = { limits, watch, onRefusal: options.onRefusal };
  const connectionOf = (socket: Socket): Connection | undefined => {
    const connection = connections.get(socket);
    return connection instanceof Connection ? connection : undefined;
  };

  const take = (kind: HttpExchange['kind'], incoming: IncomingMessage, outgoing: ServerResponse, mayContinue = false): void => {
    const connection = connectionOf(incoming.socket);
    if (connection?.admits() !== true) return;
    const framing = framingProblem(incoming);
    if (incoming.rawHeaders.length / 2 > limits.headersMax) {
      connection.broken('headers_too_large', `more than ${limits.headersMax} headers`);
      return;
    }
    if (framing !== undefined) {
      connection.broken('malformed_request', framing);
      return;
    }
    const hooks = { onAnswered: () => connection.answered(), onWaiting: (isWaiting: boolean) => connection.waits(isWaiting) };
    const exchange = new Exchange(kind, { incoming, outgoing, mayContinue, peerChain: connection.peerChain, ends: connection.ends }, hooks);
    connection.begin(exchange);
    options.onExchange(exchange).catch((error: unknown) => {
      exchange.cut();
      options.onBug(error);
    });
  };

  server.on('connection', (socket: Socket) => keep(connections, socket, new Connection(socket, context)));
  server.on('request', (incoming, outgoing) => take('request', incoming, outgoing));
  server.on('checkContinue', (incoming: IncomingMessage, outgoing: ServerResponse) => take('request', incoming, outgoing, true));
  server.on('checkExpectation', (incoming: IncomingMessage) => {
    connectionOf(incoming.socket)?.broken('expectation_failed', 'an expectation that nobody here can meet');
  });
  for (const kind of ['upgrade', 'connect'] as const) {
    server.on(kind, (incoming: IncomingMessage, socket: Socket) => {
      // Node has let go of the connection; an answer still needs its framing.
      const outgoing = new ServerResponse(incoming);
      outgoing.shouldKeepAlive = false;
      outgoing.assignSocket(socket);
      outgoing.once('finish', () => socket.destroySoon());
      take(kind, incoming, outgoing);
    });
  }
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    const isTooLarge = error.code === 'HPE_HEADER_OVERFLOW';
    const isParser = error.code?.startsWith('HPE_') === true;
    if (!isParser) socket.destroy();
    else connectionOf(socket)?.broken(isTooLarge ? 'headers_too_large' : 'malformed_request', error.code ?? 'unreadable');
  });
}

/** Whoever has shaken hands goes on in the protocol that was agreed on: HTTP/2 where both know it, else HTTP/1.1. */
async function attachTls(secured: NetServer, http: Server, { options, limits, connections, watch, handshaking }: Parts): Promise<void> {
  // Loaded where a listener is under TLS alone: it costs 15 MB.
  const { performServerHandshake } = await import('node:http2');
  const { onExchange, onRefusal, onBug } = options;
  const context = { limits, watch, onExchange, onRefusal, onBug };
  secured.on('connection', (socket: Socket) => handshaking.begin(socket));
  secured.on('secureConnection', (socket: TLSSocket) => {
    if (!handshaking.admits(socket)) return;
    if (socket.alpnProtocol !== 'h2') http.emit('connection', socket);
    else keep(connections, socket, new H2Connection(performServerHandshake(socket, h2Options(limits)), socket, context));
  });
  secured.on('tlsClientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    handshaking.failed(socket, error.code ?? 'unreadable');
    socket.destroy();
  });
}

function keep(connections: Parts['connections'], socket: Socket, connection: Connection | H2Connection): void {
  connections.set(socket, connection);
  socket.once('close', () => connections.delete(socket));
  // A broken connection is no news: whoever waits on it is told by its own exchange.
  socket.on('error', () => undefined);
}

/**
 * What Node hands out although its framing is unclear: it would find the end of such a request elsewhere than the next
 * reader on the way, or only once the head has been acted on (request smuggling; RFC 9112 sections 6.1 and 6.3).
 */
function framingProblem(incoming: IncomingMessage): string | undefined {
  const { httpVersion, rawHeaders } = incoming;
  if (httpVersion !== '1.1' && httpVersion !== '1.0') return 'a version other than HTTP/1.0 and HTTP/1.1';
  if (hasCrookedLength(rawHeaders)) return 'a content length in another notation';
  const codings = valuesOf(rawHeaders, 'transfer-encoding');
  if (codings.length === 0) return undefined;
  if (httpVersion === '1.0') return 'a transfer coding in HTTP/1.0';
  return codings.length === 1 && codings[0]?.toLowerCase() === 'chunked' ? undefined : 'a transfer coding other than chunked';
}

/** Leading zeros, which the parser takes: to a reader that counts by eight the body ends elsewhere. */
function hasCrookedLength(rawHeaders: readonly string[]): boolean {
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    if (rawHeaders[i]?.toLowerCase() === 'content-length' && !/^(?:0|[1-9][0-9]{0,14})$/.test(rawHeaders[i + 1] ?? '')) return true;
  }
  return false;
}

async function listen(server: NetServer, address: ListenAddress): Promise<void> {
  const where = formatListenAddress(address);
  try {
    if (address.kind === 'unix') await clearSocket(address.path);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      const listening = (): void => {
        server.off('error', reject);
        resolve();
      };
      if (address.kind === 'unix') ownersAlone(() => server.listen(address.path, listening));
      else server.listen(address.port, address.host, listening);
    });
  } catch (cause) {
    throw listenFault(where, cause);
  }
}

/** Binding makes the socket with what the umask leaves; a mode changed afterwards would come too late for whoever waits for it. */
function ownersAlone(bind: () => void): void {
  const before = process.umask(0o177);
  try {
    bind();
  } finally {
    process.umask(before);
  }
}

/** Makes room for a socket: its folder, and away with one that a dead process left. Anything else there stays. */
async function clearSocket(path: string): Promise<void> {
  makeFolders(dirname(path), 0o700);
  const held = lstatSync(path, { throwIfNoEntry: false });
  if (held === undefined) return;
  if (!held.isSocket()) throw new Error('something that is no socket is there');
  const isServed = await new Promise<boolean>((resolve) => {
    const probe = createConnection(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', () => resolve(false));
  });
  if (isServed) throw new Error('another process is listening there');
  unlinkSync(path);
}

function addressOfServer(server: NetServer, asked: ListenAddress): ListenAddress {
  const bound = server.address();
  if (asked.kind === 'unix' || bound === null || typeof bound === 'string') return asked;
  return { kind: 'tcp', host: bound.address, port: bound.port };
}
