/**
 * One accepted connection: how long it may take over what, one exchange at a time, and how it ends. Deadlines run on the
 * Clock; Node's own are switched off, so that a test can hold the hands and nothing depends on two sets of them.
 */

import type { Socket } from 'node:net';
import { Fault } from '@sallyport/model';
import { ownAnswer, type OwnAnswer, statusOf } from './http-answer.ts';
import { connectionEnds, type ConnectionEnds } from './connection-ends.ts';
import { addressOf, type Exchange } from './http-exchange.ts';
import type { HttpLimits, ListenerRefusal, ListenerRefusalCode } from './http-listener.ts';
import { peerChainOf } from './peer-chain.ts';
import type { Watch, Watched } from './watch.ts';

/** How long a closed connection is still listened to, so that the answer is not lost in a reset. */
const LINGER_MS = 2_000;

export interface ConnectionContext {
  readonly limits: HttpLimits;
  readonly watch: Watch;
  readonly onRefusal: (refusal: ListenerRefusal) => string | void;
}

/** Owner of its fields: itself, told by the listener what the parser found. */
export class Connection {
  readonly #socket: Socket;
  readonly #context: ConnectionContext;
  readonly #watched: Watched;
  readonly #destroySoon: () => void;
  #exchange: Exchange | undefined;
  /** Bytes received when the last answer was handed over: more means a next head has begun. */
  #bytesAtRest = 0;
  #isClosing = false;
  #isBroken = false;
  /** An answer is being written, and the client does not take it. */
  #isWaiting = false;
  #peerChain: readonly Uint8Array[] | undefined;
  /** Read while both are there: a socket that is closed has forgotten them. */
  readonly ends: ConnectionEnds;

  constructor(socket: Socket, context: ConnectionContext) {
    this.#socket = socket;
    this.ends = connectionEnds(socket);
    this.#destroySoon = socket.destroySoon.bind(socket);
    // Node ends a connection with this, which resets it while the client is still sending.
    socket.destroySoon = () => this.#close();
    this.#context = context;
    // Under TLS the handshake has brought some.
    this.#bytesAtRest = socket.bytesRead;
    this.#watched = context.watch.add(() => this.#overdue());
    this.#watched.within(context.limits.headMsMax);
    socket.once('close', () => this.#watched.end());
  }

  get isIdle(): boolean {
    return this.#exchange === undefined || this.#exchange.isAnswered;
  }

  /** Whether a request may begin now. One that comes before the last was answered ends the connection instead. */
  admits(): boolean {
    if (this.#isClosing) return false;
    if (this.isIdle) return true;
    // Two requests in flight on one connection is how one caller's answer is read as another's.
    this.refuse('pipelined', 'a second request before the first was answered', 0);
    this.closeAfter();
    return false;
  }

  /** The peer's certificates, read once: nothing of a handshake changes after it. */
  get peerChain(): readonly Uint8Array[] {
    return (this.#peerChain ??= peerChainOf(this.#socket));
  }

  begin(exchange: Exchange): void {
    this.#exchange = exchange;
    this.#watched.within(this.#context.limits.bodyMsMax);
    if (this.#isClosing) exchange.closeAfter();
  }

  /** A client that reads nothing would keep its answer, and what is behind it, for ever. */
  waits(isWaiting: boolean): void {
    this.#isWaiting = isWaiting;
    if (isWaiting) this.#watched.within(this.#context.limits.bodyMsMax);
    else this.#watched.pause();
  }

  answered(): void {
    // A client with many connections leaves each at rest for long; what it asked last is nothing to keep meanwhile.
    if (this.#exchange?.hasWholeRequest === true) this.#exchange = undefined;
    this.#bytesAtRest = this.#socket.bytesRead;
    this.#watched.within(this.#isClosing ? LINGER_MS : this.#context.limits.idleMsMax);
  }

  /** Nothing more is taken on this connection; what runs may end. */
  closeAfter(): void {
    this.#isClosing = true;
    this.#exchange?.closeAfter();
    if (this.isIdle) this.#close();
  }

  /**
   * The request cannot go on: answers by itself unless an answer has begun, tells whoever reads the body, reports, and
   * closes.
   */
  broken(code: OwnAnswer, detail: string): void {
    const exchange = this.isIdle ? undefined : this.#exchange;
    if (this.#isBroken || (this.#isClosing && exchange === undefined)) {
      this.#socket.destroy();
      return;
    }
    this.#isBroken = true;
    const canAnswer = this.#socket.writable && exchange?.hasBegunAnswer !== true;
    const decisionId = this.refuse(code, detail, canAnswer ? statusOf(code) : 0);
    this.#isClosing = true;
    exchange?.fail(new Fault('aborted', 'downstream', `the request broke off: ${detail}`));
    if (!canAnswer) {
      this.#socket.destroy();
      return;
    }
    this.#socket.end(ownAnswer(code, decisionId));
    // The parser has stopped reading; what still comes is thrown away for a moment, then the connection is.
    this.#socket.resume();
    this.#watched.within(LINGER_MS);
  }

  refuse(code: ListenerRefusalCode, detail: string, status: number): string | undefined {
    const isWithinExchange = !this.isIdle && this.#exchange?.hasWholeRequest === false;
    const named = this.#context.onRefusal({ code, detail, address: addressOf(this.#socket), status, isWithinExchange });
    return typeof named === 'string' ? named : undefined;
  }

  #overdue(): void {
    const exchange = this.#exchange;
    if (this.#isWaiting || (this.#isClosing && this.isIdle)) {
      this.#socket.destroy();
    } else if (exchange !== undefined && !exchange.isAnswered) {
      // A whole request may take its handler as long as its own deadlines allow.
      if (!exchange.hasWholeRequest) this.broken('body_timeout', 'the body took too long');
    } else if (this.#socket.bytesRead > this.#bytesAtRest) {
      this.broken('head_timeout', 'the head took too long');
    } else {
      this.#socket.destroy();
    }
  }

  /**
   * Says that no more will be written, and while the client is still sending discards that for a moment: closing with
   * bytes unread resets the connection, and the client might never see its answer.
   */
  #close(): void {
    this.#isClosing = true;
    if (this.#exchange === undefined || this.#exchange.hasWholeRequest) {
      this.#destroySoon();
      return;
    }
    this.#socket.end();
    this.#exchange.discard();
    this.#watched.within(LINGER_MS);
  }
}
