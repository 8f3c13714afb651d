/** A request body as it comes, pulled by its one reader: what is not read is not received, and a break is a Fault. */

import type { IncomingMessage } from 'node:http';
import { Fault, invariant } from '@sallyport/model';

export interface BodySource extends AsyncIterable<Uint8Array> {
  /** From now on reading rejects with this. The first one counts. */
  fail(fault: Fault): void;
}

/** `onFirstRead` runs when the reader begins, before anything is waited for. */
export function bodyOf(incoming: IncomingMessage, onFirstRead: () => void): BodySource {
  // Owner: this body.
  let failure: Fault | undefined;
  let isTaken = false;
  let wake: (() => void) | undefined;
  const ring = (): void => wake?.();

  async function* read(): AsyncGenerator<Uint8Array> {
    invariant(!isTaken, 'a body is read once');
    isTaken = true;
    onFirstRead();
    for (const event of ['readable', 'end', 'close', 'error']) incoming.on(event, ring);
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
      for (const event of ['readable', 'end', 'close', 'error']) incoming.off(event, ring);
    }
  }

  return {
    [Symbol.asyncIterator]: read,
    fail(fault) {
      failure ??= fault;
      ring();
    },
  };
}
