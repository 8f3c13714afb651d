/**
 * Every stream that the segments hold, as far as they hold it, and how a start finds that out again. One owner: the
 * collector and the own stream set what has become durable, and nothing else does.
 */

import { headHex } from '@sallyport/audit';
import type { StreamEnd } from '@sallyport/audit';
import { decodeHex } from '@sallyport/crypto';
import type { SpiffeId } from '@sallyport/identity';
import type { StreamId } from '@sallyport/model';
import type { LoggedFrame } from '@sallyport/store';
import type { Adopted } from './adopted.ts';
import { readLineHead } from './line.ts';
import { takeLine } from './streams.ts';
import type { HeldStream, LineContext } from './streams.ts';
import type { Suspicion } from './suspicion.ts';

export interface HeldStreams {
  of(stream: StreamId): HeldStream | undefined;
  /** In the order in which their first lines came. */
  all(): Iterable<HeldStream>;
  /** The streams of one writer, in the order in which they began. */
  ofWriter(writer: SpiffeId): readonly HeldStream[];
  /** What is durable of a stream has changed. */
  set(held: HeldStream): void;
}

/** The head of a stream before its first record. */
export const NO_HEAD: string = '0'.repeat(64);

/** Where a stream ends here. */
export function endOf({ chain }: HeldStream): StreamEnd {
  return { stream: chain.stream, seq: chain.seq, head: headHex(chain) };
}

export function heldStreams(): HeldStreams {
  // Owner: this store.
  const streams = new Map<StreamId, HeldStream>();
  const byWriter = new Map<SpiffeId, Set<StreamId>>();
  return {
    of: (stream) => streams.get(stream),
    all: () => streams.values(),
    ofWriter: (writer) => [...(byWriter.get(writer) ?? [])].flatMap((stream) => streams.get(stream) ?? []),
    set(held) {
      const { stream } = held.chain;
      if (!streams.has(stream)) byWriter.set(held.writer, (byWriter.get(held.writer) ?? new Set()).add(stream));
      streams.set(stream, held);
    },
  };
}

/**
 * Takes a line that the segments held on opening. One that does not chain means that something was edited since: it is
 * reported, and the stream goes on from what the line itself says came before, so that one edit is one finding and hides
 * no other.
 */
export function recoverLine(
  frame: LoggedFrame,
  { streams, adopted }: { readonly streams: HeldStreams; readonly adopted: Pick<Adopted, 'at'> },
): Suspicion | undefined {
  const line = frame.bytes;
  const head = readLineHead(line);
  if (head === undefined) return edited(frame, undefined, 'it is no record line');
  const before = streams.of(head.stream);
  // Another control plane has taken the records in between, and this one went on after them.
  const held = before?.chain.seq === head.seq - 1 ? before : (adopted.at(head.stream, head.seq - 1) ?? before);
  const source = held?.writer ?? startWriter(line);
  if (source === undefined) return edited(frame, held, `its stream ${head.stream} has no START`);
  const context: LineContext = { source, authorities: 'accepted_before' };
  const taken = takeLine(held, line, context);
  if (taken.ok) {
    streams.set(taken.value.held);
    return undefined;
  }
  const prior = decodeHex(head.prev);
  if (held !== undefined && prior !== undefined) {
    const resumed = takeLine({ ...held, isClosed: false, chain: { stream: head.stream, seq: head.seq - 1, head: prior } }, line, context);
    if (resumed.ok) streams.set(resumed.value.held);
  }
  return edited(frame, held, `stream ${head.stream}, seq ${head.seq}: ${taken.error.detail}`);
}

function edited(frame: LoggedFrame, held: HeldStream | undefined, detail: string): Suspicion {
  const subject = held === undefined ? null : endOf(held);
  return { code: 'SEGMENT_EDITED', subject, detail: `before or at place ${frame.sequence}: ${detail}`, source: 'segments' };
}

function startWriter(line: Uint8Array): SpiffeId | undefined {
  try {
    const value = JSON.parse(new TextDecoder().decode(line)) as Record<string, unknown>;
    return typeof value['sidecar'] === 'string' ? (value['sidecar'] as SpiffeId) : undefined;
  } catch {
    // Not JSON: the caller reports the place.
    return undefined;
  }
}
