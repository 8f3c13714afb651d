/** One request on one stream of HTTP/2, and its one answer. Streams share a connection and nothing else. */

import type { ServerHttp2Stream } from 'node:http2';
import { invariant } from '@sallyport/model';
import type { ConnectionEnds } from './connection-ends.ts';
import { clientGone, ExchangeBase, writeAll } from './exchange-base.ts';
import { RequestBody } from './http-body.ts';
import { type AnswerHead, type HttpExchange, isOwnHeader } from './http-exchange.ts';
import type { Watched } from './watch.ts';

/** A request's head in the words of HTTP/1: pseudo-header fields in their places, everything else as it came. */
export interface H2Head {
  readonly method: string;
  readonly target: string;
  readonly rawHeaders: readonly string[];
  readonly mayContinue: boolean;
}

/** What a stream has of its connection. */
export interface H2ExchangeParts {
  readonly stream: ServerHttp2Stream;
  readonly head: H2Head;
  readonly address: string;
  readonly peerChain: readonly Uint8Array[];
  readonly ends: ConnectionEnds;
  /** Of this stream alone: the time for its body, and for its client to take what is written. */
  readonly watched: Watched;
  readonly bodyMsMax: number;
}

/** RFC 9113, section 7. */
const NO_ERROR = 0;
const INTERNAL_ERROR = 2;
const BODILESS: ReadonlySet<number> = new Set([204, 304]);

/** Owner of its fields: itself, and its connection through `fail`. */
export class H2Exchange extends ExchangeBase implements HttpExchange {
  readonly kind = 'request';
  readonly httpVersion = '2.0';
  readonly method: string;
  readonly target: string;
  readonly rawHeaders: readonly string[];
  readonly address: string;
  readonly peerChain: readonly Uint8Array[];
  readonly ends: ConnectionEnds;
  readonly contentLength: number | undefined;
  readonly #stream: ServerHttp2Stream;
  readonly #watched: Watched;
  readonly #bodyMsMax: number;
  #hasResponded = false;

  constructor({ stream, head, address, peerChain, ends, watched, bodyMsMax }: H2ExchangeParts) {
    super(
      new RequestBody(stream, () => {
        if (head.mayContinue && !stream.headersSent) stream.additionalHeaders({ ':status': 100 });
      }),
    );
    this.method = head.method;
    this.target = head.target;
    this.rawHeaders = head.rawHeaders;
    this.address = address;
    this.peerChain = peerChain;
    this.ends = ends;
    this.contentLength = contentLengthOf(head.rawHeaders, stream.endAfterHeaders);
    this.#stream = stream;
    this.#watched = watched;
    this.#bodyMsMax = bodyMsMax;
    // Before the end that Node gives to a body that was broken off: it must not look finished.
    stream.once('aborted', () => this.fail(clientGone()));
    stream.once('close', () => {
      if (!stream.writableFinished) this.fail(clientGone());
    });
    if (!this.hasWholeRequest) watched.within(bodyMsMax);
  }

  get hasBegunAnswer(): boolean {
    return this.#stream.headersSent;
  }

  /** Nothing more of this request will come. */
  get hasWholeRequest(): boolean {
    return this.#stream.endAfterHeaders || this.#stream.readableEnded || this.#stream.state.remoteClose === 1;
  }

  async respond(head: AnswerHead, body?: Uint8Array | AsyncIterable<Uint8Array>): Promise<void> {
    invariant(!this.#hasResponded, 'an exchange is answered once');
    this.#hasResponded = true;
    if (this.failure !== undefined) throw this.failure;
    const stream = this.#stream;
    stream.respond(headersOf(head, body));
    await new Promise<void>((resolve, reject) => {
      stream.once('finish', resolve);
      stream.once('close', () => reject(this.failure ?? clientGone()));
      this.#send(body).catch((error: unknown) => {
        reject(error);
        this.cut();
      });
    });
    this.#watched.pause();
    // What is left of the body is wanted by nobody (RFC 9113, section 8.1).
    if (!this.hasWholeRequest) stream.close(NO_ERROR);
  }

  /** Resets the stream; its connection stays, because others run on it. */
  cut(): void {
    this.#stream.close(INTERNAL_ERROR);
  }

  async #send(body: Uint8Array | AsyncIterable<Uint8Array> | undefined): Promise<void> {
    if (body !== undefined && !(body instanceof Uint8Array)) {
      this.#watched.pause();
      await writeAll(this.#stream, body, (isWaiting) => (isWaiting ? this.#watched.within(this.#bodyMsMax) : this.#watched.pause()));
    }
    // Until its client has taken all of it.
    this.#watched.within(this.#bodyMsMax);
    if (body instanceof Uint8Array && this.method !== 'HEAD') this.#stream.end(body);
    else this.#stream.end();
  }
}

/** The parser has compared what is announced with what comes. Without an announcement the end of the stream tells. */
function contentLengthOf(rawHeaders: readonly string[], endsWithHead: boolean): number | undefined {
  if (endsWithHead) return 0;
  const at = rawHeaders.findIndex((name, i) => i % 2 === 0 && name === 'content-length');
  const value = at < 0 ? undefined : rawHeaders[at + 1];
  return value !== undefined && /^\d{1,15}$/.test(value) ? Number(value) : undefined;
}

function headersOf(head: AnswerHead, body: Uint8Array | AsyncIterable<Uint8Array> | undefined): Record<string, string | number | string[]> {
  const headers: Record<string, string | number | string[]> = { ':status': head.status };
  for (const [name, value] of head.headers) {
    invariant(!isOwnHeader(name), `\`${name}\` is the listener's own header`);
    const known = headers[name.toLowerCase()];
    headers[name.toLowerCase()] = known === undefined ? value : [known, value].flat().map(String);
  }
  const isWhole = body === undefined || body instanceof Uint8Array;
  if (isWhole && !BODILESS.has(head.status)) headers['content-length'] = String(body?.length ?? 0);
  return headers;
}
