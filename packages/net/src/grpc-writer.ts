/** Writing a stream without filling memory: a slow reader is told no, except for what must overtake. */

import type { Sendable } from './grpc-encoded.ts';

/** The sending side of a stream. One owner. */
export interface StreamWriter<T> {
  /**
   * Queues a message. False when it was refused: more than `unsentBytesMax` wait and it has no priority, more than
   * `priorityBytesMax` wait and it has, or the stream is over. Nothing overtakes what is queued already.
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
