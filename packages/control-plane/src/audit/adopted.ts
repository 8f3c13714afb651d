/**
 * Streams that another control plane has taken up to some place, and that go on here from there. Kept beside the index,
 * because a start chains every line of the segments again and has to know where a stream was taken over.
 */

import type { SpiffeId } from '@sallyport/identity';
import type { StreamId } from '@sallyport/model';
import { headHex } from '@sallyport/audit';
import type { HeldStreams } from './held-streams.ts';
import { readLineHead } from './line.ts';
import { readHeld, writeHeld } from './shared-heads.ts';
import type { PutOutcome, SharedHeads } from './shared-heads.ts';
import type { AuditTables } from './store.ts';
import type { HeldStream } from './streams.ts';

export interface Adopted {
  /** The place from which a stream goes on here after `seq`. */
  at(stream: StreamId, seq: number): HeldStream | undefined;
  /** Up to where records of the stream may be held elsewhere alone; 0 for a stream that was never taken over. */
  upTo(stream: StreamId): number;
  add(held: HeldStream): void;
}

export function adoptedStreams(tables: Pick<AuditTables, 'adopted' | 'addAdopted'>): Adopted {
  // Owner: this closure; one entry for each take-over.
  const byPlace = new Map<string, HeldStream>();
  const highest = new Map<StreamId, number>();
  const remember = (held: HeldStream): void => {
    const { stream, seq } = held.chain;
    byPlace.set(`${stream} ${seq}`, held);
    highest.set(stream, Math.max(highest.get(stream) ?? 0, seq));
  };
  for (const { stream, held } of tables.adopted()) {
    const read = readHeld(stream, held);
    if (read !== undefined) remember(read);
  }
  return {
    at: (stream, seq) => byPlace.get(`${stream} ${seq}`),
    upTo: (stream) => highest.get(stream) ?? 0,
    add(held) {
      tables.addAdopted({ stream: held.stream, seq: held.chain.seq, held: writeHeld(held) });
      remember(held);
    },
  };
}

export interface CatchUpOptions {
  readonly streams: HeldStreams;
  readonly adopted: Adopted;
  readonly heads: SharedHeads;
  /** The line that is stored here, where it is. */
  readonly lineAt: (stream: StreamId, seq: number) => Promise<Uint8Array | undefined>;
}

/**
 * Brings what is held here and what is known to all together: takes a stream over, or tells how far it has come here. A
 * stream of another writer is left alone, whoever asks for it. `forked` where the two are not one history.
 */
export async function catchUp(
  { stream, writer }: { readonly stream: StreamId; readonly writer: SpiffeId },
  of: CatchUpOptions,
): Promise<PutOutcome> {
  const shared = await of.heads.find(stream);
  const [known, here] = [shared?.chain.seq ?? 0, of.streams.of(stream)];
  if (here !== undefined && here.chain.seq > known) {
    // What was taken here and not told: it has to go on from what was acknowledged.
    const line = shared === undefined ? undefined : await of.lineAt(stream, known + 1);
    const prev = line === undefined ? undefined : readLineHead(line)?.prev;
    if (shared !== undefined && prev !== headHex(shared.chain)) return 'forked';
    return of.heads.put(here);
  }
  if (shared === undefined || shared.writer !== writer) return 'kept';
  if (here?.chain.seq === known) return headHex(here.chain) === headHex(shared.chain) ? 'kept' : 'forked';
  of.adopted.add(shared);
  of.streams.set(shared);
  return 'kept';
}
