/** A queue with two ends to its patience: a count and a number of bytes. It refuses when full; it never drops what it took. */

import { bell } from './bell.ts';

/** First in, first out. One reader; any number of writers. */
export interface BoundedQueue<T> {
  /** False when the item would exceed a bound, or the queue is closed; then nothing was taken. */
  push(item: T, bytes: number): boolean;
  /** The oldest item, or `undefined` when there is none now. */
  shift(): T | undefined;
  /** The oldest item, waiting for one; `undefined` once closed and empty, or when the signal aborts. */
  take(options: { readonly signal: AbortSignal }): Promise<T | undefined>;
  /** Takes no more; what is inside can still be read. */
  close(): void;
  readonly items: number;
  readonly bytes: number;
}

export function boundedQueue<T>(bounds: { readonly itemsMax: number; readonly bytesMax: number }): BoundedQueue<T> {
  // Owner: this queue. `head` is where reading stands; the read part is cut off when it is the larger half.
  let held: { readonly item: T; readonly bytes: number }[] = [];
  let head = 0;
  let bytes = 0;
  let isClosed = false;
  const reader = bell();

  const mustWait = (): boolean => held.length === head && !isClosed;
  const shift = (): T | undefined => {
    const entry = held[head];
    if (entry === undefined) return undefined;
    head += 1;
    bytes -= entry.bytes;
    if (head * 2 > held.length) {
      held = held.slice(head);
      head = 0;
    }
    return entry.item;
  };
  return {
    push(item, itemBytes) {
      if (isClosed || held.length - head >= bounds.itemsMax || bytes + itemBytes > bounds.bytesMax) return false;
      held.push({ item, bytes: itemBytes });
      bytes += itemBytes;
      reader.ring();
      return true;
    },
    shift,
    async take({ signal }) {
      while (mustWait() && !signal.aborted) await reader.heard(signal);
      return signal.aborted ? undefined : shift();
    },
    close() {
      isClosed = true;
      reader.ring();
    },
    get items() {
      return held.length - head;
    },
    get bytes() {
      return bytes;
    },
  };
}
