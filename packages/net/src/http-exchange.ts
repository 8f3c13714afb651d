/** One request on one connection, and its one answer. Framing is written here and nowhere else. */

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { invariant } from '@sallyport/model';
import type { ConnectionEnds } from './connection-ends.ts';
import { clientGone, ExchangeBase, writeAll } from './exchange-base.ts';
import { RequestBody } from './http-body.ts';
import { endWith } from './one-write.ts';

/** An answer's head. Framing headers (Content-Length, Transfer-Encoding, Connection, Date) are the listener's own. */
export interface AnswerHead {
  readonly status: number;
  readonly headers: readonly (readonly [name: string, value: string])[];
}

/** One request and the only way to answer it. */
export interface HttpExchange {
  /** `upgrade` and `connect` can only be refused: their answer closes the connection. */
  readonly kind: 'request' | 'upgrade' | 'connect';
  readonly method: string;
  /** The request target exactly as it stood in the request line. */
  readonly target: string;
  readonly httpVersion: '1.0' | '1.1' | '2.0';
  /** Names and values in turn, in their order and spelling, duplicates included. */
  readonly rawHeaders: readonly string[];
  /** Of the body as announced, for refusing early; 0 without a body, `undefined` where only its end will tell. The parser counts the bytes itself. */
  readonly contentLength: number | undefined;
  /** `127.0.0.1:40112`, or empty on a Unix socket. */
  readonly address: string;
  /**
   * What the peer showed in the handshake of this connection, DER, the leaf first. Empty
   * where it showed none, and without TLS. Its key is proven; whom it names, and whether that still holds, is not judged.
   */
  readonly peerChain: readonly Uint8Array[];
  /** Of its connection; the same object for all exchanges of one. */
  readonly ends: ConnectionEnds;
  /** Aborts when the client has gone, the body took too long, or the drain's grace is over. */
  readonly signal: AbortSignal;
  /**
   * The body, to be read at most once. A client that asked `Expect: 100-continue` is told to send only when reading
   * begins, so a request refused on its head costs no body. Rejects with a Fault `aborted` when it breaks off.
   */
  body(): AsyncIterable<Uint8Array>;
  /**
   * Answers, once. Resolves when everything has been handed to the connection; rejects with a Fault `aborted` when the
   * client has gone, and with what `body` itself throws, after cutting the connection. A request body that was not read
   * to its end closes the connection after the answer.
   */
  respond(head: AnswerHead, body?: Uint8Array | AsyncIterable<Uint8Array>): Promise<void>;
  /** Cuts the connection without another byte; for answers that must not look finished. */
  cut(): void;
}

/** What an exchange tells its connection. */
export interface ExchangeHooks {
  /** The last byte has been handed over; another request may follow. */
  readonly onAnswered: () => void;
  /** The client does not take what is written, or takes it again. */
  readonly onWaiting: (isWaiting: boolean) => void;
}

/** What an exchange is made of. */
export interface ExchangeParts {
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
  readonly mayContinue: boolean;
  readonly peerChain: readonly Uint8Array[];
  readonly ends: ConnectionEnds;
}

const OWN_HEADERS: ReadonlySet<string> = new Set([
  'content-length',
  'transfer-encoding',
  'connection',
  'keep-alive',
  'date',
  'upgrade',
  'trailer',
]);
const BODILESS: ReadonlySet<number> = new Set([204, 304]);

/** Owner of its fields: itself, and its connection through `fail` and `closeAfter`. */
export class Exchange extends ExchangeBase implements HttpExchange {
  readonly kind: HttpExchange['kind'];
  readonly address: string;
  readonly peerChain: readonly Uint8Array[];
  readonly ends: ConnectionEnds;
  readonly #incoming: IncomingMessage;
  readonly #outgoing: ServerResponse;
  readonly #hooks: ExchangeHooks;
  readonly #hasBody: boolean;
  #hasResponded = false;

  constructor(kind: HttpExchange['kind'], { incoming, outgoing, mayContinue, peerChain, ends }: ExchangeParts, hooks: ExchangeHooks) {
    super(
      new RequestBody(incoming, () => {
        if (mayContinue && !outgoing.headersSent) outgoing.writeContinue();
      }),
    );
    this.kind = kind;
    this.peerChain = peerChain;
    this.ends = ends;
    this.#incoming = incoming;
    this.#outgoing = outgoing;
    this.#hooks = hooks;
    this.#hasBody = hasBody(incoming.rawHeaders);
    this.address = addressOf(incoming.socket);
    outgoing.once('close', () => {
      if (!outgoing.writableFinished) this.fail(clientGone());
    });
  }

  get method(): string {
    return this.#incoming.method ?? '';
  }

  get target(): string {
    return this.#incoming.url ?? '';
  }

  get httpVersion(): '1.0' | '1.1' {
    return this.#incoming.httpVersion === '1.0' ? '1.0' : '1.1';
  }

  get rawHeaders(): readonly string[] {
    return this.#incoming.rawHeaders;
  }

  get contentLength(): number | undefined {
    return contentLengthOf(this.#incoming.rawHeaders);
  }

  /** Whether the answer has been handed over whole. */
  get isAnswered(): boolean {
    return this.#outgoing.writableEnded;
  }

  get hasBegunAnswer(): boolean {
    return this.#outgoing.headersSent;
  }

  /** Nothing more of this request will come. (Node says `complete` only after it has handed out the head.) */
  get hasWholeRequest(): boolean {
    return this.#incoming.complete || !this.#hasBody;
  }

  async respond(head: AnswerHead, body?: Uint8Array | AsyncIterable<Uint8Array>): Promise<void> {
    invariant(!this.#hasResponded, 'an exchange is answered once');
    this.#hasResponded = true;
    if (this.failure !== undefined) throw this.failure;
    // What is left of the request would otherwise be read as the next one's beginning, or without a bound.
    if (!this.hasWholeRequest || this.kind !== 'request') this.closeAfter();
    this.#outgoing.writeHead(head.status, rawHead(head, body));
    await new Promise<void>((resolve, reject) => {
      this.#outgoing.once('close', () => {
        if (this.#outgoing.writableFinished) resolve();
        else reject(this.failure ?? clientGone());
      });
      this.#send(body).catch((error: unknown) => {
        reject(error);
        this.cut();
      });
    });
  }

  cut(): void {
    this.#incoming.socket.destroy();
  }

  /** The connection ends with this answer, if its head has not gone already. */
  closeAfter(): void {
    if (!this.#outgoing.headersSent) this.#outgoing.shouldKeepAlive = false;
  }

  /** What still comes of the body is thrown away. */
  discard(): void {
    this.requestBody.discard();
  }

  async #send(body: Uint8Array | AsyncIterable<Uint8Array> | undefined): Promise<void> {
    if (body !== undefined && !(body instanceof Uint8Array)) {
      this.#outgoing.flushHeaders();
      await writeAll(this.#outgoing, body, this.#hooks.onWaiting);
    }
    if (body instanceof Uint8Array && this.method !== 'HEAD') endWith(this.#outgoing, body);
    else this.#outgoing.end();
    this.#hooks.onAnswered();
  }
}

/** `127.0.0.1:40112`, or empty on a Unix socket. */
export function addressOf(socket: Socket): string {
  const { remoteAddress, remotePort } = socket;
  if (remoteAddress === undefined || remotePort === undefined) return '';
  return remoteAddress.includes(':') ? `[${remoteAddress}]:${remotePort}` : `${remoteAddress}:${remotePort}`;
}

/** RFC 9112 section 6.3: a request without either header has no body. */
function hasBody(rawHeaders: readonly string[]): boolean {
  return valuesOf(rawHeaders, 'transfer-encoding').length > 0 || valuesOf(rawHeaders, 'content-length').some((length) => length !== '0');
}

/** Without either framing header there is no body; of a second or a crooked length the parser makes no exchange (RFC 9112, section 6.3). */
function contentLengthOf(rawHeaders: readonly string[]): number | undefined {
  let isUnknown = false;
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]?.toLowerCase();
    const value = rawHeaders[i + 1];
    if (name === 'content-length' && value !== undefined && /^\d{1,15}$/.test(value)) return Number(value);
    if (name === 'transfer-encoding' || name === 'content-length') isUnknown = true;
  }
  return isUnknown ? undefined : 0;
}

/** Whether a header of an answer is not for whoever answers to write. */
export function isOwnHeader(name: string): boolean {
  return OWN_HEADERS.has(name.toLowerCase());
}

/** Every value of a header, in order. */
export function valuesOf(rawHeaders: readonly string[], lowerCaseName: string): string[] {
  return rawHeaders.filter((_value, i) => i % 2 === 1 && rawHeaders[i - 1]?.toLowerCase() === lowerCaseName);
}

function rawHead(head: AnswerHead, body: Uint8Array | AsyncIterable<Uint8Array> | undefined): string[] {
  const raw: string[] = [];
  for (const [name, value] of head.headers) {
    invariant(!isOwnHeader(name), `\`${name}\` is the listener's own header`);
    raw.push(name, value);
  }
  const isWhole = body === undefined || body instanceof Uint8Array;
  if (isWhole && !BODILESS.has(head.status)) raw.push('Content-Length', String(body?.length ?? 0));
  return raw;
}
