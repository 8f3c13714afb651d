/** Streams whose writer went silent without a CLOSE: one alert each, with the last record held. */

import type { SpiffeId } from '@sallyport/identity';
import type { Clock, StreamId } from '@sallyport/model';
import { endOf } from './held-streams.ts';
import type { HeldStreams } from './held-streams.ts';
import type { AuditTables } from './store.ts';
import type { HeldStream } from './streams.ts';
import type { Suspicion } from './suspicion.ts';

export interface Unclosed {
  /** A writer was heard of, by whatever call. */
  noteContact(writer: string): void;
  isKnown(held: HeldStream): boolean;
  /** The alert for this stream is recorded. */
  remember(stream: StreamId): void;
  /** Alerts for every stream that is open and silent for too long. */
  sweep(): Promise<void>;
}

export interface UnclosedOptions {
  readonly clock: Clock;
  readonly tables: AuditTables;
  readonly streams: HeldStreams;
  /** The control plane's own streams are judged at its next start. */
  readonly own: SpiffeId;
  readonly afterMs: number;
  readonly alert: (suspicion: Suspicion) => Promise<void>;
  /** Brings a stream together with what all control planes know of it. */
  readonly catchUp: (stream: StreamId, writer: SpiffeId) => Promise<unknown>;
}

export function watchUnclosed({ clock, tables, streams, own, afterMs, alert, catchUp }: UnclosedOptions): Unclosed {
  // Owner: this closure. Silence is counted from this start at the earliest: before it nobody could be heard.
  const contacts = new Map<string, number>();
  const known = new Set<StreamId>(tables.unclosedStreams());
  const startedAt = clock.boot();
  const remember = (stream: StreamId): void => {
    known.add(stream);
    tables.addUnclosed(stream);
  };
  return {
    remember,
    noteContact: (writer) => contacts.set(writer, clock.boot()),
    isKnown: (held) => known.has(held.chain.stream),
    async sweep() {
      const now = clock.boot();
      for (const held of Array.from(streams.all())) {
        const silentMs = now - (contacts.get(held.writer) ?? startedAt);
        if (held.isClosed || held.writer === own || known.has(held.chain.stream) || silentMs < afterMs) continue;
        // Its writer may have changed over to another control plane, and be heard there.
        await catchUp(held.chain.stream, held.writer);
        if ((streams.of(held.chain.stream)?.chain.seq ?? 0) > held.chain.seq) {
          contacts.set(held.writer, now);
          continue;
        }
        const detail = `its writer is silent for ${silentMs} ms, and the last record held is ${held.chain.seq}`;
        await alert({ code: 'UNCLOSED', subject: endOf(held), detail, source: held.writer });
        remember(held.chain.stream);
      }
    },
  };
}
