/** One HTTP/1.1 exchange with an upstream over a lane's connections: bounded in time, head and body, ended exactly once. */

import { type Agent, type ClientRequest, type IncomingMessage, request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { LookupFunction, Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { invariant } from '@sallyport/model';
import type { BootMs, Destination } from '@sallyport/model';
import { unbracketed } from './address.ts';
import { endWith } from './one-write.ts';
import type { UpstreamAnswer, UpstreamLimits, UpstreamRequest } from './upstream.ts';
import { type Stage, upstreamFault, UpstreamFault } from './upstream-fault.ts';
import type { UpstreamTls } from './upstream-tls.ts';
import type { Watch, Watched } from './watch.ts';

/** The connections to one destination. */
export interface Lane {
  readonly destination: Destination;
  readonly agent: Agent;
  /** By what its connections were made; `undefined` where the destination says nothing of it. */
  readonly tls: UpstreamTls | undefined;
  readonly madeAt: BootMs;
  readonly lookup: LookupFunction;
  /** Dialled in place of the destination's host. */
  readonly socketPath: string | undefined;
  /** Owner: the exchanges of this lane. */
  inFlight: number;
}

interface Bounds {
  readonly limits: UpstreamLimits;
  readonly watch: Watch;
}

/** What this module writes itself, or what only means something between two neighbours (RFC 9110 section 7.6.1). */
const OWN_HEADERS: ReadonlySet<string> = new Set([
  'host',
  'content-length',
  'transfer-encoding',
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authorization',
  'upgrade',
  'te',
  'trailer',
  'expect',
  'accept-encoding',
]);
const READS: ReadonlySet<string> = new Set(['GET', 'HEAD']);
const INTERIM_ANSWERS_MAX = 8;
/** When there may be something to read, or nothing more. */
const READING = ['readable', 'end', 'close'] as const;

/** Sends and waits for the answer's head. */
export async function exchange(lane: Lane, request: UpstreamRequest, bounds: Bounds): Promise<UpstreamAnswer> {
  const first = new Attempt(lane, request, bounds);
  try {
    return await first.answer();
  } catch (error) {
    // The server closed the kept-alive connection while the request was on its way. Only a read may be sent again.
    const isRepeatable = request.onlyReads === true && READS.has(request.method);
    if (!(first.lostReusedConnection && isRepeatable && !request.signal.aborted)) throw error;
    return new Attempt(lane, request, bounds).answer();
  }
}

/** One request on one connection. Owner of all its fields. */
class Attempt {
  readonly #lane: Lane;
  readonly #request: UpstreamRequest;
  readonly #limits: UpstreamLimits;
  readonly #outgoing: ClientRequest;
  readonly #watched: Watched;
  readonly #onAbort = (): void => this.#fail(this.#fault('aborted', 'the caller has gone'));
  #stage: Stage = 'connecting';
  #hasEnded = false;
  /** Why it was given up, where it was we who did. */
  #failure: UpstreamFault | undefined;

  constructor(lane: Lane, request: UpstreamRequest, bounds: Bounds) {
    this.#lane = lane;
    this.#request = request;
    this.#limits = bounds.limits;
    this.#outgoing = open(lane, request, bounds.limits);
    lane.inFlight += 1;
    this.#watched = bounds.watch.add(() => this.#fail(this.#fault('upstream_timeout', TOO_LONG[this.#stage])));
  }

  /** Whether this was the answer of a dead connection from the pool. */
  get lostReusedConnection(): boolean {
    return this.#failure === undefined && this.#stage === 'sent' && this.#outgoing.reusedSocket;
  }

  async answer(): Promise<UpstreamAnswer> {
    try {
      const head = await this.#head();
      return this.#answer(head);
    } catch (error) {
      this.#end();
      throw this.#failure ?? upstreamFault(this.#name, this.#stage, error);
    }
  }

  get #name(): string {
    return `\`${this.#lane.destination.server}\``;
  }

  #fault(code: 'aborted' | 'upstream_timeout' | 'upstream_protocol' | 'upstream_too_large', why: string): UpstreamFault {
    const wasSent = this.#stage === 'sent' || this.#stage === 'answering';
    return new UpstreamFault(code, `${this.#name}: ${why}`, { wasSent });
  }

  #head(): Promise<IncomingMessage> {
    const { signal, body } = this.#request;
    this.#watched.within(this.#limits.connectMsMax);
    return new Promise((resolve, reject) => {
      let interim = 0;
      // Stays attached: an error after the end has nobody to tell, and must not end the process.
      this.#outgoing.on('error', reject);
      this.#outgoing.once('socket', (socket) => this.#follow(socket));
      this.#outgoing.on('information', () => {
        interim += 1;
        if (interim > INTERIM_ANSWERS_MAX) this.#fail(this.#fault('upstream_protocol', 'too many interim answers'));
      });
      this.#outgoing.once('upgrade', (_answer, socket: Socket) => {
        socket.destroy();
        this.#fail(this.#fault('upstream_protocol', 'switched protocols unasked'));
        reject(this.#failure ?? new Error('upgrade'));
      });
      this.#outgoing.once('response', (incoming) => {
        this.#stage = 'answering';
        resolve(incoming);
      });
      if (signal.aborted) this.#onAbort();
      else signal.addEventListener('abort', this.#onAbort, { once: true });
      if (this.#request.headersFor === undefined) this.#send(body);
      else this.#outgoing.once('socket', (socket) => this.#sendTo(socket, reject));
    });
  }

  #send(body: Uint8Array | undefined): void {
    if (body === undefined) this.#outgoing.end();
    else endWith(this.#outgoing, body);
  }

  /** Holds the request back until the server has proven who it is: what is said of it in a header is for it alone. */
  #sendTo(socket: Socket, reject: (error: unknown) => void): void {
    const { headersFor, body } = this.#request;
    invariant(headersFor !== undefined && socket instanceof TLSSocket, 'only a server that proves itself is told more');
    const add = async (): Promise<void> => {
      const more = await headersFor(new Uint8Array(socket.getPeerCertificate().raw));
      if (this.#outgoing.destroyed) return;
      for (const [name, value] of more) this.#outgoing.setHeader(name, value);
      this.#send(body);
    };
    const adding = (): void => {
      add().catch((error: unknown) => {
        reject(error);
        this.#outgoing.destroy();
      });
    };
    if (this.#outgoing.reusedSocket) adding();
    else socket.once('secureConnect', adding);
  }

  /** Keeps the stage: what leaves before the handshake is over is not the request. */
  #follow(socket: Socket): void {
    const sent = (): void => {
      this.#stage = 'sent';
      this.#watched.within(this.#request.firstByteMsMax ?? this.#limits.firstByteMsMax);
    };
    if (this.#outgoing.reusedSocket || !(socket.connecting || socket instanceof TLSSocket)) {
      sent();
      return;
    }
    if (!(socket instanceof TLSSocket)) {
      socket.once('connect', sent);
      return;
    }
    socket.once('connect', () => (this.#stage = 'securing'));
    socket.once('secureConnect', sent);
  }

  #answer(incoming: IncomingMessage): UpstreamAnswer {
    const { rawHeaders } = incoming;
    this.#watched.pause();
    if (rawHeaders.length / 2 > this.#limits.headersMax) {
      this.#fail(this.#fault('upstream_protocol', `more than ${this.#limits.headersMax} headers`));
      throw this.#failure ?? new Error('headers');
    }
    // Attached at once: the connection may break before anybody reads.
    incoming.on('error', () => undefined);
    incoming.once('close', () => this.#end());
    return {
      status: incoming.statusCode ?? 0,
      rawHeaders,
      contentEncoding: contentEncoding(rawHeaders),
      body: this.#body(incoming),
      discard: () => {
        if (this.#hasEnded) return;
        incoming.destroy();
        this.#end();
      },
    };
  }

  async *#body(incoming: IncomingMessage): AsyncGenerator<Uint8Array> {
    const idleMs = this.#request.idleMsMax ?? this.#limits.idleMsMax;
    // Owner: this reading. By hand: the stream's own iterator costs as much as everything else here.
    let wake: (() => void) | undefined;
    const ring = (): void => wake?.();
    for (const event of READING) incoming.on(event, ring);
    let bytes = 0;
    try {
      for (;;) {
        const chunk = incoming.read() as Buffer | null;
        if (chunk === null) {
          if (incoming.readableEnded) break;
          if (incoming.destroyed) throw incoming.errored ?? new Error('the connection was closed');
          // Only the upstream's silence counts, not the time that our reader takes.
          this.#watched.within(idleMs);
          await new Promise<void>((resolve) => (wake = resolve));
          this.#watched.pause();
          continue;
        }
        bytes += chunk.length;
        if (bytes > this.#request.bodyBytesMax) throw this.#fault('upstream_too_large', `more than ${this.#request.bodyBytesMax} bytes`);
        yield chunk;
      }
    } catch (error) {
      throw this.#failure ?? upstreamFault(this.#name, this.#stage, error);
    } finally {
      for (const event of READING) incoming.off(event, ring);
      if (!incoming.complete || !incoming.readableEnded) incoming.destroy();
      this.#end();
    }
  }

  #fail(fault: UpstreamFault): void {
    this.#failure ??= fault;
    this.#outgoing.destroy(fault);
  }

  #end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#lane.inFlight -= 1;
    this.#watched.end();
    this.#request.signal.removeEventListener('abort', this.#onAbort);
  }
}

const TOO_LONG: Readonly<Record<Stage, string>> = {
  connecting: 'no connection in time',
  securing: 'no secure connection in time',
  sent: 'no answer in time',
  answering: 'the answer stopped',
};

function open(lane: Lane, request: UpstreamRequest, limits: UpstreamLimits): ClientRequest {
  const { scheme, port } = lane.destination;
  const host = unbracketed(lane.destination.host);
  const outgoing = (scheme === 'https' ? httpsRequest : httpRequest)({
    agent: lane.agent,
    ...(lane.socketPath === undefined ? { host, port, lookup: lane.lookup } : { socketPath: lane.socketPath }),
    method: request.method,
    path: request.path,
    headers: request.headersFor === undefined ? headersOf(lane.destination, request) : asObject(headersOf(lane.destination, request)),
    maxHeaderSize: limits.headBytesMax,
    insecureHTTPParser: false,
    setHost: false,
  });
  // Node would silently drop what is beyond its own count; we count, and refuse.
  outgoing.maxHeadersCount = 0;
  return outgoing;
}

/** A list is what Node sends as it stands, so that nothing could be added; each name stands in it once. */
function asObject(list: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = {};
  for (let at = 0; at < list.length; at += 2) headers[list[at] ?? ''] = list[at + 1] ?? '';
  return headers;
}

function headersOf(destination: Destination, request: UpstreamRequest): string[] {
  invariant(request.path.startsWith('/'), 'a request path is in origin form');
  const defaultPort = destination.scheme === 'https' ? 443 : 80;
  const authority = destination.port === defaultPort ? destination.host : `${destination.host}:${destination.port}`;
  const headers = ['Host', authority];
  for (const [name, value] of request.headers) {
    invariant(!OWN_HEADERS.has(name.toLowerCase()), `\`${name}\` is the dialler's own header`);
    headers.push(name, value);
  }
  headers.push('Accept-Encoding', 'identity');
  if (request.body !== undefined || !READS.has(request.method)) headers.push('Content-Length', String(request.body?.length ?? 0));
  return headers;
}

function contentEncoding(rawHeaders: readonly string[]): string | undefined {
  const values: string[] = [];
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (rawHeaders[i]?.toLowerCase() === 'content-encoding') values.push((rawHeaders[i + 1] ?? '').trim().toLowerCase());
  }
  const encoding = values.join(', ');
  return encoding === '' || encoding === 'identity' ? undefined : encoding;
}
