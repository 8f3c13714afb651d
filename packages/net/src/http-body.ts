/** A request body as it comes, pulled by its one reader: what is not read is not received, and a break is a Fault. */

import type { IncomingMessage } from 'node:http';
import { Fault, invariant } from '@sallyport/model';

export interface BodySource extends AsyncIterable<Uint8Array> {
  /** From now on reading rejects with this. The first one counts. */
  fail(fault: Fault): void;
  /** Nobody will read on: what still comes is received and thrown away. */
  discard(): void;
}

const EVENTS = ['readable', 'end', 'close', 'error'] as const;

/** `onFirstRead` runs when the reader begins, before anything is waited for. */
export function bodyOf(incoming: IncomingMessage, onFirstRead: () => void): BodySource {
  // Owner: this body.
  let failure: Fault | undefined;
  let isTaken = false;
  let wake: (() => void) | undefined;
  const ring = (): void => wake?.();

  const detach = (): void => {
    for (const event of EVENTS) incoming.off(event, ring);
  };

  async function* read(): AsyncGenerator<Uint8Array> {
    invariant(!isTaken, 'a body is read once');
    isTaken = true;
    onFirstRead();
    for (const event of EVENTS) incoming.on(event, ring);
    try {
      for (;;) {
        if (failure !== undefined) throw failure;
        const chunk = incoming.read() as Buffer | null;
        if (chunk !== null) {
          yield chunk;
          continue;
        }
        if (incoming.readableEnded) return;
        if (incoming.destroyed) throw new Fault('aborted', 'downstream', 'the body broke off');
        await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      detach();
    }
  }

  return {
    [Symbol.asyncIterator]: read,
    fail(fault) {
      failure ??= fault;
      ring();
    },
    discard() {
      failure ??= new Fault('aborted', 'downstream', 'the request was answered before its body was read');
      ring();
      // A stream that has a listener for `readable` does not flow.
      detach();
      incoming.resume();
    },
  };
}
