/** Which records of the journal nobody has acknowledged yet, and where they stand in the log. */

import type { StreamId } from '@sallyport/model';

interface Stream {
  firstSeq: number;
  /** Place in the log of every record from `firstSeq` on; the part before `from` is acknowledged and cut off now and then. */
  places: number[];
  from: number;
}

/** Owner: the journal, from its replay on. Memory is bounded by the log: eight bytes for a record. */
export interface Unacknowledged {
  /** The next record of a stream; false where it does not continue what is there. */
  add(stream: StreamId, seq: number, place: number): boolean;
  /** The place that the next record of a stream has; `undefined` for a stream that is not known. */
  nextSeq(stream: StreamId): number | undefined;
  acknowledge(stream: StreamId, seq: number): void;
  has(stream: StreamId, seq: number): boolean;
  /** The lowest place of an unacknowledged record after `place`, if there is one. */
  firstAfter(place: number): number | undefined;
  /** By stream, oldest stream first. */
  list(): readonly { readonly stream: StreamId; readonly firstSeq: number; readonly lastSeq: number }[];
  /** How far streams are acknowledged whose records may still be in the log. */
  acknowledged(): ReadonlyMap<StreamId, number>;
  readonly records: number;
}

export function unacknowledged(): Unacknowledged {
  const streams = new Map<StreamId, Stream>();
  let newest: StreamId | undefined;
  let records = 0;

  return {
    add(name, seq, place) {
      let stream = streams.get(name);
      if (stream === undefined) {
        stream = { firstSeq: seq, places: [], from: 0 };
        streams.set(name, stream);
      }
      // A stream that is not the newest is over: a start never goes back to an older one.
      if (seq !== stream.firstSeq + stream.places.length) return false;
      stream.places.push(place);
      newest = name;
      records += 1;
      return true;
    },
    nextSeq(name) {
      const stream = streams.get(name);
      return stream === undefined ? undefined : stream.firstSeq + stream.places.length;
    },
    acknowledge(name, seq) {
      const stream = streams.get(name);
      if (stream === undefined) return;
      const upTo = Math.min(Math.max(seq + 1 - stream.firstSeq, stream.from), stream.places.length);
      records -= upTo - stream.from;
      stream.from = upTo;
      if (stream.from === stream.places.length && name !== newest) streams.delete(name);
      else if (stream.from > 1024 && stream.from * 2 > stream.places.length) {
        stream.places = stream.places.slice(stream.from);
        stream.firstSeq += stream.from;
        stream.from = 0;
      }
    },
    has(name, seq) {
      const stream = streams.get(name);
      return stream !== undefined && seq >= stream.firstSeq + stream.from && seq < stream.firstSeq + stream.places.length;
    },
    firstAfter(place) {
      let first: number | undefined;
      for (const { places, from } of streams.values()) {
        const found = places[firstIndexAbove(places, from, place)];
        if (found !== undefined && (first === undefined || found < first)) first = found;
      }
      return first;
    },
    list: () =>
      [...streams].flatMap(([stream, { firstSeq, places, from }]) =>
        from === places.length ? [] : [{ stream, firstSeq: firstSeq + from, lastSeq: firstSeq + places.length - 1 }],
      ),
    acknowledged: () => new Map([...streams].map(([stream, { firstSeq, from }]) => [stream, firstSeq + from - 1])),
    get records() {
      return records;
    },
  };
}

function firstIndexAbove(places: readonly number[], from: number, place: number): number {
  let [low, high] = [from, places.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((places[middle] ?? Infinity) > place) high = middle;
    else low = middle + 1;
  }
  return low;
}
