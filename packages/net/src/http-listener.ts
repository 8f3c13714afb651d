/**
 * The strict HTTP/1.1 listener of the loopback ports: every size, count and wait bounded, raw headers handed on as they
 * came, nothing answered on a peer's terms. What a request means is decided by whoever takes the exchange.
 */

import { Bug } from '@sallyport/model';
import type { Clock } from '@sallyport/model';
import type { ListenAddress } from '@sallyport/runtime';

/** Why the listener itself turned a connection away; it has answered already where an answer was possible. */
export type ListenerRefusalCode =
  | 'malformed_request'
  | 'headers_too_large'
  | 'head_timeout'
  | 'body_timeout'
  | 'pipelined'
  | 'connections_exceeded'
  | 'expectation_failed';

export interface ListenerRefusal {
  readonly code: ListenerRefusalCode;
  /** For the log: what the parser said, without the bytes. */
  readonly detail: string;
  readonly address: string;
  /** What was answered, 0 where the connection was only closed. */
  readonly status: number;
}

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
  readonly httpVersion: '1.0' | '1.1';
  /** Names and values in turn, in their order and spelling, duplicates included. */
  readonly rawHeaders: readonly string[];
  /** `127.0.0.1:40112`, or empty on a Unix socket. */
  readonly address: string;
  /** Aborts when the client has gone, the body took too long, or the drain's grace is over. */
  readonly signal: AbortSignal;
  /**
   * The body, to be read at most once. A client that asked `Expect: 100-continue` is told to send only when reading
   * begins, so a request refused on its head costs no body. Rejects with a Fault `aborted` when it breaks off.
   */
  body(): AsyncIterable<Uint8Array>;
  /**
   * Answers, once. Resolves when everything has been handed to the connection, or the client has gone (the Fault
   * `aborted` is the only rejection). A body that was not read to its end closes the connection after the answer.
   */
  respond(head: AnswerHead, body?: Uint8Array | AsyncIterable<Uint8Array>): Promise<void>;
  /** Cuts the connection without another byte; for answers that must not look finished. */
  cut(): void;
}

export interface HttpLimits {
  readonly headBytesMax: number;
  readonly headersMax: number;
  readonly connectionsMax: number;
  /** From the first byte of a connection to the end of the first head. */
  readonly headMsMax: number;
  /** From the end of the head to the end of the body. */
  readonly bodyMsMax: number;
  /** From an answer to the end of the next head on the same connection. */
  readonly idleMsMax: number;
}

export const HTTP_LIMITS: HttpLimits = {
  headBytesMax: 16_384,
  headersMax: 100,
  connectionsMax: 512,
  headMsMax: 10_000,
  bodyMsMax: 60_000,
  idleMsMax: 30_000,
};

export interface HttpListenerOptions {
  readonly listen: ListenAddress;
  readonly clock: Clock;
  readonly limits?: Partial<HttpLimits>;
  /** Takes an exchange. What it throws cuts the connection and goes to `onBug`. */
  readonly onExchange: (exchange: HttpExchange) => Promise<void>;
  /** So that what never became an exchange is still seen. */
  readonly onRefusal: (refusal: ListenerRefusal) => void;
  readonly onBug: (error: unknown) => void;
}

export interface HttpListener {
  /** With the real port. */
  readonly address: ListenAddress;
  /** Accepts no more, closes what is idle, lets running exchanges end for `graceMs`, then cuts them. */
  drain(options: { readonly graceMs: number }): Promise<void>;
}

/** Starts listening; a Unix socket's folder is made with mode 0700. Rejects with a Fault `listen_failed`. */
export async function startHttpListener(options: HttpListenerOptions): Promise<HttpListener> {
  throw new Bug(`to come ${options.listen.kind}`);
}
