/** A request body as it comes, pulled by its one reader: what is not read is not received, and a break is a Fault. */

import type { Readable } from 'node:stream';
import { Fault, invariant } from '@sallyport/model';

const EVENTS = ['readable', 'end', 'close', 'error'] as const;

/**
 * Owner of its fields. A class, because a generator function made for each body would bring a hidden class of its own,
 * which lives in the old generation and keeps everything of its exchange alive until the next full collection.
 */
export class RequestBody implements AsyncIterable<Uint8Array> {
  readonly #incoming: Readable;
  readonly #onFirstRead: () => void;
  readonly #ring = (): void => this.#wake?.();
  #wake: (() => void) | undefined;
  #failure: Fault | undefined;
  #isTaken = false;

  /** `onFirstRead` runs when the reader begins, before anything is waited for. */
  constructor(incoming: Readable, onFirstRead: () => void) {
    this.#incoming = incoming;
    this.#onFirstRead = onFirstRead;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    invariant(!this.#isTaken, 'a body is read once');
    this.#isTaken = true;
    this.#onFirstRead();
    const incoming = this.#incoming;
    for (const event of EVENTS) incoming.on(event, this.#ring);
    try {
      for (;;) {
        if (this.#failure !== undefined) throw this.#failure;
        const chunk = incoming.read() as Buffer | null;
        if (chunk !== null) {
          yield chunk;
          continue;
        }
        if (incoming.readableEnded) return;
        if (incoming.destroyed) throw new Fault('aborted', 'downstream', 'the body broke off');
        await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    } finally {
      this.#detach();
    }
  }

  /** From now on reading rejects with this. The first one counts. */
  fail(fault: Fault): void {
    this.#failure ??= fault;
    this.#ring();
  }

  /** Nobody will read on: what still comes is received and thrown away. */
  discard(): void {
    this.fail(new Fault('aborted', 'downstream', 'the request was answered before its body was read'));
    // A stream that has a listener for `readable` does not flow.
    this.#detach();
    this.#incoming.resume();
  }

  #detach(): void {
    for (const event of EVENTS) this.#incoming.off(event, this.#ring);
  }
}
