/** What an exchange is whatever carries it: a body that is read once, and a way to break off that its reader and its watchers hear of. */

import type { Writable } from 'node:stream';
import { Fault } from '@sallyport/model';
import type { RequestBody } from './http-body.ts';

/** Owner of its fields; a class to inherit from, so that a request costs no object more. */
export abstract class ExchangeBase {
  protected readonly requestBody: RequestBody;
  protected failure: Fault | undefined;
  #controller: AbortController | undefined;

  constructor(requestBody: RequestBody) {
    this.requestBody = requestBody;
  }

  /** Made when somebody asks: most exchanges end without. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.failure !== undefined && !this.#controller.signal.aborted) this.#controller.abort(this.failure);
    return this.#controller.signal;
  }

  body(): AsyncIterable<Uint8Array> {
    return this.requestBody;
  }

  /** The request is broken: reading rejects, the signal aborts. The first reason counts. */
  fail(fault: Fault): void {
    this.failure ??= fault;
    this.requestBody.fail(this.failure);
    this.#controller?.abort(this.failure);
  }
}

export function clientGone(): Fault {
  return new Fault('aborted', 'downstream', 'the client has gone');
}

/**
 * Writes as fast as the client takes it, telling of each wait. Ends early where the client has gone; a source that waits for the
 * next event hears then that nobody waits for it any more.
 */
export async function writeAll(to: Writable, body: AsyncIterable<Uint8Array>, onWaiting: (isWaiting: boolean) => void): Promise<void> {
  const chunks = body[Symbol.asyncIterator]();
  to.once('close', () => void chunks.return?.().catch(() => undefined));
  for (;;) {
    const next = await chunks.next();
    if (next.done === true || to.destroyed) return;
    if (!to.write(next.value)) await drained(to, onWaiting);
  }
}

function drained(to: Writable, onWaiting: (isWaiting: boolean) => void): Promise<void> {
  onWaiting(true);
  return new Promise((resolve) => {
    const done = (): void => {
      onWaiting(false);
      to.off('drain', done);
      to.off('close', done);
      resolve();
    };
    to.once('drain', done);
    to.once('close', done);
  });
}
