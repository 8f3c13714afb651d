/** Writing a stream without filling memory: a slow reader is told no, except for what must overtake. */

import type { Encoded, Sendable } from './grpc-encoded.ts';

/** The sending side of a stream. One owner. */
export interface StreamWriter<T> {
  /**
   * Queues a message. False when it was refused: more than `unsentBytesMax` would wait and it has no priority, more than
   * `priorityBytesMax` and it has, or the stream is over. Nothing overtakes what is queued already.
   */
  write(message: Sendable<T>, options?: { readonly priority?: boolean }): boolean;
  /** Bytes queued and not yet taken by the connection. */
  readonly unsentBytes: number;
  /** Resolves when nothing waits any more, or the stream is over. */
  drained(): Promise<void>;
  /** No more will be written. A server's handler ends its stream by returning instead. */
  end(): void;
  readonly isOver: boolean;
}

/** Bounds of one stream's unsent bytes. */
export interface WriterLimits {
  readonly unsentBytesMax: number;
  readonly priorityBytesMax: number;
}

/** 256 KB for what may wait for the next try, 1 MB for revocations and farewells. */
export const WRITER_LIMITS: WriterLimits = { unsentBytesMax: 262_144, priorityBytesMax: 1_048_576 };

/** The part of a grpc-js stream that is written to. */
export interface WritableCall {
  write(message: unknown, onTaken: () => void): boolean;
  end(): unknown;
}

/** gRPC's own prefix of a message: a flag and a length. */
const PREFIX_BYTES = 5;

/** `toWire` encodes a message; one that is encoded already passes as it is. `over` aborts when the call has ended. */
export function streamWriter<T>(
  call: WritableCall,
  options: { readonly toWire: (message: Sendable<T>) => Encoded<T>; readonly limits: WriterLimits; readonly over: AbortSignal },
): StreamWriter<T> {
  const { toWire, limits, over } = options;
  // Owner: this writer.
  let unsentBytes = 0;
  let hasEnded = false;
  let waiting: (() => void)[] = [];

  const release = (): void => {
    const released = waiting;
    waiting = [];
    for (const resolve of released) resolve();
  };
  over.addEventListener('abort', release, { once: true });

  return {
    write(message, { priority = false } = {}) {
      if (hasEnded || over.aborted) return false;
      const bytes = toWire(message);
      const size = bytes.length + PREFIX_BYTES;
      // A first message always goes, however long: it waits for nobody, and the message bound has its own say.
      if (unsentBytes > 0 && unsentBytes + size > (priority ? limits.priorityBytesMax : limits.unsentBytesMax)) return false;
      unsentBytes += size;
      call.write(bytes, () => {
        unsentBytes -= size;
        if (unsentBytes === 0) release();
      });
      return true;
    },
    get unsentBytes() {
      return unsentBytes;
    },
    drained() {
      if (unsentBytes === 0 || over.aborted) return Promise.resolve();
      return new Promise((resolve) => waiting.push(resolve));
    },
    end() {
      if (hasEnded) return;
      hasEnded = true;
      call.end();
    },
    get isOver() {
      return hasEnded || over.aborted;
    },
  };
}
